package upstream

import (
	"sort"
	"time"
)

// draws is how often a candidate is drawn anew that cannot be, before all that
// can are counted.
const draws = 8

// sums gives the sum of the weights up to and with each candidate.
func sums(candidates []candidate) []uint64 {
	list, sum := make([]uint64, len(candidates)), uint64(0)
	for i := range candidates {
		sum += uint64(candidates[i].weight)
		list[i] = sum
	}
	return list
}

// lessOfTwo draws two different candidates by weight and takes the one with less
// load for its weight; chance decides between equals.
func (g *group) lessOfTwo(v *view, r *Request, now time.Duration) *Endpoint {
	for {
		one := g.draw(v, r, now, noCandidate)
		if one == noCandidate {
			return nil
		}
		chosen := &g.candidates[one]
		if two := g.draw(v, r, now, one); two != noCandidate {
			// The first was drawn first by chance: it stays unless the other is better.
			if other := &g.candidates[two]; other.lessLoaded(chosen, now, v.slowStart) {
				chosen = other
			}
		}
		if chosen.take() {
			return chosen.endpoint
		}
	}
}

// lessLoaded tells whether cand has a smaller (active+1/2)/weight than other.
func (cand *candidate) lessLoaded(other *candidate, now, slowStart time.Duration) bool {
	own := (2*cand.endpoint.active.Load() + 1) * other.weightAt(now, slowStart)
	return own < (2*other.endpoint.active.Load()+1)*cand.weightAt(now, slowStart)
}

// noCandidate is the number of none.
const noCandidate = -1

// draw gives a candidate by chance, according to weight, among those that can be,
// but not except.
func (g *group) draw(v *view, r *Request, now time.Duration, except int) int {
	total := g.cumulative[len(g.cumulative)-1]
	for range draws {
		n := r.Rand.below(total)
		i := sort.Search(len(g.cumulative), func(i int) bool { return g.cumulative[i] > n })
		if i != except && g.candidates[i].can(r) && !g.candidates[i].passesOver(r, now, v.slowStart) {
			return i
		}
	}
	return g.byChance(v, r, now, except)
}

// can tells whether the candidate was not tried and is not full.
func (cand *candidate) can(r *Request) bool { return !cand.full() && !r.tried(cand.endpoint) }

// byChance is draw, for when most cannot be: it looks at each. The n-th of those
// that can be takes over with a chance of its weight among them, which in the end
// leaves each with its own.
func (g *group) byChance(v *view, r *Request, now time.Duration, except int) int {
	chosen, sum := noCandidate, uint64(0)
	for i := range g.candidates {
		if i == except || !g.candidates[i].can(r) {
			continue
		}
		w := uint64(g.candidates[i].weightAt(now, v.slowStart))
		if sum += w; r.Rand.below(sum) < w {
			chosen = i
		}
	}
	return chosen
}
