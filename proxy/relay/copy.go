package relay

import "syscall"

const (
	// fullRead is a read that counts towards splicing.
	fullRead = 16 << 10
	// promoteAfter full reads in a row make a direction splice, or where one
	// side is encrypted move more at a time.
	promoteAfter = 3
)

// copyTurn moves a direction through the scratch buffer and tells whether the
// budget ended it.
func (p *Pair) copyTurn(m *Mover, from Side) (more bool) {
	f := &p.flows[from]
	src, dst := &p.ends[from], &p.ends[from.Other()]
	for budget := turnBudget; budget > 0; {
		if f.queue != nil && !p.flushQueue(m, from) {
			return false
		}
		if !src.readable || !dst.writable || !p.state.CanRead(from) {
			return false
		}
		if p.streams != nil && p.backlogged(from) && !p.flushStream(from) {
			return false
		}
		buf := m.scratch[:scratchSize]
		switch {
		case f.slow:
			buf = buf[:fullRead]
		case p.streams != nil && f.full == promoteAfter:
			buf = m.scratch
		}
		n := p.read(m, from, buf)
		if n <= 0 {
			continue // the state or a hint has changed
		}
		budget -= n
		count(&m.copied, n)
		p.write(m, from, buf[:n])
		if n < fullRead {
			f.full = 0
			continue
		}
		if f.full = min(f.full+1, promoteAfter); f.full == promoteAfter && p.maySplice(m, from) {
			f.mode, f.short, f.spliced = Splice, 0, spliceTime(m.now)
			return true
		}
	}
	f.slow = false
	return true
}

// maySplice tells whether a direction that is bulk can go through a pipe.
func (p *Pair) maySplice(m *Mover, from Side) bool {
	f := &p.flows[from]
	return m.splice && p.streams == nil && !f.noPipe && f.queue == nil && !p.ends[from].urgent
}

// read takes bytes from a side. It gives 0 when there are none, having noted why.
func (p *Pair) read(m *Mover, from Side, buf []byte) int {
	if p.encrypted(from) {
		return p.readStream(from, buf)
	}
	src := &p.ends[from]
	n, errno := sysRead(int(src.fd), buf)
	switch {
	case errno == syscall.EAGAIN:
		src.readable, src.finishing, src.urgent = false, false, false
	case errno != 0:
		p.gone(from, errno)
		p.endOfInput(from)
	case n == 0:
		p.endOfInput(from)
	case n < len(buf) && !src.finishing:
		// The queue is empty (epoll(7), question 9), and nothing came behind
		// it: a FIN or reset would have shown in an event.
		src.readable = false
	}
	return n
}

// write gives bytes to the side that they are for, and queues what it does not
// take.
func (p *Pair) write(m *Mover, from Side, b []byte) {
	to := from.Other()
	if p.encrypted(to) {
		p.writeStream(m, from, b)
		return
	}
	dst := &p.ends[to]
	n, errno := sysWrite(int(dst.fd), b)
	if errno != 0 && errno != syscall.EAGAIN {
		p.gone(to, errno)
		return
	}
	p.moved(m, from, n)
	if n == len(b) {
		return
	}
	f := &p.flows[from]
	dst.writable, f.slow = false, true
	f.queue = m.buffers.get(len(b) - n)
	f.queue.add(b[n:])
	p.state.setQueued(to, true)
}

// flushQueue sends what waits in a direction and tells whether all of it went,
// or is not wanted any more.
func (p *Pair) flushQueue(m *Mover, from Side) bool {
	f := &p.flows[from]
	to := from.Other()
	dst := &p.ends[to]
	if !p.state.IsReset(to) {
		if !dst.writable {
			return false
		}
		n, errno := sysWrite(int(dst.fd), f.queue.bytes())
		switch {
		case errno == syscall.EAGAIN:
			dst.writable = false
			return false
		case errno != 0:
			p.gone(to, errno)
		default:
			p.moved(m, from, n)
			if f.queue.start += n; f.queue.len() > 0 {
				dst.writable = false
				return false
			}
		}
	}
	m.buffers.put(f.queue)
	f.queue = nil
	p.state.setQueued(to, false)
	return true
}
