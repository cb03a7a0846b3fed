package relay

import (
	"syscall"
	"time"

	"sluice/proxy/poller"
)

// turnBudget is how much a direction moves in one turn, so that one busy
// connection does not keep the others of its worker waiting. The last read or
// splice begins within it and may go beyond.
const turnBudget = 256 << 10

// Mode is how a direction moves its bytes now.
type Mode uint8

// The modes of a direction.
const (
	Copy Mode = iota
	Splice
)

// String gives the word that stands in the access record.
func (m Mode) String() string {
	if m == Splice {
		return "splice"
	}
	return "copy"
}

// end is one side's descriptor and what is known of its readiness.
// readable and writable are hints that hold until a call says EAGAIN: with
// edge-triggered events the next event says when to try again.
type end struct {
	fd       int32
	readable bool
	writable bool
	// finishing is set by RDHUP, HUP, ERR or PRI: there is something behind
	// the bytes, so a short read does not mean that the queue is empty.
	finishing bool
	// urgent is set by PRI until everything that had come was read. Splice
	// stops for good before an urgent byte, recv(2) only once.
	urgent bool
	errno  uint16 // why the side is gone, when a call or event said so
}

// flow is one direction, named by the side from which its bytes come.
type flow struct {
	bytes       uint64
	queue       *buffer // read and not yet taken by the other side
	pipe        *pipe   // the same, in splice mode
	mode        Mode
	everSpliced bool
	full        uint8  // full reads in a row
	short       uint8  // short splices in a row
	slow        bool   // the other side has stalled: read less at a time
	noPipe      bool   // splice does not work on these descriptors
	spliced     uint16 // when bytes were last moved by splice, in units of spliceTick
}

// Pair is the two sides of a connection while bytes flow. It belongs to the
// connection's worker. It does not own the descriptors: whoever set it up
// closes them, after [Pair.Release].
type Pair struct {
	ends    [2]end
	flows   [2]flow
	streams *Streams      // the sides that are encrypted; nil: both are plain
	last    time.Duration // when a byte was last moved either way
	state   State
	// ended and lost say which side was the first to finish and to be gone;
	// without meaning before one has.
	ended, lost Side
}

// Init sets the pair up. Nothing is known to be readable at first; what is has
// to be told with [Pair.Events] or [Pair.Readable].
func (p *Pair) Init(m *Mover, downstream, upstream int, streams Streams) {
	*p = Pair{}
	p.ends[Downstream] = end{fd: int32(downstream), writable: true}
	p.ends[Upstream] = end{fd: int32(upstream), writable: true}
	if streams != (Streams{}) {
		p.encrypt(m, streams)
	}
}

// Readable makes the next turn read from the side.
func (p *Pair) Readable(side Side) { p.ends[side].readable = true }

// Send queues a copy of bytes for the upstream side, ahead of whatever is read
// from the client: the part of the hello that the endpoint did not take at
// once. They are counted as received from the client when they are sent.
func (p *Pair) Send(m *Mover, b []byte) {
	if p.encrypted(Upstream) {
		p.writeStream(m, Downstream, b)
		return
	}
	f := &p.flows[Downstream]
	if f.queue != nil {
		panic("BUG: relay: Send with bytes queued")
	}
	f.queue = m.buffers.get(len(b))
	f.queue.add(b)
	p.state.setQueued(Upstream, true)
}

// Count adds bytes that were moved before the pair took over.
func (p *Pair) Count(from Side, n int) { p.flows[from].bytes += uint64(n) }

// Events tells the pair what is ready on a side.
func (p *Pair) Events(side Side, ev poller.Events) {
	e := &p.ends[side]
	if ev&(poller.In|poller.RdHup|poller.Hup|poller.Err|poller.Pri) != 0 {
		e.readable = true
		if p.encrypted(side) {
			p.streams[side].wire.drained = false
		}
	}
	if ev&poller.Out != 0 {
		e.writable = true
	}
	if ev&(poller.RdHup|poller.Hup|poller.Err|poller.Pri) != 0 {
		e.finishing = true
	}
	if ev&poller.Pri != 0 {
		e.urgent = true
		p.flows[side].mode, p.flows[side].full = Copy, 0
	}
	if ev&poller.Err != 0 {
		p.gone(side, 0)
	}
}

// Announced tells what is known of a side that was not read yet: that there may
// be bytes, and that an end or urgent data is behind them.
func (p *Pair) Announced(side Side) (bytes, end bool) {
	e := &p.ends[side]
	return e.readable, e.finishing
}

// gone notes that a side was reset, or failed in another way.
func (p *Pair) gone(side Side, errno syscall.Errno) {
	if !p.state.IsReset(side.Other()) {
		p.lost = side
	}
	p.state.resetBy(side)
	e := &p.ends[side]
	if e.errno == 0 {
		e.errno = uint16(errno)
	}
	e.readable, e.finishing = true, true // what came before can still be read
}

// endOfInput notes that a side has been read to its end.
func (p *Pair) endOfInput(side Side) {
	if !p.state.Ended(side.Other()) {
		p.ended = side
	}
	p.state.endOfInput(side)
}

// FirstEnded gives the side that was the first to finish, once one has.
func (p *Pair) FirstEnded() Side { return p.ended }

// FirstGone gives the side that was the first to be reset, once one was.
func (p *Pair) FirstGone() Side { return p.lost }

// Status is what a turn left behind.
type Status uint8

// What a turn may leave behind.
const (
	Waiting   Status = iota // nothing can move until something is ready
	Again                   // the budget is used up, more could be moved at once
	Finished                // both sides have finished; close both
	PassReset               // one side is gone and the other has been sent all of it: reset that one when it has acknowledged
	Aborted                 // both sides are gone
)

// Turn moves what can be moved, within the budget each way, and passes on
// ends. After Finished, PassReset and Aborted no more turns may be taken.
func (p *Pair) Turn(m *Mover) Status {
	more := p.move(m, Downstream)
	if p.move(m, Upstream) {
		more = true
	}
	for {
		step, side := p.state.next()
		switch step {
		case stepSendFIN:
			p.sendFIN(side)
			continue
		case stepFinish:
			if p.streams != nil && !p.bothNotified() {
				continue
			}
			return Finished
		case stepPassReset:
			return PassReset
		case stepAbort:
			return Aborted
		}
		if more || p.unfinished() {
			return Again
		}
		return Waiting
	}
}

// unfinished tells whether a turn found out something that another turn has to
// act on: a side that was found gone while writing to it still has to be read.
func (p *Pair) unfinished() bool {
	for _, s := range [...]Side{Downstream, Upstream} {
		if p.state.IsReset(s) && p.ends[s].readable && p.state.CanRead(s) && p.flows[s].idle() && p.ends[s.Other()].writable {
			return true
		}
	}
	return false
}

// idle tells whether no bytes wait in the direction.
func (f *flow) idle() bool { return f.queue == nil && f.pipe == nil }

// move gives one direction its turn and tells whether more could be moved.
func (p *Pair) move(m *Mover, from Side) (more bool) {
	f := &p.flows[from]
	if p.streams != nil && !p.flushStream(from.Other()) {
		return false
	}
	if f.mode == Splice && f.pipe == nil && f.spliceIdle(m.now) {
		f.mode, f.full, f.short = Copy, 0, 0
	}
	if f.mode == Splice || f.pipe != nil {
		return p.spliceTurn(m, from)
	}
	return p.copyTurn(m, from)
}

// sendFIN tells a side that the other one has finished.
func (p *Pair) sendFIN(side Side) {
	if p.encrypted(side) && !p.closeNotified(side) {
		return
	}
	if errno := sysShutdownWrite(int(p.ends[side].fd)); errno != 0 {
		p.gone(side, errno)
		return
	}
	p.state.finSent(side)
}

// moved counts bytes that a side has taken.
func (p *Pair) moved(m *Mover, from Side, n int) {
	f := &p.flows[from]
	f.bytes += uint64(n)
	p.last = m.now
}

// Bytes gives how many bytes of a side the other one has taken.
func (p *Pair) Bytes(from Side) uint64 { return p.flows[from].bytes }

// Mode gives how the bytes of a side are moved now, and whether any were ever
// spliced.
func (p *Pair) Mode(from Side) (now Mode, everSpliced bool) {
	return p.flows[from].mode, p.flows[from].everSpliced
}

// LastActive gives the time of the last byte either way, on the worker's clock.
func (p *Pair) LastActive() time.Duration { return p.last }

// Touch makes now the time of the last byte: the idle time begins anew.
func (p *Pair) Touch(now time.Duration) { p.last = now }

// State tells how far the sides have come.
func (p *Pair) State() State { return p.state }

// Drained tells whether nothing waits in the pair for either side. What waits
// in crypto/tls counts: a record that has not come whole, and whole ones that no
// turn has got to. Until a read has said that it would block there may be some.
func (p *Pair) Drained() bool {
	if p.streams != nil {
		for side, st := range p.streams {
			if st != nil && !p.state.Ended(Side(side)) && (p.ends[side].readable || st.wire.insideRecord()) {
				return false
			}
		}
	}
	return !p.state.has(stateQueued, Downstream) && !p.state.has(stateQueued, Upstream)
}

// Errno gives what the kernel said about a side that is gone; 0 when it was an
// event, which means a reset.
func (p *Pair) Errno(side Side) syscall.Errno { return syscall.Errno(p.ends[side].errno) }

// Release gives back the pipes and buffers that the pair still holds, with
// what is in them.
func (p *Pair) Release(m *Mover) {
	for i := range p.flows {
		f := &p.flows[i]
		if f.queue != nil {
			m.buffers.put(f.queue)
			f.queue = nil
		}
		if f.pipe != nil {
			m.pipes.put(f.pipe, m.now)
			f.pipe = nil
		}
	}
	if p.streams != nil {
		p.releaseStreams()
	}
}
