package config

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// The parser and the evaluator of HCL call themselves for each bracket, block,
// operator and template directive inside of another, and there is no end to
// that but the end of the stack, which ends the process. So it is counted
// before the parser sees a source.

// maxNesting is how deep a configuration may be nested. What people write stays
// far below 100.
const maxNesting = 1000

// checkNesting reports the place at which a source is nested too deeply.
func (r *report) checkNesting(name string, src []byte) bool {
	at, deep := tooDeep(src, maxNesting)
	if !deep {
		return true
	}
	r.files[name] = &hcl.File{Bytes: src}
	r.errorf(rangeAt(name, src, at), "Nested too deeply", "What begins here is inside of more than %d brackets, blocks and operators. Nothing here needs so many: build it in steps, with locals.", maxNesting)
	return false
}

// rangeAt is the range of one character.
func rangeAt(name string, src []byte, at int) hcl.Range {
	line := bytes.LastIndexByte(src[:at], '\n') + 1
	start := hcl.Pos{Line: 1 + bytes.Count(src[:at], []byte("\n")), Column: 1 + utf8.RuneCount(src[line:at]), Byte: at}
	end := start
	end.Column++
	end.Byte++
	return hcl.Range{Filename: name, Start: start, End: end}
}

// tooDeep gives the place at which a source is nested deeper than limit. It
// errs on the side of counting too much, where a source is no HCL.
func tooDeep(src []byte, limit int) (at int, deep bool) {
	n := nesting{src: src, frames: []frame{{kind: '{'}}}
	for n.at < len(src) {
		if n.top().isText() {
			n.text()
		} else {
			n.code()
		}
		if n.depth > limit {
			return min(n.last, len(src)-1), true
		}
	}
	return 0, false
}

// nesting reads a source as the lexer of HCL does.
type nesting struct {
	src    []byte
	at     int // the next byte
	last   int // where what was read last begins
	frames []frame
	depth  int  // frames, and what they hold
	before byte // the last byte of code that is no space
}

// frame is an open bracket, template or text.
type frame struct {
	kind   byte   // ( [ { of brackets, $ of a template, " and < of text
	held   int    // operators one inside of another, or directives of a text that are open
	ended  bool   // a newline has ended the expression, unless an operator follows
	marker []byte // that ends a heredoc
}

func (f *frame) isText() bool { return f.kind == '"' || f.kind == '<' }

func (n *nesting) top() *frame { return &n.frames[len(n.frames)-1] }

func (n *nesting) push(kind byte) {
	n.frames = append(n.frames, frame{kind: kind})
	n.depth++
}

func (n *nesting) pop() {
	n.depth -= 1 + n.top().held
	n.frames = n.frames[:len(n.frames)-1]
}

func (n *nesting) hold(count int) {
	n.top().held += count
	n.depth += count
}

// code reads a token, or a part of one, outside of text.
func (n *nesting) code() {
	n.last = n.at
	c := n.src[n.at]
	if skip := commentLen(n.src[n.at:]); skip > 0 {
		n.at += skip
		return
	}
	n.at++
	switch c {
	case ' ', '\t', '\r':
		return
	case '\n':
		n.top().ended = n.top().kind == '{'
		return
	}
	operator := strings.IndexByte("!-+*/%<>=&|?", c) >= 0
	if f := n.top(); f.ended {
		f.ended = false
		if !operator && strings.IndexByte("!-+*/%<>=&|?:", n.before) < 0 {
			n.hold(-f.held)
		}
	}
	switch {
	case c == '<' && n.heredoc():
	case operator:
		n.hold(1)
	case c == ',':
		n.hold(-n.top().held)
	case c == '"', c == '(', c == '{':
		n.push(c)
	case c == '[':
		if isOperandEnd(n.before) {
			n.hold(1) // an index, which holds what is before it
		}
		n.push(c)
	case c == ')', c == ']', c == '}':
		n.close(c)
	}
	n.before = c
}

// isOperandEnd reports whether something that can be indexed ends with c.
func isOperandEnd(c byte) bool {
	return c == ')' || c == ']' || c == '}' || c == '"' || c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c >= utf8.RuneSelf
}

// close takes a closing bracket, which means nothing where none of its kind is
// open. A brace closes what is open inside of it too: to the lexer, which tells
// by braces where templates end, the others mean nothing.
func (n *nesting) close(c byte) {
	for kind := n.top().kind; c == '}' && (kind == '(' || kind == '['); kind = n.top().kind {
		n.pop()
	}
	kind := n.top().kind
	if len(n.frames) > 1 && (c == ')' && kind == '(' || c == ']' && kind == '[' || c == '}') {
		n.pop()
	}
}

// heredoc reads <<NAME or <<-NAME with its newline, of which one byte was read.
func (n *nesting) heredoc() bool {
	rest, ok := bytes.CutPrefix(n.src[n.at:], []byte("<"))
	if !ok {
		return false
	}
	rest = bytes.TrimPrefix(rest, []byte("-"))
	line, _, ok := bytes.Cut(rest, []byte("\n"))
	marker := bytes.TrimSuffix(line, []byte("\r"))
	if !ok || !hclsyntax.ValidIdentifier(string(marker)) {
		return false
	}
	n.push('<')
	n.top().marker = marker
	n.at = len(n.src) - len(rest) + len(line) // the newline begins the text
	return true
}

// text reads on to what ends a text, or begins a template in it.
func (n *nesting) text() {
	quoted := n.top().kind == '"'
	for ; n.at < len(n.src); n.at++ {
		n.last = n.at
		switch c := n.src[n.at]; {
		case quoted && c == '\\':
			n.at++
		case quoted && c == '"':
			n.at++
			n.pop()
			n.before = '"'
			return
		case !quoted && c == '\n':
			if end := n.heredocEnd(); end > 0 {
				n.at = end
				n.pop()
				n.before = '"'
				return
			}
		case (c == '$' || c == '%') && bytes.HasPrefix(n.src[n.at+1:], []byte{c, '{'}):
			n.at += 2 // an escape
		case (c == '$' || c == '%') && bytes.HasPrefix(n.src[n.at+1:], []byte("{")):
			n.at += 2
			n.template(c)
			return
		}
	}
}

// heredocEnd is where a heredoc ends whose last line may begin behind the
// newline at hand, or 0.
func (n *nesting) heredocEnd() int {
	line, _, _ := bytes.Cut(n.src[n.at+1:], []byte("\n"))
	if !bytes.Equal(bytes.TrimSpace(line), n.top().marker) {
		return 0
	}
	return n.at + 1 + len(line)
}

// template opens a template, the bracket of which was read. A directive holds
// the text up to its end.
func (n *nesting) template(kind byte) {
	if kind == '%' {
		word := bytes.TrimLeft(n.src[n.at:], "~ \t\r\n")
		switch {
		case bytes.HasPrefix(word, []byte("endif")), bytes.HasPrefix(word, []byte("endfor")):
			n.hold(-min(n.top().held, 1))
		case bytes.HasPrefix(word, []byte("if")), bytes.HasPrefix(word, []byte("for")):
			n.hold(1)
		}
	}
	n.push('$')
	n.before = '{'
}

// jsonTooDeep reports whether a JSON text is nested deeper than limit.
func jsonTooDeep(text string, limit int) bool {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			quoted = !quoted
		case quoted:
			if c == '\\' {
				i++
			}
		case c == '[', c == '{':
			if depth++; depth > limit {
				return true
			}
		case c == ']', c == '}':
			depth--
		}
	}
	return false
}
