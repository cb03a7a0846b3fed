package config

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// checkNames reports every block and attribute of a file that the format does
// not have, and every label that is missing or too many. It looks at the file
// as written, before dynamic blocks are expanded, so a mistake in a block
// that is repeated a thousand times is reported once.
func (r *report) checkNames(body *hclsyntax.Body) {
	r.checkBody(body, topLevel, "at the top level", hcl.Range{})
}

// checkBody checks what stands in the block whose header is def.
func (r *report) checkBody(body *hclsyntax.Body, s *schema, where string, def hcl.Range) {
	for name, attr := range body.Attributes {
		if s.anyAttrs || s.has(name) {
			continue
		}
		r.muddled[headerAt(def)] = true
		r.flag(attr.NameRange)
		if s.blocks[name] != nil {
			r.blockAsAttribute(name, attr, s)
			continue
		}
		r.errorf(attr.NameRange, "Unknown attribute", "There is no attribute %q %s. %s", name, where, orList(name, s.known()))
	}
	for _, block := range body.Blocks {
		if block.Type == "dynamic" {
			r.checkDynamic(block, s, where)
			continue
		}
		inner := s.blocks[block.Type]
		if inner == nil {
			r.muddled[headerAt(def)] = true
			r.unknownBlock(block.Type, block.TypeRange, s, where)
			continue
		}
		if r.checkLabels(block, inner) {
			r.checkBody(block.Body, inner, "in "+block.Type, block.DefRange())
		}
	}
}

// blockAsAttribute reports name = ... for a block. A list was meant for the
// attribute of the same name in the plural, where there is one.
func (r *report) blockAsAttribute(name string, attr *hclsyntax.Attribute, s *schema) {
	if _, diags := hcl.ExprList(attr.Expr); !diags.HasErrors() && s.has(name+"s") {
		r.errorf(attr.NameRange, "Block written as attribute", "%q is a block for one, and the list is an attribute: write %s = [...].", name, name+"s")
		return
	}
	header := name
	if label := s.blocks[name].label; label != "" {
		header += fmt.Sprintf(" %q", strings.ToUpper(label))
	}
	r.errorf(attr.NameRange, "Block written as attribute",
		"%q is a block: write %s { ... } without an equals sign.", name, header)
}

func (r *report) unknownBlock(name string, at hcl.Range, s *schema, where string) {
	r.flag(at)
	r.incomplete = true
	if s.has(name) {
		r.errorf(at, "Attribute written as block", "%q is an attribute: write %s = ... with an equals sign.", name, name)
		return
	}
	r.errorf(at, "Unknown block", "There is no block %q %s. %s", name, where, orList(name, s.known()))
}

// checkLabels reports whether block has the label that its kind needs.
func (r *report) checkLabels(block *hclsyntax.Block, s *schema) bool {
	want := 0
	if s.label != "" {
		want = 1
	}
	switch {
	case len(block.Labels) < want:
		r.flag(block.TypeRange)
		r.flag(block.OpenBraceRange)
		r.errorf(block.TypeRange, "Missing label", "The block needs its %s: write %s \"...\" {", s.label, block.Type)
	case len(block.Labels) > want:
		r.flag(block.LabelRanges[want])
		text := block.Type
		if want == 1 {
			text += fmt.Sprintf(" %q", block.Labels[0])
		}
		r.errorf(block.LabelRanges[want], "Label too many", "Write %s { without further labels.", text)
	case want == 1 && block.Type != "variable" && block.Type != "test" && !r.checkLabelText(block.Labels[0], block.LabelRanges[0]):
	default:
		return true
	}
	r.incomplete = true
	return false
}

// maxLabel is how long a name may be; names are shown in tables and are
// labels of metrics.
const maxLabel = 128

// checkLabelText reports whether a name can be shown and typed.
func (r *report) checkLabelText(label string, at hcl.Range) bool {
	switch {
	case isLabel(label):
		return true
	case label == "":
		r.errorf(at, "Empty name", "The name is empty. Give one by which you will know this block in logs and metrics.")
	case len(label) > maxLabel:
		r.errorf(at, "Name too long", "The name has %d bytes; at most %d are possible, since it is shown in logs and metrics.", len(label), maxLabel)
	default:
		r.errorf(at, "Name with space", "The name %q has a space or a control character in it. Write it with hyphens instead.", label)
	}
	return false
}

func isLabel(s string) bool {
	return s != "" && len(s) <= maxLabel && !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c == 0x7f })
}

// dynamicSchema is what a dynamic block itself takes.
var dynamicSchema = of("for_each iterator labels", map[string]*schema{"content": of("", nil)})

// checkDynamic looks at a dynamic block: at its own words, and at its content
// as what it repeats.
func (r *report) checkDynamic(block *hclsyntax.Block, s *schema, where string) {
	if len(block.Labels) > 1 {
		r.flag(block.Range())
		r.errorf(block.LabelRanges[1], "Label too many", "Write dynamic %q { and put what the repeated blocks are called into labels.", block.Labels[0])
		r.incomplete = true
		return
	}
	if len(block.Labels) == 0 {
		r.flag(block.Range())
		r.errorf(block.TypeRange, "Missing label", "A dynamic block needs the kind of block that it repeats: write dynamic \"cluster\" {")
		r.incomplete = true
		return
	}
	kind := block.Labels[0]
	inner := s.blocks[kind]
	switch {
	case inner == nil:
		r.muddled[headerAt(block.DefRange())] = true
		r.unknownBlock(kind, block.LabelRanges[0], s, where)
		return
	case inner.once:
		r.flag(block.Range())
		r.incomplete = true
		r.errorf(block.LabelRanges[0], "Block cannot be repeated", "A dynamic block cannot repeat %s. Write the blocks out.", kind)
		return
	}
	for name, attr := range block.Body.Attributes {
		if !dynamicSchema.has(name) {
			r.flag(attr.NameRange)
			r.errorf(attr.NameRange, "Unknown attribute", "There is no attribute %q in a dynamic block; what the repeated blocks have stands in content. %s",
				name, orList(name, dynamicSchema.known()))
		}
	}
	if attr := block.Body.Attributes["iterator"]; attr != nil && hcl.ExprAsKeyword(attr.Expr) == "" {
		r.flag(block.Range())
		r.muddled[headerAt(block.DefRange())] = true
		r.incomplete = true
		r.errorf(attr.Expr.Range(), "Invalid iterator", "iterator is the name under which the rest of the block sees an element: a bare word, such as iterator = item.")
	}
	if inner.label != "" && block.Body.Attributes["labels"] == nil {
		r.flag(block.Range())
		r.incomplete = true
		r.errorf(block.DefRange(), "Missing labels", "Each %s needs its %s: write labels = [%s.value].", kind, inner.label, kind)
	}
	for _, content := range block.Body.Blocks {
		if content.Type != "content" {
			r.flag(content.TypeRange)
			r.incomplete = true
			r.errorf(content.TypeRange, "Unknown block", "There is no block %q in a dynamic block; what the repeated blocks have stands in content.", content.Type)
			continue
		}
		r.checkBody(content.Body, inner, "in "+kind, block.DefRange())
	}
}
