package relay

import (
	"crypto/tls"
	"errors"
	"io"
	"syscall"
)

// recordOverhead is more than a TLS record adds to what is in it: header,
// explicit nonce, padding and tag (RFC 8446 5.2 allows 256, Go uses 22 to 37).
const recordOverhead = 64

// maxRecord is the most plaintext in a record (RFC 8446 5.1).
const maxRecord = 16 << 10

// Stream is an encrypted side of a connection: a client whose TLS the gateway
// terminates, or an endpoint that it speaks TLS to.
type Stream struct {
	conn     *tls.Conn
	wire     *Wire
	notified bool  // close_notify was written
	bareFIN  bool  // the peer finished without close_notify
	pending  error // ends it, once the bytes that came before are passed on
	err      error // what ended it, when it was not an orderly end
}

// Streams are the sides of a connection that are encrypted; nil stands for a
// plain one.
type Streams [2]*Stream

// Handshake runs a server handshake on the wire and gives the stream for a
// pair. It waits, so it runs in a goroutine of its own, which owns the wire
// until it returns.
func Handshake(w *Wire, c *tls.Config) (*Stream, error) {
	return shakeHands(w, tls.Server(w, c))
}

// ClientHandshake is [Handshake] with an endpoint: the gateway is the client.
func ClientHandshake(w *Wire, c *tls.Config) (*Stream, error) {
	return shakeHands(w, tls.Client(w, c))
}

func shakeHands(w *Wire, conn *tls.Conn) (*Stream, error) {
	if err := w.enter(); err != nil {
		return nil, err
	}
	defer w.leave()
	if err := conn.Handshake(); err != nil {
		if cause := w.interrupted.Load(); cause != nil {
			return nil, *cause
		}
		return nil, err
	}
	return &Stream{conn: conn, wire: w}, nil
}

// ConnectionState is what the handshake agreed on.
func (s *Stream) ConnectionState() tls.ConnectionState { return s.conn.ConnectionState() }

// encrypt makes sides encrypted ones.
func (p *Pair) encrypt(m *Mover, streams Streams) {
	p.streams = &streams
	for side, st := range streams {
		if st != nil {
			st.wire.attach(&p.ends[side], &m.buffers)
			p.ends[side].readable = true // the handshake may have read ahead
		}
	}
}

// encrypted tells whether a side is.
func (p *Pair) encrypted(side Side) bool { return p.streams != nil && p.streams[side] != nil }

// readStream fills buf with whole records as long as there are any: the other
// side then gets one write for several.
func (p *Pair) readStream(from Side, buf []byte) int {
	st, n := p.streams[from], 0
	if st.pending != nil {
		p.streamEnded(from, st.pending)
		return 0
	}
	for n == 0 || len(buf)-n >= maxRecord && !p.backlogged(from) {
		got, err := st.conn.Read(buf[n:])
		n += got
		if err == nil {
			continue
		}
		switch {
		case err == errWouldBlock:
			p.ends[from].readable = false
		case n > 0:
			// crypto/tls may not say so again: what it cannot do with a
			// handshake message it says once and goes on. The side stays
			// readable, so there is a next call.
			st.pending = err
		default:
			p.streamEnded(from, err)
		}
		break
	}
	p.flushStream(from) // crypto/tls may have answered a KeyUpdate
	return n
}

// streamEnded notes that nothing more can be read from an encrypted side.
func (p *Pair) streamEnded(from Side, err error) {
	if err != io.EOF {
		p.streamFailed(from, err)
		return
	}
	// close_notify, or a FIN between two records: many peers send no
	// close_notify, and crypto/tls, like other proxies, takes that for an end. A
	// FIN inside a record is an error.
	st := p.streams[from]
	st.bareFIN = st.wire.ended && !st.notified && !p.state.IsReset(from)
	p.endOfInput(from)
}

// BareFIN tells whether a side is encrypted and finished without close_notify,
// so that it cannot be told from one whose stream was cut short between two
// records (RFC 8446 6.1).
func (p *Pair) BareFIN(side Side) bool { return p.encrypted(side) && p.streams[side].bareFIN }

// StreamError gives what ended an encrypted side, nil when nothing did.
func (p *Pair) StreamError(side Side) error {
	if !p.encrypted(side) {
		return nil
	}
	return p.streams[side].err
}

// maxBacklog is what may wait for an encrypted side while it is still read
// from: what one write of the other side's bytes can become, and no more. The
// answers to KeyUpdates would grow without bound for a peer that sends but
// never reads.
const maxBacklog = 272 << 10

// backlogged tells whether a side has to take something before more is read
// from it.
func (p *Pair) backlogged(side Side) bool {
	st := p.streams[side]
	return st != nil && !p.state.IsReset(side) && st.wire.out != nil && st.wire.out.len() > maxBacklog
}

// streamFailed notes that TLS cannot go on with a side: a broken or forged
// record, an alert, a failed socket. For the other side that is a reset.
func (p *Pair) streamFailed(side Side, err error) {
	if st := p.streams[side]; st.err == nil {
		st.err = err
	}
	errno := syscall.Errno(0)
	errors.As(err, &errno) // of a failed socket
	p.gone(side, errno)
	p.endOfInput(side)
}

// writeStream encrypts bytes for the other side and sends what its socket takes.
func (p *Pair) writeStream(m *Mover, from Side, b []byte) {
	to := from.Other()
	st := p.streams[to]
	st.wire.reserve = len(b) + (len(b)/maxRecord+1)*recordOverhead
	_, err := st.conn.Write(b)
	st.wire.reserve = 0 // what crypto/tls writes by itself is small
	if err != nil {
		p.streamFailed(to, err)
		return
	}
	p.moved(m, from, len(b))
	p.flushStream(to)
}

// flushStream sends what waits for a side, if it is encrypted, and tells
// whether all of it went.
func (p *Pair) flushStream(side Side) bool {
	st, dst := p.streams[side], &p.ends[side]
	if st == nil || st.wire.out == nil {
		return true
	}
	if p.state.has(stateFINSent, side) {
		st.wire.release() // the answer to a KeyUpdate; it comes too late
		return true
	}
	if p.state.IsReset(side) {
		return false
	}
	if !dst.writable {
		p.state.setQueued(side, true)
		return false
	}
	done, errno := st.wire.flush()
	if errno != 0 {
		p.gone(side, errno)
		return false
	}
	if !done {
		f := &p.flows[side.Other()]
		dst.writable, f.slow, f.full = false, true, 0
	}
	p.state.setQueued(side, !done)
	return done
}

// closeNotified sends a side close_notify once and tells whether it has left.
func (p *Pair) closeNotified(side Side) bool {
	if st := p.streams[side]; !st.notified {
		st.notified = true
		if err := st.conn.CloseWrite(); err != nil {
			p.streamFailed(side, err)
			return false
		}
	}
	return p.flushStream(side)
}

// bothNotified is closeNotified for every encrypted side.
func (p *Pair) bothNotified() bool {
	for side, st := range p.streams {
		if st != nil && !p.closeNotified(Side(side)) {
			return false
		}
	}
	return true
}

// EndStreams tells the encrypted sides that the connection is over in good
// order, as far as their sockets take it: it is for a pair that is about to be
// closed although it could have gone on. A plain side has nothing to be told.
func (p *Pair) EndStreams() {
	for _, side := range [...]Side{Downstream, Upstream} {
		if p.encrypted(side) && !p.state.IsReset(side) {
			p.closeNotified(side)
		}
	}
}

// FlushAlerts sends the alert that crypto/tls wrote when a stream failed, as
// far as the socket takes it.
func (p *Pair) FlushAlerts() {
	for _, side := range [...]Side{Downstream, Upstream} {
		if p.StreamError(side) != nil {
			p.streams[side].wire.flush()
		}
	}
}

// releaseStreams gives the buffers of the streams back.
func (p *Pair) releaseStreams() {
	for _, st := range p.streams {
		if st != nil {
			st.wire.release()
		}
	}
	p.streams = nil
}
