package proxy

import (
	"sync/atomic"

	"sluice/proxy/upstream"
)

// Counters reads everything that is counted. The workers are not disturbed. Any
// goroutine may call it.
func (g *Gateway) Counters() Counters {
	snap, sums := g.snapshot.Load(), g.counters.sums()
	all := Counters{Process: g.Stats()}
	for _, ln := range snap.listeners {
		l := ln.read(&sums)
		all.Listeners = append(all.Listeners, l)
	}
	for _, cl := range snap.inOrder {
		all.Clusters = append(all.Clusters, cl.read(&sums))
	}
	return all
}

func (ln *listener) read(s *sums) ListenerCounters {
	cells := ln.counters.cells
	l := ListenerCounters{Name: ln.name, Traffic: s.listeners[ln.name], Handshake: newHistogram()}
	for place := range helloWords {
		l.Hellos = append(l.Hellos, Count{helloAt(place).String(), sumOf(cells, func(c *listenerCell) *atomic.Uint64 { return &c.hellos[place] })})
	}
	for r := reasonNone + 1; int(r) < len(reasonWords); r++ {
		ended := func(by Origin) uint64 {
			return sumOf(cells, func(c *listenerCell) *atomic.Uint64 { return &c.terminations[r][by] })
		}
		t := Terminations{r.String(), ended(byGateway), ended(byDownstream), ended(byUpstream)}
		l.Terminations = append(l.Terminations, t)
		switch {
		case r == reasonNoMatch:
			l.NoMatch = t.Gateway
		case r.isTallied():
			l.Limits = append(l.Limits, Count{r.String(), ln.admission.live.tally(r).total.Load()})
		}
	}
	for _, c := range cells {
		c.handshake.read(&l.Handshake)
	}
	for ch := range ln.all() {
		l.Chains = append(l.Chains, ch.read(s))
	}
	return l
}

func (ch *chain) read(s *sums) ChainCounters {
	c := ChainCounters{Name: ch.name, Traffic: s.chains[ch.counters]}
	for i, cl := range ch.clusters {
		d := DestinationCounters{Cluster: cl.Name, Traffic: ch.traffic[i].read()}
		c.Destinations = append(c.Destinations, d)
	}
	return c
}

func (cl *cluster) read(s *sums) ClusterCounters {
	counters := cl.counters
	cells := counters.cells
	c := ClusterCounters{
		Name:            cl.Name,
		Traffic:         s.clusters[cl.Name],
		Pending:         int64(cl.Pending()),
		Queued:          sumOf(cells, func(c *clusterCell) *atomic.Uint64 { return &c.queued }),
		Overflows:       sumOf(cells, func(c *clusterCell) *atomic.Uint64 { return &c.overflows }),
		QueueTimeouts:   sumOf(cells, func(c *clusterCell) *atomic.Uint64 { return &c.queueTimeouts }),
		Retries:         sumOf(cells, func(c *clusterCell) *atomic.Uint64 { return &c.retries }),
		Connect:         newHistogram(),
		BecameHealthy:   counters.becameHealthy.Load(),
		BecameUnhealthy: counters.becameUnhealthy.Load(),
		Ejections:       counters.ejections.Load(),
	}
	for r := range attemptResults {
		n := Count{attemptWords[r], sumOf(cells, func(c *clusterCell) *atomic.Uint64 { return &c.attempts[r] })}
		if r < firstReplayed {
			c.Attempts = append(c.Attempts, n)
		} else {
			c.Replays = append(c.Replays, n)
		}
	}
	for _, cell := range cells {
		cell.connect.read(&c.Connect)
	}
	for e := range cl.Endpoints() {
		c.Endpoints = append(c.Endpoints, readEndpoint(e))
	}
	return c
}

func readEndpoint(e *upstream.Endpoint) EndpointCounters {
	c := EndpointCounters{
		Name:      e.Name(),
		Address:   e.Address.String(),
		Attempts:  e.Counters.Attempts.Load(),
		Failures:  e.Counters.Failures.Load(),
		EarlyEnds: e.Counters.EarlyEnds.Load(),
		Ejections: e.Counters.Ejections.Load(),
		Health:    e.Health().String(),
		State:     e.State().String(),
		Ejected:   e.Ejected(),
		Serving:   e.Serving(),
	}
	c.Traffic.Active = e.Active()
	c.Traffic.Connections = e.Counters.Connections.Load()
	c.Traffic.BytesReceived, c.Traffic.BytesSent = e.Bytes()
	return c
}

// sumOf adds a counter of every worker's cell up.
func sumOf[T any](cells []*T, counter func(*T) *atomic.Uint64) (sum uint64) {
	for _, c := range cells {
		sum += counter(c).Load()
	}
	return sum
}
