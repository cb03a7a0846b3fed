package config

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// Lists may hold 100,000 names. They are therefore never converted as a whole
// (the conversion of a tuple to a list of strings is quadratic in gohcl), and
// one that is written out is evaluated element by element, so that neither a
// tuple nor its type is ever built; of a [plainList] not even the elements are
// there before. Every element has its own place in the file where that can be
// told.

// elements gives the elements of a list in order to each. It reports whether
// there is a list, even one that cannot be used; an absent or null one is none.
func (b *block) elements(name string, each func(setting)) bool {
	if !b.has(name) {
		return false
	}
	attr := b.attrs[name]
	switch list := attr.Expr.(type) {
	case *plainList:
		for at, text := range list.elements() {
			b.element(name, cty.StringVal(text), at, b.secret, each)
		}
		return true
	case *hclsyntax.TupleConsExpr:
		for _, expr := range list.Exprs {
			value, diags := expr.Value(b.ctx)
			if !b.foreignIn(diags, b.secret) {
				b.element(name, value, expr.Range(), b.secret, each)
			}
		}
		return true
	}
	failures := b.failures
	list, ok := b.setting(name)
	if !ok {
		return b.failures != failures
	}
	if t := list.value.Type(); !t.IsTupleType() && !t.IsListType() && !t.IsSetType() {
		hint := fmt.Sprintf(": write %s = [...].", name)
		if list.from != nil {
			hint = "." + list.from.typeHint("list(string)")
		}
		list.errorf(list.at, "Wrong type", "%s takes a list, not %s%s", name, typeName(t), hint)
		return true
	}
	places := elementRanges(attr.Expr, list.value.LengthInt())
	for i, it := 0, list.value.ElementIterator(); it.Next(); i++ {
		_, value := it.Element()
		b.element(name, value, places(i), list.secret, each)
	}
	return true
}

func (b *block) element(name string, value cty.Value, at hcl.Range, hidden bool, each func(setting)) {
	failures := b.failures
	s, ok := b.settle(name, value, at, hidden)
	b.hidden = b.hidden || s.secret
	switch {
	case ok:
		each(s)
	case b.failures == failures:
		b.errorf(at, "Null in list", "An element of %s is null. Leave it out, for instance with compact().", name)
	}
}

// elementRanges returns where the elements of a list stand: each for itself
// when the list is written out, and all at the expression when it is computed.
func elementRanges(expr hcl.Expression, length int) func(i int) hcl.Range {
	if written, diags := hcl.ExprList(expr); !diags.HasErrors() && len(written) == length {
		return func(i int) hcl.Range { return written[i].Range() }
	}
	whole := expr.Range()
	return func(int) hcl.Range { return whole }
}

// parsedList reads a list of strings of one kind. An element that stands in
// it twice, after parsing, is an error.
func parsedList[T comparable](b *block, name, kind string, parse func(string) (T, error)) []T {
	list, _ := listOf(b, name, func(s setting) (T, bool) { return parseSetting(s, kind, parse) })
	return list
}

// listOf reads a list whose elements read understands, without repetitions.
// there is what [block.elements] returns.
func listOf[T comparable](b *block, name string, read func(setting) (T, bool)) (list []T, there bool) {
	seen := map[T]struct{}{}
	there = b.elements(name, func(s setting) {
		v, ok := read(s)
		if !ok {
			return
		}
		if _, twice := seen[v]; twice {
			s.twice()
			return
		}
		seen[v] = struct{}{}
		list = append(list, v)
	})
	return list, there
}

// twice reports an element that its list has already.
func (s setting) twice() {
	shown := "A value, which is not shown because it comes from env() or file(),"
	if !s.secret {
		shown = show(s.value)
	}
	s.errorf(s.at, "Duplicate in list", "%s stands in %s twice. Leave one out.", shown, s.name)
}
