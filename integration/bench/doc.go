/*
Command bench measures the gateway beside HAProxy, nginx and a plain Go proxy,
on the same work in the same run, and writes a report that anyone can repeat:

	go run ./integration/bench                      # hours: everything
	go run ./integration/bench -resume              # what an interrupted run has left
	go run ./integration/bench -quick               # three minutes: what is judged
	go run ./integration/bench -rows 'echo-64/'     # some of it
	go run ./integration/bench -list                # what there is

REPORT.md beside this file is that of the last whole run, with what was missed and
tried added by hand; its plots are in plots.

It needs Linux and Go. HAProxy, nginx, iperf3 and ip (for the rows over veth,
which need root) are used where they are installed; what is missing is named in
the report, and its rows or columns are left out.

# What runs

	bench generate  ->  peer  ->  bench backend

The load generator, the backend and the baseline proxy are this program again,
as processes of their own. All peers of a row run at the same time and are
measured one after the other, round by round: A B C A B C. Each has its best
configuration for the work, which the report prints: config_sluice.go and
config_peers.go.

	main.go             flags, and which part of the program this is
	rows.go targets.go  what is measured and what it must show
	bench.go measure.go the order of measurements
	load.go idle.go iperf.go asking.go   one measurement of each kind
	generator*.go backend.go wire.go   the load
	netns.go offload.go the network namespaces
	cpu.go memory.go    what the kernel knows of a peer
	stats.go            medians, bootstrap, when to stop
	report.go table.go markdown.go plot.go   what comes out

# How far to believe it

CPU time is that of all threads of all the peer's processes, in nanoseconds,
over a window in which the load is steady. It is the figure that is judged,
for it differs least between runs. What the kernel does in softirqs is charged
to the thread that happens to run, the generator's included; the column
"machine" therefore has the whole machine's busy time less that of generator
and backend. It counts in ticks of 10 ms, and everything else that ran on the
machine is in it: run on an idle one.

The generator shares the CPUs with the peers. Throughput and latency say what
this machine does with both on it, not what a peer could do alone; latencies
above the median mostly show the scheduler. Where a rate is set, a connection's
latency counts from when it was due, not from when a worker was free for it.
Elsewhere the load is closed: a slow peer gets less of it.

Ratios compare rounds pairwise, so that what slows the machine for minutes
cancels out. Rounds are added, from 5 to 15, until the 95% bootstrap interval of
the gateway's ratio is within 4% of it on either side. With so few rounds the
interval is a guide: it knows nothing of what differs between two days or two
machines. The better of HAProxy and nginx is chosen after the fact in every row,
which is in their favour.

Passed-through connections carry a real ClientHello and then plain bytes: no
proxy looks further, and the load's own TLS would only hide the difference.
Contents are verified: every echo in full, the beginning of every read of a bulk
transfer against a pattern that no shift leaves intact. Any failure is counted
and marks the row.

Loopback moves segments of 64 KB that no network card delivers, which flatters
splice. The rows over veth have packets of 1500 bytes, sent without segmentation
offload and merged on arrival as a card's driver merges them, between three
network namespaces; they cost more in the kernel, for all peers alike.

Idle memory is the growth of resident memory over the number of connections,
after the peer has been at work, and of the kernel's slab objects beyond what
the same connections take without a proxy. Buffers of the kernel, empty when a
connection is idle, are not counted. Where a peer has several processes, a page
that they share counts once for each.

It does not measure anything beyond two CPUs of one machine, and no network.
*/
package main
