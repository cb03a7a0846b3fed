package upstream

import (
	"cmp"
	"slices"
)

// view is what picks go by: the endpoints that may serve now. It never changes;
// a new one is made whenever the set, a health, a state, an ejection or a weight
// changes, which is rare beside picks.
type view struct {
	groups []group // of equal priority, the first to be used first
}

// group is the endpoints of one priority that may serve.
type group struct {
	candidates []candidate
}

// candidate is an endpoint that may serve, as a policy sees it.
type candidate struct {
	endpoint *Endpoint
	weight   int64
	max      int64 // connections; noLimit for none
}

// noLimit is more connections than a process can have.
const noLimit = 1 << 32

// refresh makes the next pick go by what holds now.
func (c *Cluster) refresh() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refreshLocked()
}

func (c *Cluster) refreshLocked() {
	members := slices.Clone(*c.set.Load())
	slices.SortStableFunc(members, func(a, b member) int { return cmp.Compare(a.spec.Priority, b.spec.Priority) })
	v := &view{}
	for len(members) > 0 {
		n := 1
		for n < len(members) && members[n].spec.Priority == members[0].spec.Priority {
			n++
		}
		if g := newGroup(members[:n]); len(g.candidates) > 0 {
			v.groups = append(v.groups, g)
		}
		members = members[n:]
	}
	c.view.Store(v)
}

func newGroup(members []member) (g group) {
	for _, m := range members {
		s := m.loadStatus()
		if !s.serving() {
			continue
		}
		cand := candidate{m.Endpoint, int64(m.spec.Weight), noLimit}
		if w := s.weight(); w > 0 {
			cand.weight = int64(w)
		}
		if n := m.spec.MaxConnections; n > 0 {
			cand.max = int64(n)
		}
		g.candidates = append(g.candidates, cand)
	}
	return g
}
