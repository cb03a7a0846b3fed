package main

import (
	"fmt"
	"runtime"
	"time"
)

// link is between which machines, so to speak, a row's bytes travel.
type link string

const (
	overLoopback link = "lo"
	overVeth     link = "veth"
)

// method is how a row is measured.
type method int

const (
	byLoad   method = iota // work for a window: see load.go
	byIdle                 // what kept connections cost: see idle.go
	byIperf                // iperf3 instead of our generator: see iperf.go
	byAsking               // what looking inside costs: see asking.go
)

// row is one line of work that every peer is put to.
type row struct {
	group       string // rows of a group share a plot and a heading
	name        string // unique
	link        link
	mode        mode
	method      method
	work        work
	unit        unit
	connections int
	size        int     // bytes of a message or an answer
	rate        float64 // connections per second; 0 = as many as go
	resume      bool
	workers     int
	names       int // server names the peer lets through
	endpoints   int
	overhead    bool // the gateway with and without something; see takesPart
	fresh       bool // peers are started anew for each measurement
	judged      []target
}

// The numbers of the issue that this program answers.
var (
	bulkStreams     = []int{1, 4, 64}
	echoSizes       = []int{64, 1 << 10, 16 << 10}
	echoConnections = []int{1, 32, 256}
	shortRates      = []float64{500, 2000}
	idleConnections = []int{1000, 4000, 9000}
)

const (
	shortConcurrency = 32
	rateConcurrency  = 256 // of which few are busy unless the proxy is too slow
	answerSize       = 100
	heldConnections  = 4000
	askedConnections = 5000
)

// allRows is the whole program, in the order of the report.
func allRows() []row {
	var rows []row
	for _, over := range []link{overLoopback, overVeth} {
		for _, m := range []mode{passThrough, plainTCP} {
			rows = append(rows, transportRows(m, over)...)
		}
	}
	rows = append(rows, terminatedRows()...)
	rows = append(rows, idleRows()...)
	rows = append(rows, scaleRows()...)
	rows = append(rows, overheadRows()...)
	for i := range rows {
		complete(&rows[i])
	}
	return rows
}

// complete fills in what most rows share, the name last.
func complete(r *row) {
	if r.workers == 0 {
		r.workers = runtime.GOMAXPROCS(0)
	}
	r.names, r.endpoints = max(r.names, 1), max(r.endpoints, 1)
	if r.unit == "" {
		r.unit = unitOf(r)
	}
	name := fmt.Sprintf("%s/%s", r.group, r.work)
	if r.work == workEcho || r.work == workIdle {
		name += fmt.Sprintf("-%d", r.size)
	}
	switch {
	case r.resume:
		name = r.group + "/handshake-resumed"
	case r.work == workShort && r.mode == terminated:
		name = r.group + "/handshake-full"
	case r.rate > 0:
		name += fmt.Sprintf("/rate=%.0f", r.rate)
	}
	if r.rate == 0 && r.method != byIperf {
		name += fmt.Sprintf("/c=%d", r.connections)
	}
	r.name = name + r.name
	judge(r)
}

func unitOf(r *row) unit {
	switch {
	case r.work == workDown || r.work == workUp:
		return gigabytes
	case r.work == workEcho:
		return messages
	case r.work == workShort && r.mode == terminated:
		return handshakes
	}
	return connections
}

// transportRows are those of bytes that nobody decrypts.
func transportRows(m mode, over link) []row {
	base := row{group: fmt.Sprintf("%s-%s", m, over), link: over, mode: m}
	rows := append(bulkRows(base, bulkStreams), echoRows(base)...)
	short := base
	short.work, short.connections, short.size = workShort, shortConcurrency, answerSize
	rows = append(rows, short)
	for _, rate := range shortRates {
		short.rate, short.connections = rate, rateConcurrency
		rows = append(rows, short)
	}
	hold := base
	hold.work, hold.connections, hold.size, hold.fresh = workHold, heldConnections, 64, true
	rows = append(rows, hold)
	if m == plainTCP {
		iperf := base
		iperf.method, iperf.work, iperf.connections, iperf.name = byIperf, workDown, 4, "/iperf3-P4"
		rows = append(rows, iperf)
	}
	return rows
}

func bulkRows(base row, streams []int) []row {
	var rows []row
	for _, w := range []work{workDown, workUp} {
		for _, n := range streams {
			base.work, base.connections = w, n
			rows = append(rows, base)
		}
	}
	return rows
}

func echoRows(base row) []row {
	var rows []row
	for _, size := range echoSizes {
		for _, n := range echoConnections {
			base.work, base.size, base.connections = workEcho, size, n
			rows = append(rows, base)
		}
	}
	return rows
}

func terminatedRows() []row {
	base := row{group: "term-lo", link: overLoopback, mode: terminated}
	rows := append(bulkRows(base, bulkStreams), echoRows(base)...)
	handshake := base
	handshake.work, handshake.connections, handshake.size = workShort, shortConcurrency, answerSize
	rows = append(rows, handshake)
	handshake.resume = true
	return append(rows, handshake)
}

func idleRows() []row {
	var rows []row
	for _, m := range []mode{passThrough, terminated} {
		base := row{group: "idle-" + string(m), link: overLoopback, mode: m, method: byIdle, work: workIdle, size: 64, fresh: true}
		for _, n := range idleConnections {
			base.connections = n
			rows = append(rows, base)
		}
		if m == terminated { // after records of full size
			base.size = 16 << 10
			rows = append(rows, base)
		}
	}
	return rows
}

// scaleRows show how the cost of a unit grows with something else.
func scaleRows() []row {
	base := row{group: "scale", link: overLoopback, mode: passThrough}
	var rows []row
	for workers := 1; workers <= 2; workers++ {
		base := base
		base.workers, base.name = workers, fmt.Sprintf("/workers=%d", workers)
		base.work, base.connections = workDown, 4
		rows = append(rows, base)
		base.work, base.connections, base.size = workEcho, shortConcurrency, 64
		rows = append(rows, base)
		base.work, base.size = workShort, answerSize
		rows = append(rows, base)
	}
	for _, n := range []int{growthFrom, growthTo} {
		base := base
		base.work, base.size, base.connections = workEcho, 64, n
		rows = append(rows, base)
	}
	base.work, base.connections, base.size = workShort, shortConcurrency, answerSize
	base.fresh = true
	for _, n := range []int{10, 1000, manyNames} {
		base := base
		base.names, base.name = n, fmt.Sprintf("/names=%d", n)
		rows = append(rows, base)
	}
	for _, n := range []int{2, 100, 1000} {
		base := base
		base.endpoints, base.name = n, fmt.Sprintf("/endpoints=%d", n)
		rows = append(rows, base)
	}
	return rows
}

// overheadRows show what features cost those who turn them on.
func overheadRows() []row {
	base := row{group: "overhead", link: overLoopback, mode: passThrough, overhead: true, connections: shortConcurrency}
	short, echo := base, base
	short.work, short.size = workShort, answerSize
	echo.work, echo.size = workEcho, 64
	asking := base
	asking.method, asking.work, asking.connections, asking.size = byAsking, workIdle, askedConnections, 64
	asking.name = "/asked"
	return []row{short, echo, asking}
}

// Windows. A quick run trades the width of its intervals for three minutes.
const (
	fullWindow  = time.Second
	quickWindow = 250 * time.Millisecond
	quickRounds = 5
	quickBudget = 170 * time.Second
)

// leftOut says what the issue asks for and no row measures, and why.
var leftOut = []string{
	"Nanoseconds of a name lookup, hostile names with 127 labels included: make bench-micro measures the lookup itself. The rows scale/short/names=N show what of it is left in a connection.",
	"Live heap of an idle terminated connection: only the gateway itself could tell. Resident memory is reported.",
}
