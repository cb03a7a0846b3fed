package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// writeMarkdown writes report.md. The plots stand beside it.
func (r *report) writeMarkdown(w io.Writer, plots []string) {
	fmt.Fprintf(w, "# Benchmark report\n\n%s, %s; windows of %v", r.Started.Format("2 January 2006, 15:04 MST"), r.Took.Round(time.Second), r.Window)
	if r.Quick {
		fmt.Fprint(w, "; a quick run, with the judged rows only and wider intervals")
	}
	fmt.Fprintf(w, "\n\n%s\n\n", r.Machine)
	for _, p := range r.Peers {
		fmt.Fprintf(w, "* **%s**: %s\n", p.Name, p.Version)
	}
	fmt.Fprint(w, howToRead)
	if len(r.Verdicts) > 0 {
		fmt.Fprint(w, "\n## Targets\n\nA target is held when the upper end of its interval is within 5% of the limit.\n\n")
		writeMarkdownTable(w, r.verdictTable())
	}
	writeList(w, "Peers that are missing", r.Missing)
	writeList(w, "Rows that could not be measured here", r.Skipped)
	writeList(w, "What no row measures", r.LeftOut)
	for _, g := range r.groups() {
		fmt.Fprintf(w, "\n## %s\n", g.name)
		if name := g.name + ".svg"; slices.Contains(plots, name) {
			fmt.Fprintf(w, "\n![%s: ratio to the best peer](%s)\n", g.name, name)
		}
		for _, row := range g.rows {
			fmt.Fprintf(w, "\n### %s\n\n", row.heading())
			writeMarkdownTable(w, row.table(func(m metric, s summary) string {
				return fmt.Sprintf("%s (%s .. %s)", m.format(s.Median), m.format(s.Min), m.format(s.Max))
			}))
			row.writeTLS(w)
		}
	}
	r.writeConfigs(w)
}

const howToRead = `
Figures are medians over the rounds, with minimum and maximum. *CPU* is the time that all threads of the peer's
processes ran, by schedstat; *machine* is the busy time of the whole machine less that of the load generator and the
backend, which includes work of the kernel that is charged to whoever runs. The *ratio* compares rounds pairwise with
the better of HAProxy and nginx in that row; its 95% interval is a bootstrap over the rounds. Latencies above the
median share the CPUs with the generator and are not judged. At a fixed rate a connection's latency counts from when it
was due (coordinated omission). *Kernel* is what a connection's two sockets take in slabs, without buffers.
`

func (r *rowResult) writeTLS(w io.Writer) {
	var seen []string
	for _, c := range r.Cells {
		if c.TLS != "" && !slices.Contains(seen, c.TLS) {
			seen = append(seen, c.TLS)
		}
	}
	if len(seen) > 0 {
		fmt.Fprintf(w, "\nNegotiated: %s\n", strings.Join(seen, "; "))
	}
}

func (r *report) writeConfigs(w io.Writer) {
	fmt.Fprint(w, "\n## Configurations\n\nAs they were for the first row of each kind; others differ in addresses, paths and the number of workers.\n")
	for _, c := range r.Configs {
		fmt.Fprintf(w, "\n<details><summary>%s, %s: %s</summary>\n\n```\n%s```\n\n</details>\n", c.Peer, c.Kind, c.File, c.Text)
	}
}

func writeList(w io.Writer, title string, list []string) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(w, "\n## %s\n\n", title)
	for _, line := range list {
		fmt.Fprintf(w, "* %s\n", line)
	}
}

func writeMarkdownTable(w io.Writer, lines [][]string) {
	for i, line := range lines {
		for k := range line {
			line[k] = strings.ReplaceAll(line[k], "|", "\\|")
		}
		fmt.Fprintf(w, "| %s |\n", strings.Join(line, " | "))
		if i == 0 {
			fmt.Fprintf(w, "|%s\n", strings.Repeat("---|", len(line)))
		}
	}
}
