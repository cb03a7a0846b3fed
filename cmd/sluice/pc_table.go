package main

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"sluice/proxy/status"
)

// istioctl's spaces between two columns.
const (
	narrowPadding = 1 // of listeners
	padding       = 5 // of everything else
)

// table is a table as istioctl prints it: columns as wide as they need to be,
// and nothing around them.
type table struct {
	padding int
	rows    [][]string // the first has the names of the columns
}

func newTable(padding int, header ...string) table {
	return table{padding: padding, rows: [][]string{header}}
}

// add adds a row. What there is nothing to say about is shown as "-".
func (t *table) add(cells ...string) {
	for i, c := range cells {
		if cells[i] = printable(c); c == "" {
			cells[i] = "-"
		}
	}
	t.rows = append(t.rows, cells)
}

func (t *table) write(w io.Writer) error {
	columns := tabwriter.NewWriter(w, 0, 8, t.padding, ' ', 0)
	for _, row := range t.rows {
		if _, err := fmt.Fprintln(columns, strings.Join(row, "\t")); err != nil {
			return err
		}
	}
	return columns.Flush()
}

// printable spells out what a terminal would obey, or a table be torn by. Server
// names are whatever clients write.
func printable(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) < 0 {
		return s
	}
	quoted := strconv.QuoteToGraphic(s)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

// mostNames is how many server names of a chain stand in a table. There may be
// a hundred thousand; -o json has them all.
const mostNames = 8

// shortened joins names, and counts those that are too many.
func shortened(names []string) string {
	if len(names) <= mostNames {
		return strings.Join(names, ",")
	}
	return fmt.Sprintf("%s + %d more...", strings.Join(names[:mostNames], ","), len(names)-mostNames)
}

// hosts gives addresses as two columns, without their ports and the ports. A
// port that all have is named once.
func hosts(addresses []string) (host, port string) {
	var hosts, ports []string
	same := true
	for _, a := range addresses {
		hosts = append(hosts, status.Host(a))
		p := status.Port(a)
		if p == "" {
			p = "-"
		}
		ports = append(ports, p)
		same = same && p == ports[0]
	}
	if same && len(ports) > 0 {
		ports = ports[:1]
	}
	return strings.Join(hosts, ","), strings.Join(ports, ",")
}

// destination says where connections go, in istioctl's words, with the shares
// that it does not have.
func destination(clusters []status.Destination) string {
	var parts []string
	for _, d := range clusters {
		if len(clusters) == 1 {
			return "Cluster: " + d.Cluster
		}
		parts = append(parts, d.Cluster+" "+percentage(d.Share))
	}
	if parts == nil {
		return ""
	}
	return "Cluster: " + strings.Join(parts, ", ")
}

func percentage(share float64) string {
	tenths := math.Round(share * 1000)
	if tenths == 0 && share > 0 {
		return "<0.1%"
	}
	return strconv.FormatFloat(tenths/10, 'f', -1, 64) + "%"
}

// active is how many connections there are now.
func active(t status.Traffic) string { return strconv.FormatInt(t.Active, 10) }

// size gives a number of bytes in the unit that suits it.
func size(bytes uint64) string {
	if bytes < 1<<10 {
		return strconv.FormatUint(bytes, 10)
	}
	n, unit := float64(bytes), 0
	for n >= 1<<10 && unit < 5 {
		n, unit = n/(1<<10), unit+1
	}
	return strconv.FormatFloat(n, 'f', 1, 64) + " KMGTP"[unit:unit+1] + "iB"
}

// span gives a time in milliseconds in the two units that suit it.
func span(ms float64) string {
	d := time.Duration(max(ms, 0) * float64(time.Millisecond))
	const day = 24 * time.Hour
	switch {
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	case d < day:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
}

// since gives the time between two moments; clocks may differ a little.
func since(t, now time.Time) string {
	return span(float64(now.Sub(t)) / float64(time.Millisecond))
}

// moment gives a time as the records and the JSON have it, to the second.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// most gives a limit, which 0 is no limit of.
func most(what string, n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%s %d", what, n)
}

// joined joins what there is.
func joined(separator string, parts ...string) string {
	var there []string
	for _, p := range parts {
		if p != "" {
			there = append(there, p)
		}
	}
	return strings.Join(there, separator)
}
