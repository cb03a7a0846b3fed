package upstream

import (
	"fmt"
	"iter"
	"slices"
)

// MaxWeight is the largest weight, of an endpoint and of a cluster in a
// [Split]. It keeps weight times active connections, and sums of weights,
// within 64 bits.
const MaxWeight = 1<<31 - 1

// Spec is what the configuration says of one endpoint.
type Spec struct {
	Name    string
	Address Address
	Weight  int // 1 to MaxWeight
}

// Cluster is a named group of endpoints. Which endpoints it has, and with
// which weights, never changes; all its methods may be called by any
// goroutine.
type Cluster struct {
	Name    string
	members []member
}

// member is an endpoint with what this cluster's configuration says of it.
type member struct {
	endpoint *Endpoint
	weight   int64
}

// NewCluster makes a cluster with new endpoints. Specs that a checked
// configuration cannot contain (a weight of 0, an address twice) make it
// panic.
func NewCluster(name string, specs []Spec) *Cluster {
	c := &Cluster{Name: name, members: make([]member, 0, len(specs))}
	seen := make(map[Address]bool, len(specs))
	for _, s := range specs {
		checkWeight(s.Weight)
		if s.Address.AddrPort.IsValid() == (s.Address.Path != "") {
			panic(fmt.Sprintf("BUG: endpoint %q of cluster %q needs either a TCP address or a path", s.Name, name))
		}
		if seen[s.Address] {
			panic(fmt.Sprintf("BUG: cluster %q has %v twice", name, s.Address))
		}
		seen[s.Address] = true
		c.members = append(c.members, member{
			endpoint: &Endpoint{Name: s.Name, Address: s.Address},
			weight:   int64(s.Weight),
		})
	}
	return c
}

func checkWeight(w int) {
	if w < 1 || w > MaxWeight {
		panic(fmt.Sprintf("BUG: weight %d is not within 1 and %d", w, MaxWeight))
	}
}

// Endpoints gives the endpoints with their weights, in the order of the
// configuration.
func (c *Cluster) Endpoints() iter.Seq2[*Endpoint, int] {
	return func(yield func(*Endpoint, int) bool) {
		for _, m := range c.members {
			if !yield(m.endpoint, int(m.weight)) {
				return
			}
		}
	}
}

// Pick chooses the endpoint for a connection and counts the connection there
// from now on; [Endpoint.Release] must follow. It prefers endpoints that are
// not in tried; when all are, it chooses among all again. It gives nil when
// the cluster has no endpoint.
//
// Pick does not allocate, block or lock. It takes a full scan, and another
// one whenever another worker has changed the count of the chosen endpoint
// meanwhile; each such change is progress of that other worker.
func (c *Cluster) Pick(rnd *Rand, tried []*Endpoint) *Endpoint {
	for {
		e, active := c.least(rnd, tried)
		if e == nil && len(tried) > 0 {
			tried = nil
			continue
		}
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
func (c *Cluster) least(rnd *Rand, tried []*Endpoint) (best *Endpoint, active int64) {
	// Twice the load of the best is load/weight: to begin with 1/0, more than any.
	load, weight := int64(1), int64(0)
	var equals uint64 // how many as good as the best were seen
	for i := range c.members {
		m := &c.members[i]
		a := m.endpoint.active.Load()
		// (2a+1)/m.weight against load/weight in whole numbers. The count is
		// below 2^31 as every connection has a descriptor, and so is MaxWeight.
		twice := 2*a + 1
		own, least := twice*weight, load*m.weight
		if own > least || slices.Contains(tried, m.endpoint) {
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
		best, active, load, weight = m.endpoint, a, twice, m.weight
	}
	return best, active
}
