package proxy

import (
	"math/rand/v2"
	"time"

	"sluice/proxy/relay"
)

// keepaliveAfter is how long a connection has lived before keep-alive is set
// on the endpoint's side. Most end sooner and are spared the four system calls;
// no keep-alive is due before it, since its idle time is longer.
const keepaliveAfter = 10 * time.Second

// noteProgress takes note of what a turn has changed.
func (c *conn) noteProgress() {
	if c.record.firstByte == 0 && c.pair.Bytes(relay.Upstream) > 0 {
		c.record.firstByte = microseconds(c.w.Now() - c.record.accepted)
		c.endpoint.Answered()
		if c.setup != nil {
			c.releaseSetup()
		}
	}
	if state := c.pair.State(); !c.sideGone && (state.IsReset(relay.Downstream) || state.IsReset(relay.Upstream)) {
		c.sideGone = true
		c.pair.Touch(c.w.Now())
		if c.phase == phaseRelay {
			c.setDeadline()
		}
	}
	if !c.halfClose && c.pair.State().HalfClosed() {
		c.halfClose = true
		c.pair.Touch(c.w.Now()) // the time allowed begins with the end, not with the last byte before it
		if c.chain.halfCloseTimeout > 0 && c.phase == phaseRelay {
			c.setDeadline()
		}
	}
}

// idleUntil is when the connection has been idle for too long; 0 for never.
func (c *conn) idleUntil() (at time.Duration, reason Reason) {
	limit, reason := c.chain.idleTimeout, reasonIdleTimeout
	if half := c.chain.halfCloseTimeout; c.halfClose && half > 0 && (limit == 0 || half < limit) {
		limit, reason = half, reasonHalfCloseTimeout
	}
	if c.sideGone && (limit == 0 || limit > relay.AckTimeout) {
		limit = relay.AckTimeout // for what the other side has still to take
	}
	if limit == 0 {
		return 0, reason
	}
	return c.pair.LastActive() + limit, reason
}

// setDeadline sets the connection's one timer to whatever comes first. The
// idle time is not moved with every byte: when it runs out the connection looks
// whether there were any.
func (c *conn) setDeadline() {
	var first time.Duration
	consider := func(at time.Duration) {
		if at > 0 && (first == 0 || at < first) {
			first = at
		}
	}
	idle, _ := c.idleUntil()
	consider(idle)
	if c.chain.maxDuration > 0 {
		consider(c.record.accepted + c.chain.maxDuration)
	}
	consider(c.drainAt)
	if !c.keepalive {
		consider(c.record.accepted + keepaliveAfter)
	}
	consider(c.nextPeriodic())
	if first == 0 {
		c.w.ClearDeadline(&c.Slot)
		return
	}
	c.w.SetDeadline(&c.Slot, first)
}

// setupDeadline sets the one timer of a connection that is being set up: to
// when the step under way has to be over, 0 for no such time, or to when the
// connection leaves because the gateway drains, whatever comes first.
func (c *conn) setupDeadline(at time.Duration) {
	c.setup.deadline = at
	if c.drainAt > 0 && (at == 0 || c.drainAt < at) {
		at = c.drainAt
	}
	if at == 0 {
		c.w.ClearDeadline(&c.Slot)
		return
	}
	c.w.SetDeadline(&c.Slot, at)
}

// deadline is called when the timer has run out.
func (c *conn) deadline() {
	now := c.w.Now()
	idle, reason := c.idleUntil()
	switch {
	case c.drainAt > 0 && now >= c.drainAt:
		c.end(Termination{Reason: c.leaving()})
		return
	case c.chain.maxDuration > 0 && now >= c.record.accepted+c.chain.maxDuration:
		c.end(Termination{Reason: reasonMaxDuration})
		return
	case idle > 0 && now >= idle:
		c.end(Termination{Reason: reason})
		return
	}
	if !c.keepalive && now >= c.record.accepted+keepaliveAfter {
		c.setKeepalive()
	}
	if next := c.nextPeriodic(); next > 0 && now >= next {
		c.log(recordPeriodic, Termination{})
		c.extras.nextPeriodic = 0
		if b := c.w.records; b != nil && b.wants(recordPeriodic) {
			c.extras.nextPeriodic = now + b.log.interval
		}
	}
	c.setDeadline()
}

// drain makes the connection leave at a time within the timeout that is its
// own.
func (c *conn) drain(timeout time.Duration) { c.leaveAt(c.leaveTime(timeout), reasonDrain) }

// leaveTime gives a time within the timeout that is the connection's own: the
// first half is for ending by itself, over the second half those that have not
// are spread, so that their clients do not all come back at once.
func (c *conn) leaveTime(timeout time.Duration) time.Duration {
	half := timeout / 2
	return c.w.Now() + half + rand.N(timeout-half+1)
}

// leaveAt makes the connection end at a time, unless it is to end before.
func (c *conn) leaveAt(at time.Duration, reason Reason) {
	if c.drainAt > 0 && c.drainAt <= at {
		return
	}
	c.drainAt = max(at, 1)
	if reason != reasonDrain || c.extras != nil {
		c.extra().leaving = reason
	}
	c.leaveTimeChanged()
}

// leaving is why the connection leaves, when it has a time for that.
func (c *conn) leaving() Reason {
	switch {
	case c.drainAt == 0:
		return reasonNone
	case c.extras == nil, c.extras.leaving == reasonNone:
		return reasonDrain
	}
	return c.extras.leaving
}

// stay takes back that the connection leaves for what is wrong with its
// endpoint.
func (c *conn) stay() {
	if l := c.leaving(); l != reasonEndpointUnhealthy && l != reasonEndpointRemoved {
		return
	}
	c.drainAt = 0
	if c.w.draining > 0 {
		c.drain(c.w.draining)
	}
	c.leaveTimeChanged()
}

func (c *conn) leaveTimeChanged() {
	switch c.phase {
	case phaseSetup:
		c.setupDeadline(c.setup.deadline)
	case phaseRelay:
		c.setDeadline()
	}
}
