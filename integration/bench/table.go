package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// columns are the metrics that any peer of the row has.
func (r *rowResult) columns() []metric {
	var list []metric
	for _, m := range allMetrics {
		for _, c := range r.Cells {
			if len(c.Values[m]) > 0 {
				list = append(list, m)
				break
			}
		}
	}
	return list
}

// note is what is wrong with a cell, or "".
func (c *cell) note() string {
	switch {
	case c.Error != "" && len(c.Values) == 0 && c.Failures == 0:
		return "not measured: " + firstLineOf(c.Error)
	case c.Error != "":
		return "FAILED: " + firstLineOf(c.Error)
	case c.Failures > 0:
		return fmt.Sprintf("%d FAILURES: %s", c.Failures, firstLineOf(c.FirstFailure))
	}
	return ""
}

func firstLineOf(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// heading names a row and what its ratios mean.
func (r *rowResult) heading() string {
	h := fmt.Sprintf("%s (%d rounds", r.Name, r.Rounds)
	if best := r.Best[r.Primary]; best != "" {
		h += fmt.Sprintf("; ratio of %s to %s", r.Primary.title(r.Unit), best)
	}
	return h + ")"
}

// table is the row with a line for each peer; show writes a figure.
func (r *rowResult) table(show func(metric, summary) string) [][]string {
	metrics := r.columns()
	head := []string{"peer"}
	for _, m := range metrics {
		head = append(head, m.title(r.Unit))
	}
	lines := [][]string{append(head, "ratio [95%]", "")}
	for _, c := range r.Cells {
		line := []string{c.Peer}
		for _, m := range metrics {
			text := "-"
			if s, ok := c.Summary[m]; ok {
				text = show(m, s)
			}
			line = append(line, text)
		}
		ratio := "-"
		if i, ok := c.Ratio[r.Primary]; ok {
			ratio = showRatio(i)
		}
		lines = append(lines, append(line, ratio, c.note()))
	}
	return lines
}

// writeTables writes the terminal's form: medians and ratios.
func (r *report) writeTables(w io.Writer) {
	for _, row := range r.Rows {
		fmt.Fprintf(w, "\n%s\n", row.heading())
		writeAligned(w, row.table(func(m metric, s summary) string { return m.format(s.Median) }))
	}
	if len(r.Verdicts) > 0 {
		fmt.Fprintf(w, "\nTargets (held when the upper end of the interval is within 5%% of the limit)\n")
		writeAligned(w, r.verdictTable())
	}
	for _, list := range [][]string{r.Missing, r.Skipped} {
		for _, line := range list {
			fmt.Fprintf(w, "left out: %s\n", line)
		}
	}
}

func (r *report) verdictTable() [][]string {
	lines := [][]string{{"row", "target", "found", ""}}
	for _, v := range r.Verdicts {
		lines = append(lines, []string{v.Row, v.Target, v.Shown, string(v.State)})
	}
	return lines
}

func writeAligned(w io.Writer, lines [][]string) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, line := range lines {
		fmt.Fprintf(tw, "  %s\n", strings.TrimRight(strings.Join(line, "\t"), "\t"))
	}
	// The writer below is memory or a terminal: its errors show by themselves.
	_ = tw.Flush()
}
