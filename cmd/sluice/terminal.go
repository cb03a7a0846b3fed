package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// plainWidth is the width of text that does not go to a terminal: it may well
// be read in one later.
const plainWidth = 80

// maxWidth is the widest that text is set on a wide terminal, where longer
// lines are hard to read.
const maxWidth = 100

// isTerminal tells whether a person is likely to read what is written to w.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// hasColor tells whether w is to be given colours: a terminal that can show
// them, whose user has not asked for none (no-color.org).
func hasColor(w io.Writer) bool {
	return isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// widthOf gives the columns to set text for w in.
func widthOf(w io.Writer) int {
	if !isTerminal(w) {
		return plainWidth
	}
	width, _, err := term.GetSize(int(w.(*os.File).Fd()))
	if err != nil || width <= 0 {
		return plainWidth
	}
	return min(width, maxWidth)
}
