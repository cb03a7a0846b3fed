package config

import (
	"maps"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// scope is what an expression may refer to.
type scope struct {
	*report
	variables map[string]hcl.Range // where each is declared
	locals    map[string]hcl.Range
}

// checkVariables reports what the expressions of a file refer to and what
// does not exist, with the name that was probably meant. HCL would say that
// an object has no such attribute.
func (s *scope) checkVariables(body *hclsyntax.Body, iterators []string) {
	for _, attr := range body.Attributes {
		s.checkExpression(attr.Expr, iterators)
	}
	for _, block := range body.Blocks {
		switch block.Type {
		case "variable": // its type is written in bare words, and its default sees nothing
		case "dynamic":
			s.checkDynamicVariables(block, iterators)
		default:
			s.checkVariables(block.Body, iterators)
		}
	}
}

// checkDynamicVariables knows that for_each does not see the iterator of its
// own block, while everything else in it does.
func (s *scope) checkDynamicVariables(block *hclsyntax.Block, iterators []string) {
	if len(block.Labels) != 1 || s.muddled[headerAt(block.DefRange())] {
		return
	}
	name := block.Labels[0]
	if attr := block.Body.Attributes["iterator"]; attr != nil {
		if keyword := hcl.ExprAsKeyword(attr.Expr); keyword != "" {
			name = keyword
		}
	}
	inner := append(slices.Clone(iterators), name)
	for attrName, attr := range block.Body.Attributes {
		switch attrName {
		case "iterator":
		case "for_each":
			s.checkExpression(attr.Expr, iterators)
		default:
			s.checkExpression(attr.Expr, inner)
		}
	}
	for _, content := range block.Body.Blocks {
		s.checkVariables(content.Body, inner)
	}
}

func (s *scope) checkExpression(expr hclsyntax.Expression, iterators []string) {
	for _, traversal := range hclsyntax.Variables(expr) {
		switch root := traversal.RootName(); {
		case slices.Contains(iterators, root):
		case root == "var":
			s.checkReference(traversal, "variable", s.variables)
		case root == "local":
			s.checkReference(traversal, "local", s.locals)
		default:
			s.unknownRoot(traversal)
		}
	}
}

// checkReference checks a traversal such as var.name.
func (s *scope) checkReference(traversal hcl.Traversal, kind string, declared map[string]hcl.Range) {
	at := traversal.SourceRange()
	name, ok := referredName(traversal)
	if !ok {
		s.flag(at)
		s.errorf(at, "Name missing", "Write %s.NAME with the name of one %s.", traversal.RootName(), kind)
		return
	}
	if _, ok := declared[name]; ok || s.incomplete {
		return
	}
	s.flag(at)
	near := s.nearestOf(name, func() []string { return slices.Sorted(maps.Keys(declared)) })
	if near == "" {
		s.errorf(at, "Unknown "+kind, "No %s is named %q. Declare it: %s", kind, name, declaration(kind, name))
		return
	}
	s.errorf(at, "Unknown "+kind, "No %s is named %q. Did you mean %q (%s)?", kind, name, near, posOf(declared[near]))
}

func declaration(kind, name string) string {
	if kind == "variable" {
		return "variable \"" + name + "\" { default = ... }"
	}
	return "locals { " + name + " = ... }"
}

// unknownRoot reports a reference to neither var, local nor an iterator; a
// single bare word is most often text without its quotes.
func (s *scope) unknownRoot(traversal hcl.Traversal) {
	at := traversal.SourceRange()
	s.flag(at)
	root := traversal.RootName()
	if len(traversal) == 1 {
		s.errorf(at, "Unknown name", "Nothing is named %s. Text stands in quotes: write %q. A variable is var.NAME, a local is local.NAME.", root, root)
		return
	}
	hint := "A variable is var.NAME, a local is local.NAME."
	if near := nearest(root, []string{"local", "var"}); near != "" {
		hint = "Did you mean " + near + "?"
	}
	s.errorf(at, "Unknown name", "Nothing is named %s. %s", root, hint)
}

// referredName returns x of var.x, var["x"], local.x or local["x"].
func referredName(traversal hcl.Traversal) (string, bool) {
	if len(traversal) < 2 {
		return "", false
	}
	switch step := traversal[1].(type) {
	case hcl.TraverseAttr:
		return step.Name, true
	case hcl.TraverseIndex:
		if step.Key.Type() == cty.String && !step.Key.IsMarked() {
			return step.Key.AsString(), true
		}
	}
	return "", false
}

// posOf says where a range begins.
func posOf(at hcl.Range) Pos { return Pos{File: at.Filename, Line: at.Start.Line} }
