package upstream

import (
	"cmp"
	"slices"
	"time"
)

// view is what picks go by: the endpoints that may serve now. It never changes;
// a new one is made whenever the set, the options, a health, a state, an
// ejection or a weight changes, which is rare beside picks.
type view struct {
	policy    Policy
	slowStart time.Duration
	groups    []group       // of equal priority, the first to be used first
	warmUntil time.Duration // on the cluster's clock, when no candidate is warming any more; 0: none is
	empty     bool          // the cluster has no endpoints
	queues    bool          // connections may wait for a place
}

// group is the endpoints of one priority that may serve, with what the policy
// made of them.
type group struct {
	candidates []candidate
	sequence   []uint32 // of RoundRobin: candidates, each as often as its weight
	cumulative []uint64 // of Random: the sum of weights up to and with each candidate
	maglev     *maglev  // of Maglev
	serving    []int32  // of Maglev: the candidate of each member in the table, -1: none
}

// candidate is an endpoint that may serve, as a policy sees it.
type candidate struct {
	endpoint *Endpoint
	weight   int64         // times weightUnit
	max      int64         // connections; noLimit for none
	warming  time.Duration // since when, on the cluster's clock; 0: it is not
}

const (
	// weightUnit leaves room for fractions of a weight of 1.
	weightUnit = 1 << 10
	// noLimit is more connections than a process can have.
	noLimit = 1 << 32
)

// Offered tells whether picks may choose the endpoint: it serves, or what is known
// against it is ignored for now, since too few others do.
func (e *Endpoint) Offered() bool {
	v := e.cluster.view.Load()
	for i := range v.groups {
		for j := range v.groups[i].candidates {
			if v.groups[i].candidates[j].endpoint == e {
				return true
			}
		}
	}
	return false
}

// refusal is why a pick found none.
func (v *view) refusal() Refusal {
	switch {
	case v.empty:
		return NoEndpoints
	case len(v.groups) == 0:
		return NoneServing
	}
	return Full
}

// hasOther tells whether there is an endpoint that the request has not tried.
func (v *view) hasOther(r *Request) bool {
	for i := range v.groups {
		for j := range v.groups[i].candidates {
			if !r.tried(v.groups[i].candidates[j].endpoint) {
				return true
			}
		}
	}
	return false
}

// Choices is among how many endpoints the next pick could choose.
func (c *Cluster) Choices() (n int) {
	v := c.view.Load()
	for i := range v.groups {
		n += len(v.groups[i].candidates)
	}
	return n
}

// refresh makes the next pick go by what holds now.
func (c *Cluster) refresh() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refreshLocked()
}

func (c *Cluster) refreshLocked() {
	o, members := c.options.Load(), *c.set.Load()
	v := &view{policy: o.Policy, slowStart: o.SlowStart, empty: len(members) == 0, queues: o.MaxPending > 0}
	c.noteWarmingLocked(members, v)
	priorities := byPriority(members)
	for _, members := range priorities {
		if g := newGroup(members, admissible(members, o.PanicThreshold)); len(g.candidates) > 0 {
			v.groups = append(v.groups, g)
		}
	}
	if len(v.groups) == 0 {
		admits := status.servingOrEjected // an ejection is for as long as others serve
		if o.PanicThreshold > 0 {
			admits = status.ready
		}
		for _, members := range priorities {
			if g := newGroup(members, admits); len(g.candidates) > 0 {
				v.groups = append(v.groups, g)
			}
		}
	}
	c.preparePolicyLocked(v, priorities)
	c.view.Store(v)
	c.serveLocked()
}

// byPriority divides the members, the lowest priority first.
func byPriority(members set) (groups []set) {
	members = slices.Clone(members)
	slices.SortStableFunc(members, func(a, b member) int { return cmp.Compare(a.spec.Priority, b.spec.Priority) })
	for len(members) > 0 {
		n := 1
		for n < len(members) && members[n].spec.Priority == members[0].spec.Priority {
			n++
		}
		groups = append(groups, members[:n])
		members = members[n:]
	}
	return groups
}

// admissible says which members of a group may get connections: those that
// serve, or all that are ready when those that serve are too few. A group of
// which none serves is passed over.
func admissible(members set, panicThreshold int) func(status) bool {
	ready, serving := 0, 0
	for _, m := range members {
		s := m.loadStatus()
		if s.ready() {
			ready++
		}
		if s.serving() {
			serving++
		}
	}
	if serving > 0 && serving*100 < ready*panicThreshold {
		return status.ready
	}
	return status.serving
}

func newGroup(members set, admits func(status) bool) (g group) {
	for _, m := range members {
		s := m.loadStatus()
		if !admits(s) {
			continue
		}
		cand := candidate{endpoint: m.Endpoint, weight: m.weight(s) * weightUnit, max: noLimit, warming: m.warming}
		if n := m.spec.MaxConnections; n > 0 {
			cand.max = int64(n)
		}
		g.candidates = append(g.candidates, cand)
	}
	return g
}

// weight is the configured one, or the one that an operator gave.
func (m member) weight(s status) int64 {
	if w := s.weight(); w > 0 {
		return int64(w)
	}
	return int64(m.spec.Weight)
}

// preparePolicyLocked makes what the policy needs of each group.
func (c *Cluster) preparePolicyLocked(v *view, priorities []set) {
	for i := range v.groups {
		g := &v.groups[i]
		switch v.policy {
		case RoundRobin:
			g.sequence = smoothSequence(g.candidates)
		case Random:
			g.cumulative = sums(g.candidates)
		}
	}
	if v.policy == Maglev {
		c.prepareMaglevLocked(v, priorities)
	} else {
		c.maglevs = nil
	}
}
