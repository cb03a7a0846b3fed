package proxy

import (
	"sync/atomic"
	"time"

	"sluice/proxy/status"
)

// What is counted for every connection, or for every turn of one, is counted by
// each worker in cells of its own: it reads and stores them without a locked
// read-modify-write, and no other worker writes to their cache lines. Whoever
// wants to know adds the cells of all workers up.
//
// A cell has no worker's name on it; that it is the caller's is for the caller to
// see to (worker.index).

// add adds to a counter that only its worker writes.
func add(c *atomic.Uint64, n uint64) { c.Store(c.Load() + n) }

// trafficCell is one worker's counts of something that connections are part of.
// Those of one worker lie side by side (see registry), so it has no padding.
type trafficCell struct {
	connections atomic.Uint64
	ended       atomic.Uint64
	received    atomic.Uint64 // bytes from clients
	sent        atomic.Uint64 // bytes to clients
}

// read adds the cell to t. What has ended is read first: it must not have more
// than what has begun.
func (c *trafficCell) read(t *status.Traffic) {
	ended := c.ended.Load()
	began := c.connections.Load()
	t.Connections += began
	t.Active += int64(began - ended)
	t.BytesReceived += c.received.Load()
	t.BytesSent += c.sent.Load()
}

// traffic is the cells of all workers.
type traffic []*trafficCell

func (t traffic) read() (sum status.Traffic) {
	for _, c := range t {
		c.read(&sum)
	}
	return sum
}

// listenerCell is one worker's counts of a listener: what there is of one kind
// only per listener is here, however many chains it has.
type listenerCell struct {
	traffic      trafficCell // its bytes are of connections that no chain has taken
	hellos       [helloWords]atomic.Uint64
	terminations [len(reasonWords)][origins]atomic.Uint64
	handshake    histogramCell
	_            [64]byte // what comes behind it may be another worker's
}

// ended counts the end of a connection.
func (c *listenerCell) ended(t Termination) {
	count(&c.traffic.ended)
	count(&c.terminations[t.Reason][t.By])
}

// clusterCell is one worker's counts of a cluster, but for its traffic, which is
// counted by chain.
type clusterCell struct {
	attempts      [attemptResults]atomic.Uint64
	retries       atomic.Uint64
	queued        atomic.Uint64
	overflows     atomic.Uint64
	queueTimeouts atomic.Uint64
	connect       histogramCell
	_             [64]byte // what comes behind it may be another worker's
}

// secondsBounds are the upper bounds of the buckets of every histogram. They go
// from a connection within a machine, over handshakes and networks, to the
// usual timeouts.
var secondsBounds = [...]time.Duration{
	250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
}

// histogramCell is one worker's part of a [Histogram].
type histogramCell struct {
	buckets [len(secondsBounds) + 1]atomic.Uint64 // each of its own; the last is for what is above all bounds
	sum     atomic.Uint64                         // nanoseconds: enough for 584 years of them
}

func (h *histogramCell) observe(d time.Duration) {
	i := 0
	for i < len(secondsBounds) && d > secondsBounds[i] {
		i++
	}
	count(&h.buckets[i])
	add(&h.sum, uint64(max(d, 0)))
}

// newHistogram gives a histogram of nothing.
func newHistogram() Histogram {
	h := Histogram{Buckets: make([]Bucket, len(secondsBounds))}
	for i, bound := range secondsBounds {
		h.Buckets[i].Seconds = bound.Seconds()
	}
	return h
}

// read adds the cell to h.
func (c *histogramCell) read(h *Histogram) {
	h.Sum += time.Duration(c.sum.Load()).Seconds()
	for i := range c.buckets {
		n := c.buckets[i].Load()
		h.Count += n
		for j := i; j < len(h.Buckets); j++ {
			h.Buckets[j].Count += n
		}
	}
}
