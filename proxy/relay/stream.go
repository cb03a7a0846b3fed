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

// Stream is the encrypted side of a terminated connection.
type Stream struct {
	conn     *tls.Conn
	wire     *Wire
	notified bool  // close_notify was written
	bareFIN  bool  // the client finished without close_notify
	pending  error // ends it, once the bytes that came before are passed on
	err      error // what ended it, when it was not an orderly end
}

// Handshake runs a server handshake on the wire and gives the stream for a
// pair. It waits, so it runs in a goroutine of its own, which owns the wire
// until it returns.
func Handshake(w *Wire, c *tls.Config) (*Stream, error) {
	w.gate.enter()
	defer w.gate.leave()
	conn := tls.Server(w, c)
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

// readStream fills buf with whole records as long as there are any: the plain
// side then gets one write for several.
func (p *Pair) readStream(buf []byte) int {
	st, n := p.stream, 0
	if st.pending != nil {
		p.streamEnded(st.pending)
		return 0
	}
	for n == 0 || len(buf)-n >= maxRecord && !p.backlogged() {
		got, err := st.conn.Read(buf[n:])
		n += got
		if err == nil {
			continue
		}
		switch {
		case err == errWouldBlock:
			p.ends[Downstream].readable = false
		case n > 0:
			// crypto/tls may not say so again: what it cannot do with a
			// handshake message it says once and goes on. The side stays
			// readable, so there is a next call.
			st.pending = err
		default:
			p.streamEnded(err)
		}
		break
	}
	return n
}

// streamEnded notes that nothing more can be read from the encrypted side.
func (p *Pair) streamEnded(err error) {
	if err != io.EOF {
		p.streamFailed(err)
		return
	}
	// close_notify, or a FIN between two records: many clients send no
	// close_notify, and crypto/tls, like every peer of ours, takes that for an
	// end. A FIN inside a record is an error.
	st := p.stream
	st.bareFIN = st.wire.ended && !st.notified && !p.state.IsReset(Downstream)
	p.endOfInput(Downstream)
}

// BareFIN tells whether an encrypted client finished without close_notify, so
// that it cannot be told from one whose stream was cut short between two records
// (RFC 8446 6.1).
func (p *Pair) BareFIN() bool { return p.stream != nil && p.stream.bareFIN }

// maxBacklog is what may wait for the client while it is still read from: what
// one write of the endpoint's bytes can become, and no more. The answers to
// KeyUpdates would grow without bound for a client that sends but never reads.
const maxBacklog = 272 << 10

// backlogged tells whether the client has to take something before more is
// read from it.
func (p *Pair) backlogged() bool {
	return p.stream != nil && !p.state.IsReset(Downstream) &&
		p.stream.wire.out != nil && p.stream.wire.out.len() > maxBacklog
}

// streamFailed notes that TLS cannot go on: a broken or forged record, an alert
// of the client, a failed socket. For the other side that is a reset.
func (p *Pair) streamFailed(err error) {
	if p.stream.err == nil {
		p.stream.err = err
	}
	errno := syscall.Errno(0)
	errors.As(err, &errno) // of a failed socket
	p.gone(Downstream, errno)
	p.endOfInput(Downstream)
}

// writeStream encrypts bytes of the endpoint and sends what the socket takes.
func (p *Pair) writeStream(m *Mover, b []byte) {
	st := p.stream
	st.wire.reserve = len(b) + (len(b)/maxRecord+1)*recordOverhead
	_, err := st.conn.Write(b)
	st.wire.reserve = 0 // what crypto/tls writes by itself is small
	if err != nil {
		p.streamFailed(err)
		return
	}
	p.moved(m, Upstream, len(b))
	p.flushStream()
}

// flushStream sends what waits for the encrypted side and tells whether all of
// it went.
func (p *Pair) flushStream() bool {
	dst := &p.ends[Downstream]
	if p.stream.wire.out == nil {
		return true
	}
	if p.state.has(stateFINSent, Downstream) {
		p.stream.wire.release() // the answer to a KeyUpdate; it comes too late
		return true
	}
	if p.state.IsReset(Downstream) || !dst.writable {
		return false
	}
	done, errno := p.stream.wire.flush()
	if errno != 0 {
		p.gone(Downstream, errno)
		return false
	}
	if !done {
		f := &p.flows[Upstream]
		dst.writable, f.slow, f.full = false, true, 0
	}
	p.state.setQueued(Downstream, !done)
	return done
}

// closeNotified sends close_notify once and tells whether it has left.
func (p *Pair) closeNotified() bool {
	if st := p.stream; !st.notified {
		st.notified = true
		if err := st.conn.CloseWrite(); err != nil {
			p.streamFailed(err)
			return false
		}
	}
	return p.flushStream()
}

// EndStream tells an encrypted side that the connection is over in good order,
// as far as its socket takes it: it is for a pair that is about to be closed
// although it could have gone on. A plain pair has nothing to say.
func (p *Pair) EndStream() {
	if p.stream != nil && !p.state.IsReset(Downstream) {
		p.closeNotified()
	}
}

// FlushAlert sends the alert that crypto/tls wrote when the stream failed, as
// far as the socket takes it.
func (p *Pair) FlushAlert() {
	if p.stream != nil && p.stream.err != nil {
		p.stream.wire.flush()
	}
}
