package config

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// variable is one variable block. Its value is the first of these that is
// there: -var, the last -var-file that has it, SLUICE_VAR_name, its default.
type variable struct {
	name  string
	at    hcl.Range // of the block's header
	block *hclsyntax.Block
	typ   cty.Type  // cty.DynamicPseudoType without a type
	value cty.Value // unknown after an error
	bad   bool      // its type is not one: nothing more is said
	text  bool      // it has no type and was given as text, so that it is a string
}

// environmentPrefix begins the names of environment variables that set ours.
const environmentPrefix = "SLUICE_VAR_"

// declareVariables finds the variable blocks of all files.
func (l *loader) declareVariables() {
	for _, src := range l.sources {
		for _, block := range src.body.Blocks {
			if block.Type == "variable" && len(block.Labels) == 1 {
				l.declareVariable(block)
			}
		}
	}
}

func (l *loader) declareVariable(block *hclsyntax.Block) {
	name := block.Labels[0]
	if !hclsyntax.ValidIdentifier(name) {
		l.errorf(block.LabelRanges[0], "Name not possible",
			"A variable is read as var.NAME, so its name consists of letters, digits, hyphens and underscores, and %q does not.", name)
		return
	}
	if first := l.variables[name]; first != nil {
		l.errorf(block.LabelRanges[0], "Duplicate variable", "The variable %q is declared at %s already.", name, posOf(first.at))
		return
	}
	v := &variable{name: name, at: block.DefRange(), block: block, typ: cty.DynamicPseudoType, value: cty.NilVal}
	l.variables[name] = v
	if attr := block.Body.Attributes["type"]; attr != nil {
		typ, diags := typeexpr.TypeConstraint(attr.Expr)
		if v.bad = l.foreign(diags); !v.bad {
			v.typ = typ
		}
	}
}

// setVariables gives every variable its value, lowest precedence first, so
// that a bad value in a place that another overrides is still found.
func (l *loader) setVariables(o Options) {
	for _, v := range l.variables {
		l.setDefault(v)
	}
	environ := environment(o.Environ)
	for _, name := range slices.Sorted(maps.Keys(l.variables)) {
		if raw, ok := environ[environmentPrefix+name]; ok {
			l.setFromText(l.variables[name], raw, environmentPrefix+name)
		}
	}
	l.checkEnvironment(environ)
	for _, file := range o.VarFiles {
		l.setFromFile(file)
	}
	for _, name := range slices.Sorted(maps.Keys(o.Vars)) {
		v := l.variables[name]
		if v == nil {
			l.unknownVariable(name, nil)
			continue
		}
		l.setFromText(v, o.Vars[name], "-var "+name)
	}
	for _, v := range l.variables {
		switch {
		case v.bad, v.value == cty.NilVal && l.muddled[headerAt(v.at)]:
			v.value = cty.DynamicVal
			l.fail()
		case v.value == cty.NilVal:
			v.value = cty.DynamicVal
			l.errorf(v.at, "Variable without value",
				"The variable %q has no default, so it must be given: with -var %s=VALUE, in a file for -var-file, or as %s%s in the environment.",
				v.name, v.name, environmentPrefix, v.name)
		}
	}
}

// checkEnvironment warns of names in the environment that are almost those of
// variables. What is near to none may be meant for another configuration.
func (l *loader) checkEnvironment(environ map[string]string) {
	names := slices.Sorted(maps.Keys(l.variables))
	for _, given := range slices.Sorted(maps.Keys(environ)) {
		name, ok := strings.CutPrefix(given, environmentPrefix)
		if !ok || l.variables[name] != nil {
			continue
		}
		if near := l.nearestOf(name, func() []string { return names }); near != "" {
			l.warnNowhere("Unused environment variable", "%s sets nothing: no variable is named %q. Did you mean %s%s (%s)?",
				given, name, environmentPrefix, near, posOf(l.variables[near].at))
		}
	}
}

func (l *loader) unknownVariable(name string, at *hcl.Range) {
	if l.incomplete {
		return
	}
	hint := "Declare it: " + declaration("variable", name)
	if near := l.nearestOf(name, func() []string { return slices.Sorted(maps.Keys(l.variables)) }); near != "" {
		hint = fmt.Sprintf("Did you mean %q (%s)?", near, posOf(l.variables[near].at))
	}
	if at != nil {
		l.errorf(*at, "Unknown variable", "No variable is named %q. %s", name, hint)
		return
	}
	l.errorNowhere("Unknown variable", "-var %s: no variable is named %q. %s", name, name, hint)
}

// setDefault evaluates a default. Functions may be used in it, but it sees no
// variable and no local: a default that depends on another is a local.
func (l *loader) setDefault(v *variable) {
	attr := v.block.Body.Attributes["default"]
	if attr == nil {
		return
	}
	for _, t := range hclsyntax.Variables(attr.Expr) {
		l.flag(t.SourceRange())
		l.errorf(t.SourceRange(), "Reference in default", "A default cannot refer to %s. Write the value, or make a local of it.", t.RootName())
	}
	ctx := &hcl.EvalContext{Variables: map[string]cty.Value{}, Functions: l.functionsFor(v.at.Filename)}
	value, diags := attr.Expr.Value(ctx)
	if l.foreign(diags) {
		v.bad = true
		return
	}
	l.convert(v, value, attr.Expr.Range(), "The default")
}

// setFromFile reads a file of name = value lines in HCL. Its path is relative
// to the working directory, for it stands on the command line.
func (l *loader) setFromFile(file string) {
	src, err := ReadFile(file)
	l.read.file(file, src, err)
	if err != nil {
		l.errorNowhere("Unreadable file", "-var-file %s: %v.", file, reasonOf(err))
		return
	}
	if !l.checkNesting(file, src) {
		l.markAllBad()
		return
	}
	parsed, diags := parseFile(src, file, l.longPlainList)
	l.files[file] = parsed
	if l.foreign(diags) {
		l.markAllBad()
		return
	}
	attrs, diags := parsed.Body.JustAttributes()
	l.foreign(diags)
	for name, attr := range attrs {
		v := l.variables[name]
		if v == nil {
			l.unknownVariable(name, &attr.NameRange)
			continue
		}
		value, diags := attr.Expr.Value(nil)
		if l.foreign(diags) {
			v.bad = true
			continue
		}
		l.convert(v, value, attr.Expr.Range(), "The value")
	}
}

// markAllBad makes all variables unknown when a file that may set any of them
// could not be read.
func (l *loader) markAllBad() {
	for _, v := range l.variables {
		v.bad = true
	}
}

// setFromText sets a variable from the command line or the environment:
// text stands as it is, everything else is written as in a file.
func (l *loader) setFromText(v *variable, raw, origin string) {
	typ := v.typ
	if typ == cty.DynamicPseudoType && v.value != cty.NilVal && !v.value.IsNull() {
		typ = v.value.Type() // that of its default
	}
	if typ == cty.String || typ == cty.DynamicPseudoType {
		v.value, v.text = cty.StringVal(raw), v.typ == cty.DynamicPseudoType
		return
	}
	value := cty.StringVal(raw)
	if _, deep := tooDeep([]byte(raw), maxNesting); deep {
		v.bad = true
		l.errorf(v.at, "Wrong value for variable", "%s is nested too deeply: more than %d brackets are one inside of another.", origin, maxNesting)
		return
	}
	if !typ.IsPrimitiveType() {
		expr, diags := hclsyntax.ParseExpression([]byte(raw), origin, hcl.InitialPos)
		if !diags.HasErrors() {
			value, diags = expr.Value(nil)
		}
		if diags.HasErrors() {
			v.bad = true
			l.errorf(v.at, "Wrong value for variable", "%s is not HCL (%s). Write a %s as in a file, in quotes for the shell.",
				origin, strings.TrimSuffix(diags[0].Detail, "."), kindOf(typ))
			return
		}
	}
	if v.typ == cty.DynamicPseudoType && typ.IsPrimitiveType() {
		if converted, err := convert.Convert(value, typ); err == nil {
			value = converted
		} else {
			v.bad = true
			l.errorf(v.at, "Wrong type of variable", "%s does not fit the variable %q (%s), whose default is %s: %v.",
				origin, v.name, posOf(v.at), typeName(typ), err)
		}
	}
	l.convert(v, value, v.at, origin)
}

// kindOf is a type as it is written, or in words where it was not written.
func kindOf(typ cty.Type) string {
	if typ.IsTupleType() || typ.IsObjectType() {
		return strings.TrimPrefix(typeName(typ), "a ")
	}
	return typeexpr.TypeString(typ)
}

// typeHint says what would make a variable another type than string.
func (v *variable) typeHint(typ string) string {
	return fmt.Sprintf(" Write type = %s in the variable %q (%s).", typ, v.name, posOf(v.at))
}

// untyped is the variable that expr stands for, if that is a string only
// because it was given as text and has no type; else nil.
func (l *loader) untyped(expr hcl.Expression) *variable {
	t, ok := hcl.UnwrapExpression(expr).(*hclsyntax.ScopeTraversalExpr)
	if !ok || t.Traversal.RootName() != "var" || len(t.Traversal) != 2 {
		return nil
	}
	name, _ := referredName(t.Traversal)
	if v := l.variables[name]; v != nil && v.text {
		return v
	}
	return nil
}

// convert sets v to value, which must be of its type or become so.
func (l *loader) convert(v *variable, value cty.Value, at hcl.Range, origin string) {
	if v.bad {
		return
	}
	converted, err := convertTo(value, v.typ)
	if err != nil {
		v.bad = true
		l.errorf(at, "Wrong type of variable", "%s does not fit the variable %q (%s), which is a %s: %v.",
			origin, v.name, posOf(v.at), typeexpr.TypeString(v.typ), err)
		return
	}
	if isHugeNumber(converted) {
		v.bad = true
		l.errorf(at, "Number out of range", "%s does not fit the variable %q (%s): no number here can be so large or so small.", origin, v.name, posOf(v.at))
		return
	}
	v.value, v.text = converted, false
}

// convertTo is [convert.Convert], but element by element for a tuple that is
// to become a list: the library compares the types of all elements in pairs,
// which takes two minutes for 100,000 names.
func convertTo(value cty.Value, t cty.Type) (cty.Value, error) {
	if !value.Type().IsTupleType() || !t.IsListType() || t.ElementType().HasDynamicTypes() {
		return convert.Convert(value, t)
	}
	value, marks := value.Unmark()
	if value.IsNull() || !value.IsKnown() || value.LengthInt() == 0 {
		value, err := convert.Convert(value, t)
		return value.WithMarks(marks), err
	}
	elements := make([]cty.Value, 0, value.LengthInt())
	for it := value.ElementIterator(); it.Next(); {
		_, element := it.Element()
		converted, err := convert.Convert(element, t.ElementType())
		if err != nil {
			return cty.NilVal, fmt.Errorf("element %d: %w", len(elements)+1, err)
		}
		elements = append(elements, converted)
	}
	return cty.ListVal(elements).WithMarks(marks), nil
}

// environment makes a map of NAME=value strings; nil means the process's own.
func environment(environ []string) map[string]string {
	if environ == nil {
		environ = os.Environ()
	}
	m := make(map[string]string, len(environ))
	for _, line := range environ {
		if name, value, ok := strings.Cut(line, "="); ok {
			m[name] = value
		}
	}
	return m
}
