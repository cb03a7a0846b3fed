package upstream

import (
	"fmt"
	"iter"
)

// MaxWeight is the largest weight, of an endpoint and of a cluster in a
// [Split]. It keeps load times weight, and sums of weights, within 64 bits.
const MaxWeight = 1 << 20

// Spec is what the configuration, or discovery, says of one endpoint.
type Spec struct {
	Name           string
	Address        Address
	Weight         int // 1 to MaxWeight
	Priority       int // lower first; a higher one only when none of the lower can be
	MaxConnections int // 0: no limit
	// Host is the host name that the configuration gives the endpoint, in lower
	// case and without a trailing dot: TLS verifies it by that name. Empty where
	// the address itself was given, or found under a name that is not written
	// down.
	Host string
}

// set is which endpoints a cluster has. It never changes.
type set []member

// member is an endpoint with what this set says of it.
type member struct {
	*Endpoint
	spec Spec
}

// Update gives the cluster another set of endpoints. An address that stays
// keeps its live Endpoint, with health, counts and ejections; what else the
// specs say of it holds from the next pick on. Those that are removed are not
// picked any more; what becomes of their connections is the caller's matter.
//
// Specs that a checked configuration cannot contain (a weight of 0, an address
// twice) make it panic. Any goroutine may call it.
func (c *Cluster) Update(specs []Spec) (added, removed []*Endpoint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	gone := make(map[Address]*Endpoint)
	for _, m := range *c.set.Load() {
		gone[m.Address] = m.Endpoint
	}
	next, seen := make(set, 0, len(specs)), make(map[Address]bool, len(specs))
	for _, s := range specs {
		c.checkSpec(s)
		if seen[s.Address] {
			panic(fmt.Sprintf("BUG: cluster %q has %v twice", c.Name, s.Address))
		}
		seen[s.Address] = true
		e := gone[s.Address]
		if e == nil {
			e = &Endpoint{Address: s.Address, cluster: c}
			added = append(added, e)
		}
		delete(gone, s.Address)
		if name := s.Name; e.name.Load() == nil || e.Name() != name {
			e.name.Store(&name)
		}
		if host := s.Host; e.host.Load() == nil || e.Host() != host {
			e.host.Store(&host)
		}
		next = append(next, member{e, s})
	}
	for _, m := range *c.set.Load() {
		if gone[m.Address] != nil {
			m.ejections.stopLocked()
			m.status.Or(statusRemoved)
			removed = append(removed, m.Endpoint)
		}
	}
	c.set.Store(&next)
	c.refreshLocked()
	return added, removed
}

func (c *Cluster) checkSpec(s Spec) {
	checkWeight(s.Weight)
	if s.Address.AddrPort.IsValid() == (s.Address.Path != "") {
		panic(fmt.Sprintf("BUG: endpoint %q of cluster %q needs either a TCP address or a path", s.Name, c.Name))
	}
	if s.MaxConnections < 0 {
		panic(fmt.Sprintf("BUG: endpoint %q of cluster %q is limited to %d connections", s.Name, c.Name, s.MaxConnections))
	}
}

func checkWeight(w int) {
	if w < 1 || w > MaxWeight {
		panic(fmt.Sprintf("BUG: weight %d is not within 1 and %d", w, MaxWeight))
	}
}

// Endpoints gives the endpoints of the current set, each with what the set says
// of it, in the order of the configuration.
func (c *Cluster) Endpoints() iter.Seq2[*Endpoint, Spec] {
	return func(yield func(*Endpoint, Spec) bool) {
		for _, m := range *c.set.Load() {
			if !yield(m.Endpoint, m.spec) {
				return
			}
		}
	}
}
