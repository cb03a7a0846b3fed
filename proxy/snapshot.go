package proxy

import (
	"crypto/tls"
	"fmt"
	"slices"
	"time"

	"sluice/config"
	"sluice/proxy/limit"
	"sluice/proxy/route"
	"sluice/proxy/upstream"
	"sluice/tlsutil"
)

// snapshot is the compiled form of one configuration. It never changes; a
// connection keeps to the parts of the one it was accepted under.
type snapshot struct {
	listeners []*listener
	clusters  map[string]*cluster
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
}

// chain is what happens to the connections that a filter chain takes.
type chain struct {
	name              string
	tls               *tls.Config // nil: passed through
	split             *upstream.Split
	hashOn            config.HashKey // of the choice among clusters
	clusters          []*cluster
	idleTimeout       time.Duration
	halfCloseTimeout  time.Duration
	maxDuration       time.Duration
	onUpstreamFailure config.Refusal
	access            *limit.Access
}

// cluster is a live cluster with what its configuration says of attempts.
type cluster struct {
	*upstream.Cluster
	spec            *config.Cluster
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
}

// compile builds the snapshot of a checked configuration. It touches nothing.
// Of its clusters' ejections onEjection is told.
func compile(cfg *config.Config, onEjection func(upstream.Ejection)) (*snapshot, error) {
	s := &snapshot{clusters: make(map[string]*cluster)}
	for _, spec := range cfg.Clusters {
		cl := compileCluster(spec, onEjection)
		var err error
		if cl.tls, err = newUpstreamTLS(spec.TLS); err != nil {
			return nil, fmt.Errorf("cluster %q: tls: %w", spec.Name, err)
		}
		s.clusters[spec.Name] = cl
	}
	for _, spec := range cfg.Listeners {
		ln, err := s.compileListener(spec)
		if err != nil {
			return nil, fmt.Errorf("listener %q: %w", spec.Name, err)
		}
		s.listeners = append(s.listeners, ln)
	}
	return s, nil
}

func (s *snapshot) compileListener(spec *config.Listener) (*listener, error) {
	ln := &listener{
		name: spec.Name, spec: spec,
		inspectTimeout: spec.InspectTimeout,
		maxHello:       spec.InspectMaxBytes,
		onNoMatch:      spec.OnNoMatch,
		proxyProtocol:  compileProxyProtocol(spec.ProxyProtocol),
		admission:      newAdmission(spec),
	}
	criteria := make([]route.Criteria, len(spec.Chains))
	for i, cs := range spec.Chains {
		ch, err := s.compileChain(cs)
		if err != nil {
			return nil, fmt.Errorf("filter_chain %q: %w", cs.Name, err)
		}
		ln.chains = append(ln.chains, ch)
		criteria[i] = criteriaOf(cs)
		criteria[i].UsesHello = s.usesHello(cs)
	}
	if spec.Default != nil {
		ch, err := s.compileChain(spec.Default)
		if err != nil {
			return nil, fmt.Errorf("default_filter_chain: %w", err)
		}
		ln.fallback = ch
	}
	ln.table = route.New(criteria, spec.Default != nil && s.usesHello(spec.Default))
	return ln, nil
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

func (s *snapshot) compileChain(spec *config.FilterChain) (*chain, error) {
	ch := &chain{
		name:              spec.Name,
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
	if spec.TLS == nil {
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
