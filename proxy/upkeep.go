package proxy

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/rs/zerolog"

	"sluice/config"
	"sluice/proxy/upstream"
	"sluice/proxy/upstream/discovery"
	"sluice/proxy/upstream/health"
)

// upkeep keeps a cluster's endpoints as they are out there: which ones there are
// (package discovery), which of them are well (package health), and what becomes
// of the connections of those that are not. Nothing of it runs on the workers,
// which are only asked to end connections.
type upkeep struct {
	gateway *Gateway
	cluster *cluster
	spec    *config.Cluster
	log     zerolog.Logger
	checker *health.Checker // nil: endpoints are not checked

	troubles failures // endpoints that could not be checked

	stop    context.CancelFunc
	looking sync.WaitGroup // sources

	mu    sync.Mutex        // guards what follows
	fixed []upstream.Spec   // written in the configuration
	found [][]upstream.Spec // by source
}

// startUpkeep starts discovery and checks of every cluster that has any.
func (g *Gateway) startUpkeep(cfg *config.Config) error {
	gate := health.NewGate(checksAtATime(descriptorLimit()))
	for _, spec := range cfg.Clusters {
		if len(spec.Discoveries) == 0 && spec.HealthCheck == nil {
			continue
		}
		u := &upkeep{
			gateway: g, cluster: g.snapshot.Load().clusters[spec.Name], spec: spec,
			log:   g.log.With().Str("cluster", spec.Name).Logger(),
			found: make([][]upstream.Spec, len(spec.Discoveries)),
		}
		for _, ep := range spec.Endpoints {
			u.fixed = append(u.fixed, endpointSpec(ep))
		}
		if spec.HealthCheck != nil {
			check, err := u.check(gate)
			if err != nil {
				return fmt.Errorf("cluster %q: health_check: %w", spec.Name, err)
			}
			u.checker = health.New(check, health.Observer{Changed: u.healthChanged, Trouble: u.cannotCheck})
		}
		u.start()
		g.upkeeps = append(g.upkeeps, u)
	}
	return nil
}

// start begins to look and to check.
func (u *upkeep) start() {
	ctx, cancel := context.WithCancel(context.Background())
	u.stop = cancel
	u.mu.Lock()
	u.watchLocked()
	u.mu.Unlock()
	for i, d := range u.spec.Discoveries {
		s := &finder{upkeep: u, index: i, source: sourceOf(d)}
		if d.DNS != nil {
			s.like = *d.DNS
		}
		u.looking.Go(func() { s.source.Run(ctx, s) })
	}
}

// close ends it all, and returns when nothing of it is left.
func (u *upkeep) close() {
	u.stop()
	u.looking.Wait()
	if u.checker != nil {
		u.checker.Close()
	}
}

// replace takes what a source has found.
func (u *upkeep) replace(source int, specs []upstream.Spec) {
	u.mu.Lock()
	if slices.Equal(u.found[source], specs) {
		u.mu.Unlock()
		return
	}
	u.found[source] = specs
	added, removed := u.cluster.Update(u.allLocked())
	u.watchLocked()
	u.mu.Unlock()
	if len(added)+len(removed) > 0 {
		u.log.Info().Strs("added", addressesOf(added)).Strs("removed", addressesOf(removed)).Msg("endpoints changed")
	}
	u.gateway.endpointsLost(removed, u.spec.OnEndpointRemoved, reasonEndpointRemoved)
}

// allLocked gives the endpoints of the configuration and of all sources. Of an
// address that is there twice the first counts.
func (u *upkeep) allLocked() []upstream.Spec {
	var all []upstream.Spec
	seen := make(map[upstream.Address]bool)
	for _, list := range append([][]upstream.Spec{u.fixed}, u.found...) {
		for _, s := range list {
			if !seen[s.Address] {
				seen[s.Address] = true
				all = append(all, s)
			}
		}
	}
	return all
}

// watchLocked has the endpoints checked that there are now.
func (u *upkeep) watchLocked() {
	if u.checker == nil {
		return
	}
	var endpoints []*upstream.Endpoint
	for e := range u.cluster.Endpoints() {
		endpoints = append(endpoints, e)
	}
	u.checker.Watch(endpoints)
}

// mostTold is how many endpoints one line of the log names.
const mostTold = 50

// addressesOf gives the addresses, of too many the first ones, for the log.
func addressesOf(endpoints []*upstream.Endpoint) []string {
	var list []string
	for _, e := range endpoints[:min(len(endpoints), mostTold)] {
		list = append(list, e.Address.String())
	}
	if more := len(endpoints) - mostTold; more > 0 {
		list = append(list, fmt.Sprintf("and %d more", more))
	}
	return list
}

// finder takes what one source finds.
type finder struct {
	upkeep *upkeep
	index  int
	source discovery.Source
	like   config.DNSDiscovery // what an endpoint given by name says of its addresses

	told string // the trouble that was logged last; "": there is none
}

// Found implements [discovery.Sink].
func (f *finder) Found(set []discovery.Found, missing error) {
	specs := make([]upstream.Spec, len(set))
	for i, e := range set {
		specs[i] = f.spec(e)
	}
	f.upkeep.replace(f.index, specs)
	if missing != nil {
		f.tell(missing, "discovery found only a part")
		return
	}
	if f.told != "" {
		f.told = ""
		f.upkeep.log.Info().Stringer("discovery", f.source).Msg("discovery works again")
	}
}

// Failed implements [discovery.Sink].
func (f *finder) Failed(err error) { f.tell(err, "discovery failed; the last good answer stays") }

// tell logs trouble once, until it is another one.
func (f *finder) tell(err error, message string) {
	if f.told != err.Error() {
		f.told = err.Error()
		f.upkeep.log.Warn().Err(err).Stringer("discovery", f.source).Msg(message)
	}
}

// spec says what was found in the cluster's terms.
func (f *finder) spec(e discovery.Found) upstream.Spec {
	s := upstream.Spec{
		Name: e.Address.String(), Address: e.Address, Host: e.Host,
		Weight: e.Weight, Priority: e.Priority, MaxConnections: f.like.MaxConnections,
	}
	if f.like.Name != "" {
		s.Name = f.like.Name + "/" + s.Name
	}
	switch {
	case f.like.SRV:
		// The target of a record is what an answer says that nobody has signed:
		// whoever can forge it must not choose whom TLS takes an endpoint for
		// (RFC 6125 6.2.1).
		s.Host = ""
	case f.like.Host != "":
		s.Weight, s.Priority = f.like.Weight, f.like.Priority
	}
	return s
}

func sourceOf(d config.Discovery) discovery.Source {
	if d.DNS == nil {
		return &discovery.File{Path: d.File}
	}
	return &discovery.DNS{
		Host: d.DNS.Host, Port: d.DNS.Port, SRV: d.DNS.SRV,
		Refresh: d.DNS.Refresh, MinTTL: d.DNS.MinTTL, Resolvers: d.DNS.Resolvers,
	}
}

// descriptorsPerSource is what discovery needs at a time: two queries, or a file
// and the notices of changes.
const descriptorsPerSource = 4

// checksAtATime bounds how many health checks run at a time, each of which takes
// a descriptor.
func checksAtATime(limit int) int { return max(min(64, limit/32), 4) }

// upkeepDescriptors is how many descriptors the connections have to leave for
// discovery and checks.
func upkeepDescriptors(cfg *config.Config, limit int) int {
	n, checked := 0, false
	for _, spec := range cfg.Clusters {
		n += descriptorsPerSource * len(spec.Discoveries)
		checked = checked || spec.HealthCheck != nil
	}
	if checked {
		n += checksAtATime(limit)
	}
	return min(n, limit/4)
}
