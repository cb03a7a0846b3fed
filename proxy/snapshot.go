package proxy

import (
	"crypto/tls"
	"fmt"
	"iter"
	"slices"
	"sync/atomic"
	"time"

	"sluice/config"
	"sluice/proxy/limit"
	"sluice/proxy/route"
	"sluice/proxy/upstream"
	"sluice/tlsutil"
)

// snapshot is the compiled form of one configuration. It never changes; a
// connection keeps to the parts of the one it was accepted under. What lives on
// when a configuration follows it (live clusters, counts, TLS sessions) both have.
type snapshot struct {
	config     *config.Config
	generation int // 1, and one more with each configuration
	workers    int // that runtime.workers said when they were started
	listeners  []*listener
	clusters   map[string]*cluster
	inOrder    []*cluster  // of the configuration
	sockets    []*listener // by the index of their group
	addresses  []Address   // in the order of the configuration
}

// listener is a listener's chains, compiled. The sockets are acceptors.
type listener struct {
	name           string
	spec           *config.Listener
	table          *route.Table
	chains         []*chain
	fallback       *chain // of the default_filter_chain; nil: none
	inspectTimeout time.Duration
	maxHello       int
	onNoMatch      config.Refusal
	proxyProtocol  *proxyProtocol // nil: no headers are read
	admission      admission
	counters       *listenerCounters // see registry.attach, here and below
}

// chain is what happens to the connections that a filter chain takes.
type chain struct {
	name              string
	spec              *config.FilterChain
	digest            config.Digest
	tls               *tls.Config // nil: passed through
	material          config.Digest
	split             *upstream.Split
	hashOn            config.HashKey // of the choice among clusters
	clusters          []*cluster
	idleTimeout       time.Duration
	halfCloseTimeout  time.Duration
	maxDuration       time.Duration
	onUpstreamFailure config.Refusal
	access            *limit.Access
	counters          *chainCounters
	traffic           []traffic // to each of clusters

	life *chainLife
}

// chainLife is what a chain has in common with those that it follows, in earlier
// configurations, for as long as they are the same by their digest. Connections
// stay with the chain that took them, and one later configuration can end them
// all.
type chainLife struct {
	// fate is what becomes of its connections because a later configuration
	// has it no more, or another one of its name; nil: nothing.
	fate atomic.Pointer[config.ConnectionFate]
}

// cluster is a live cluster with what its configuration says of attempts.
type cluster struct {
	*upstream.Cluster
	spec            *config.Cluster
	digest          config.Digest
	hashOn          config.HashKey
	connectTimeout  time.Duration
	maxAttempts     int
	retryEarlyReset bool
	queueTimeout    time.Duration // 0: none
	keepalive       config.Keepalive
	tls             *upstreamTLS // nil: endpoints get the bytes as they are
	usesHello       bool
	header          *config.ProxyHeader // sent to endpoints first; nil: none
	source          *source             // nil: the kernel's choice

	onUnhealthy, onRemoved config.ConnectionFate // of connections of such an endpoint

	counters *clusterCounters
	upkeep   *upkeep
}

// compile builds the snapshot of a checked configuration that is to follow old.
// It touches nothing that is in use: a live cluster that stays is told of its new
// options and endpoints only when the snapshot is (see [upkeep.follow]).
func compile(cfg *config.Config, old *snapshot) (*snapshot, error) {
	s := &snapshot{config: cfg, generation: old.generation + 1, clusters: make(map[string]*cluster, len(cfg.Clusters))}
	for _, spec := range cfg.Clusters {
		cl, err := compileCluster(spec, old.clusters[spec.Name])
		if err != nil {
			return nil, fmt.Errorf("cluster %q: %w", spec.Name, err)
		}
		s.clusters[spec.Name] = cl
		s.inOrder = append(s.inOrder, cl)
	}
	for _, spec := range cfg.Listeners {
		ln, err := s.compileListener(spec, old.listener(spec.Name))
		if err != nil {
			return nil, fmt.Errorf("listener %q: %w", spec.Name, err)
		}
		s.listeners = append(s.listeners, ln)
	}
	return s, nil
}

// listener gives the listener of that name; nil when there is none.
func (s *snapshot) listener(name string) *listener {
	for _, ln := range s.listeners {
		if ln.name == name {
			return ln
		}
	}
	return nil
}

// compileListener compiles a listener that takes the place of old, nil when
// there was none.
func (s *snapshot) compileListener(spec *config.Listener, old *listener) (*listener, error) {
	ln := &listener{
		name: spec.Name, spec: spec,
		inspectTimeout: spec.InspectTimeout,
		maxHello:       spec.InspectMaxBytes,
		onNoMatch:      spec.OnNoMatch,
		proxyProtocol:  compileProxyProtocol(spec.ProxyProtocol),
	}
	var before map[string]*chain
	if old != nil {
		ln.admission = newAdmission(spec, &old.admission)
		before = old.byName()
	} else {
		ln.admission = newAdmission(spec, nil)
	}
	criteria := make([]route.Criteria, len(spec.Chains))
	for i, cs := range spec.Chains {
		ch, err := s.compileChain(cs, before[chainKey(cs, spec)])
		if err != nil {
			return nil, fmt.Errorf("filter_chain %q: %w", cs.Name, err)
		}
		ln.chains = append(ln.chains, ch)
		criteria[i] = criteriaOf(cs)
		criteria[i].UsesHello = s.usesHello(cs)
	}
	if spec.Default != nil {
		ch, err := s.compileChain(spec.Default, before[chainKey(spec.Default, spec)])
		if err != nil {
			return nil, fmt.Errorf("default_filter_chain: %w", err)
		}
		ln.fallback = ch
	}
	ln.table = route.New(criteria, spec.Default != nil && s.usesHello(spec.Default))
	return ln, nil
}

// chainKey tells the chains of a listener apart: another one may be named as the
// default chain is.
func chainKey(cs *config.FilterChain, ln *config.Listener) string {
	if cs == ln.Default {
		return "default_filter_chain"
	}
	return "filter_chain " + cs.Name
}

// byName gives the chains by their keys.
func (ln *listener) byName() map[string]*chain {
	chains := make(map[string]*chain, len(ln.chains)+1)
	for ch := range ln.all() {
		chains[chainKey(ch.spec, ln.spec)] = ch
	}
	return chains
}

// all gives every chain, the default one last.
func (ln *listener) all() iter.Seq[*chain] {
	return func(yield func(*chain) bool) {
		for _, ch := range ln.chains {
			if !yield(ch) {
				return
			}
		}
		if ln.fallback != nil {
			yield(ln.fallback)
		}
	}
}

// criteriaOf says a chain's match in the matcher's terms.
func criteriaOf(spec *config.FilterChain) route.Criteria {
	m := &spec.Match
	return route.Criteria{
		DestinationPort:      m.DestinationPort,
		DestinationPrefixes:  m.DestinationPrefixes,
		ServerNames:          m.ServerNames,
		Transport:            transports[m.TransportProtocol],
		ApplicationProtocols: m.ApplicationProtocols,
		DirectSourcePrefixes: m.DirectSourcePrefixes,
		SourcePrefixes:       m.SourcePrefixes,
		SourcePorts:          m.SourcePorts,
	}
}

// usesHello tells whether what becomes of a chain's connections depends on the
// ClientHello, beyond the match.
func (s *snapshot) usesHello(spec *config.FilterChain) bool {
	return spec.TLS != nil || spec.Route.HashOn == config.HashServerName || slices.ContainsFunc(spec.Route.Clusters, func(wc config.WeightedCluster) bool {
		return s.clusters[wc.Name].usesHello
	})
}

var transports = [...]route.Transport{
	config.TransportAny:       route.AnyTransport,
	config.TransportTLS:       route.TLS,
	config.TransportRawBuffer: route.RawBuffer,
}

// compileChain compiles a chain that takes the place of old, nil when there was
// none. TLS that is as it was is the same object: so are its sessions.
func (s *snapshot) compileChain(spec *config.FilterChain, old *chain) (*chain, error) {
	ch := &chain{
		name:              spec.Name,
		spec:              spec,
		digest:            spec.Digest(),
		idleTimeout:       spec.Route.IdleTimeout,
		hashOn:            spec.Route.HashOn,
		halfCloseTimeout:  spec.Route.HalfCloseTimeout,
		maxDuration:       spec.Route.MaxDuration,
		onUpstreamFailure: spec.OnUpstreamFailure,
		access:            limit.NewAccess(spec.Access.Allow, spec.Access.Deny),
	}
	choices := make([]upstream.Choice, len(spec.Route.Clusters))
	for i, wc := range spec.Route.Clusters {
		cl := s.clusters[wc.Name]
		if cl == nil {
			panic("BUG: proxy: the configuration was checked, but names the unknown cluster " + wc.Name)
		}
		ch.clusters = append(ch.clusters, cl)
		choices[i] = upstream.Choice{Cluster: cl.Cluster, Weight: wc.Weight}
	}
	ch.split = upstream.NewSplit(choices...)
	if old != nil && old.digest == ch.digest {
		ch.life = old.life
	} else {
		ch.life = &chainLife{}
	}
	if spec.TLS == nil {
		return ch, nil
	}
	ch.material = spec.TLS.Material()
	if old != nil && old.tls != nil && old.material == ch.material && old.spec.TLS.Options() == spec.TLS.Options() {
		ch.tls = old.tls
		return ch, nil
	}
	var err error
	ch.tls, err = tlsutil.NewServerConfig(spec.TLS.ServerOptions())
	return ch, err
}

// chainFor gives the chain that takes the connection; nil when none does.
func (ln *listener) chainFor(in *route.Input) *chain {
	if i := ln.table.Lookup(in); i >= 0 {
		return ln.chains[i]
	}
	return ln.fallback
}

// takesRaw tells whether a connection has a chain that asks for bytes which are
// not TLS, and does not take them for TLS after all. A default chain never asks.
func (ln *listener) takesRaw(destination, direct, source addrPort) bool {
	i := ln.table.LookupRaw(destination, direct, source)
	return i >= 0 && ln.chains[i].tls == nil
}

// pick chooses one of the route's clusters, by the key or by chance, according
// to weight.
func (ch *chain) pick(r *upstream.Rand, key upstream.Key) *cluster {
	return ch.clusters[ch.split.Pick(r, key)]
}
