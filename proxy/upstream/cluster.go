package upstream

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Cluster is a named group of endpoints, and lives for as long as the
// configuration has its name. Any goroutine may call its methods.
type Cluster struct {
	Name string

	set  atomic.Pointer[set]  // the endpoints that there are
	view atomic.Pointer[view] // those that may serve, made of set

	mu sync.Mutex // held to replace set and view
}

// NewCluster makes a cluster with new endpoints. It panics as
// [Cluster.Update] does.
func NewCluster(name string, specs []Spec) *Cluster {
	c := &Cluster{Name: name}
	c.set.Store(&set{})
	c.Update(specs)
	return c
}

// Pick chooses the endpoint for a connection and counts the connection there
// from now on; [Endpoint.Release] must follow. It prefers endpoints that are
// not in tried; when all are, it chooses among all again. It gives nil when
// no endpoint can be used.
//
// Pick does not allocate, block or lock. It takes a full scan, and another
// one whenever another worker has changed the count of the chosen endpoint
// meanwhile; each such change is progress of that other worker.
func (c *Cluster) Pick(rnd *Rand, tried []*Endpoint) *Endpoint {
	v := c.view.Load()
	if e := v.pick(rnd, tried); e != nil || len(tried) == 0 {
		return e
	}
	return v.pick(rnd, nil)
}

func (v *view) pick(rnd *Rand, tried []*Endpoint) *Endpoint {
	for i := range v.groups {
		if e := v.groups[i].pick(rnd, tried); e != nil {
			return e
		}
	}
	return nil
}

func (g *group) pick(rnd *Rand, tried []*Endpoint) *Endpoint {
	for {
		e, active := g.least(rnd, tried)
		if e == nil {
			return nil
		}
		if e.active.CompareAndSwap(active, active+1) {
			e.Counters.Attempts.Add(1)
			return e
		}
	}
}

// least gives the endpoint with the least (active+1/2)/weight that is not in
// tried, each of several equal ones with the same chance, and the active
// count on which that rests.
func (g *group) least(rnd *Rand, tried []*Endpoint) (best *Endpoint, active int64) {
	// Twice the load of the best is load/weight: to begin with 1/0, more than any.
	load, weight := int64(1), int64(0)
	var equals uint64 // how many as good as the best were seen
	for i := range g.candidates {
		cand := &g.candidates[i]
		a := cand.endpoint.active.Load()
		// (2a+1)/cand.weight against load/weight in whole numbers. The count is
		// below 2^31 as every connection has a descriptor.
		twice := 2*a + 1
		own, least := twice*weight, load*cand.weight
		if own > least || a >= cand.max || slices.Contains(tried, cand.endpoint) {
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
