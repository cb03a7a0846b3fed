package proxy

import (
	"syscall"
	"time"

	"sluice/config"
	"sluice/proxy/relay"
)

// The TLS alerts that the gateway sends in the clear, before a handshake
// (RFC 8446 6.2, RFC 6066 3).
const (
	alertDecodeError      = 50
	alertInternalError    = 80
	alertUnrecognizedName = 112
)

// lingerTime is how long a client may take to read an alert and close. Closing
// with unread input would turn the alert into a reset.
const lingerTime = 2 * time.Second

// refused ends a connection that the gateway turns away before it has an
// endpoint, in the way that the configuration says.
func (c *conn) refused(reason Reason, detail string) Termination {
	return c.refusedFor(Termination{Reason: reason, Detail: detail})
}

func (c *conn) refusedFor(t Termination) Termination {
	if t.Reason.isTallied() {
		c.listener.admission.live.refused(t.Reason)
	}
	c.turnAway(c.listener.turnsAway(&c.setup.facts, c.chain, t.Reason))
	return t
}

// turnAway closes the client's side in the given way.
func (c *conn) turnAway(how config.Refusal, alert byte) {
	switch how {
	case config.RefuseReset:
		c.close(relay.Downstream, relay.CloseReset)
	case config.RefuseClose:
		if streams := c.setup.streams; streams[relay.Downstream] != nil {
			c.pair.Init(c.w.mover, int(c.fds[relay.Downstream]), -1, streams)
			c.pair.EndStreams()
		}
		c.lingerAfter(nil)
	case config.RefuseTLSAlert:
		// A fatal alert in a record of its own (RFC 8446 5.1, 6).
		c.lingerAfter([]byte{21, 3, 3, 0, 2, 2, alert})
	}
}

// lingerAfter sends the client its last bytes and a FIN, and then waits for the
// client to close, dropping what it still sends.
func (c *conn) lingerAfter(last []byte) { c.lingerOn(relay.Downstream, last) }

// lingerOn is lingerAfter for either side; the other one must be closed.
func (c *conn) lingerOn(side relay.Side, last []byte) {
	fd := int(c.fds[side])
	if len(last) > 0 {
		relay.Write(fd, last) // a few bytes always fit into an empty send queue
	}
	relay.ShutdownWrite(fd)
	if side == relay.Downstream {
		c.watchClient() // if it fails the deadline ends it all the same
	}
	c.w.SetDeadline(&c.Slot, c.w.Now()+lingerTime)
	c.phase = phaseLingering
}

// linger is a turn of a connection whose client, or endpoint, is expected to
// close.
func (c *conn) linger() {
	side := relay.Downstream
	if c.fds[side] < 0 {
		side = relay.Upstream
	}
	if !c.killed && !c.TakeExpired() {
		switch c.w.mover.Discard(int(c.fds[side])) {
		case relay.Waiting:
			return
		case relay.Again:
			c.w.Again(&c.Slot)
			return
		}
	}
	c.close(side, relay.CloseFIN)
	c.finish(c.extras.ending)
}

// closedEarly ends a connection whose client left before it had said all.
func (c *conn) closedEarly() Termination {
	t := Termination{Reason: reasonClosedEarly, By: byDownstream}
	switch {
	case len(c.setup.buf) == 0:
	case c.setup.headerDue:
		t.Detail = "the client finished inside its PROXY header"
	default:
		c.noteOutcome(helloMalformed)
		t.Detail = "the client finished inside its hello"
	}
	c.close(relay.Downstream, relay.CloseFIN)
	return t
}

// clientGone ends a connection whose client was found reset.
func (c *conn) clientGone(errno syscall.Errno) Termination {
	c.close(relay.Downstream, relay.CloseFIN)
	return goneTermination(errno)
}

// goneTermination is the end of a connection of whose client a call said errno.
func goneTermination(errno syscall.Errno) Termination {
	t := Termination{Reason: reasonReset, By: byDownstream}
	if errno == syscall.ETIMEDOUT {
		t.Reason = reasonTimedOut
	}
	return t
}

// helloTimeout is the end of a connection whose client did not finish its
// hello in time.
func (c *conn) helloTimeout() Termination {
	if c.setup.headerDue {
		return c.headerTimeout()
	}
	c.noteOutcome(helloTimedOut)
	if len(c.setup.buf) == 0 {
		return Termination{Reason: reasonHelloTimeout, Detail: "the client sent nothing"}
	}
	return Termination{Reason: reasonHelloTimeout, Detail: "the hello was not complete in time"}
}

// deaf ends a connection whose client the gateway cannot hear.
func (c *conn) deaf() Termination { return c.refused(reasonResources, deafDetail) }

const deafDetail = "epoll does not take the client's descriptor (fs.epoll.max_user_watches, or memory)"

// drained ends a connection that was still being set up when its time to leave
// had come.
func (c *conn) drained() Termination {
	c.w.gateway.cut.Add(1)
	c.close(relay.Downstream, relay.CloseReset)
	return Termination{Reason: reasonDrain}
}

// headerTimeout is the same for a client that has not sent enough to know its
// PROXY header, or that there is none.
func (c *conn) headerTimeout() Termination {
	if len(c.setup.buf) == 0 {
		return Termination{Reason: reasonProxyHeaderTimeout, Detail: "the client sent nothing, and the first bytes tell whether there is a PROXY header"}
	}
	return Termination{Reason: reasonProxyHeaderTimeout, Detail: "the PROXY header was not complete in time"}
}

// shutDown ends a connection that was still being set up when the gateway
// closed, or when somebody killed it.
func (c *conn) shutDown() Termination {
	c.close(relay.Downstream, relay.CloseReset)
	if c.wasKilled() {
		return Termination{Reason: reasonKilled}
	}
	return Termination{Reason: reasonShutdown}
}
