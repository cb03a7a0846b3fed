package relay

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// Wire is a socket as crypto/tls sees it. It has two lives.
//
// During the handshake it belongs to the goroutine that runs the handshake.
// Read and Write then wait for the socket, by waiting to be woken: the worker
// calls [Wire.Wake] for every event and [Wire.Interrupt] when time is up. The
// worker touches nothing else of it until the goroutine has reported.
//
// Afterwards it belongs to the worker, and neither call waits any more. Read
// gives an error that crypto/tls does not hold on to, because it is a
// net.Error with Temporary() true. Write takes everything into a buffer and
// never fails: errors of Write are sticky in crypto/tls, and it may write from
// within Read, to answer a KeyUpdate.
type Wire struct {
	fd            int
	prefix        []byte // was read before TLS began; comes first
	local, remote net.Addr
	serverName    string // of a client
	named         bool
	gate          Gate

	wake        chan struct{} // capacity 1
	interrupted atomic.Pointer[error]
	computing   bool // holds a place in the gate
	starved     bool // was interrupted without one

	end     *end    // set once relaying: the side of the pair
	out     *buffer // what the socket has not taken yet
	buffers *buffers
	reserve int  // how much the caller is about to write
	drained bool // the socket had nothing more and no event came since
	ended   bool // a read gave the socket's end

	header  uint8  // bytes read of a record's header; 0: none, or all of it
	payload uint16 // bytes that are missing of its payload
}

// Gate bounds how many handshakes compute at a time: a slot is held while one
// runs and let go while it waits for its peer. Without it a flood of
// handshakes would have hundreds of runnable goroutines in front of the workers.
type Gate chan struct{}

// NewGate lets n handshakes compute at a time.
func NewGate(n int) Gate { return make(Gate, n) }

func (g Gate) leave() { <-g }

// WireOptions is what a wire needs besides its descriptor.
type WireOptions struct {
	Prefix        []byte   // bytes that were read already; the wire does not keep them past the handshake
	Local, Remote net.Addr // for crypto/tls's callbacks
	ServerName    string   // by which a client's connection was routed
	Named         bool     // false: its hello carried no name
	Gate          Gate
}

// NewWire makes a wire over a non-blocking socket, which stays the caller's.
func NewWire(fd int, o WireOptions) *Wire {
	return &Wire{
		fd: fd, prefix: o.Prefix, local: o.Local, remote: o.Remote,
		serverName: o.ServerName, named: o.Named, gate: o.Gate,
		wake: make(chan struct{}, 1),
	}
}

// RoutedServerName gives the server name by which the connection was routed,
// so that TLS policy cannot be chosen by another one.
func (w *Wire) RoutedServerName() (string, bool) { return w.serverName, w.named }

// Wake tells a waiting handshake to try again. It never blocks.
func (w *Wire) Wake() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Interrupt makes the handshake fail with err at its next call, or now when it
// waits.
func (w *Wire) Interrupt(err error) {
	w.interrupted.CompareAndSwap(nil, &err)
	w.Wake()
}

// Starved tells, once the handshake has failed, whether it was interrupted while
// it waited for others to compute: then its peer is not to blame for the time.
func (w *Wire) Starved() bool { return w.starved }

// enter waits for a place in the gate, but not beyond an interruption. A wake
// that comes meanwhile is not lost: what it is about is tried next.
func (w *Wire) enter() error {
	for {
		select {
		case w.gate <- struct{}{}:
			w.computing = true
			return nil
		case <-w.wake:
			if err := w.refused(); err != nil {
				w.starved = true
				return err
			}
		}
	}
}

// leave gives the place back.
func (w *Wire) leave() {
	if w.computing {
		w.computing = false
		w.gate.leave()
	}
}

// await waits to be woken, outside of the gate.
func (w *Wire) await() error {
	w.leave()
	<-w.wake
	if err := w.refused(); err != nil {
		return err
	}
	if err := w.enter(); err != nil {
		return err
	}
	return w.refused()
}

// refused gives the error that a handshake was interrupted with.
func (w *Wire) refused() error {
	if err := w.interrupted.Load(); err != nil {
		return *err
	}
	return nil
}

// wouldBlock says that a call has nothing to do now. crypto/tls passes it on
// and can be called again (crypto/tls readRecordOrCCS).
type wouldBlock struct{}

var errWouldBlock error = wouldBlock{}

func (wouldBlock) Error() string   { return "nothing to read yet" }
func (wouldBlock) Timeout() bool   { return true }
func (wouldBlock) Temporary() bool { return true }

// wireError is a failed call on the socket. It is no net.Error on purpose:
// syscall.ETIMEDOUT calls itself temporary, and crypto/tls would try again and
// take the end that follows for a clean one.
type wireError struct{ errno syscall.Errno }

func (e *wireError) Error() string { return e.errno.Error() }
func (e *wireError) Unwrap() error { return e.errno }

// Read is net.Conn's.
func (w *Wire) Read(b []byte) (int, error) {
	if err := w.refused(); w.end == nil && err != nil {
		return 0, err
	}
	if len(w.prefix) > 0 {
		n := copy(b, w.prefix)
		w.follow(b[:n])
		w.prefix = w.prefix[n:]
		return n, nil
	}
	for {
		if w.end != nil && w.drained {
			return 0, errWouldBlock
		}
		n, errno := sysRead(w.fd, b)
		switch {
		case errno == syscall.EAGAIN && w.end != nil:
			w.drained, w.end.finishing = true, false
			return 0, errWouldBlock
		case errno == syscall.EAGAIN:
			if err := w.await(); err != nil {
				return 0, err
			}
			continue
		case errno != 0:
			return 0, &wireError{errno}
		case n == 0 && len(b) > 0:
			w.ended = true
			return 0, io.EOF
		}
		w.follow(b[:n])
		if w.end != nil && n < len(b) && !w.end.finishing {
			w.drained = true
		}
		return n, nil
	}
}

// recordHeader is the length of a record's header: its type, its version, and
// in the last two bytes the length of what follows (RFC 8446 5.1).
const recordHeader = 5

// follow keeps track of where records begin and end in what was read. crypto/tls
// holds on to a record that has not come whole, and does not tell.
func (w *Wire) follow(b []byte) {
	for len(b) > 0 {
		if w.header == 0 && w.payload > 0 {
			n := min(int(w.payload), len(b))
			w.payload -= uint16(n)
			b = b[n:]
			continue
		}
		switch w.header++; w.header {
		case recordHeader - 1:
			w.payload = uint16(b[0]) << 8
		case recordHeader:
			w.header, w.payload = 0, w.payload|uint16(b[0])
		}
		b = b[1:]
	}
}

// insideRecord tells whether a part of a record was read, and not all of it.
func (w *Wire) insideRecord() bool { return w.header > 0 || w.payload > 0 }

// Write is net.Conn's.
func (w *Wire) Write(b []byte) (int, error) {
	if w.end != nil {
		w.take(b)
		return len(b), nil
	}
	if err := w.refused(); err != nil {
		return 0, err
	}
	for sent := 0; ; {
		n, errno := sysWrite(w.fd, b[sent:])
		sent += n
		switch {
		case errno != 0 && errno != syscall.EAGAIN:
			return sent, &wireError{errno}
		case sent == len(b):
			return sent, nil
		}
		if err := w.await(); err != nil {
			return sent, err
		}
	}
}

// take adds bytes to what waits for the socket.
func (w *Wire) take(b []byte) {
	if w.out == nil {
		w.out = w.buffers.get(max(len(b), w.reserve))
	} else if w.out.room() < len(b) {
		bigger := w.buffers.get(w.out.len() + len(b))
		bigger.add(w.out.bytes())
		w.buffers.put(w.out)
		w.out = bigger
	}
	w.out.add(b)
}

// flush sends what waits and tells whether all of it went.
func (w *Wire) flush() (bool, syscall.Errno) {
	if w.out == nil {
		return true, 0
	}
	n, errno := sysWrite(w.fd, w.out.bytes())
	if errno != 0 && errno != syscall.EAGAIN {
		return false, errno
	}
	if w.out.start += n; w.out.len() > 0 {
		return false, 0
	}
	w.buffers.put(w.out)
	w.out = nil
	return true, 0
}

// attach begins the wire's second life.
func (w *Wire) attach(e *end, bs *buffers) {
	w.end, w.buffers = e, bs
	w.prefix, w.wake, w.gate = nil, nil, nil
}

// release gives its buffer back.
func (w *Wire) release() {
	if w.out != nil {
		w.buffers.put(w.out)
		w.out = nil
	}
}

// LocalAddr and RemoteAddr are net.Conn's.
func (w *Wire) LocalAddr() net.Addr  { return w.local }
func (w *Wire) RemoteAddr() net.Addr { return w.remote }

var errNotOurs = errors.New("BUG: relay: the wire's owner closes it and keeps its deadlines")

// Close and the deadlines are net.Conn's. Nobody calls them: the connection
// closes its descriptors itself, and its worker keeps its deadlines.
func (w *Wire) Close() error                    { panic(errNotOurs) }
func (w *Wire) SetDeadline(time.Time) error     { panic(errNotOurs) }
func (w *Wire) SetReadDeadline(time.Time) error { panic(errNotOurs) }

// SetWriteDeadline does nothing. crypto/tls sets one around close_notify; a
// relaying wire never waits to write.
func (w *Wire) SetWriteDeadline(time.Time) error { return nil }
