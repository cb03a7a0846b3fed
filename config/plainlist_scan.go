package config

import (
	"bytes"

	"github.com/hashicorp/hcl/v2"
)

// listScanner reads the inside of a list of plain strings: printable ASCII in
// quotes with no escape and no template in it, commas, space and comments.
// It understands less than HCL does, and what it understands it understands
// as HCL does.
type listScanner struct {
	src   []byte
	at    int // the next byte; from the one behind the opening bracket
	count int // elements so far
	end   int // behind the last element, or the comma after it
}

// next returns the place of the next element, quotes included. After the
// last one, ok is false and closed tells whether the list ended there.
func (s *listScanner) next() (from, to int, ok bool) {
	s.skipSpace()
	if s.count > 0 {
		if !s.take(',') {
			return 0, 0, false
		}
		s.end = s.at
		s.skipSpace()
	}
	from = s.at
	if !s.take('"') {
		return 0, 0, false
	}
	for s.at < len(s.src) && isPlain(s.src[s.at]) {
		s.at++
	}
	if !s.take('"') {
		return 0, 0, false
	}
	s.count++
	s.end = s.at
	return from, s.at, true
}

// closed reports whether the next byte is the bracket that ends the list.
func (s *listScanner) closed() bool { return s.at < len(s.src) && s.src[s.at] == ']' }

func (s *listScanner) take(c byte) bool {
	if s.at == len(s.src) || s.src[s.at] != c {
		return false
	}
	s.at++
	return true
}

// skipSpace passes white space and comments. Newlines mean nothing between
// brackets.
func (s *listScanner) skipSpace() {
	for s.at < len(s.src) {
		switch s.src[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
			continue
		}
		n := commentLen(s.src[s.at:])
		if n == 0 {
			return
		}
		s.at += n
	}
}

// isPlain reports whether a byte in quotes stands for itself and nothing
// else. Dollar and percent signs may begin a template; text beyond ASCII is
// normalised by HCL.
func isPlain(c byte) bool {
	return isPrintable(c) && c != '"' && c != '\\' && c != '$' && c != '%'
}

// isPrintable reports whether a byte is printable ASCII.
func isPrintable(c byte) bool { return ' ' <= c && c <= '~' }

// commentLen is the length of the comment that src begins with, or 0.
func commentLen(src []byte) int {
	switch {
	case bytes.HasPrefix(src, []byte("#")), bytes.HasPrefix(src, []byte("//")):
		if i := bytes.IndexByte(src, '\n'); i >= 0 {
			return i
		}
		return len(src)
	case bytes.HasPrefix(src, []byte("/*")):
		if i := bytes.Index(src[2:], []byte("*/")); i >= 0 {
			return i + 4
		}
	}
	return 0
}

// cursor counts lines and columns as HCL does, forward through a source that
// has carriage returns only before newlines.
type cursor struct {
	src []byte
	pos hcl.Pos
}

// moveTo goes on to a byte, which begins or ends a token, and returns where
// it stands.
func (c *cursor) moveTo(offset int) hcl.Pos {
	passed := c.src[c.pos.Byte:offset]
	c.pos.Byte = offset
	if bytes.ContainsFunc(passed, func(r rune) bool { return r > '~' }) {
		// Columns are characters as a reader sees them, which only HCL counts.
		whole := func(data []byte, _ bool) (int, []byte, error) { return len(data), data, nil }
		from := hcl.Pos{Line: c.pos.Line, Column: c.pos.Column}
		s := hcl.NewRangeScannerFragment(passed, "", from, whole)
		s.Scan()
		end := s.Range().End
		c.pos.Line, c.pos.Column = end.Line, end.Column
		return c.pos
	}
	for _, b := range passed {
		c.pos.Column++
		if b == '\n' {
			c.pos.Line++
			c.pos.Column = 1
		}
	}
	return c.pos
}
