package config

import (
	"bytes"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// HCL makes five tokens of 96 bytes and a tree of every string in a list, all
// in memory at once: 100,000 server names that are written out would take
// 200 MB for the seconds in which they are read. Long lists of plain strings
// are therefore not shown to it. What it parses has one comment, of the same
// length and with the same newlines, in place of the elements, and then the
// list that it found there, an empty one, is replaced by a [plainList].
//
// Which lists are cut out is decided by a look at the text that knows little
// of HCL. It need not know more: it may take text in a heredoc for a list, or
// or a comment, for one. What it cut counts only when HCL found a list at that
// very byte, in the value of an attribute and where [cutter.replace] looks. HCL
// reads from left to right, and up to that byte it read what the user wrote,
// so there it reads the same list in both texts. Whatever is not confirmed so
// is parsed again as it stands.

// longPlainList is from how many elements on a list is cut out. The block
// around a shorter one takes as much.
const longPlainList = 8

// cutList is a list whose elements may be cut out.
type cutList struct {
	open     int // the opening bracket
	from, to int // from the first element to the last one or the comma behind it
	count    int // of elements
}

// parseFile is [hclsyntax.ParseConfig] with the same result for every source,
// but for the type of the expressions that lists of at least long plain
// strings become.
func parseFile(src []byte, name string, long int) (*hcl.File, hcl.Diagnostics) {
	lists := findLists(src, long)
	for len(lists) > 0 {
		file, diags := hclsyntax.ParseConfig(without(lists, src), name, hcl.InitialPos)
		if len(diags) > 0 {
			break // what is said must be said of the source as it stands
		}
		confirmed := confirm(file.Body.(*hclsyntax.Body), src, lists)
		if len(confirmed) == len(lists) {
			file.Bytes = src
			return file, nil
		}
		lists = confirmed
	}
	return hclsyntax.ParseConfig(src, name, hcl.InitialPos)
}

// findLists finds what looks like a list that is long enough and stands where a
// value begins.
func findLists(src []byte, long int) []cutList {
	var lists []cutList
	var last byte // the one before that is not a space
	for at := 0; at < len(src); {
		c := src[at]
		switch {
		case c == '"':
			at += quotedLen(src[at:])
		case c == '[' && strings.IndexByte("=([,:?", last) >= 0:
			list, end, ok := scanList(src, at, long)
			if ok {
				lists = append(lists, list)
			}
			at = end
		default:
			at += max(1, commentLen(src[at:]))
		}
		if c != ' ' && c != '\t' {
			last = c
		}
	}
	return lists
}

// quotedLen is the length of the quoted text that src begins with. Templates
// with quotes in them are taken for several texts, and it ends with its line
// at the latest, so that no mistake goes far.
func quotedLen(src []byte) int {
	for i := 1; i < len(src); i++ {
		switch src[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		case '\n':
			return i
		}
	}
	return len(src)
}

// scanList reads the list that opens at a byte. end is how far it read, past
// the opening bracket at least.
func scanList(src []byte, open, long int) (list cutList, end int, ok bool) {
	s := listScanner{src: src, at: open + 1}
	first, _, more := s.next()
	for more {
		_, _, more = s.next()
	}
	if !s.closed() || s.count < long {
		return cutList{}, s.at, false
	}
	inside := src[open+1 : s.at]
	// A carriage return alone is not a space to HCL.
	if bytes.Count(inside, []byte("\r")) != bytes.Count(inside, []byte("\r\n")) {
		return cutList{}, s.at, false
	}
	// The comment must not end in a newline, which it has to leave in place.
	return cutList{open, first, s.end, s.count}, s.at, s.end-first >= len("/**/") && isPrintable(src[s.end-2])
}

// without returns src with a comment in place of the elements of each list.
func without(lists []cutList, src []byte) []byte {
	short := bytes.Clone(src)
	for _, list := range lists {
		comment := short[list.from:list.to]
		for i, c := range comment {
			// Newlines make lines. Tabs and what is not ASCII, in comments
			// of the user, decide what counts as one column.
			if isPrintable(c) {
				comment[i] = ' '
			}
		}
		copy(comment, "/*")
		copy(comment[len(comment)-2:], "*/")
	}
	return short
}

// confirm puts the lists that were cut out of src into body wherever HCL found
// an empty list in their place, and returns those.
func confirm(body *hclsyntax.Body, src []byte, lists []cutList) []cutList {
	c := cutter{src: src, lists: make(map[int]cutList, len(lists))}
	for _, list := range lists {
		c.lists[list.open] = list
	}
	c.body(body)
	return c.confirmed
}

// cutter puts lists back.
type cutter struct {
	src       []byte
	lists     map[int]cutList // by their opening brackets
	confirmed []cutList
}

func (c *cutter) body(body *hclsyntax.Body) {
	for _, attr := range body.Attributes {
		attr.Expr = c.replace(attr.Expr)
	}
	for _, block := range body.Blocks {
		c.body(block.Body)
	}
}

// replace gives expr with what was cut out of it. It looks where long lists are
// written: alone, and as parts of objects, lists, calls and choices.
func (c *cutter) replace(expr hclsyntax.Expression) hclsyntax.Expression {
	switch e := expr.(type) {
	case *hclsyntax.TupleConsExpr:
		if list, ok := c.lists[e.OpenRange.Start.Byte]; ok && len(e.Exprs) == 0 {
			c.confirmed = append(c.confirmed, list)
			return &plainList{TupleConsExpr: e, src: c.src, count: list.count}
		}
		c.all(e.Exprs)
	case *hclsyntax.ObjectConsExpr:
		for i := range e.Items {
			e.Items[i].ValueExpr = c.replace(e.Items[i].ValueExpr)
		}
	case *hclsyntax.FunctionCallExpr:
		c.all(e.Args)
	case *hclsyntax.ParenthesesExpr:
		e.Expression = c.replace(e.Expression)
	case *hclsyntax.ConditionalExpr:
		e.TrueResult, e.FalseResult = c.replace(e.TrueResult), c.replace(e.FalseResult)
	}
	return expr
}

func (c *cutter) all(list []hclsyntax.Expression) {
	for i := range list {
		list[i] = c.replace(list[i])
	}
}
