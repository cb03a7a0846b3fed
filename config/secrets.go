package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// What came from env() or file() carries the mark [secret], and so does what
// is computed from it. Where HCL takes marks off, they are looked for in
// another place:
//
//   - for expressions give their bodies bare elements, and put the mark back
//     on the result. What is said about such a body is judged by the whole
//     expression.
//   - dynamic blocks give their iterators and labels bare elements. All that a
//     block holds whose for_each is secret counts as secret.

// notShown stands in a diagnostic for a value that came from env() or file().
const notShown = "(not shown, from env() or file())"

// shown is text, or what stands for it when it must be hidden.
func shown(text string, hidden bool) string {
	if hidden {
		return notShown
	}
	return text
}

// isSecret reports whether a body was made by a dynamic block whose for_each
// is secret.
func isSecret(body hcl.Body) bool {
	marked, ok := body.(interface{ BodyValueMarks() cty.ValueMarks })
	return ok && len(marked.BodyValueMarks()) > 0
}

// isGenerated reports whether a block was made by a dynamic block, whose label
// then stands for the type.
func isGenerated(b *hcl.Block) bool { return b.TypeRange.Start != b.DefRange.Start }

// hiddenName is an argument of errorf: a name that is not shown, without the
// quotes that names have.
type hiddenName struct{}

// Format implements [fmt.Formatter].
func (hiddenName) Format(f fmt.State, _ rune) { fmt.Fprint(f, notShown) }

// hideName keeps a label out of what is said from now on.
func (r *report) hideName(label string) { r.hiddenNames[label] = true }

// hide replaces the hidden names among what is to be formatted.
func (r *report) hide(args []any) []any {
	if len(r.hiddenNames) == 0 {
		return args
	}
	args = slices.Clone(args)
	for i, arg := range args {
		if name, ok := arg.(string); ok && r.hiddenNames[name] {
			args[i] = hiddenName{}
		}
	}
	return args
}

// sprintf formats a part of what is to be said, without hidden names.
func (r *report) sprintf(format string, args ...any) string {
	return fmt.Sprintf(format, r.hide(args)...)
}

// detailOf is the detail that HCL gives, but never with a value from env() or
// file() in it: an error of a function repeats what it was called with. hidden
// says that all values count as such.
func (r *report) detailOf(diag *hcl.Diagnostic, hidden bool) string {
	switch {
	case strings.Contains(diag.Detail, "dynamic marks"):
		return "A label is a name that is shown everywhere, so it cannot come straight out of env() or file(). Give it in a variable instead."
	case hidden && diag.Expression != nil, r.tellsSecret(diag):
		return "The expression fails for the values that it has, which are not shown because they come from env() or file()."
	}
	return diag.Detail
}

// tellsSecret reports whether what HCL says may have a secret in it.
func (r *report) tellsSecret(diag *hcl.Diagnostic) bool {
	ctx := diag.EvalContext
	if diag.Expression == nil || ctx == nil {
		return false
	}
	if readsSecret(diag.Expression, ctx) {
		return true
	}
	if ctx.Parent() == nil {
		return false
	}
	file := r.files[diag.Expression.Range().Filename]
	if file == nil {
		return true
	}
	node, ok := file.OutermostExprAtPos(diag.Expression.Range().Start).(hclsyntax.Node)
	return !ok || holdsSecret(node, diag.Expression, ctx)
}

// readsSecret reports whether a value that is marked where expr stands goes
// into it.
func readsSecret(expr hcl.Expression, ctx *hcl.EvalContext) bool {
	node, ok := expr.(hclsyntax.Node)
	if !ok {
		return true
	}
	secret := false
	hclsyntax.VisitAll(node, func(n hclsyntax.Node) hcl.Diagnostics {
		if e, ok := n.(hclsyntax.Expression); ok && !secret {
			v, _ := e.Value(ctx)
			secret = v.ContainsMarked()
		}
		return nil
	})
	return secret
}

// holdsSecret reports whether a secret stands anywhere in whole: a call of
// env() or file(), but for one that failed, or a reference to a marked value.
func holdsSecret(whole hclsyntax.Node, failed hcl.Expression, ctx *hcl.EvalContext) bool {
	secret := false
	hclsyntax.VisitAll(whole, func(n hclsyntax.Node) hcl.Diagnostics {
		if call, ok := n.(*hclsyntax.FunctionCallExpr); ok && (call.Name == "env" || call.Name == "file") {
			secret = secret || call.Range() != failed.Range()
		}
		return nil
	})
	expr, ok := whole.(hclsyntax.Expression)
	return secret || !ok || slices.ContainsFunc(expr.Variables(), func(t hcl.Traversal) bool { return isMarked(t, ctx) })
}

// isMarked reports whether a traversal leads to, or through, a marked value.
func isMarked(t hcl.Traversal, ctx *hcl.EvalContext) bool {
	for ; len(t) > 0; t = t[:len(t)-1] {
		if value, diags := t.TraverseAbs(ctx); !diags.HasErrors() {
			return value.ContainsMarked()
		}
	}
	return false
}
