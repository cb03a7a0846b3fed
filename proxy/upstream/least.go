package upstream

import (
	"slices"
	"time"
)

// least takes the candidate with the least load for its weight.
func (g *group) least(v *view, r *Request, now time.Duration) *Endpoint {
	for {
		var e *Endpoint
		var active int64
		if v.warmUntil == 0 {
			e, active = g.leastLoaded(r.Rand, r.Tried)
		} else {
			e, active = g.leastLoadedWarming(r, now, v.slowStart)
		}
		if e == nil || e.active.CompareAndSwap(active, active+1) {
			return e
		}
	}
}

// leastLoaded gives the endpoint with the least (active+1/2)/weight of those
// that were not tried and are not full, each of several equal ones with the
// same chance, and the active count on which that rests.
func (g *group) leastLoaded(rnd *Rand, tried []*Endpoint) (best *Endpoint, active int64) {
	// Twice the load of the best is load/weight: to begin with 1/0, more than any.
	load, weight := int64(1), int64(0)
	var equals uint64 // how many as good as the best were seen
	for i := range g.candidates {
		cand := &g.candidates[i]
		a := cand.endpoint.active.Load()
		// (2a+1)/cand.weight against load/weight in whole numbers. The count is
		// below 2^31 as every connection has a descriptor, weights at most 2^30.
		twice := 2*a + 1
		own, least := twice*weight, load*cand.weight
		if own > least || a >= cand.max || len(tried) > 0 && slices.Contains(tried, cand.endpoint) {
			continue
		}
		if own == least {
			// The n-th of equal ones takes over with a chance of 1/n, which
			// in the end leaves all with the same.
			if equals++; rnd.below(equals) != 0 {
				continue
			}
		} else {
			equals = 1
		}
		best, active, load, weight = cand.endpoint, a, twice, cand.weight
	}
	return best, active
}

// leastLoadedWarming is leastLoaded while candidates are in slow start. It is a
// loop of its own because the question alone whether one is takes as long as all
// the rest of the other one.
func (g *group) leastLoadedWarming(r *Request, now, slowStart time.Duration) (best *Endpoint, active int64) {
	load, weight := int64(1), int64(0)
	var equals uint64
	for i := range g.candidates {
		cand := &g.candidates[i]
		a, w := cand.endpoint.active.Load(), cand.weightAt(now, slowStart)
		twice := 2*a + 1
		own, least := twice*weight, load*w
		if own > least || a >= cand.max || r.tried(cand.endpoint) {
			continue
		}
		if own < least {
			equals = 0
		}
		if equals++; r.Rand.below(equals) == 0 {
			best, active, load, weight = cand.endpoint, a, twice, w
		}
	}
	return best, active
}
