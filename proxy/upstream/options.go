package upstream

import (
	"fmt"
	"time"
)

// Policy is how a cluster chooses among the endpoints that may serve.
type Policy uint8

// The policies. Each chooses within the highest priority group that has an
// endpoint to offer.
const (
	LeastConnections Policy = iota // the fewest connections for its weight
	RoundRobin                     // in turn, the heavy ones more often
	Random                         // the less loaded of two drawn by weight
	Maglev                         // by the connection's key
	First                          // the first that is not full
)

// String gives the word of the configuration.
func (p Policy) String() string {
	return [...]string{"least_connections", "round_robin", "random", "maglev", "first"}[p]
}

// Options is how a cluster chooses, and what it refuses. The zero value is
// weighted least connections without limits.
type Options struct {
	Policy Policy

	// SlowStart is how long an endpoint that begins to serve beside others
	// takes to get its full share; 0: none. It has no meaning for Maglev and
	// First.
	SlowStart time.Duration

	// PanicThreshold is the percentage of serving endpoints in a priority
	// group below which health and ejections are ignored there; 0: never.
	PanicThreshold int

	MaxConnections int      // of the cluster; 0: no limit
	MaxPending     int      // connections that may wait for a place
	Outlier        *Outlier // nil: no ejection

	// OnEjection is told of every ejection and its end. It is called without
	// locks held, by whatever goroutine found out; nil: nobody is told.
	OnEjection func(Ejection)
}

// Configure sets how the cluster chooses from the next pick on. Connections
// that exist stay, also above a limit that is lower now. Options that a checked
// configuration cannot contain make it panic.
func (c *Cluster) Configure(o Options) {
	if o.Policy > First || o.PanicThreshold < 0 || o.PanicThreshold > 100 || o.SlowStart < 0 || o.MaxConnections < 0 || o.MaxPending < 0 {
		panic(fmt.Sprintf("BUG: cluster %q cannot be configured with %+v", c.Name, o))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.options.Store(&o)
	c.refreshLocked()
}
