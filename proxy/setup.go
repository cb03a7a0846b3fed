package proxy

import (
	"syscall"
	"time"

	"sluice/proxy/poller"
	"sluice/proxy/relay"
	"sluice/proxy/upstream"
	"sluice/tlsutil/clienthello"
)

// setup is what a connection needs only until its bytes flow, or until the
// endpoint has answered (replay.go). A worker keeps some for reuse.
type setup struct {
	facts
	headerDue bool          // a PROXY header may come, or has not come whole
	tlvs      []byte        // of the header
	header    []byte        // for the endpoint, in front of everything; nil: none
	deadline  time.Duration // of the step under way; 0: none

	oneProtocol bool   // the hello offers just one application protocol
	buf         []byte // what was read from the client and not yet passed on; nil until there was something

	mayHaveMore  bool          // the last read did not empty the client's queue
	clientSays   poller.Events // what was reported while something else was waited for
	endpointSays poller.Events

	began        time.Duration // connecting, after any wait for a place
	attemptBegan time.Duration
	attempts     int
	tried        []*upstream.Endpoint
	attemptError error // of an attempt that failed in TLS; nil: an errno says it all

	wire      *relay.Wire   // of a terminated connection
	streams   relay.Streams // the sides that are encrypted, after their handshakes
	forwarded int           // bytes of buf that the endpoint took
	unsent    []byte        // the part of buf that it did not
}

// helloBufferSize holds a hello with a post-quantum key share (about 1.8 KB)
// and what usually comes with it. A longer one moves to a bigger buffer.
const helloBufferSize = 4 << 10

// maxKeptSetups bounds what a worker keeps for the next set-ups: as many
// setups, of 0.5 KB, and as many buffers.
const maxKeptSetups = 256

// maxKeptTLVs is more than the TLVs of most headers take.
const maxKeptTLVs = 512

func (w *worker) newSetup() *setup {
	if n := len(w.setups); n > 0 {
		s := w.setups[n-1]
		w.setups = w.setups[:n-1]
		return s
	}
	return &setup{}
}

// newHelloBuffer gives an empty buffer of helloBufferSize. A client that has
// not said anything has none: there may be thousands of them.
func (w *worker) newHelloBuffer() []byte {
	if n := len(w.helloBuffers); n > 0 {
		b := w.helloBuffers[n-1]
		w.helloBuffers = w.helloBuffers[:n-1]
		return b
	}
	return make([]byte, 0, helloBufferSize)
}

func (c *conn) releaseSetup() {
	s := c.setup
	c.dropHelloBuffer()
	c.setup = nil
	if len(c.w.setups) < maxKeptSetups {
		clear(s.tried)
		tlvs := s.tlvs[:0]
		if cap(tlvs) > maxKeptTLVs {
			tlvs = nil
		}
		*s = setup{tried: s.tried[:0], tlvs: tlvs}
		c.w.setups = append(c.w.setups, s)
	}
}

// dropHelloBuffer gives up what was read.
func (c *conn) dropHelloBuffer() {
	s := c.setup
	if cap(s.buf) == helloBufferSize && len(c.w.helloBuffers) < maxKeptSetups {
		c.w.helloBuffers = append(c.w.helloBuffers, s.buf[:0])
	}
	s.buf = nil
}

// news is why a wait is over.
type news uint8

const (
	newsEvents  news = iota // try again
	newsTimeUp              // the deadline has passed
	newsDrained             // it is time to leave, because the gateway drains
	newsKilled              // the gateway closes
	newsDeaf                // no event of the client will come: see watchClient
)

// await gives the worker back until there is news. Everything that was waited
// for has to be tried again afterwards.
func (c *conn) await() news {
	if !c.watchClient() {
		return newsDeaf
	}
	if !c.killed {
		c.Wait()
	}
	switch {
	case c.killed:
		return newsKilled
	case !c.TakeExpired():
		return newsEvents
	case c.drainAt > 0 && c.w.Now() >= c.drainAt:
		return newsDrained
	}
	return newsTimeUp
}

// watchClient registers the client's descriptor, once. A connection whose
// hello was there at once is not registered before it has an endpoint. It tells
// false, once too, when epoll does not take the descriptor (ENOMEM, or ENOSPC of
// fs.epoll.max_user_watches): nothing will be heard of the client, so the
// connection has to end.
func (c *conn) watchClient() bool {
	if c.watched {
		return true
	}
	c.watched = true
	err := c.w.Register(&c.Slot, relay.Downstream, int(c.fds[relay.Downstream]))
	if err != nil {
		c.w.gateway.watchFailed(err)
	}
	return err == nil
}

// peek reads the ClientHello where one is needed. It reads, rather than looks:
// the bytes are passed on later, with one write.
func (c *conn) peek() Termination {
	s, r := c.setup, &c.record
	if !c.listener.needsHello(&s.facts) {
		return Termination{} // what the client has sent is reported when it is registered
	}
	defer func() { r.peek = microseconds(c.w.Clock() - r.accepted) }()
	limit := c.listener.maxHello
	for more := len(s.buf) == 0; ; more = true { // behind a PROXY header there may be something
		if more {
			if t := c.readHello(limit); t.Ended() {
				return t
			}
		}
		if c.listener.parse(&s.facts, s.buf, c.w.scratch()) == clienthello.NeedMore {
			continue
		}
		c.noteHello()
		if reason := s.unreadable(); reason != reasonNone {
			return c.refused(reason, s.hello.Reason())
		}
		return Termination{}
	}
}

// readHello reads at least one more byte of the client, waiting for it.
func (c *conn) readHello(limit int) Termination {
	s, fd := c.setup, int(c.fds[relay.Downstream])
	if s.buf != nil && len(s.buf) == cap(s.buf) {
		s.buf = append(make([]byte, 0, min(4*cap(s.buf), max(limit, cap(s.buf)+1))), s.buf...)
	}
	for {
		room := s.buf[len(s.buf):cap(s.buf)]
		if s.buf == nil {
			room = c.w.scratch()[:helloBufferSize]
		}
		n, errno := relay.Read(fd, room)
		switch {
		case errno == syscall.EAGAIN:
			switch c.await() {
			case newsTimeUp:
				return c.refusedFor(c.helloTimeout())
			case newsDrained:
				return c.drained()
			case newsKilled:
				return c.shutDown()
			case newsDeaf:
				return c.deaf()
			}
			continue
		case errno != 0:
			return c.clientGone(errno)
		case n == 0:
			return c.closedEarly()
		}
		if s.buf == nil {
			s.buf = append(c.w.newHelloBuffer(), room[:n]...)
		} else {
			s.buf = s.buf[:len(s.buf)+n]
		}
		// What was reported up to now was reported before this read.
		said := c.Take(relay.Downstream) &^ (poller.In | poller.Out)
		s.clientSays |= said
		s.mayHaveMore = n == len(room) || said != 0
		c.record.received += uint32(n)
		return Termination{}
	}
}

// match finds the chain that takes the connection.
func (c *conn) match() Termination {
	var reason Reason
	c.chain, reason = c.listener.takes(&c.setup.facts)
	if c.chain == nil {
		return c.refused(reason, "")
	}
	c.countChain()
	if reason != reasonNone {
		return c.refusedFor(refusal(reason))
	}
	return Termination{}
}
