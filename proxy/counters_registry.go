package proxy

import (
	"sync"
	"sync/atomic"

	"sluice/proxy/status"
	"sluice/proxy/upstream"
)

// registry has the counters of everything, by name. It lives as long as the
// gateway, so that a counter goes on where it was whatever configurations come
// and go. What was ever in one of them stays: of a chain that is some hundred
// bytes for each worker.
//
// Its lock is for those who build snapshots and for those who read. Workers have
// pointers to their cells and do not need it.
type registry struct {
	workers int

	mu        sync.Mutex // guards what follows
	listeners map[string]*listenerCounters
	clusters  map[string]*clusterCounters
	fresh     [][]trafficCell // by worker: cells that nobody has yet
}

// listenerCounters is the cells of a listener and of its chains.
type listenerCounters struct {
	cells  []*listenerCell
	chains map[string]*chainCounters // guarded by the registry's lock
}

// chainCounters is the cells of a chain, and of the clusters that it has ever led
// to.
type chainCounters struct {
	traffic      traffic              // its bytes are of connections that never got as far as a cluster
	destinations []destinationTraffic // guarded by the registry's lock
}

type destinationTraffic struct {
	cluster string
	traffic traffic
}

// clusterCounters is the cells of a cluster, and what is too rare for cells.
type clusterCounters struct {
	cells           []*clusterCell
	becameHealthy   atomic.Uint64
	becameUnhealthy atomic.Uint64
	ejections       atomic.Uint64
}

func newRegistry(workers int) *registry {
	return &registry{
		workers:   workers,
		listeners: make(map[string]*listenerCounters),
		clusters:  make(map[string]*clusterCounters),
		fresh:     make([][]trafficCell, workers),
	}
}

// attach gives everything in a snapshot its counters: those that its name has
// already, or new ones. It has to be called before the snapshot is used.
func (r *registry) attach(s *snapshot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, cl := range s.clusters {
		cl.counters = r.clusterLocked(name)
	}
	for _, ln := range s.listeners {
		ln.counters = r.listenerLocked(ln.name)
		for ch := range ln.all() {
			ch.counters = r.chainLocked(ln.counters, ch.name)
			ch.traffic = make([]traffic, len(ch.clusters))
			for i, cl := range ch.clusters {
				ch.traffic[i] = r.destinationLocked(ch.counters, cl.Name)
			}
		}
	}
}

func (r *registry) listenerLocked(name string) *listenerCounters {
	l := r.listeners[name]
	if l == nil {
		l = &listenerCounters{cells: newCells[listenerCell](r.workers), chains: make(map[string]*chainCounters)}
		r.listeners[name] = l
	}
	return l
}

func (r *registry) chainLocked(l *listenerCounters, name string) *chainCounters {
	c := l.chains[name]
	if c == nil {
		c = &chainCounters{traffic: r.trafficLocked()}
		l.chains[name] = c
	}
	return c
}

func (r *registry) destinationLocked(c *chainCounters, cluster string) traffic {
	for _, d := range c.destinations {
		if d.cluster == cluster {
			return d.traffic
		}
	}
	d := destinationTraffic{cluster, r.trafficLocked()}
	c.destinations = append(c.destinations, d)
	return d.traffic
}

func (r *registry) clusterLocked(name string) *clusterCounters {
	c := r.clusters[name]
	if c == nil {
		c = &clusterCounters{cells: newCells[clusterCell](r.workers)}
		r.clusters[name] = c
	}
	return c
}

func newCells[T any](workers int) []*T {
	cells := make([]*T, workers)
	for i := range cells {
		cells[i] = new(T)
	}
	return cells
}

// cellsAtATime is a page of cells. They are many, and allocated one by one they
// would either be padded or share cache lines with another worker's.
const cellsAtATime = 128

func (r *registry) trafficLocked() traffic {
	t := make(traffic, r.workers)
	for i := range t {
		if len(r.fresh[i]) == 0 {
			r.fresh[i] = make([]trafficCell, cellsAtATime)
		}
		t[i], r.fresh[i] = &r.fresh[i][0], r.fresh[i][1:]
	}
	return t
}

// changed counts a change of an endpoint's health.
func (c *clusterCounters) changed(to upstream.Health) {
	if to == upstream.Healthy {
		c.becameHealthy.Add(1)
	} else {
		c.becameUnhealthy.Add(1)
	}
}

// ejected counts an ejection of one of a cluster's endpoints.
func (r *registry) ejected(cluster string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.clusters[cluster]; c != nil {
		c.ejections.Add(1)
	}
}

// sums is what things have carried that are not one cell's.
type sums struct {
	listeners map[string]status.Traffic
	chains    map[*chainCounters]status.Traffic
	clusters  map[string]status.Traffic
}

// sums adds up what everything has carried: a chain to all of its clusters, a
// listener by all of its chains, a cluster from all chains; in each with what is
// not in the configuration any more.
func (r *registry) sums() sums {
	s := sums{make(map[string]status.Traffic), make(map[*chainCounters]status.Traffic), make(map[string]status.Traffic)}
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, l := range r.listeners {
		var listener status.Traffic
		for _, c := range l.cells {
			c.traffic.read(&listener)
		}
		for _, ch := range l.chains {
			chain := ch.traffic.read()
			for _, d := range ch.destinations {
				t := d.traffic.read()
				addBytes(&chain, t)
				cluster := s.clusters[d.cluster]
				cluster.Active += t.Active
				cluster.Connections += t.Connections
				addBytes(&cluster, t)
				s.clusters[d.cluster] = cluster
			}
			s.chains[ch] = chain
			addBytes(&listener, chain)
		}
		s.listeners[name] = listener
	}
	return s
}

func addBytes(t *status.Traffic, of status.Traffic) {
	t.BytesReceived += of.BytesReceived
	t.BytesSent += of.BytesSent
}
