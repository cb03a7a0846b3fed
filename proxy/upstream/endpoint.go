package upstream

import (
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"
)

// Address is where an endpoint listens: a TCP address or a unix socket, never
// both. Two equal Addresses are the same place.
type Address struct {
	AddrPort netip.AddrPort
	Path     string // absolute, of a unix socket
}

// String gives the address as a user would write it.
func (a Address) String() string {
	if a.Path != "" {
		return "unix:" + a.Path
	}
	return a.AddrPort.String()
}

// Endpoint is one address of a cluster with its live state. It is the same
// object for as long as its cluster has the address, whatever else changes
// (see [Cluster.Update]). All workers share it: any goroutine may call any
// method.
type Endpoint struct {
	Address Address // never changes
	cluster *Cluster
	name    atomic.Pointer[string]
	host    atomic.Pointer[string]
	status  atomic.Uint64          // see status.go
	flows   atomic.Pointer[[]Flow] // by worker; nil: no byte has flowed

	// What follows is guarded by the cluster's lock.
	served    bool          // it served when the last view was made
	warming   time.Duration // since when it is in slow start, on the cluster's clock; 0: it is not
	ejections ejections

	// Every connection writes what follows, while other workers read what
	// stands above: the two must not share a cache line.
	_ [64]byte

	active         atomic.Int64
	failedAttempts atomic.Int32 // since the last that succeeded
	earlyEnds      atomic.Int32 // since it last sent a first byte
	// Counters survive as long as the endpoint does.
	Counters Counters

	_ [64]byte
}

// Counters count what happened at an endpoint since it exists.
type Counters struct {
	Attempts    atomic.Uint64 // picks, so connects begun
	Failures    atomic.Uint64 // attempts that failed by the endpoint's fault
	Connections atomic.Uint64 // attempts that became a connection
	EarlyEnds   atomic.Uint64 // connections that it ended before it had sent a byte
	Ejections   atomic.Uint64
}

// Flow is the bytes that one worker has relayed, counted as they flow. Only the
// worker writes it.
type Flow struct {
	Received atomic.Uint64 // from clients, for the endpoint
	Sent     atomic.Uint64 // to clients
	_        [48]byte      // the next one is another worker's
}

// Flow gives the bytes of a worker, from 0, of so many. It allocates when the
// first of them asks.
func (e *Endpoint) Flow(worker, workers int) *Flow {
	flows := e.flows.Load()
	for flows == nil {
		made := make([]Flow, workers)
		e.flows.CompareAndSwap(nil, &made)
		flows = e.flows.Load()
	}
	return &(*flows)[worker]
}

// Bytes gives the bytes that all workers have relayed.
func (e *Endpoint) Bytes() (received, sent uint64) {
	if flows := e.flows.Load(); flows != nil {
		for i := range *flows {
			received += (*flows)[i].Received.Load()
			sent += (*flows)[i].Sent.Load()
		}
	}
	return received, sent
}

// Name is what the configuration calls the endpoint now.
func (e *Endpoint) Name() string { return *e.name.Load() }

// Host is the host name that led to the endpoint now; empty when its address was
// given as such.
func (e *Endpoint) Host() string { return *e.host.Load() }

// Cluster is the cluster that the endpoint belongs, or belonged, to.
func (e *Endpoint) Cluster() *Cluster { return e.cluster }

// Active is how many connections and attempts are there now.
func (e *Endpoint) Active() int64 { return e.active.Load() }

// Release ends what [Cluster.Pick] began: the attempt has failed, or the
// connection is over. It must be called exactly once for every pick.
func (e *Endpoint) Release() {
	if e.active.Add(-1) < 0 {
		panic(fmt.Sprintf("BUG: endpoint %s released more often than picked", e.Name()))
	}
	e.cluster.freed()
}
