package config

import (
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// local is one named expression of a locals block.
type local struct {
	name  string
	attr  *hclsyntax.Attribute
	value cty.Value // cty.NilVal until it was evaluated
	busy  bool      // it is being evaluated: who needs it now needs itself
}

// declareLocals finds the locals of all files.
func (l *loader) declareLocals() {
	for _, src := range l.sources {
		for _, block := range src.body.Blocks {
			if block.Type != "locals" {
				continue
			}
			attrs := block.Body.Attributes
			for _, name := range slices.Sorted(maps.Keys(attrs)) {
				if first := l.locals[name]; first != nil {
					l.errorf(attrs[name].NameRange, "Duplicate local", "The local %q is defined at %s already.", name, posOf(first.attr.NameRange))
					continue
				}
				l.locals[name] = &local{name: name, attr: attrs[name], value: cty.NilVal}
			}
		}
	}
}

// evaluateLocals evaluates all locals, each after those that it refers to.
func (l *loader) evaluateLocals() {
	for _, name := range slices.Sorted(maps.Keys(l.locals)) {
		l.evaluateLocal(l.locals[name], nil)
	}
}

// evaluateLocal evaluates one local; path is how it was reached.
func (l *loader) evaluateLocal(x *local, path []string) {
	path = append(path, x.name)
	if x.busy {
		first := slices.Index(path, x.name)
		l.errorf(x.attr.NameRange, "Circle of locals", "The local %q needs its own value: %s. Break the circle.",
			x.name, strings.Join(path[first:], " -> "))
		x.value = cty.DynamicVal
		return
	}
	if x.value != cty.NilVal {
		return
	}
	x.busy = true
	needed := map[string]cty.Value{}
	for _, t := range hclsyntax.Variables(x.attr.Expr) {
		if t.RootName() != "local" {
			continue
		}
		name, _ := referredName(t)
		if other := l.locals[name]; other != nil {
			l.evaluateLocal(other, path)
			needed[name] = other.value
		}
	}
	x.busy = false
	if x.value != cty.NilVal {
		return // a circle was found through it
	}
	value, diags := x.attr.Expr.Value(l.contextFor(x.attr.NameRange.Filename, l.namespace(needed)))
	if l.foreign(diags) {
		value = cty.DynamicVal
	}
	if isHugeNumber(value) {
		l.errorf(x.attr.Expr.Range(), "Number out of range", "No number here can be so large or so small.")
		value = cty.DynamicVal
	}
	x.value = value
}

// namespace makes the object behind var or local. While blocks are missing
// because of an error, nothing is known of either.
func (l *loader) namespace(values map[string]cty.Value) cty.Value {
	if l.incomplete {
		return cty.DynamicVal
	}
	return cty.ObjectVal(values)
}

// contextFor is what an expression of a file sees when local stands for the
// given value.
func (l *loader) contextFor(file string, local cty.Value) *hcl.EvalContext {
	values := make(map[string]cty.Value, len(l.variables))
	for name, v := range l.variables {
		values[name] = v.value
	}
	return &hcl.EvalContext{
		Variables: map[string]cty.Value{"var": l.namespace(values), "local": local},
		Functions: l.functionsFor(file),
	}
}
