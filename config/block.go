package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/gocty"
)

// block reads one block. Its methods give the value of an attribute, or the
// default when it is absent or null; what is wrong with a value is reported,
// and then the default is given too.
type block struct {
	*loader
	schema *schema
	kind   string
	label  string
	at     hcl.Range // the label, or the whole header when there is none
	def    hcl.Range // the header
	attrs  hcl.Attributes
	nested hcl.Blocks
	ctx    *hcl.EvalContext
	hidden bool // one of the values read so far came from env() or file()
	secret bool // all of them do: it was made for a value that came from there
}

// open reads the outline of a body whose names were checked before.
// secret says that the block around it was made for a secret value.
func (l *loader) open(body hcl.Body, s *schema, from *hcl.Block, ctx *hcl.EvalContext, secret bool) *block {
	secret = secret || isSecret(body)
	loops := l.secretLoops
	content, _, diags := body.PartialContent(s.hcl)
	if l.foreignIn(diags, secret || l.secretLoops > loops) {
		l.incomplete = true
	}
	b := &block{loader: l, schema: s, kind: from.Type, at: from.DefRange, def: from.DefRange, ctx: ctx, hidden: secret, secret: secret}
	b.attrs, b.nested = content.Attributes, content.Blocks
	if len(from.Labels) > 0 {
		b.label, b.at = from.Labels[0], from.LabelRanges[0]
		if secret && isGenerated(from) {
			l.hideName(b.label)
		}
		if isGenerated(from) && !l.checkLabelText(b.label, b.at) {
			l.incomplete = true
		}
	}
	return b
}

// inner opens a nested block.
func (b *block) inner(nested *hcl.Block) *block {
	return b.open(nested.Body, b.schema.blocks[nested.Type], nested, b.ctx, b.secret)
}

// absent is a nested block that is not there: all its attributes have their
// defaults.
func (b *block) absent(kind string) *block {
	return &block{loader: b.loader, schema: b.schema.blocks[kind], kind: kind, at: b.def, def: b.def, ctx: b.ctx}
}

// complete reports whether something that is not in the block was left out by
// the user, rather than lost through an error that was reported.
func (b *block) complete() bool { return !b.incomplete && !b.muddled[headerAt(b.def)] }

// all opens the nested blocks of one kind.
func (b *block) all(kind string) []*block {
	b.mustKnow(b.schema.blocks[kind] != nil, kind)
	var found []*block
	for _, nested := range b.nested {
		if nested.Type == kind {
			found = append(found, b.inner(nested))
		}
	}
	return found
}

// one opens the only nested block of a kind; there tells whether there is one.
func (b *block) one(kind string) (nested *block, there bool) {
	found := b.all(kind)
	if len(found) == 0 {
		return b.absent(kind), false
	}
	for _, second := range found[1:] {
		b.errorf(second.def, "Duplicate "+kind, "A %s has one %s, and it stands at %s already. Put the two together.", b.kind, kind, posOf(found[0].def))
		b.muddled[headerAt(second.def)] = true // what is missing there stands in the first
		second.examine()
	}
	return found[0], true
}

// mustKnow panics when a decoder reads what the schema does not list: the
// check of names would refuse it whenever a user writes it.
func (b *block) mustKnow(known bool, name string) {
	if !known {
		panic(fmt.Sprintf("BUG: the schema of %s has no %s", b.kind, name))
	}
}

// setting is one value as the user gave it: known and not null.
type setting struct {
	*loader
	name   string // of the attribute
	value  cty.Value
	secret bool
	at     hcl.Range
	from   *variable // that has no type and was given as text
}

// has reports whether an attribute is written, whatever its value.
func (b *block) has(name string) bool {
	b.mustKnow(b.schema.has(name), name)
	return b.attrs[name] != nil
}

// setting evaluates an attribute. ok is false when it is absent or null, and
// after an error.
func (b *block) setting(name string) (s setting, ok bool) {
	if !b.has(name) {
		return setting{}, false
	}
	attr := b.attrs[name]
	value, diags := attr.Expr.Value(b.ctx)
	if b.foreignIn(diags, b.secret) {
		return setting{}, false
	}
	s, ok = b.settle(name, value, attr.Expr.Range(), b.secret)
	s.from = b.untyped(attr.Expr)
	b.hidden = b.hidden || s.secret
	return s, ok
}

func (l *loader) settle(name string, value cty.Value, at hcl.Range, hidden bool) (setting, bool) {
	value, marks := value.Unmark()
	s := setting{loader: l, name: name, value: value, secret: hidden || len(marks) > 0, at: at}
	switch {
	case !value.IsKnown():
		l.fail()
		return s, false
	case value.IsNull():
		return s, false
	}
	return s, true
}

// invalid reports a value that is not of its kind. why continues a sentence
// that begins with the value; it is left out when the value is hidden.
func (s setting) invalid(kind string, why error) {
	if s.secret {
		s.errorf(s.at, "Invalid "+s.name, "The value, which is not shown because it comes from env() or file(), is not %s.", kind)
		return
	}
	s.errorf(s.at, "Invalid "+s.name, "%s", stopped(show(s.value)+" "+why.Error()))
}

// stopped ends text with a full stop, unless it has its end already.
func stopped(text string) string {
	if strings.HasSuffix(text, "?") || strings.HasSuffix(text, ".") {
		return text
	}
	return text + "."
}

// wrongType reports a value of another type than that of kind; conversion is
// the function that makes one of a string.
func (s setting) wrongType(kind, conversion string) {
	hint := ""
	if typ := map[string]string{"tonumber": "number", "tobool": "bool"}[conversion]; typ != "" && s.from != nil {
		hint = s.from.typeHint(typ)
	} else if conversion != "" && s.value.Type() == cty.String {
		hint = " Leave out the quotes, or convert it with " + conversion + "()."
	}
	s.errorf(s.at, "Wrong type", "%s takes %s, not %s.%s", s.name, kind, typeName(s.value.Type()), hint)
}

// text gives the value as a string.
func (s setting) text(kind string) (string, bool) {
	if s.value.Type() != cty.String {
		s.wrongType(kind, "")
		return "", false
	}
	return s.value.AsString(), true
}

// show writes a string or a number as the user would.
func show(v cty.Value) string {
	switch v.Type() {
	case cty.String:
		return strconv.Quote(v.AsString())
	case cty.Number:
		if isHuge(v) {
			return v.AsBigFloat().Text('g', 10)
		}
		return v.AsBigFloat().Text('f', -1)
	}
	panic("BUG: a value was understood as far as its kind, and is " + typeName(v.Type()))
}

func typeName(t cty.Type) string {
	switch {
	case t == cty.String:
		return "a string"
	case t == cty.Number:
		return "a number"
	case t == cty.Bool:
		return "a bool"
	case t.IsTupleType(), t.IsListType(), t.IsSetType():
		return "a list"
	}
	return "a map"
}

// boolean is true or false.
func (b *block) boolean(name string, absent bool) bool {
	s, ok := b.setting(name)
	if !ok {
		return absent
	}
	if s.value.Type() != cty.Bool {
		s.wrongType("true or false", "tobool")
		return absent
	}
	return s.value.True()
}

// integer is a whole number from lowest to highest.
func (b *block) integer(name string, absent, lowest, highest int) int {
	if s, ok := b.setting(name); ok {
		if n, ok := s.integer(lowest, highest); ok {
			return n
		}
	}
	return absent
}

func (s setting) integer(lowest, highest int) (int, bool) {
	kind := fmt.Sprintf("a whole number from %d to %d", lowest, highest)
	if s.value.Type() != cty.Number {
		s.wrongType(kind, "tonumber")
		return 0, false
	}
	var n int
	if err := gocty.FromCtyValue(s.value, &n); err != nil || n < lowest || n > highest {
		s.invalid(kind, fmt.Errorf("is not possible: write %s", kind))
		return 0, false
	}
	return n, true
}

// word is one of a few words.
func (b *block) word(name, absent string, words ...string) string {
	s, ok := b.setting(name)
	if !ok {
		return absent
	}
	kind := quotedOr(words)
	text, ok := s.text(kind)
	if !ok {
		return absent
	}
	if !slices.Contains(words, text) {
		s.invalid(kind, errUnknownWord(text, words))
		return absent
	}
	return text
}

// file is the path of a file, absolute, or empty. One that is written relative
// is relative to the file of the configuration in which the attribute stands.
func (b *block) file(name string) string {
	return parsed(b, name, "", "the path of a file", func(path string) (string, error) {
		if path == "" {
			return "", nil
		}
		return b.resolve(name, path), nil
	})
}

func (b *block) resolve(name, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(directoryOf(b.attrs[name].Range.Filename), path)
}

// parsed reads an attribute that is written as a string of a certain kind,
// such as "a duration". The errors of parse continue a sentence that begins
// with the string.
func parsed[T any](b *block, name string, absent T, kind string, parse func(string) (T, error)) T {
	s, ok := b.setting(name)
	if !ok {
		return absent
	}
	v, ok := parseSetting(s, kind, parse)
	if !ok {
		return absent
	}
	return v
}

func parseSetting[T any](s setting, kind string, parse func(string) (T, error)) (T, bool) {
	var zero T
	text, ok := s.text(kind)
	if !ok {
		return zero, false
	}
	v, err := parse(text)
	if err != nil {
		s.invalid(kind, err)
		return zero, false
	}
	return v, true
}
