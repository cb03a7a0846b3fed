package config

import (
	"bytes"
	"fmt"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// report collects diagnostics while the phases of loading run.
type report struct {
	files map[string]*hcl.File // for source lines; also files of variables
	list  []Diagnostic

	// failures counts errors, and values that are missing because of an
	// error reported before. Whoever needs a part to be whole compares the
	// count before and after decoding it.
	failures int

	// flagged are places about which an error was reported in our own
	// words; what HCL says about the same place is left out.
	flagged map[string]*places

	// muddled are the headers of blocks in which something unknown is written:
	// what seems to be missing there is most likely that.
	muddled map[header]bool

	// incomplete is set when blocks are missing because of an error, so that
	// nothing may be concluded from what is not there.
	incomplete bool

	compared int // names, in search of what a misspelt one was meant to be

	// hiddenNames are labels that came from env() or file().
	hiddenNames map[string]bool
}

func newReport() *report {
	return &report{files: map[string]*hcl.File{}, flagged: map[string]*places{}, muddled: map[header]bool{}, hiddenNames: map[string]bool{}}
}

// header identifies a block by where its header begins.
type header struct {
	file string
	byte int
}

func headerAt(def hcl.Range) header { return header{def.Filename, def.Start.Byte} }

// errorf reports an error at a place in a file.
func (r *report) errorf(at hcl.Range, summary, detail string, args ...any) {
	r.failures++
	r.add(severityError, &at, summary, r.sprintf(detail, args...))
}

// warnf reports a warning at a place in a file.
func (r *report) warnf(at hcl.Range, summary, detail string, args ...any) {
	r.add(severityWarning, &at, summary, r.sprintf(detail, args...))
}

// errorNowhere reports an error that stands in no file: the command line's,
// the environment's, or that a file cannot be read.
func (r *report) errorNowhere(summary, detail string, args ...any) {
	r.failures++
	r.add(severityError, nil, summary, fmt.Sprintf(detail, args...))
}

// warnNowhere reports a warning about what stands in no file.
func (r *report) warnNowhere(summary, detail string, args ...any) {
	r.add(severityWarning, nil, summary, fmt.Sprintf(detail, args...))
}

// fail notes that a value is missing for a reason that was reported already.
func (r *report) fail() { r.failures++ }

// flag leaves out what HCL will say about this place.
func (r *report) flag(at hcl.Range) {
	p := r.flagged[at.Filename]
	if p == nil {
		p = &places{}
		r.flagged[at.Filename] = p
	}
	p.add(at)
}

// reported in the Extra field of an hcl.Diagnostic means: said already.
type reported struct{}

// foreign takes over diagnostics of the HCL library and reports whether there
// was an error among them.
func (r *report) foreign(diags hcl.Diagnostics) (failed bool) { return r.foreignIn(diags, false) }

// foreignIn is foreign for a place in which all values are hidden, or not.
func (r *report) foreignIn(diags hcl.Diagnostics, hidden bool) (failed bool) {
	for _, diag := range diags {
		isError := diag.Severity == hcl.DiagError
		if isError {
			failed = true
			r.failures++
		}
		if _, said := diag.Extra.(reported); said || isUnknownLabel(diag) || r.isFlagged(diag.Subject) {
			continue
		}
		severity := severityWarning
		if isError {
			severity = severityError
		}
		r.add(severity, diag.Subject, diag.Summary, r.detailOf(diag, hidden))
	}
	return failed
}

// isUnknownLabel reports whether HCL says that a label of a dynamic block is not
// known, which is so because of an error that was reported.
func isUnknownLabel(diag *hcl.Diagnostic) bool {
	return diag.Summary == "Invalid dynamic block label" && strings.Contains(diag.Detail, "not yet known")
}

func (r *report) isFlagged(at *hcl.Range) bool {
	if at == nil {
		return false
	}
	p := r.flagged[at.Filename]
	return p != nil && p.touch(*at)
}

func (r *report) add(severity string, at *hcl.Range, summary, detail string) {
	x := Diagnostic{Severity: severity, Summary: summary, Detail: detail}
	if at != nil {
		x.File = at.Filename
		x.Line, x.Column = at.Start.Line, at.Start.Column
		x.EndLine, x.EndColumn = at.End.Line, at.End.Column
		x.offset = at.Start.Byte
		if file := r.files[at.Filename]; file != nil {
			x.Snippet, x.from, x.to = snippet(file.Bytes, at.Start.Byte, at.End.Byte)
			if body, ok := file.Body.(*hclsyntax.Body); ok {
				x.Context = contextOf(body, at.Start.Byte)
			}
		}
	}
	r.list = append(r.list, x)
}

// done gives what was collected.
func (r *report) done() *Diagnostics { return &Diagnostics{list: sorted(r.list)} }

// maxSnippet is how many bytes of a source line are shown: a list of 100,000
// names may stand in one line.
const maxSnippet = 200

// snippet returns the line of src in which start lies, with the part of it
// that reaches to end.
func snippet(src []byte, start, end int) (line string, from, to int) {
	start = min(max(start, 0), len(src))
	end = min(max(end, start), len(src))
	// Of a line that is longer than what is shown, its ends do not matter, and
	// looking for them takes its time when there are many errors in it.
	first := max(start-2*maxSnippet, 0)
	if i := bytes.LastIndexByte(src[first:start], '\n'); i >= 0 {
		first += i + 1
	}
	last := min(start+2*maxSnippet, len(src))
	if i := bytes.IndexByte(src[start:last], '\n'); i >= 0 {
		last = start + i
	}
	end = min(end, last)
	prefix, suffix := "", ""
	if last-first > maxSnippet {
		if start-first > maxSnippet/2 {
			first = start - maxSnippet/4
			for i := 1; i < utf8.UTFMax && !utf8.RuneStart(src[first]); i++ {
				first++
			}
			prefix = "..."
		}
		if last-first > maxSnippet {
			last = first + maxSnippet
			for i := 1; i < utf8.UTFMax && !utf8.RuneStart(src[last]); i++ {
				last--
			}
			suffix = "..."
		}
		end = min(end, last)
	}
	line = prefix + strings.TrimRight(string(src[first:last]), "\r") + suffix
	from = min(len(prefix)+start-first, len(line))
	return line, from, min(max(len(prefix)+end-first, from), len(line))
}

// contextOf names the innermost two blocks around a byte of a file; more
// would only push the file name out of sight.
func contextOf(body *hclsyntax.Body, offset int) string {
	var path []string
	for {
		// Blocks are in the order of the file.
		i := sort.Search(len(body.Blocks), func(i int) bool { return body.Blocks[i].Range().End.Byte > offset })
		if i == len(body.Blocks) || !body.Blocks[i].Range().ContainsOffset(offset) {
			return strings.Join(path[max(0, len(path)-2):], ", ")
		}
		name := body.Blocks[i].Type
		for _, label := range body.Blocks[i].Labels {
			name += fmt.Sprintf(" %q", label)
		}
		path, body = append(path, name), body.Blocks[i].Body
	}
}
