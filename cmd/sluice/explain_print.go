package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"sluice/proxy/status"
)

// An explanation is printed as the walk that the connection takes, from the
// listener down to what an endpoint is sent.

// printExplanation writes an explanation for a person.
func printExplanation(w io.Writer, p paint, x *status.Explanation) error {
	var b bytes.Buffer
	printArrival(&b, p, x)
	printVerdicts(&b, p, x)
	printRoute(&b, p, x)
	for i := range x.Clusters {
		printAlternative(&b, p, &x.Clusters[i])
	}
	if len(x.Sent) > 0 {
		fmt.Fprintf(&b, "\n%s\n", p.bold("the endpoint gets"))
		for _, step := range x.Sent {
			fmt.Fprintf(&b, "  %s\n", clean(step))
		}
	}
	outcome := p.good(x.Outcome)
	if x.Outcome != "forward" {
		outcome = p.bad(x.Outcome) + " (" + x.Reason + ")"
	}
	fmt.Fprintf(&b, "\noutcome: %s\n", outcome)
	if x.Detail != "" {
		fmt.Fprintf(&b, "  %s\n", clean(x.Detail))
	}
	_, err := w.Write(b.Bytes())
	return err
}

// clean keeps what a client may have sent from reaching a terminal as it is.
func clean(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

func position(p paint, at string) string { return p.dim("(" + at + ")") }

// printArrival says who connects to what, and what is read.
func printArrival(b *bytes.Buffer, p paint, x *status.Explanation) {
	q := &x.Question
	fmt.Fprintf(b, "%s %s\n", p.bold("listener "+x.Listener), position(p, x.Position))
	from := q.Source
	if q.DirectSource != "" && q.DirectSource != q.Source {
		from += ", as a PROXY header from " + q.DirectSource + " says,"
	}
	fmt.Fprintf(b, "  a client at %s connects to %s\n", from, q.Destination)
	fmt.Fprintf(b, "  it sends %s\n", whatIsSaid(q))
	switch {
	case x.Hello != "":
		fmt.Fprintf(b, "  its first bytes are read: %s\n", x.Hello)
	case len(x.Chains) > 0:
		fmt.Fprintf(b, "  nothing of it is read: no chain that is possible for its addresses asks for more\n")
	}
	if x.Admission != "allowed" {
		fmt.Fprintf(b, "  %s: %s\n", p.bad("refused"), x.Admission)
	}
}

func whatIsSaid(q *status.Question) string {
	text := "something that is not TLS"
	if q.TransportProtocol == "tls" {
		text = "a ClientHello without a server name"
		if q.ServerName != "" {
			text = "a ClientHello for " + clean(q.ServerName)
		}
		if list := q.ApplicationProtocols; len(list) > 0 {
			text += ", offering " + clean(strings.Join(list, ", "))
		}
	}
	if len(q.Hello) > 0 {
		text += fmt.Sprintf(" (%d bytes that were captured)", len(q.Hello))
	}
	return text
}

// mostVerdicts is of how many chains that do not match it is said why. The
// nearest are chosen.
const mostVerdicts = 20

func printVerdicts(b *bytes.Buffer, p paint, x *status.Explanation) {
	if len(x.Chains) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s\n", p.bold("filter chains"))
	shown, left := nearest(x.Chains)
	for i := range x.Chains {
		v := &x.Chains[i]
		switch {
		case v.Won:
			fmt.Fprintf(b, "  %s %s %s takes it%s\n", p.good("✓"), p.bold(v.FilterChain), position(p, v.Position), tlsText(x.TLS))
		case shown[i]:
			fmt.Fprintf(b, "  %s %s %s\n", p.bad("✗"), v.FilterChain, position(p, v.Position))
			for _, line := range whyNot(x, v) {
				fmt.Fprintf(b, "      %s\n", line)
			}
		}
	}
	if left > 0 {
		fmt.Fprintf(b, "  and %s that %s not match (-o json has all)\n", count(left, "other"), doOrDoes(left))
	}
	if x.FilterChain == "" && x.Reason == "no_filter_chain_match" {
		fmt.Fprintf(b, "  none takes it\n")
	}
}

func doOrDoes(n int) string {
	if n == 1 {
		return "does"
	}
	return "do"
}

// nearest chooses the chains of which it is said why they do not match: those
// that fail in the least. left is how many others there are.
func nearest(chains []status.Verdict) (shown map[int]bool, left int) {
	var others []int
	for i := range chains {
		if !chains[i].Won {
			others = append(others, i)
		}
	}
	slices.SortStableFunc(others, func(a, b int) int { return cmp.Compare(len(chains[a].Failed), len(chains[b].Failed)) })
	most := min(len(others), mostVerdicts)
	shown = make(map[int]bool, most)
	for _, i := range others[:most] {
		shown[i] = true
	}
	return shown, len(others) - most
}

func tlsText(word string) string {
	switch word {
	case "passthrough":
		return ", and passes its TLS through"
	case "terminated":
		return ", and terminates its TLS"
	}
	return ""
}

// whyNot says why a chain does not take the connection, a line for each reason.
func whyNot(x *status.Explanation, v *status.Verdict) (lines []string) {
	for _, m := range v.Failed {
		got := "the connection has none"
		if m.Got != "" {
			got = "the connection has " + clean(m.Got)
		}
		lines = append(lines, fmt.Sprintf("%s: it wants %s, and %s", m.Criterion, clean(m.Want), got))
	}
	if d := v.LostBy; d != nil {
		lines = append(lines, defeatText(x, d))
	}
	return lines
}

func defeatText(x *status.Explanation, d *status.Defeat) string {
	switch d.Criterion {
	case "default_filter_chain":
		return "it is for what no other chain takes"
	case "order":
		return fmt.Sprintf("%s is as specific, and written before it", x.FilterChain)
	}
	own := "it asks for none"
	if d.Own != "" {
		own = "here it is " + clean(d.Own)
	}
	return fmt.Sprintf("it matches, and %s is more specific: %s %s, and %s", x.FilterChain, d.Criterion, clean(d.Winners), own)
}

// printRoute says where the chain's route leads.
func printRoute(b *bytes.Buffer, p paint, x *status.Explanation) {
	var ways []string
	for i := range x.Clusters {
		a := &x.Clusters[i]
		way := "to " + a.Cluster
		if len(x.Clusters) > 1 {
			way = strconv.FormatFloat(100*a.Share, 'g', 3, 64) + "% " + way
		}
		ways = append(ways, way)
	}
	if len(ways) > 0 {
		fmt.Fprintf(b, "\n%s leads %s\n", p.bold("route of "+x.FilterChain), strings.Join(ways, ", "))
	}
}

// printAlternative writes a cluster of the route with its endpoints.
func printAlternative(b *bytes.Buffer, p paint, a *status.Alternative) {
	fmt.Fprintf(b, "\n%s %s chooses by %s\n", p.bold("cluster "+a.Cluster), position(p, a.Position), a.Policy)
	if a.Refusal != "" {
		fmt.Fprintf(b, "  %s", clean(a.Refusal))
		if a.Reason != "" {
			fmt.Fprintf(b, ": %s (%s)", p.bad(a.Outcome), a.Reason)
		}
		fmt.Fprintln(b)
	}
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for i := range a.Endpoints {
		e := &a.Endpoints[i]
		rank := "-"
		if e.Rank > 0 {
			rank = strconv.Itoa(e.Rank)
		}
		name := e.Endpoint
		if name != e.Address {
			name += " at " + e.Address
		}
		health := e.Status
		if e.Outlier != "ok" {
			health += ", " + e.Outlier
		}
		fmt.Fprintf(t, "  %s\t%s\tweight %d\tpriority %d\t%s\t%d active\t%s\n", rank, name, e.Weight, e.Priority, health, e.Active, e.Why)
	}
	t.Flush()
	trimLines(b)
}

// trimLines takes off the spaces that a table has at the ends of its lines.
func trimLines(b *bytes.Buffer) {
	lines := strings.Split(b.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	b.Reset()
	b.WriteString(strings.Join(lines, "\n"))
}
