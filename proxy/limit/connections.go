package limit

import "sync/atomic"

// Connections counts connections that exist at the same time. The zero value
// counts none. Its methods may be called by any goroutine.
type Connections struct{ active atomic.Int64 }

// Enter counts one more connection and tells true, unless there are most
// already; 0 is no limit. [Connections.Leave] must follow a true.
//
// The limit is exact: the count never exceeds it, not even for a moment, so
// that one that is refused cannot have another refused for which there is room.
func (c *Connections) Enter(most int64) bool {
	if most <= 0 {
		c.active.Add(1)
		return true
	}
	for {
		n := c.active.Load()
		if isFull(n, most) {
			return false
		}
		if c.active.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func isFull(n, most int64) bool { return most > 0 && n >= most }

// Full tells whether Enter would be refused now.
func (c *Connections) Full(most int64) bool { return isFull(c.active.Load(), most) }

// Leave ends what a successful Enter began and gives how many are left.
func (c *Connections) Leave() int64 {
	n := c.active.Add(-1)
	if n < 0 {
		panic("BUG: limit: more connections left than entered")
	}
	return n
}

// Active is how many there are.
func (c *Connections) Active() int64 { return c.active.Load() }
