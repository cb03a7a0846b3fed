package proxy

import (
	"syscall"

	"sluice/proxy/relay"
	"sluice/proxy/upstream"
)

// An endpoint may accept a connection and end it before it has sent a byte: it
// dies with its accept queue full, or lets go of connections that it has no room
// for. Where TLS is passed through all it has got is a ClientHello. That commits
// neither side to anything, so the same bytes can go to another endpoint and the
// client notices nothing (retry_early_reset).
//
// That is decided after the set-up is over, while bytes could flow. So the set-up
// (its hello buffer, and which endpoints were tried) is not let go at the end of
// its coroutine but with the first byte from either side, most often a
// round-trip time of the endpoint later. Until then the connection has 5 KB more
// than an idle one, of the worker's caches, and nothing runs for it; a coroutine
// that waited instead would hold its stack on top. Another attempt is another
// set-up, in a coroutine of its own.

// The results of attempts that came to nothing after the connection was made.
// They are no errnos, which end at 4095 (MAX_ERRNO of the kernel).
const (
	errEarlyReset syscall.Errno = 1<<16 + iota
	errEarlyClose
)

// holdsHello tells, at the end of a set-up, whether the connection may yet have
// to be set up anew: the endpoint has been sent a complete ClientHello and
// nothing else, none of it early data (RFC 8446 4.2.10), which is not to be
// replayed; and there is somewhere else to go.
func (c *conn) holdsHello() bool {
	s := c.setup
	return c.cluster.retryEarlyReset && c.cluster.tls == nil && c.passesTLS() &&
		!s.hello.EarlyData() && len(s.buf) == s.hello.Size() &&
		s.attempts < c.cluster.maxAttempts && c.cluster.Choices() > 1
}

// beforeAnswer is called ahead of each turn while the set-up is held. When the
// endpoint has ended the connection early, it sets the connection up with
// another one and tells true: the turn is over.
func (c *conn) beforeAnswer() bool {
	bytes, ended := c.pair.Announced(relay.Downstream)
	if ended || bytes && relay.Unread(int(c.fds[relay.Downstream])) > 0 {
		c.releaseSetup() // the client has done more than say hello
		return false
	}
	_, ended = c.pair.Announced(relay.Upstream)
	if !ended || relay.Unread(int(c.fds[relay.Upstream])) > 0 {
		return false
	}
	s := c.setup
	s.tried = append(s.tried, c.endpoint)
	next, _ := c.cluster.Pick(&upstream.Request{
		Rand: c.w.rand, Key: c.setup.key(c.cluster.hashOn), Tried: s.tried, Strict: true,
	})
	if next == nil {
		if !c.pair.State().IsReset(relay.Upstream) {
			c.endpoint.EndedEarly(s.source.Addr()) // a reset is counted at its end
		}
		c.releaseSetup()
		return false
	}
	c.tryNext(next)
	return true
}

// tryNext lets go of an endpoint that has ended the connection early and starts
// another set-up, which begins with an attempt on the next one.
func (c *conn) tryNext(next *upstream.Endpoint) {
	s, result := c.setup, errEarlyClose
	if c.pair.State().IsReset(relay.Upstream) {
		result = errEarlyReset
	}
	c.endpoint.EndedEarly(s.source.Addr())
	c.noteFailed(result, nil)
	c.record.connect = 0
	c.pair.Release(c.w.mover)
	c.pair = relay.Pair{}
	c.close(relay.Upstream, relay.CloseReset)
	c.endpoint.Release()
	c.endpoint = next
	c.keepalive, c.halfClose, c.sideGone = false, false, false
	c.phase = phaseSetup
	c.stay()
	c.setupDeadline(0)
	c.w.Start(&c.Slot, (*secondSetup)(c))
}

// secondSetup is a connection that is set up again. It has an endpoint to try.
type secondSetup conn

// Setup is the rest of the path.
func (s *secondSetup) Setup() {
	c := (*conn)(s)
	t := c.reach()
	if !t.Ended() {
		t = c.relay()
	}
	c.setupOver(t)
}

// endedEarly counts a connection that the endpoint has reset, or ended with a TLS
// alert, before it had sent a byte, whatever the client had sent by then. If the
// client had finished, the endpoint may just be rid of it.
func (c *conn) endedEarly(t Termination) {
	if (t.Reason == reasonReset || t.Reason == reasonTLSError) && t.By == byUpstream && c.pair.Bytes(relay.Upstream) == 0 && !c.pair.State().Ended(relay.Downstream) {
		c.endpoint.EndedEarly(c.record.source.addrPort().Addr())
	}
}
