package upstream

import "time"

// Slow start: an endpoint that begins to serve beside others (it was unhealthy,
// ejected, taken out by an operator, or is new) gets a growing part of its
// weight, so that whatever it has to fill (caches, pools, a compiler's profile)
// is filled before it has its full share. The part grows evenly with time.

// leastWarm is the part of its weight, one in so many, that an endpoint begins
// with. Without any an idle cluster would never send it a connection.
const leastWarm = 10

// weightAt is the candidate's weight at a time of its slow start, at least 1.
func (cand *candidate) weightAt(now, slowStart time.Duration) int64 {
	if cand.warming == 0 {
		return cand.weight
	}
	w := cand.weight / leastWarm
	if elapsed := now - cand.warming; elapsed >= slowStart {
		w = cand.weight
	} else if part := int64(float64(cand.weight) * float64(elapsed) / float64(slowStart)); part > w {
		w = part
	}
	return max(w, 1)
}

// passesOver tells whether a policy that has come to the candidate in turn, or
// by chance, leaves it out this time because it is warming.
func (cand *candidate) passesOver(r *Request, now, slowStart time.Duration) bool {
	return cand.warming != 0 && int64(r.Rand.below(uint64(cand.weight))) >= cand.weightAt(now, slowStart)
}

// noteWarmingLocked sees which members have begun to serve since the last view.
// At first, when none has served yet, nothing is warmed up by waiting.
func (c *Cluster) noteWarmingLocked(members set, v *view) {
	now, others := c.clock(), false
	for _, m := range members {
		others = others || m.served
	}
	for _, m := range members {
		serving := m.Serving()
		switch {
		case v.slowStart == 0 || !serving:
			m.warming = 0
		case !m.served && others:
			m.warming = now
		case m.warming != 0 && now-m.warming >= v.slowStart:
			m.warming = 0
		}
		m.served = serving
		if m.warming != 0 {
			v.warmUntil = max(v.warmUntil, m.warming+v.slowStart)
		}
	}
}

// endWarming makes a view without candidates that are warming, once they are
// warm. It is called by picks, so it does not wait for the lock: another pick
// will come.
func (c *Cluster) endWarming() {
	if c.mu.TryLock() {
		defer c.mu.Unlock()
		c.refreshLocked()
	}
}
