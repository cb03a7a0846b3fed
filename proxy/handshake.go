package proxy

import (
	"crypto/tls"
	"errors"

	"sluice/proxy/poller"
	"sluice/proxy/relay"
)

// A TLS handshake, with the client or with the endpoint, runs in a goroutine of
// its own, while the connection's set-up waits for it.

// handshake is what the handshake's goroutine brings back.
type handshake struct {
	stream *relay.Stream
	err    error
	done   bool
}

// handshake runs in a goroutine of its own; shake is what it runs. Of the
// connection it touches nothing but the wire. The worker itself takes note of the
// outcome: were it known ahead of the message, some other event could let the
// connection go on and end, and the message would find another one in its place.
func (c *conn) handshake(wire *relay.Wire, shake func(*relay.Wire, *tls.Config) (*relay.Stream, error), config *tls.Config, h *handshake) {
	defer c.w.gateway.handshaking.Done()
	stream, err := shake(wire, config)
	c.w.Post(func() {
		*h = handshake{stream, err, true}
		c.w.Again(&c.Slot)
	})
}

// awaitHandshake waits for the goroutine, and wakes it for events. When the
// connection has to end it makes the goroutine give up, and says why. When time is
// up it makes it give up with the error timeUp, which is the outcome then, unless
// the handshake was faster.
func (c *conn) awaitHandshake(wire *relay.Wire, h *handshake, timeUp error) (t Termination) {
	s := c.setup
	for {
		news := c.await()
		s.clientSays |= c.Take(relay.Downstream)
		s.endpointSays |= c.Take(relay.Upstream)
		switch {
		case h.done:
			return t
		case t.Reason == reasonShutdown:
			c.killed = false // nothing else counts any more
		case news == newsKilled:
			t = Termination{Reason: reasonShutdown}
			wire.Interrupt(errShutdown)
			c.killed = false // said once; the goroutine will answer
		case news == newsDrained:
			t = Termination{Reason: reasonDrain}
			wire.Interrupt(errShutdown)
		case news == newsDeaf:
			t = Termination{Reason: reasonResources, Detail: deafDetail}
			wire.Interrupt(errDeaf)
		case news == newsTimeUp:
			wire.Interrupt(timeUp)
		case wire != s.wire && s.clientSays&poller.Err != 0 && !t.Ended():
			// The handshake is with the endpoint and cannot notice.
			t = goneTermination(0)
			wire.Interrupt(errClientGone)
		default:
			wire.Wake()
		}
	}
}

// What a handshake that was made to give up fails with.
var (
	errShutdown            = errors.New("the gateway is shutting down")
	errDeaf                = errors.New(deafDetail)
	errClientGone          = errors.New("the client is gone")
	errHandshakeTimeout    = errors.New("the handshake was not complete in time")
	errOriginationTimeout  = errors.New("connect_timeout passed during the TLS handshake")
	errOriginationOverload = errors.New("connect_timeout passed while the gateway had more TLS handshakes than it can compute")
)
