package proxy

import (
	"math/rand/v2"
	"sync/atomic"
	"time"

	"sluice/proxy/poller"
	"sluice/proxy/proxyheader"
	"sluice/proxy/relay"
	"sluice/proxy/upstream"
)

// worker is one CPU's share of the gateway: an event loop with everything that
// its connections need and no other worker touches.
type worker struct {
	*poller.Worker
	gateway *Gateway
	index   int // from 0, among the gateway's workers
	mover   *relay.Mover
	rand    *upstream.Rand
	records *recordBuffer // nil: no access records

	acceptors    []*acceptor
	headers      proxyheader.Parser
	hello        []byte   // scratch: of the first read, and for hellos that span records
	names        *shared  // server names of the hellos
	protocols    *shared  // their ALPN lists
	setups       []*setup // free
	helloBuffers [][]byte // free
	conns        []*conn  // free
	trimming     bool
	draining     time.Duration // the drain's timeout; 0: not draining
	killing      bool          // the gateway closes: new ones end at once

	nextID      uint64
	idStep      uint64        // the number of workers, so that no two give the same ID
	clockOffset time.Duration // what the clock of the gateway is ahead of the worker's
	accepted    atomic.Uint64
}

// maxKeptConns bounds how many closed connections a worker keeps for reuse.
const maxKeptConns = 256

func newWorker(g *Gateway, number, of int) (*worker, error) {
	p, err := poller.New()
	if err != nil {
		return nil, err
	}
	w := &worker{
		Worker: p, gateway: g, index: number - 1,
		mover: relay.NewMover(&g.pipes, true),
		rand:  upstream.NewRand(rand.Uint64()),
		names: newShared(serverName), protocols: newShared(protocolNames),
		nextID: uint64(number), idStep: uint64(of),
		clockOffset: time.Since(g.started) - p.Clock(),
	}
	p.BeforeWait(w.beforeWait)
	return w, nil
}

// beforeWait is called when the worker has nothing to do.
func (w *worker) beforeWait() {
	if !w.trimming && w.mover.Trimmable() {
		w.trimming = true
		w.after(trimAfter, w.trim)
	}
}

// trimAfter is how long an empty pipe is kept that nobody needs.
const trimAfter = time.Second

func (w *worker) trim() {
	w.trimming = false
	w.mover.SetNow(w.Now())
	w.mover.Trim(trimAfter)
}

// maxHello is the most that inspect.max_bytes may be, and a ClientHello can
// take (its length is 24 bits, but crypto/tls and OpenSSL stop here).
const maxHello = 64 << 10

// scratch is where a client's first bytes are read to, and a hello that spans
// records is put together. What is in it is gone at the next wait.
func (w *worker) scratch() []byte {
	if w.hello == nil {
		w.hello = make([]byte, maxHello)
	}
	return w.hello
}

// open takes on an accepted connection.
func (w *worker) open(fd int, ln *listener, source, destination addrPort) {
	c := w.newConn()
	c.w, c.listener = w, ln
	c.fds = [2]int32{int32(fd), -1}
	c.setup = w.newSetup()
	c.setup.source, c.setup.destination, c.setup.direct = source, destination, source
	c.record = w.newRecord(source, destination)
	if b := w.records; b != nil && b.wants(recordPeriodic) {
		c.extra().nextPeriodic = c.record.accepted + b.log.interval
	}
	count(&w.accepted)
	count(&w.listenerCell(ln).traffic.connections)
	c.killed = w.killing
	w.Open(&c.Slot, c)
	if w.draining > 0 {
		c.drain(w.draining)
	}
	w.Start(&c.Slot, c)
}

func (w *worker) newRecord(source, destination addrPort) record {
	r := record{
		id: w.nextID, accepted: w.Clock(),
		source: compact(source), destination: compact(destination),
	}
	w.nextID += w.idStep
	return r
}

func (w *worker) newConn() *conn {
	if n := len(w.conns); n > 0 {
		c := w.conns[n-1]
		w.conns = w.conns[:n-1]
		return c
	}
	return &conn{}
}

// forget lets a closed connection go.
func (w *worker) forget(c *conn) {
	w.Close(&c.Slot)
	c.leave()
	w.keep(c)
}

// keep keeps a conn for reuse.
func (w *worker) keep(c *conn) {
	*c = conn{}
	if len(w.conns) < maxKeptConns {
		w.conns = append(w.conns, c)
	}
}

// each calls f for every connection of the worker.
func (w *worker) each(f func(*conn)) {
	w.Each(func(o poller.Owner) {
		if c, ok := o.(*conn); ok {
			f(c)
		}
	})
}

// after has the worker call f once, when d has passed.
func (w *worker) after(d time.Duration, f func()) {
	ch := &chore{w: w, f: f}
	w.Open(&ch.Slot, ch)
	w.SetDeadline(&ch.Slot, w.Now()+d)
}

// chore is something that a worker does later, for no connection.
type chore struct {
	poller.Slot
	w *worker
	f func()
}

// Ready is the deadline.
func (ch *chore) Ready() {
	if ch.TakeExpired() {
		ch.cancel()
		ch.f()
	}
}

func (ch *chore) cancel() { ch.w.Close(&ch.Slot) }

// stop ends the worker's loop. Its connections must be gone.
func (w *worker) stop() {
	w.Each(func(o poller.Owner) {
		if ch, ok := o.(*chore); ok {
			ch.cancel()
		}
	})
	w.writeRecordsTo(nil)
	w.mover.Trim(0)
	w.Stop()
}

// count adds one to a counter that only its worker writes.
func count(c *atomic.Uint64) { c.Store(c.Load() + 1) }
