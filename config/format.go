package config

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

// Format returns src in canonical form, as `sluice fmt` writes it. Source
// with syntax errors is not touched: the result is nil then, and the
// diagnostics, which call it filename, say where. Nothing but the syntax is
// looked at.
func Format(filename string, src []byte) ([]byte, *Diagnostics) {
	r := newReport()
	if !r.checkNesting(filename, src) {
		return nil, r.done()
	}
	file, diags := hclsyntax.ParseConfig(src, filename, hcl.InitialPos)
	r.files[filename] = file
	if r.foreign(diags) {
		return nil, r.done()
	}
	return hclwrite.Format(src), r.done()
}
