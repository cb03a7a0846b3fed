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
//
// It lives as long as its cluster, while configurations change: what the next
// one says of discovery and checks in the same words goes on undisturbed.
type upkeep struct {
	gateway *Gateway
	live    *upstream.Cluster
	log     zerolog.Logger

	mu      sync.Mutex // guards what follows
	cluster *cluster   // as the configuration has it now
	finders []*finder
	checker *health.Checker // nil: endpoints are not checked
	checked config.Digest   // what the checker does

	troubles failures // endpoints that could not be checked
}

// newUpkeep makes the upkeep of a new cluster, which does nothing before it is
// told to follow a configuration.
func newUpkeep(g *Gateway, cl *cluster) *upkeep {
	return &upkeep{gateway: g, live: cl.Cluster, log: g.log.With().Str("cluster", cl.Name).Logger()}
}

// follow makes the cluster what the configuration says now. check is how its
// endpoints are checked when that is not as before. It gives the endpoints that
// it has no more.
func (u *upkeep) follow(cl *cluster, check *health.Check) (removed []*upstream.Endpoint) {
	u.mu.Lock()
	u.cluster = cl
	begun, ended := u.replaceFindersLocked(cl.spec.Discoveries)
	var idle *health.Checker
	if u.checked != cl.spec.CheckDigest() {
		idle, u.checker, u.checked = u.checker, nil, cl.spec.CheckDigest()
		if check != nil {
			u.checker = health.New(*check, health.Observer{Changed: u.healthChanged, Trouble: u.cannotCheck})
		}
	}
	u.live.Configure(clusterOptions(cl.spec, u.gateway.ejection))
	_, removed = u.live.Update(u.allLocked())
	unchecked := idle != nil && u.checker == nil
	u.mu.Unlock()

	// What ends may be about to tell something, for which it needs the lock.
	for _, f := range ended {
		f.stop()
	}
	if idle != nil {
		idle.Close()
	}
	if unchecked {
		u.forgetHealth()
	}
	u.mu.Lock()
	u.watchLocked()
	u.mu.Unlock()
	for _, f := range begun {
		f.start()
	}
	return removed
}

// replaceFindersLocked looks for endpoints as the configuration says now. What
// is looked for in the same words goes on with what it has found.
func (u *upkeep) replaceFindersLocked(discoveries []config.Discovery) (begun, ended []*finder) {
	before := u.finders
	u.finders = nil
	for i := range discoveries {
		d := &discoveries[i]
		digest := d.Digest()
		k := slices.IndexFunc(before, func(f *finder) bool { return f.digest == digest })
		if k >= 0 {
			u.finders = append(u.finders, before[k])
			before = slices.Delete(slices.Clone(before), k, k+1)
			continue
		}
		f := newFinder(u, d, digest)
		u.finders = append(u.finders, f)
		begun = append(begun, f)
	}
	return begun, before
}

// close ends it all, and returns when nothing of it is left.
func (u *upkeep) close() {
	u.mu.Lock()
	finders, checker := u.finders, u.checker
	u.finders, u.checker = nil, nil
	u.mu.Unlock()
	for _, f := range finders {
		f.stop()
	}
	if checker != nil {
		checker.Close()
	}
}

// current gives the cluster as the configuration has it now.
func (u *upkeep) current() *cluster {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.cluster
}

// replace takes what one of the finders has found.
func (u *upkeep) replace(f *finder, specs []upstream.Spec) {
	u.mu.Lock()
	if !slices.Contains(u.finders, f) || slices.Equal(f.found, specs) {
		u.mu.Unlock()
		return
	}
	f.found = specs
	added, removed := u.live.Update(u.allLocked())
	u.watchLocked()
	fate := u.cluster.onRemoved
	u.mu.Unlock()
	if len(added)+len(removed) > 0 {
		u.log.Info().Strs("added", addressesOf(added)).Strs("removed", addressesOf(removed)).Msg("endpoints changed")
	}
	u.gateway.endpointsLost(removed, fate, reasonEndpointRemoved)
}

// allLocked gives the endpoints of the configuration and of all finders. Of an
// address that is there twice the first counts.
func (u *upkeep) allLocked() []upstream.Spec {
	lists := [][]upstream.Spec{endpointSpecs(u.cluster.spec)}
	for _, f := range u.finders {
		lists = append(lists, f.found)
	}
	var all []upstream.Spec
	seen := make(map[upstream.Address]bool)
	for _, list := range lists {
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
	for e := range u.live.Endpoints() {
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
	digest config.Digest // of what is asked
	source discovery.Source
	like   config.DNSDiscovery // what an endpoint given by name says of its addresses
	found  []upstream.Spec     // guarded by the upkeep's lock

	told string // the trouble that was logged last; "": there is none

	cancel  context.CancelFunc
	looking sync.WaitGroup
	once    sync.Once
	looked  chan struct{} // closed when there was a first answer, or none
}

func newFinder(u *upkeep, d *config.Discovery, digest config.Digest) *finder {
	f := &finder{upkeep: u, digest: digest, source: sourceOf(d), looked: make(chan struct{})}
	if d.DNS != nil {
		f.like = *d.DNS
	}
	return f
}

// start begins to look.
func (f *finder) start() {
	ctx, cancel := context.WithCancel(context.Background())
	f.cancel = cancel
	f.looking.Go(func() { f.source.Run(ctx, f) })
}

// stop returns when nothing of it is left.
func (f *finder) stop() {
	f.cancel()
	f.looking.Wait()
}

// Found implements [discovery.Sink].
func (f *finder) Found(set []discovery.Found, missing error) {
	specs := make([]upstream.Spec, len(set))
	for i, e := range set {
		specs[i] = f.spec(e)
	}
	f.upkeep.replace(f, specs)
	f.once.Do(func() { close(f.looked) })
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
func (f *finder) Failed(err error) {
	f.once.Do(func() { close(f.looked) })
	f.tell(err, "discovery failed; the last good answer stays")
}

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

func sourceOf(d *config.Discovery) discovery.Source {
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
