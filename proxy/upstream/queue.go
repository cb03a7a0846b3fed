package upstream

import (
	"slices"
	"sync/atomic"
)

// Waiter is a connection's place in the queue of its cluster: until it is
// granted an endpoint, or withdraws. It is for one use.
type Waiter struct {
	// Request is what it waits for an endpoint for. It must not be changed
	// while it waits; its Rand is not used.
	Request Request
	// Wake is called once, when it has been granted an endpoint: by whatever
	// goroutine freed the place, with the cluster locked. It must not block
	// or call the cluster.
	Wake func()

	granted    atomic.Pointer[Endpoint]
	prev, next *Waiter // while it waits; guarded by the cluster's lock
	waits      bool    // guarded by the cluster's lock
}

// Granted gives the endpoint, once there is one. The connection is admitted and
// counted there, as after [Cluster.Admit] and [Cluster.Pick].
func (w *Waiter) Granted() *Endpoint { return w.granted.Load() }

// queue is the connections that wait for a place, of all workers, the first to
// be served first.
type queue struct {
	first, last *Waiter
	rand        *Rand
}

// Enqueue puts a waiter at the end of the queue, or says why not: as many wait
// already as may (Full), or there is no endpoint to wait for. A place that became
// free meanwhile is granted at once, even before Enqueue returns. Any goroutine
// may call it.
//
// Those who wait when the last endpoint is lost go on to wait: one may be back
// within the time that they have.
func (c *Cluster) Enqueue(w *Waiter) Refusal {
	c.mu.Lock()
	defer c.mu.Unlock()
	if refusal := c.view.Load().refusal(); refusal != Full {
		return refusal
	}
	if !c.MayWait() {
		return Full
	}
	w.Request.Rand = c.queue.rand
	w.waits, w.prev = true, c.queue.last
	if w.prev != nil {
		w.prev.next = w
	} else {
		c.queue.first = w
	}
	c.queue.last = w
	// From here on whoever frees a place sees that somebody waits; whatever
	// was freed before is seen here.
	c.waiting.Add(1)
	c.serveLocked()
	return Granted
}

// Withdraw takes a waiter out of the queue. If it was granted an endpoint by
// then it gives that, which stays the caller's to use, or to release and leave.
func (c *Cluster) Withdraw(w *Waiter) *Endpoint {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w.waits {
		c.unlinkLocked(w)
		c.serveLocked() // it may have been waiting for more than the next one does
	}
	return w.granted.Load()
}

// MayWait tells whether the queue has room for one more.
func (c *Cluster) MayWait() bool { return c.waiting.Load() < int64(c.options.Load().MaxPending) }

// Pending is how many connections wait.
func (c *Cluster) Pending() int { return int(c.waiting.Load()) }

func (c *Cluster) unlinkLocked(w *Waiter) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		c.queue.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		c.queue.last = w.prev
	}
	w.prev, w.next, w.waits = nil, nil, false
	c.waiting.Add(-1)
}

// serveLocked grants places for as long as there are some. Nobody overtakes the
// first: what it cannot have, those behind it do not get. Only who has tried the
// endpoint that has a place, and waits for another one, is passed over.
func (c *Cluster) serveLocked() {
	var passedOver []*Endpoint // what the last one of these has tried
	for w, next := c.queue.first, (*Waiter)(nil); w != nil; w = next {
		next = w.next
		if passedOver != nil && slices.Equal(w.Request.Tried, passedOver) {
			continue
		}
		if !c.admit() {
			return
		}
		e := c.pickFrom(c.view.Load(), &w.Request)
		if e == nil {
			c.active.Add(-1)
			if len(w.Request.Tried) == 0 {
				return
			}
			passedOver = w.Request.Tried
			continue
		}
		e.Counters.Attempts.Add(1)
		c.unlinkLocked(w)
		w.granted.Store(e)
		w.Wake()
	}
}
