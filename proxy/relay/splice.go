package relay

import (
	"syscall"
	"time"
)

const (
	// shortSplice is a splice that would have been better copied.
	shortSplice = 16 << 10
	// demoteAfter short splices in a row make a direction copy again.
	demoteAfter = 3
	// So do spliceIdleTicks without bytes, which are a second: what comes
	// next is likely small.
	spliceTick      = 100 * time.Millisecond
	spliceIdleTicks = 10
)

// spliceIdle tells whether a splicing direction has been idle for long. Its
// clock has 16 bits and goes round in less than two hours, after which a
// direction may be taken for a busy one and splice once more: all that costs
// is a system call.
func (f *flow) spliceIdle(now time.Duration) bool {
	return spliceTime(now)-f.spliced > spliceIdleTicks
}

func spliceTime(now time.Duration) uint16 { return uint16(now / spliceTick) }

// spliceTurn moves a direction through a borrowed pipe and tells whether the
// budget ended it. Unlike in copyTurn, a short count says nothing about the
// queue (the pipe's slots may have run out), so it goes on to EAGAIN.
func (p *Pair) spliceTurn(m *Mover, from Side) (more bool) {
	f := &p.flows[from]
	src, dst := &p.ends[from], &p.ends[from.Other()]
	for budget := turnBudget; budget > 0; {
		if f.pipe != nil && !p.emptyPipe(m, from) {
			return false
		}
		if !src.readable || !dst.writable || !p.state.CanRead(from) {
			return false
		}
		if f.mode == Copy {
			return true
		}
		pi := m.pipes.get(m.now)
		if pi == nil {
			f.mode, f.full = Copy, 0
			return true
		}
		n, errno := sysSplice(int(src.fd), pi.w, pi.size)
		if n > 0 {
			pi.n, f.pipe, f.everSpliced = n, pi, true
			p.state.setQueued(from.Other(), true)
			budget -= n
			count(&m.spliced, n)
			p.judgeSplice(f, n)
			continue
		}
		m.pipes.put(pi, m.now)
		switch errno {
		case 0:
			// The end, or an urgent byte with the end behind it: recv(2)
			// knows.
			f.mode, f.full = Copy, 0
			return p.copyTurn(m, from)
		case syscall.EAGAIN:
			src.readable, src.finishing = false, false
		case syscall.EINVAL:
			// The descriptor cannot be spliced (kernel TLS, or a socket of
			// another family): nothing was taken, so it is copied for good.
			f.mode, f.noPipe = Copy, true
		default:
			p.gone(from, errno)
			p.endOfInput(from)
		}
	}
	return true
}

// judgeSplice goes back to copying when splices stay short.
func (p *Pair) judgeSplice(f *flow, n int) {
	if n >= shortSplice {
		f.short = 0
		return
	}
	if f.short++; f.short >= demoteAfter {
		f.mode, f.full, f.short = Copy, 0, 0
	}
}

// emptyPipe sends what is in a direction's pipe, gives the pipe back when it is
// empty or its bytes are not wanted any more, and tells whether it was.
func (p *Pair) emptyPipe(m *Mover, from Side) bool {
	f := &p.flows[from]
	to := from.Other()
	dst := &p.ends[to]
	for f.pipe.n > 0 && !p.state.IsReset(to) {
		if !dst.writable {
			return false
		}
		n, errno := sysSplice(f.pipe.r, int(dst.fd), f.pipe.n)
		switch {
		case errno == syscall.EAGAIN:
			dst.writable = false
			return false
		case errno != 0:
			p.gone(to, errno)
		default:
			p.moved(m, from, n)
			f.pipe.n -= n
			f.spliced = spliceTime(m.now)
		}
	}
	m.pipes.put(f.pipe, m.now)
	f.pipe = nil
	p.state.setQueued(to, false)
	return true
}
