package health

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"sluice/proxy/upstream"
)

// probe checks one endpoint. It is one goroutine, run; others only read its
// status.
type probe struct {
	endpoint *upstream.Endpoint
	check    *Check
	observer *Observer
	stop     context.CancelFunc
	attempt  func(context.Context, *upstream.Endpoint) error

	row     int  // results in a row that speak against the current health
	trouble bool // the last check could not be made

	mu     sync.Mutex // guards status
	status Status
}

// Status is what checks have found of an endpoint.
type Status struct {
	Passed, Failed uint64        // checks
	Changes        uint64        // of health, the first result not counted
	Last           time.Time     // when the last check was over; zero: none was
	Took           time.Duration // the last check
	Error          string        // of the last check, in words; empty: it passed
}

// Status gives a copy.
func (p *probe) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status
}

// run checks until ctx is done.
func (p *probe) run(ctx context.Context) {
	if !sleep(ctx, time.Duration(rand.Float64()*p.check.Jitter*float64(p.check.Interval))) {
		return
	}
	for {
		if !p.check.Gate.enter(ctx) {
			return
		}
		began := time.Now()
		if p.endpoint.State() != upstream.Maint { // an operator's, who is working on it
			err := p.attempt(ctx, p.endpoint)
			if ctx.Err() == nil {
				p.note(err, time.Since(began))
			}
		}
		p.check.Gate.leave()
		if !sleep(ctx, p.pause()-time.Since(began)) {
			return
		}
	}
}

// pause is the time from the begin of a check to that of the next.
func (p *probe) pause() time.Duration {
	return time.Duration(float64(p.check.Interval) * (1 + p.check.Jitter*(2*rand.Float64()-1)))
}

// note takes a result.
func (p *probe) note(err error, took time.Duration) {
	if err != nil && ownTrouble(err) {
		if !p.trouble && p.observer.Trouble != nil {
			p.observer.Trouble(p.endpoint, err)
		}
		p.trouble = true
		return
	}
	p.trouble = false
	was := p.endpoint.Health()
	now, reason := p.judge(was, err)
	changed := p.endpoint.SetHealth(now)
	p.mu.Lock()
	s := &p.status
	s.Last, s.Took, s.Error = time.Now(), took, ""
	if err == nil {
		s.Passed++
	} else {
		s.Failed++
		s.Error = err.Error()
	}
	if changed && was != upstream.Unchecked {
		s.Changes++
	}
	p.mu.Unlock()
	if now == upstream.Healthy && err == nil {
		p.endpoint.CheckPassed()
	}
	if changed && p.observer.Changed != nil {
		p.observer.Changed(Change{Endpoint: p.endpoint, Health: now, Was: was, Reason: reason})
	}
}

// judge gives the endpoint's health after a result, and why it is another one.
func (p *probe) judge(was upstream.Health, err error) (now upstream.Health, reason string) {
	now, threshold := upstream.Healthy, p.check.HealthyThreshold
	if err != nil {
		now, threshold = upstream.Unhealthy, p.check.UnhealthyThreshold
	}
	if now == was {
		p.row = 0
		return was, ""
	}
	if was == upstream.Unchecked {
		threshold = 1
	}
	if p.row++; p.row < threshold {
		return was, ""
	}
	row := p.row
	p.row = 0
	switch {
	case err == nil && was == upstream.Unchecked:
		return now, "the first check passed"
	case err == nil:
		return now, inARow(row, "passed")
	case was == upstream.Unchecked:
		return now, "the first check failed: " + err.Error()
	}
	return now, inARow(row, "failed") + ": " + err.Error()
}

func inARow(n int, what string) string {
	if n == 1 {
		return "a check " + what
	}
	return fmt.Sprintf("%d checks in a row %s", n, what)
}

// sleep waits for d, or until ctx is done; it tells whether it is not.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
