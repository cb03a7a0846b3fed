package config

import (
	"cmp"
	"encoding/json"
	"slices"
)

// Diagnostic is one error or warning, in the form in which an editor or a
// script wants it.
type Diagnostic struct {
	Severity  string `json:"severity"` // error or warning
	Summary   string `json:"summary"`
	Detail    string `json:"detail,omitempty"`
	File      string `json:"file,omitempty"` // as the user named it; empty for the command line
	Line      int    `json:"line,omitempty"` // from 1, as are the columns, which count characters
	Column    int    `json:"column,omitempty"`
	EndLine   int    `json:"end_line,omitempty"`
	EndColumn int    `json:"end_column,omitempty"` // the column after the last
	Context   string `json:"context,omitempty"`    // the blocks around it, such as filter_chain "api", route
	Snippet   string `json:"snippet,omitempty"`    // the source line, shortened when it is very long

	// from and to are the bytes of Snippet that it is about.
	from, to int
	offset   int // in the file, for sorting
}

// Diagnostics is everything that was found in one configuration, sorted by
// file and position. It is never nil where this package returns it, and is
// safe for concurrent use.
type Diagnostics struct {
	list []Diagnostic
}

// Len returns the number of diagnostics, warnings included.
func (d *Diagnostics) Len() int { return len(d.list) }

// HasErrors reports whether there is an error, not only warnings.
func (d *Diagnostics) HasErrors() bool {
	return slices.ContainsFunc(d.list, func(x Diagnostic) bool { return x.Severity == severityError })
}

// With gives the diagnostics with some more among them, in order; d stays as it
// is.
func (d *Diagnostics) With(more ...Diagnostic) *Diagnostics {
	return &Diagnostics{list: sorted(append(slices.Clone(d.list), more...))}
}

// All returns the diagnostics in order. The slice belongs to d.
func (d *Diagnostics) All() []Diagnostic { return d.list }

// MarshalJSON gives a list, empty rather than null when there is nothing.
func (d *Diagnostics) MarshalJSON() ([]byte, error) {
	if d.list == nil {
		return []byte("[]"), nil
	}
	return json.Marshal(d.list)
}

const (
	severityError   = "error"
	severityWarning = "warning"
)

// sorted orders by file and position and drops what was said twice, as it is
// when a dynamic block repeats a mistake.
func sorted(list []Diagnostic) []Diagnostic {
	slices.SortStableFunc(list, func(a, b Diagnostic) int {
		return cmp.Or(
			cmp.Compare(a.File, b.File),
			cmp.Compare(a.offset, b.offset),
			cmp.Compare(a.Severity, b.Severity),
			cmp.Compare(a.Summary, b.Summary),
			cmp.Compare(a.Detail, b.Detail),
		)
	})
	return slices.Compact(list)
}
