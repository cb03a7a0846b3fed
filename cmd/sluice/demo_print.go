package main

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// paint colours text, when it is true.
type paint bool

func (p paint) with(code, s string) string {
	if !p {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (p paint) bold(s string) string { return p.with("1", s) }
func (p paint) dim(s string) string  { return p.with("2", s) }
func (p paint) good(s string) string { return p.with("32", s) }
func (p paint) bad(s string) string  { return p.with("31", s) }

// lines dims the lines of a drawing, so that the words stand out.
func (p paint) lines(drawing string) string {
	var out strings.Builder
	for run := range runs(drawing, isLine) {
		if isLine([]rune(run)[0]) {
			run = p.dim(run)
		}
		out.WriteString(run)
	}
	return out.String()
}

// row is a line of the table of connections. The widths add up to 79 columns.
type row struct {
	name, chain, tls, cluster, endpoint, certificate, connect, total string
}

// format pads the fields.
func (r row) format() string {
	if r.chain == "-" {
		return fmt.Sprintf("%-13s  no chain matches: %s", r.name, r.total)
	}
	return fmt.Sprintf("%-13s  %-5s  %-11s  %-7s  %-8s  %-7s  %7s  %s",
		r.name, r.chain, r.tls, r.cluster, r.endpoint, r.certificate, r.connect, r.total)
}

// rowOf makes a row of a record.
func rowOf(rec accessRecord) row {
	r := row{
		name: rec.SNI, chain: rec.FilterChain, tls: rec.TLS, cluster: rec.Cluster, endpoint: rec.Endpoint,
		connect: milliseconds(rec.ConnectMS), total: milliseconds(rec.DurationMS),
	}
	for _, field := range []*string{&r.name, &r.chain, &r.tls, &r.cluster, &r.endpoint, &r.certificate} {
		if *field == "" {
			*field = "-"
		}
	}
	switch {
	case rec.FilterChain == "":
		r.total = "refused, flags " + rec.Flags
	case rec.Flags != "":
		r.total += " " + rec.Flags
	}
	return r
}

func milliseconds(ms float64) string { return fmt.Sprintf("%5.1f", ms) }

func (d *demo) printHeader() error {
	head := row{"SERVER NAME", "CHAIN", "TLS", "CLUSTER", "ENDPOINT", "CERT OF", "CONNECT", "TOTAL"}
	_, err := fmt.Fprintf(d.out, "\n  %s\n", d.paint.dim(head.format()))
	return err
}

func (d *demo) printRow(r row, mark string) error {
	_, err := fmt.Fprintf(d.out, "%s %s\n", mark, r.format())
	return err
}

// printOutcome prints one connection, and what is wrong with it.
func (d *demo) printOutcome(e *expectation, o outcome, wrong []string) error {
	r := rowOf(o.record)
	r.certificate = ownerWord(o.certificate)
	if errors.Is(o.err, syscall.ECONNRESET) {
		r.total += ", and the client got a reset"
	}
	mark := d.paint.good("✓")
	if len(wrong) > 0 {
		mark = d.paint.bad("✗")
	}
	if err := d.printRow(r, mark); err != nil {
		return err
	}
	for _, w := range wrong {
		if _, err := fmt.Fprintf(d.out, "    %s\n", d.paint.bad(w)); err != nil {
			return err
		}
	}
	return nil
}

// ownerWord shortens the owner of a certificate to its kind: which backend it
// is stands in the column of the endpoint, and was checked.
func ownerWord(owner string) string {
	switch owner {
	case "":
		return "-"
	case gatewayOwner:
		return gatewayOwner
	}
	return "backend"
}

// printShares sums up the connections of a name with weighted clusters: a line
// for each cluster with its mean times, and its share.
func (d *demo) printShares(e *expectation, outcomes []outcome) error {
	for _, cluster := range slices.Backward(slices.Sorted(maps.Keys(e.endpoints))) {
		var sum accessRecord
		n := 0
		for _, o := range outcomes {
			if o.record.Cluster != cluster || len(e.check(o)) > 0 {
				continue
			}
			connect, total := sum.ConnectMS+o.record.ConnectMS, sum.DurationMS+o.record.DurationMS
			sum, n = o.record, n+1
			sum.ConnectMS, sum.DurationMS = connect, total
		}
		if n == 0 {
			continue
		}
		sum.ConnectMS /= float64(n)
		sum.DurationMS /= float64(n)
		r := rowOf(sum)
		r.certificate = "backend"
		if err := d.printRow(r, d.paint.good("✓")); err != nil {
			return err
		}
		bar := strings.Repeat("█", n) + d.paint.dim(strings.Repeat("░", len(outcomes)-n))
		if _, err := fmt.Fprintf(d.out, "    %s %d of %d\n", bar, n, len(outcomes)); err != nil {
			return err
		}
	}
	return nil
}

// printHints prints lines that can be pasted while the demo runs.
func (d *demo) printHints(dir string) error {
	_, port, err := net.SplitHostPort(d.address)
	if err != nil {
		panic("BUG: the gateway's address: " + err.Error())
	}
	ca := shellWord(filepath.Join(dir, "ca.pem"))
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s\n\n", d.paint.bold("The gateway stays up. Paste these into another terminal:"))
	curl := func(name string) {
		fmt.Fprintf(&b, "  curl --noproxy '*' --cacert %s \\\n    --resolve %s:%s:127.0.0.1 https://%s:%s/\n", ca, name, port, name, port)
	}
	for _, name := range []string{"shop.test", "api.test", "any.apps.test", "www.test"} {
		curl(name)
	}
	fmt.Fprintf(&b, "\n  openssl s_client -brief -verify_return_error -connect %s \\\n    -servername shop.test -CAfile %s </dev/null\n", d.address, ca)
	fmt.Fprintf(&b, "\nThis one is refused with a reset:\n\n")
	curl("nobody.test")
	fmt.Fprintf(&b, "\nLook inside the gateway, and follow a name from the listener to an endpoint:\n\n")
	for _, command := range []string{
		"listener", "route --sni www.test", "cluster --name stable", "endpoint --cluster stable", "connection --watch",
	} {
		fmt.Fprintf(&b, "  %s pc %s --admin %s\n", shellWord(d.program), command, d.admin)
	}
	fmt.Fprintf(&b, "\nThe configuration is %s.\nYour connections show up here as they end. Ctrl-C ends the demo.\n\n",
		shellWord(filepath.Join(dir, "demo.hcl")))
	_, err = fmt.Fprint(d.out, b.String())
	return err
}

// shellWord quotes s when a POSIX shell would not take it as it is.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-", r)
	}
	if strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
