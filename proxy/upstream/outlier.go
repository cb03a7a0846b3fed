package upstream

import (
	"net/netip"
	"time"
)

// Outlier is when an endpoint is ejected for what its connections met with, and
// for how long.
type Outlier struct {
	ConsecutiveFailures int // of either kind, see below
	BaseEjectionTime    time.Duration
	MaxEjectionTime     time.Duration
	MaxEjectionPercent  int // of the cluster's endpoints at a time
}

// Two things count, each in a row of its own: attempts that failed, until one
// succeeds, and connections that the endpoint ended before it had sent a byte,
// until it has sent one on any connection. The latter a client may have brought
// about, with bytes that make the endpoint give up: they count for an ejection
// only when they came from three sources within a base ejection time. So do
// attempts that failed over something which the client chose.
const earlySources = 3

// earlySource is a source whose connection was ended early, and when last.
type earlySource struct {
	source netip.Prefix
	at     time.Duration // on the cluster's clock; 0: none
}

// ejections is what an endpoint keeps of failures beside its two counts. It is
// guarded by the cluster's lock.
type ejections struct {
	sources [earlySources]earlySource // the latest different ones
	count   int                       // ejections, since it last served for long
	until   time.Duration             // of the current one, or when the last was over
	timer   *time.Timer               // ends the current one
}

// stopLocked forgets the end of an ejection.
func (j *ejections) stopLocked() {
	if j.timer != nil {
		j.timer.Stop()
		j.timer = nil
	}
}

// Ejection is an endpoint that is held off, or is no more.
type Ejection struct {
	Endpoint *Endpoint
	Ejected  bool
	Reason   string        // in words: why, or why it ended
	For      time.Duration // of a new one
	Count    int           // ejections in a row, this one included
}

// AttemptSucceeded counts an attempt that became a connection.
func (e *Endpoint) AttemptSucceeded() {
	e.Counters.Connections.Add(1)
	if e.failedAttempts.Load() != 0 {
		e.failedAttempts.Store(0)
	}
}

// AttemptFailed counts an attempt that failed by the endpoint's fault. What
// failed for want of the gateway's own resources is not to be reported.
func (e *Endpoint) AttemptFailed() {
	e.Counters.Failures.Add(1)
	n, o := e.failedAttempts.Add(1), e.cluster.options.Load().Outlier
	if o != nil && int(n) >= o.ConsecutiveFailures {
		e.cluster.eject(e, "consecutive failed attempts", nil)
	}
}

// AttemptFailedFor counts an attempt that failed in a way that its client, at the
// address, may have brought about. For an ejection it counts as a connection that
// the endpoint ended early: see [Endpoint.EndedEarly].
func (e *Endpoint) AttemptFailedFor(client netip.Addr) {
	e.Counters.Failures.Add(1)
	e.cameToNothing(client)
}

// Answered takes note of the first byte that the endpoint sent on a connection.
func (e *Endpoint) Answered() {
	if e.earlyEnds.Load() != 0 {
		e.earlyEnds.Store(0)
	}
}

// EndedEarly counts a connection, of a client at the address, that the endpoint
// ended before it had sent a byte.
func (e *Endpoint) EndedEarly(client netip.Addr) {
	e.Counters.EarlyEnds.Add(1)
	e.cameToNothing(client)
}

func (e *Endpoint) cameToNothing(client netip.Addr) {
	n, o := e.earlyEnds.Add(1), e.cluster.options.Load().Outlier
	if o == nil {
		return
	}
	source, now, c := sourceOf(client), e.cluster.clock(), e.cluster
	c.mu.Lock()
	if n == 1 {
		e.ejections.sources = [earlySources]earlySource{}
	}
	e.ejections.noteLocked(source, now)
	c.mu.Unlock()
	if int(n) >= o.ConsecutiveFailures {
		c.eject(e, "consecutive connections ended before the first byte", func() bool {
			return e.ejections.sourcesSinceLocked(now-o.BaseEjectionTime) == earlySources
		})
	}
}

// sourceOf is what counts as one source: an IPv4 address, an IPv6 /64, which
// one client has all of, and all clients of unix sockets together.
func sourceOf(a netip.Addr) netip.Prefix {
	bits := 64
	if a = a.Unmap(); a.Is4() {
		bits = 32
	}
	p, _ := a.WithZone("").Prefix(bits)
	return p
}

// noteLocked keeps the source in place of itself, or of the oldest one.
func (j *ejections) noteLocked(source netip.Prefix, at time.Duration) {
	oldest := 0
	for i := range j.sources {
		s := &j.sources[i]
		if s.at != 0 && s.source == source {
			s.at = at
			return
		}
		if s.at < j.sources[oldest].at {
			oldest = i
		}
	}
	j.sources[oldest] = earlySource{source, at}
}

func (j *ejections) sourcesSinceLocked(since time.Duration) (n int) {
	for _, s := range j.sources {
		if s.at != 0 && s.at >= since {
			n++
		}
	}
	return n
}

// eject holds the endpoint off, when it serves, condition (nil: none) holds and
// the cluster can do without it.
func (c *Cluster) eject(e *Endpoint, reason string, condition func() bool) {
	c.mu.Lock()
	o := c.options.Load()
	if o.Outlier == nil || !e.Serving() || condition != nil && !condition() || !c.canDoWithoutLocked(e, o.Outlier) {
		c.mu.Unlock()
		return
	}
	now, j := c.clock(), &e.ejections
	if j.count > 0 && now-j.until > o.Outlier.MaxEjectionTime {
		j.count = 0 // it has done well for long
	}
	j.count++
	span := min(o.Outlier.BaseEjectionTime*time.Duration(j.count), o.Outlier.MaxEjectionTime)
	j.until = now + span
	j.timer = time.AfterFunc(span, e.serveTime)
	e.Counters.Ejections.Add(1)
	e.setEjectedLocked(true)
	told := Ejection{Endpoint: e, Ejected: true, Reason: reason, For: span, Count: j.count}
	c.mu.Unlock()
	if o.OnEjection != nil {
		o.OnEjection(told)
	}
}

// canDoWithoutLocked tells whether the endpoint may be ejected: another one
// serves, and no more than the percentage is ejected then; one always may be.
func (c *Cluster) canDoWithoutLocked(e *Endpoint, o *Outlier) bool {
	members := *c.set.Load()
	member, others, ejected := false, 0, 0
	for _, m := range members {
		s := m.loadStatus()
		switch {
		case m.Endpoint == e:
			member = true
		case s.ejected():
			ejected++
		case s.serving():
			others++
		}
	}
	return member && others > 0 && ejected < max(len(members)*o.MaxEjectionPercent/100, 1)
}

// serveTime is called when an ejection's time is over.
func (e *Endpoint) serveTime() {
	e.uneject("its time is over", func() bool {
		// It may have been called when another ejection took the place of
		// the one that it is about.
		return e.cluster.clock() >= e.ejections.until
	})
}

// CheckPassed ends an ejection because an active check has found the endpoint
// well, and tells whether there was one. The next ejection is longer all the
// same.
func (e *Endpoint) CheckPassed() bool {
	return e.Ejected() && e.uneject("a health check passed", func() bool { return true })
}

func (e *Endpoint) uneject(reason string, condition func() bool) bool {
	c := e.cluster
	c.mu.Lock()
	if !e.Ejected() || !condition() {
		c.mu.Unlock()
		return false
	}
	e.ejections.stopLocked()
	e.ejections.until = c.clock()
	// What had begun before has failed meanwhile.
	e.failedAttempts.Store(0)
	e.earlyEnds.Store(0)
	e.setEjectedLocked(false)
	told, tell := Ejection{Endpoint: e, Reason: reason, Count: e.ejections.count}, c.options.Load().OnEjection
	c.mu.Unlock()
	if tell != nil {
		tell(told)
	}
	return true
}

func (e *Endpoint) setEjectedLocked(ejected bool) {
	if ejected {
		e.status.Or(statusEjected)
	} else {
		e.status.And(^uint64(statusEjected))
	}
	e.cluster.refreshLocked()
}
