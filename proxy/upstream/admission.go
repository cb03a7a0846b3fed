package upstream

import "fmt"

// Admit lets a connection into the cluster if there is a place for it: the
// cluster has fewer than its maximum, and nobody waits for one. [Cluster.Leave]
// must follow. It does not lock.
func (c *Cluster) Admit() bool {
	return c.waiting.Load() == 0 && c.admit()
}

// hasPlace tells whether [Cluster.Admit] would let a connection in now.
func (c *Cluster) hasPlace() bool {
	return c.waiting.Load() == 0 && isBelow(c.active.Load(), int64(c.options.Load().MaxConnections))
}

// isBelow tells whether there may be one more than n; a limit of 0 is none.
func isBelow(n, limit int64) bool { return limit == 0 || n < limit }

func (c *Cluster) admit() bool {
	limit := int64(c.options.Load().MaxConnections)
	if limit == 0 {
		c.active.Add(1)
		return true
	}
	for {
		n := c.active.Load()
		if !isBelow(n, limit) {
			return false
		}
		if c.active.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Leave ends what [Cluster.Admit], or a place in the queue, began. It must be
// called exactly once, after the release of the connection's endpoint.
func (c *Cluster) Leave() {
	if c.active.Add(-1) < 0 {
		panic(fmt.Sprintf("BUG: more connections left the cluster %q than were admitted", c.Name))
	}
	c.freed()
}

// freed is called when a place has become free, or may have.
func (c *Cluster) freed() {
	if c.waiting.Load() > 0 {
		c.mu.Lock()
		c.serveLocked()
		c.mu.Unlock()
	}
}
