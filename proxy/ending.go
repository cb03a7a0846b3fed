package proxy

import (
	"errors"
	"syscall"
	"time"

	"sluice/proxy/poller"
	"sluice/proxy/relay"
)

// end closes both sides of a connection whose bytes flowed, each in the way
// that tells its peer the truth.
func (c *conn) end(t Termination) {
	c.endedEarly(t)
	switch state := c.pair.State(); {
	case t.By == byGateway && (state.IsReset(relay.Downstream) || state.IsReset(relay.Upstream)):
		// It was over before, but for bytes that the other side does not take.
		c.passReset(c.resetTermination(), 0)
		return
	case t.Reason == reasonFinished:
		c.close(relay.Downstream, relay.CloseFIN)
		c.close(relay.Upstream, relay.CloseFIN)
	case t.By == byGateway:
		c.endByGateway(t.Reason)
	case state.IsReset(relay.Downstream) && state.IsReset(relay.Upstream):
		c.close(relay.Downstream, relay.CloseReset)
		c.close(relay.Upstream, relay.CloseReset)
	default:
		c.passReset(t, relay.AckTimeout)
		return
	}
	c.finish(t)
}

// endByGateway closes a connection that could have gone on. It is a FIN only
// when nothing is lost by it: neither what waits in the pair nor what one side's
// kernel has acknowledged and the pair has not read.
func (c *conn) endByGateway(reason Reason) {
	how := relay.CloseReset
	unread := relay.Unread(int(c.fds[relay.Downstream])) + relay.Unread(int(c.fds[relay.Upstream]))
	if c.pair.Drained() && unread == 0 {
		c.pair.EndStreams()
		how = relay.CloseFIN
	} else if reason == reasonDrain {
		c.w.gateway.cut.Add(1)
	}
	c.close(relay.Downstream, how)
	c.close(relay.Upstream, how)
}

// finishedTermination is the end of a connection whose sides have both finished.
func (c *conn) finishedTermination() Termination {
	t := Termination{Reason: reasonFinished, By: originOf(c.pair.FirstEnded())}
	switch {
	case c.pair.BareFIN(relay.Downstream):
		t.Detail = "the client finished without close_notify"
	case c.pair.BareFIN(relay.Upstream):
		t.Detail = "the endpoint finished without close_notify"
	}
	return t
}

// resetTermination is the end of a connection of which a side is gone.
func (c *conn) resetTermination() Termination {
	side := relay.Downstream
	if !c.pair.State().IsReset(side) || c.pair.FirstGone() == relay.Upstream {
		side = relay.Upstream
	}
	t := Termination{Reason: reasonReset, By: originOf(side)}
	if err := c.pair.StreamError(side); err != nil {
		if errno := syscall.Errno(0); !errors.As(err, &errno) {
			t.Reason, t.Detail = reasonTLSError, err.Error()
		}
	}
	switch errno := c.pair.Errno(side); errno {
	case 0, syscall.ECONNRESET, syscall.EPIPE:
	case syscall.ETIMEDOUT:
		t.Reason = reasonTimedOut
	default:
		t.Detail = errno.Error()
	}
	return t
}

// resetting is what a connection needs while a reset is held back.
type resetting struct {
	gone  relay.Side
	until time.Duration // then it is passed on in any case
	every time.Duration // between looks
}

// How often the unacknowledged bytes are looked at. There is no event for an
// empty send queue, and a peer that is alive acknowledges within its round-trip
// time and delay, 40 ms on Linux.
const (
	firstAckLook = 10 * time.Millisecond
	lastAckLook  = 160 * time.Millisecond
)

// passReset tells the side that is still there that the other one is gone, as
// a reset, once it has acknowledged everything that came before, or the time for
// that is over.
func (c *conn) passReset(t Termination, patience time.Duration) {
	t.at = c.w.Clock()
	c.extra().ending = t
	gone := relay.Downstream
	if !c.pair.State().IsReset(gone) {
		gone = relay.Upstream
	}
	c.pair.FlushAlerts()
	c.extras.reset = resetting{gone: gone, until: c.w.Now() + patience, every: firstAckLook}
	c.phase = phaseResetting
	c.awaitAck()
}

// awaitAck is a turn of a connection whose reset is held back.
func (c *conn) awaitAck() {
	r := &c.extras.reset
	other := r.gone.Other()
	lost := c.Take(other)&poller.Err != 0
	now := c.w.Now()
	if !lost && !c.killed && now < r.until && relay.Unacked(int(c.fds[other])) > 0 {
		c.w.SetDeadline(&c.Slot, now+r.every)
		r.every = min(2*r.every, lastAckLook)
		return
	}
	c.close(other, relay.CloseReset)
	if c.extras.ending.Reason == reasonTLSError && !c.killed {
		c.lingerOn(r.gone, nil) // the alert was sent by FlushAlerts
		return
	}
	c.close(r.gone, relay.CloseReset)
	c.finish(c.extras.ending)
}

// close closes one side, if it is open.
func (c *conn) close(side relay.Side, how func(fd int)) {
	if fd := c.fds[side]; fd >= 0 {
		c.fds[side] = -1
		how(int(fd))
	}
}

// finish is the end of every connection: its record is written, and nothing of
// it is left.
func (c *conn) finish(t Termination) {
	c.close(relay.Downstream, relay.CloseReset)
	c.close(relay.Upstream, relay.CloseReset)
	if c.phase != phaseSetup {
		c.noteProgress()
		c.pair.Release(c.w.mover)
	}
	if c.setup != nil {
		c.releaseSetup()
	}
	c.leaveCluster()
	c.countEnd(t)
	c.log(recordEnd, t)
	c.phase = phaseClosed
	c.w.forget(c)
}

// kill ends the connection because the gateway closes.
func (c *conn) kill() {
	c.killed = true
	if c.phase == phaseRelay {
		c.end(Termination{Reason: reasonShutdown})
		return
	}
	c.w.Again(&c.Slot)
}
