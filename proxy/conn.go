package proxy

import (
	"time"

	"sluice/proxy/poller"
	"sluice/proxy/relay"
	"sluice/proxy/upstream"
)

// phase is where a connection stands between turns of its worker.
type phase uint8

const (
	phaseSetup     phase = iota // its set-up runs in a coroutine
	phaseRelay                  // bytes flow; nothing runs for it
	phaseResetting              // one side is gone; the other is reset once it has acknowledged
	phaseLingering              // an alert was sent; unread input must not turn it into a reset
	phaseClosed
)

// conn is one connection, from accept to its record. All of it belongs to one
// worker. It is kept small: thousands of them wait for bytes at a time, and
// what only the set-up needs is in [setup], which is let go before.
type conn struct {
	poller.Slot
	pair relay.Pair

	w        *worker
	listener *listener // as it was when the connection was accepted
	chain    *chain
	cluster  *cluster
	endpoint *upstream.Endpoint
	setup    *setup // nil once it is not needed any more; see replay.go

	fds       [2]int32 // -1: none
	phase     phase
	watched   bool          // the client's descriptor is in epoll
	killed    bool          // the gateway closes: no more waiting
	admitted  bool          // it has a place in its cluster
	halfClose bool          // the deadline takes the half-close timeout into account
	sideGone  bool          // the deadline takes it into account that a side is reset
	keepalive bool          // set on the endpoint's descriptor
	counted   bool          // by its source
	drainAt   time.Duration // when it leaves; 0: not before it ends by itself
	extras    *extras       // nil while there are none
	record    record
}

// Setup brings the connection up. It is the path of every connection and runs
// in a coroutine of the worker: each step goes on, or ends the connection with
// a Termination, and waits where it has to.
func (c *conn) Setup() {
	c.setupOver(c.path())
}

// setupOver is the end of a set-up. What it leaves is let go, unless it may be
// needed again.
func (c *conn) setupOver(t Termination) {
	if t.Ended() {
		if c.wasKilled() { // and ended by itself just then
			c.killed = true
			t = c.shutDown()
		}
		t.at = c.w.Clock()
		c.extra().ending = t
	} else if c.holdsHello() {
		return
	}
	c.releaseSetup()
}

func (c *conn) path() Termination {
	c.startDeadline()
	if t := c.proxyHeader(); t.Ended() {
		return t
	}
	if t := c.admit(); t.Ended() {
		return t
	}
	if t := c.peek(); t.Ended() {
		return t
	}
	if t := c.match(); t.Ended() {
		return t
	}
	if t := c.terminate(); t.Ended() {
		return t
	}
	if t := c.connect(); t.Ended() {
		return t
	}
	return c.relay()
}

// startDeadline starts the one deadline over PROXY header, hello and handshake.
func (c *conn) startDeadline() {
	if d := c.listener.inspectTimeout; d > 0 {
		c.setupDeadline(c.record.accepted + d)
	}
}

// relay hands the two sides to the pair. From here on no coroutine runs for the
// connection: Ready is called for it.
func (c *conn) relay() Termination {
	if c.killed { // while nothing was waited for
		return c.shutDown()
	}
	s := c.setup
	if !c.watchClient() {
		return c.deaf()
	}
	c.pair.Init(c.w.mover, int(c.fds[relay.Downstream]), int(c.fds[relay.Upstream]), s.streams)
	c.pair.Touch(c.w.Now())
	c.pair.Count(relay.Downstream, s.forwarded)
	if len(s.unsent) > 0 {
		c.w.mover.SetNow(c.w.Now())
		c.pair.Send(c.w.mover, s.unsent)
	}
	if s.mayHaveMore {
		c.pair.Readable(relay.Downstream)
	}
	c.pair.Events(relay.Downstream, s.clientSays)
	c.pair.Events(relay.Upstream, s.endpointSays)
	c.phase = phaseRelay
	c.countFirstBytes()
	c.endpointLost()
	c.loseChain()
	c.setDeadline()
	return Termination{}
}

// Ready is called by the worker when there is something new: after the set-up,
// for events, at the deadline, and for another turn.
func (c *conn) Ready() {
	switch c.phase {
	case phaseSetup:
		c.finish(c.extras.ending)
	case phaseRelay:
		c.turn()
	case phaseResetting:
		c.awaitAck()
	case phaseLingering:
		c.linger()
	}
}

// turn moves bytes and sees to the deadlines.
func (c *conn) turn() {
	for side := range c.fds {
		if ev := c.Take(relay.Side(side)); ev != 0 {
			c.pair.Events(relay.Side(side), ev)
		}
	}
	if c.setup != nil && c.beforeAnswer() {
		return
	}
	c.w.mover.SetNow(c.w.Now())
	received, sent := c.bytes()
	status := c.pair.Turn(c.w.mover)
	c.countBytes(received, sent)
	c.noteProgress()
	switch status {
	case relay.Again:
		c.w.Again(&c.Slot)
	case relay.Finished:
		c.end(c.finishedTermination())
		return
	case relay.PassReset, relay.Aborted:
		c.end(c.resetTermination())
		return
	}
	if c.TakeExpired() {
		c.deadline()
	}
}
