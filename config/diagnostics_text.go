package config

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// VT100 sequences. The severity is coloured, the words that a diagnostic is
// about are underlined.
const (
	colorError   = "\x1b[31m"
	colorWarning = "\x1b[33m"
	colorSubject = "\x1b[1;4m"
	colorReset   = "\x1b[0m"
)

// WriteText writes all diagnostics for a person to read. Details are wrapped
// at width columns, 0 meaning not at all; color adds VT100 sequences. The
// error is that of w.
func (d *Diagnostics) WriteText(w io.Writer, width int, color bool) error {
	var buf bytes.Buffer
	for i := range d.list {
		writeDiagnostic(&buf, &d.list[i], width, color)
	}
	_, err := w.Write(buf.Bytes())
	return err
}

func writeDiagnostic(buf *bytes.Buffer, x *Diagnostic, width int, color bool) {
	paint := func(code, text string) string {
		if !color || text == "" {
			return text
		}
		return code + text + colorReset
	}
	if x.Severity == severityError {
		buf.WriteString(paint(colorError, "Error"))
	} else {
		buf.WriteString(paint(colorWarning, "Warning"))
	}
	fmt.Fprintf(buf, ": %s\n\n", x.Summary)
	if x.File != "" {
		fmt.Fprintf(buf, "  on %s line %d, column %d", x.File, x.Line, x.Column)
		if x.Context != "" {
			fmt.Fprintf(buf, ", in %s", x.Context)
		}
		fmt.Fprintf(buf, ":\n")
		if x.Snippet != "" {
			fmt.Fprintf(buf, "%4d: %s%s%s\n", x.Line,
				x.Snippet[:x.from], paint(colorSubject, x.Snippet[x.from:x.to]), x.Snippet[x.to:])
		}
		buf.WriteByte('\n')
	}
	if x.Detail != "" {
		fmt.Fprintf(buf, "%s\n\n", wrap(x.Detail, width))
	}
}

// wrap breaks the lines of text at spaces so that none is longer than width
// bytes, unless a single word is. The words of a diagnostic are ASCII but for
// what it quotes, so bytes are close enough to columns.
func wrap(text string, width int) string {
	if width <= 0 {
		return text
	}
	var out strings.Builder
	for i, line := range strings.Split(text, "\n") {
		if i > 0 {
			out.WriteByte('\n')
		}
		column := 0
		for j, word := range strings.Split(line, " ") {
			switch {
			case j == 0:
			case column+1+len(word) > width:
				out.WriteByte('\n')
				column = 0
			default:
				out.WriteByte(' ')
				column++
			}
			out.WriteString(word)
			column += len(word)
		}
	}
	return out.String()
}
