package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// progress says how far the run is: a bar that is redrawn on a terminal, a line
// for each row elsewhere.
type progress struct {
	out      *os.File
	terminal bool
	rows     int
	began    time.Time
	last     int // row shown last; -1 = none
}

func newProgress(out *os.File, rows int) *progress {
	info, err := out.Stat()
	return &progress{
		out: out, rows: rows, began: time.Now(), last: -1,
		terminal: err == nil && info.Mode()&os.ModeCharDevice != 0,
	}
}

const barWidth = 24

// show says what is measured now; row counts from 0, round from 1.
func (p *progress) show(row int, name string, round int, peer string) {
	if !p.terminal {
		if row != p.last {
			fmt.Fprintf(p.out, "%6s  %d/%d  %s\n", time.Since(p.began).Round(time.Second), row+1, p.rows, name)
			p.last = row
		}
		return
	}
	const clear = "\r\x1b[K"
	fmt.Fprintf(p.out, "%s%s %d/%d  %s  %s  round %d  %s", clear, bar(row, p.rows),
		row+1, p.rows, time.Since(p.began).Round(time.Second), name, round, peer)
}

func bar(done, of int) string {
	n := barWidth * done / of
	return "[" + strings.Repeat("#", n) + strings.Repeat(".", barWidth-n) + "]"
}

// done ends the bar's line.
func (p *progress) done() {
	if p.terminal {
		fmt.Fprintln(p.out)
	}
}
