package config

import (
	"iter"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// plainList is a list of nothing but plain strings whose elements were never
// parsed: they are read from the source each time they are asked for. For
// everyone who evaluates it, it is the list that HCL would have made.
//
// The tuple gives the places of the brackets, and what an expression needs
// that only HCL can give; it has no elements itself.
type plainList struct {
	*hclsyntax.TupleConsExpr
	src   []byte // the whole file, as the user wrote it
	count int    // of elements
}

// elements yields the elements with their places, in order.
func (l *plainList) elements() iter.Seq2[hcl.Range, string] {
	return func(yield func(hcl.Range, string) bool) {
		s := listScanner{src: l.src, at: l.OpenRange.End.Byte}
		place := cursor{src: l.src, pos: l.OpenRange.End}
		for {
			from, to, ok := s.next()
			if !ok {
				return
			}
			at := hcl.Range{Filename: l.OpenRange.Filename, Start: place.moveTo(from), End: place.moveTo(to)}
			if !yield(at, string(l.src[from+1:to-1])) {
				return
			}
		}
	}
}

// Value is the tuple of all elements, which cannot fail.
func (l *plainList) Value(*hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	values := make([]cty.Value, 0, l.count)
	for _, text := range l.elements() {
		values = append(values, cty.StringVal(text))
	}
	return cty.TupleVal(values), nil
}

// ExprList is for [hcl.ExprList].
func (l *plainList) ExprList() []hcl.Expression {
	list := make([]hcl.Expression, 0, l.count)
	for at, text := range l.elements() {
		list = append(list, &hclsyntax.LiteralValueExpr{Val: cty.StringVal(text), SrcRange: at})
	}
	return list
}
