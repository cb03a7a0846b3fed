package health

import (
	"context"
	"fmt"
	"sync"

	"sluice/proxy/upstream"
)

// Change is that checks say something else of an endpoint than before.
type Change struct {
	Endpoint *upstream.Endpoint
	Health   upstream.Health // Healthy or Unhealthy
	Was      upstream.Health
	Reason   string // in words, to go behind a colon
}

// Observer is told what checks find out. Its functions are called from the
// goroutines of the endpoints and must not call the Checker.
type Observer struct {
	// Changed is called after the endpoint has its new health.
	Changed func(Change)
	// Trouble is called when a check could not be made for want of something
	// of the gateway's own: once when that begins for an endpoint, not for
	// every check.
	Trouble func(*upstream.Endpoint, error)
}

// Checker checks the endpoints of one cluster. Any goroutine may call its
// methods.
type Checker struct {
	check    Check
	observer Observer
	running  sync.WaitGroup

	mu     sync.Mutex // guards what follows
	probes map[*upstream.Endpoint]*probe
	closed bool
}

// New makes a checker that checks nothing yet. A Check that a checked
// configuration cannot contain makes it panic.
func New(check Check, o Observer) *Checker {
	if check.Interval <= 0 || check.Timeout <= 0 || check.HealthyThreshold < 1 || check.UnhealthyThreshold < 1 ||
		check.Jitter < 0 || check.Jitter > 1 || check.Type == TLS && check.TLS == nil || check.Type == HTTP && check.Path == "" {
		panic(fmt.Sprintf("BUG: health: there is no check like %+v", check))
	}
	return &Checker{check: check, observer: o, probes: make(map[*upstream.Endpoint]*probe)}
}

// Watch checks these endpoints from now on. Those that were checked before go
// on as they were, and those that are not among them are not checked any more:
// their health stays what it is.
func (c *Checker) Watch(endpoints []*upstream.Endpoint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	gone := c.probes
	c.probes = make(map[*upstream.Endpoint]*probe, len(endpoints))
	for _, e := range endpoints {
		p := gone[e]
		delete(gone, e)
		if p == nil {
			p = c.start(e)
		}
		c.probes[e] = p
	}
	for _, p := range gone {
		p.stop()
	}
}

// start begins to check an endpoint.
func (c *Checker) start(e *upstream.Endpoint) *probe {
	ctx, cancel := context.WithCancel(context.Background())
	p := &probe{endpoint: e, check: &c.check, observer: &c.observer, stop: cancel, attempt: c.check.attempt}
	c.running.Go(func() { p.run(ctx) })
	return p
}

// Status gives what checks have found of an endpoint; false when it is not
// checked.
func (c *Checker) Status(e *upstream.Endpoint) (Status, bool) {
	c.mu.Lock()
	p := c.probes[e]
	c.mu.Unlock()
	if p == nil {
		return Status{}, false
	}
	return p.Status(), true
}

// Close ends all checks and returns when nothing of them is left. The observer
// is not told anything afterwards. It may be called more than once.
func (c *Checker) Close() {
	c.mu.Lock()
	c.closed = true
	for _, p := range c.probes {
		p.stop()
	}
	clear(c.probes)
	c.mu.Unlock()
	c.running.Wait()
}
