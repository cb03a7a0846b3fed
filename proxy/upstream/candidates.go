package upstream

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Candidate is an endpoint of a cluster as a pick sees it.
type Candidate struct {
	Endpoint *Endpoint
	Spec     Spec
	Weight   int   // in use: an operator's, or the spec's
	Active   int64 // on which Rank rests
	// Rank is the place among those that a connection would be given, from 1.
	// Equal ranks are left to chance or to whose turn it is, by weight. 0: it
	// would not be given at all.
	Rank int
	Why  string // it does not come first, in words; "": it may
}

// Candidates lists the endpoints that there are: first those that connections
// with that key would be given, one after the other if each in turn could not be
// connected, then those that they would not be given. It also tells what
// [Cluster.Admit] and [Cluster.Pick] would refuse a new connection for.
//
// Nothing is counted, no turn is taken, and picks are not disturbed: the order
// comes from rehearsing them, with the code that picks, on a copy of the view.
// That takes time in proportion to the square of the number of endpoints, 15 ms
// for a thousand.
func (c *Cluster) Candidates(key Key) ([]Candidate, Refusal) {
	v, members := c.view.Load(), *c.set.Load()
	specs := make(map[*Endpoint]Spec, len(members))
	for _, m := range members {
		specs[m.Endpoint] = m.spec
	}
	r := newRehearsal(c, v)
	picked := r.run(key)
	list := r.ranked(picked, key)
	refused := v.refusal()
	if refused == Full && len(list) > 0 && c.hasPlace() {
		refused = Granted
	}
	listed := make(map[*Endpoint]bool, len(members))
	for i := range list {
		list[i].Spec = specs[list[i].Endpoint]
		listed[list[i].Endpoint] = true
	}
	for _, m := range members {
		if listed[m.Endpoint] {
			continue
		}
		s := m.loadStatus()
		list = append(list, Candidate{
			Endpoint: m.Endpoint, Spec: m.spec, Weight: int(m.weight(s)), Active: m.Active(), Why: whyNot(s, m.spec),
		})
	}
	return list, refused
}

// whyNot says why an endpoint would not be given.
func whyNot(s status, spec Spec) string {
	switch {
	case s.state() == Maint:
		return "an operator has it in maintenance"
	case s.state() == Drain:
		return "an operator drains it"
	case s.health() == Unhealthy:
		return "its health checks fail"
	case s.ejected():
		return "it is ejected for failures that connections met with"
	case spec.MaxConnections > 0:
		return fmt.Sprintf("it has all the connections that it may have, %d", spec.MaxConnections)
	}
	return "it is about to serve"
}

// rehearsal is a copy of a view whose counts are nobody else's.
type rehearsal struct {
	cluster *Cluster
	view    *view
	now     time.Duration
	real    map[*Endpoint]*Endpoint // by the one that stands for it
	active  map[*Endpoint]int64     // by the one that stands for it, before the first pick
}

func newRehearsal(c *Cluster, v *view) *rehearsal {
	r := &rehearsal{
		cluster: NewCluster(c.Name, nil), now: c.clock(),
		real: make(map[*Endpoint]*Endpoint), active: make(map[*Endpoint]int64),
	}
	r.cluster.born = c.born
	own := *v
	r.view, own.groups = &own, slices.Clone(v.groups)
	for i := range own.groups {
		g := &own.groups[i]
		g.candidates = slices.Clone(g.candidates)
		for j := range g.candidates {
			cand := &g.candidates[j]
			stands := &Endpoint{Address: cand.endpoint.Address, cluster: r.cluster}
			r.real[stands], r.active[stands] = cand.endpoint, cand.endpoint.Active()
			stands.active.Store(r.active[stands])
			cand.endpoint = stands
		}
	}
	return r
}

// run picks until nothing is left, and gives what was picked in each group. What
// was picked is full from then on: that has the same effect as having been
// tried, and does not have to be searched for.
func (r *rehearsal) run(key Key) [][]candidate {
	picked := make([][]candidate, len(r.view.groups))
	request := Request{Rand: NewRand(1), Key: key, Strict: true}
	for {
		e := r.cluster.pickFrom(r.view, &request)
		if e == nil {
			return picked
		}
		for i := range r.view.groups {
			g := &r.view.groups[i]
			at := slices.IndexFunc(g.candidates, func(cand candidate) bool { return cand.endpoint == e })
			if at < 0 {
				continue
			}
			picked[i] = append(picked[i], g.candidates[at])
			g.candidates[at].max = 0
			e.active.Store(r.active[e])
		}
	}
}

// ranked gives each that was picked its rank.
func (r *rehearsal) ranked(picked [][]candidate, key Key) (list []Candidate) {
	rank := 0
	for i, group := range picked {
		if len(group) == 0 {
			continue
		}
		lower, last, why := rank > 0, r.mostLoaded(group), ""
		if r.byChance(key) {
			r.inOrder(i, group, last)
		}
		for j := range group {
			cand := &group[j]
			later := r.after(group, j, last, key)
			if j == 0 || later != "" {
				rank++
			}
			switch {
			case lower:
				why = "it has a lower priority: it is for when none of a higher one can be had"
			case later != "":
				why = later
			case why != "" && r.view.policy == LeastConnections:
				why = r.load(cand) // as busy as the one before it, with other figures
			}
			list = append(list, Candidate{
				Endpoint: r.real[cand.endpoint], Weight: int(cand.weight / weightUnit), Active: r.active[cand.endpoint], Rank: rank, Why: why,
			})
		}
	}
	return list
}

// byChance tells whether any of a group may be next.
func (r *rehearsal) byChance(key Key) bool {
	p := r.view.policy
	return p == RoundRobin || p == Random || p == Maglev && key == NoKey
}

// inOrder puts a group of which any may be next into the order of the
// configuration, but for the one that cannot, which comes last.
func (r *rehearsal) inOrder(i int, group []candidate, last *Endpoint) {
	at := make(map[*Endpoint]int)
	for j := range r.view.groups[i].candidates {
		at[r.view.groups[i].candidates[j].endpoint] = j
	}
	if last != nil {
		at[last] = len(at)
	}
	slices.SortFunc(group, func(a, b candidate) int { return cmp.Compare(at[a.endpoint], at[b.endpoint]) })
}

// mostLoaded is the endpoint that [Random] never takes while it can take others:
// it draws two different ones and takes the one with less load. It is nil where
// there is none.
func (r *rehearsal) mostLoaded(group []candidate) *Endpoint {
	if r.view.policy != Random || len(group) < 2 {
		return nil
	}
	most := &group[0]
	for i := range group {
		if most.lessLoaded(&group[i], r.now, r.view.slowStart) {
			most = &group[i]
		}
	}
	for i := range group {
		if &group[i] != most && !group[i].lessLoaded(most, r.now, r.view.slowStart) {
			return nil
		}
	}
	return most.endpoint
}

// after says why a candidate comes after the one before it in its group; "" when
// it does not.
func (r *rehearsal) after(group []candidate, j int, last *Endpoint, key Key) string {
	if j == 0 {
		return ""
	}
	cand := &group[j]
	switch {
	case r.view.policy == First:
		return "it is written after others that are not full"
	case r.view.policy == Maglev && key != NoKey:
		return "another comes first for this key"
	case cand.endpoint == last, r.view.policy == LeastConnections && group[j-1].lessLoaded(cand, r.now, r.view.slowStart):
		return r.load(cand)
	}
	return ""
}

// load says how busy a candidate is.
func (r *rehearsal) load(cand *candidate) string {
	text := fmt.Sprintf("with one more it has more for its weight: %d now, weight %d", cand.endpoint.Active(), cand.weight/weightUnit)
	if cand.weightAt(r.now, r.view.slowStart) < cand.weight {
		text += ", of which it has a part while it starts slowly"
	}
	return text
}
