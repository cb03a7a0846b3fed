package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// bench is one run of the program.
type bench struct {
	*options
	ctx         context.Context
	self        string // this program
	dir         string // of everything temporary
	descriptors int    // that a process may have, or that it will be told
	peers       []*peer
	cert        *certificate
	networks    map[link]*network // without those that cannot be had
	direct      map[int]int64     // see kernelOfDirect
	progress    *progress
	report      *report
}

// benchedName is the server name of all clients: 30 bytes, as the issue has it
// for idle connections.
const benchedName = "gateway-42.region-a.bench.test"

// mostDescriptors is what is asked of a process at most. Peers set up tables
// for what they are promised, and these should not depend on the machine.
const mostDescriptors = 24_000

// runBench measures and writes the report, also when it is interrupted: what
// there is by then is worth having.
func runBench(ctx context.Context, o *options) error {
	rows := o.choose(allRows())
	if o.list {
		listRows(os.Stdout, rows)
		return nil
	}
	if len(rows) == 0 {
		return errors.New("no row matches -rows; see -list")
	}
	dir, err := os.MkdirTemp("", "sluice-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{
		options: o, ctx: ctx, dir: dir,
		networks: map[link]*network{overLoopback: loopback()},
		direct:   make(map[int]int64),
		report:   &report{Started: time.Now(), began: time.Now(), Quick: o.quick, Window: o.window, LeftOut: leftOut},
	}
	if err := b.prepare(rows); err != nil {
		return err
	}
	defer b.networks[overVeth].remove()
	all := allRows()
	if o.resume {
		if err := b.report.resume(o.out, all); err != nil {
			return err
		}
		rows = b.report.missing(rows)
	}
	b.progress = newProgress(os.Stderr, len(rows))
	b.measureAll(rows)
	b.progress.done()
	b.report.sort(all)
	b.report.finish(o.seed)
	b.report.writeTables(os.Stdout)
	if err := b.report.writeFiles(o.out); err != nil {
		return err
	}
	fmt.Printf("\nWritten to %s: report.md, report.json, and a plot for each group.\n", o.out)
	return ctx.Err()
}

// choose picks the rows that the command line wants.
func (o *options) choose(rows []row) []row {
	var chosen []row
	for _, r := range rows {
		if o.rows.MatchString(r.name) && (!o.quick || r.isQuick()) {
			chosen = append(chosen, r)
		}
	}
	return chosen
}

func listRows(w io.Writer, rows []row) {
	for i := range rows {
		fmt.Fprintln(w, rows[i].name)
		for _, t := range rows[i].judged {
			fmt.Fprintf(w, "    %s\n", t)
		}
	}
}

// prepare finds and makes what the rows need.
func (b *bench) prepare(rows []row) (err error) {
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("reading the limit of descriptors: %w", err)
	}
	b.descriptors = int(min(limit.Max, mostDescriptors))
	var missing []string
	if b.peers, missing, err = findPeers(b.options, b.dir); err != nil {
		return err
	}
	b.report.describe(b.peers, missing)
	if b.cert, err = newCertificate(b.dir, benchedName); err != nil {
		return err
	}
	for i := range rows {
		if rows[i].link == overVeth && b.networks[overVeth] == nil {
			veth, err := newVeth(b.self)
			if err != nil {
				b.report.skip("every row over veth", err.Error())
				break
			}
			b.networks[overVeth] = veth
		}
	}
	return nil
}

// cannot says why a row cannot be measured on this machine, or "".
func (b *bench) cannot(r *row) string {
	switch {
	case b.networks[r.link] == nil:
		return "no network of this kind"
	case 2*r.connections+2*haproxyPipes+2*reservedDescriptors > b.descriptors:
		return fmt.Sprintf("a process may have only %d descriptors (ulimit -Hn)", b.descriptors)
	case r.method == byIperf && !hasIperf():
		return "iperf3 is not installed"
	}
	return ""
}

// measureAll measures the rows in order. A quick run gives each its share of
// the time that is left.
func (b *bench) measureAll(rows []row) {
	began := time.Now()
	for i := range rows {
		r := &rows[i]
		if why := b.cannot(r); why != "" {
			b.report.skip(r.name, why)
			continue
		}
		var until time.Time
		if b.quick {
			left := quickBudget - time.Since(began)
			until = time.Now().Add(left * time.Duration(r.weight()) / time.Duration(weightOf(rows[i:])))
		}
		result := b.measureRow(i, r, until)
		if result.Rounds > 0 {
			b.report.Rows = append(b.report.Rows, result)
		}
		if b.ctx.Err() != nil {
			b.report.skip("all rows after "+r.name, "interrupted")
			return
		}
	}
}

// weight is a row's share of a quick run: starting peers anew and opening
// thousands of connections takes time.
func (r *row) weight() int {
	if r.fresh || r.connections >= heldConnections {
		return 4
	}
	return 1
}

func weightOf(rows []row) int {
	sum := 0
	for i := range rows {
		sum += rows[i].weight()
	}
	return sum
}
