package upstream

import "time"

// least takes the candidate with the least load for its weight.
func (g *group) least(v *view, r *Request, now time.Duration) *Endpoint {
	for {
		e, active := g.leastLoaded(v, r, now)
		if e == nil || e.active.CompareAndSwap(active, active+1) {
			return e
		}
	}
}

// leastLoaded gives the endpoint with the least (active+1/2)/weight of those
// that were not tried and are not full, each of several equal ones with the
// same chance, and the active count on which that rests.
func (g *group) leastLoaded(v *view, r *Request, now time.Duration) (best *Endpoint, active int64) {
	// Twice the load of the best is load/weight: to begin with 1/0, more than any.
	load, weight := int64(1), int64(0)
	var equals uint64 // how many as good as the best were seen
	for i := range g.candidates {
		cand := &g.candidates[i]
		a, w := cand.endpoint.active.Load(), cand.weight
		if cand.warming != 0 {
			w = cand.weightAt(now, v.slowStart)
		}
		// (2a+1)/w against load/weight in whole numbers. The count is below
		// 2^31 as every connection has a descriptor, w at most 2^30.
		twice := 2*a + 1
		own, least := twice*weight, load*w
		if own > least || a >= cand.max || r.tried(cand.endpoint) {
			continue
		}
		if own == least {
			// The n-th of equal ones takes over with a chance of 1/n, which
			// in the end leaves all with the same.
			if equals++; r.Rand.below(equals) != 0 {
				continue
			}
		} else {
			equals = 1
		}
		best, active, load, weight = cand.endpoint, a, twice, w
	}
	return best, active
}
