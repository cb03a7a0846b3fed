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
	if !c.halfClose && c.pair.State().HalfClosed() {
		c.halfClose = true
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
	consider(c.record.nextPeriodic)
	if first == 0 {
		c.w.ClearDeadline(&c.Slot)
		return
	}
	c.w.SetDeadline(&c.Slot, first)
}

// deadline is called when the timer has run out.
func (c *conn) deadline() {
	now := c.w.Now()
	idle, reason := c.idleUntil()
	switch {
	case c.drainAt > 0 && now >= c.drainAt:
		c.end(Termination{Reason: c.leaving})
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
	if next := c.record.nextPeriodic; next > 0 && now >= next {
		c.log(recordPeriodic, Termination{})
		c.record.nextPeriodic = now + c.w.gateway.accessLog.interval
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
	c.drainAt, c.leaving = max(at, 1), reason
	if c.phase == phaseRelay {
		c.setDeadline()
	}
}

// stay takes back that the connection leaves for what is wrong with its
// endpoint.
func (c *conn) stay() {
	if c.leaving != reasonEndpointUnhealthy && c.leaving != reasonEndpointRemoved {
		return
	}
	c.drainAt, c.leaving = 0, reasonNone
	if c.w.draining > 0 {
		c.drain(c.w.draining)
	}
	if c.phase == phaseRelay {
		c.setDeadline()
	}
}
