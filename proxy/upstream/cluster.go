package upstream

import (
	"sync"
	"sync/atomic"
	"time"
)

// Cluster is a named group of endpoints, and lives for as long as the
// configuration has its name. Any goroutine may call its methods.
type Cluster struct {
	Name string
	born time.Time // where its clock begins

	set     atomic.Pointer[set] // the endpoints that there are
	options atomic.Pointer[Options]
	view    atomic.Pointer[view] // the endpoints that may serve, made of set and options

	mu      sync.Mutex // held to replace set, options and view; guards what follows
	maglevs []*maglev  // of each priority, while the policy is Maglev
	queue   queue

	// Every connection writes what follows, while other workers read what
	// stands above.
	_ [64]byte

	active  atomic.Int64  // connections admitted
	turn    atomic.Uint64 // of RoundRobin
	waiting atomic.Int64  // the length of queue

	_ [64]byte
}

// NewCluster makes a cluster with new endpoints and the zero [Options]. It
// panics as [Cluster.Update] does.
func NewCluster(name string, specs []Spec) *Cluster {
	c := &Cluster{Name: name, born: time.Now()}
	c.queue.rand = NewRand(hashBytes(name))
	c.set.Store(&set{})
	c.options.Store(&Options{})
	c.Update(specs)
	return c
}

// Close ends what the cluster has under way by itself: ejected endpoints stay
// so. Nothing may be picked afterwards.
func (c *Cluster) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range *c.set.Load() {
		m.ejections.stopLocked()
	}
}

// clock is the time since the cluster was made; never 0.
func (c *Cluster) clock() time.Duration { return time.Since(c.born) + 1 }

// Active is how many connections the cluster has admitted that have not left.
func (c *Cluster) Active() int64 { return c.active.Load() }

// Pick chooses the endpoint for an attempt of a connection that was admitted,
// and counts the attempt there from now on; [Endpoint.Release] must follow.
// Without an endpoint it says why.
//
// Endpoints that were tried come last: first any other one is taken, of
// whatever priority. Where a connection may wait for one of the others, while
// all of those are full, they do not come at all.
//
// Pick does not allocate, block or lock, except that it may take the lock for a
// moment, if it is free, when the last slow start is over. It looks again
// whenever another worker has changed the count of the chosen endpoint
// meanwhile; each such change is progress of that other worker.
func (c *Cluster) Pick(r *Request) (*Endpoint, Refusal) {
	v := c.view.Load()
	if e := c.pickFrom(v, r); e != nil {
		e.Counters.Attempts.Add(1)
		return e, Granted
	}
	return nil, v.refusal()
}

// pickFrom goes through the groups, and again without regard to what was tried.
func (c *Cluster) pickFrom(v *view, r *Request) *Endpoint {
	var now time.Duration
	if v.warmUntil != 0 {
		if now = c.clock(); now >= v.warmUntil {
			c.endWarming()
		}
	}
	for i := range v.groups {
		if e := c.pickOf(v, &v.groups[i], r, now); e != nil {
			return e
		}
	}
	if len(r.Tried) == 0 || r.Strict || v.queues && v.hasOther(r) {
		return nil
	}
	again := Request{Rand: r.Rand, Key: r.Key}
	for i := range v.groups {
		if e := c.pickOf(v, &v.groups[i], &again, now); e != nil {
			return e
		}
	}
	return nil
}

// pickOf gives the policy's choice in a group, counted; nil when each was tried
// or is full.
func (c *Cluster) pickOf(v *view, g *group, r *Request, now time.Duration) *Endpoint {
	switch v.policy {
	case RoundRobin:
		return g.next(&c.turn, v, r, now)
	case Random:
		return g.lessOfTwo(v, r, now)
	case Maglev:
		return g.ofKey(r)
	case First:
		return g.first(r)
	}
	return g.least(v, r, now)
}

// take counts a connection at the candidate, unless it is full.
func (cand *candidate) take() bool {
	e := cand.endpoint
	for {
		a := e.active.Load()
		if a >= cand.max {
			return false
		}
		if e.active.CompareAndSwap(a, a+1) {
			return true
		}
	}
}

// full tells whether the candidate has all the connections it may have.
func (cand *candidate) full() bool {
	return cand.max != noLimit && cand.endpoint.active.Load() >= cand.max
}

// first takes the first one that can be.
func (g *group) first(r *Request) *Endpoint {
	for i := range g.candidates {
		if cand := &g.candidates[i]; !r.tried(cand.endpoint) && cand.take() {
			return cand.endpoint
		}
	}
	return nil
}
