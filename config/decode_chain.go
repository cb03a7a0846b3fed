package config

import (
	"errors"
	"time"

	"github.com/hashicorp/hcl/v2"
)

// Defaults of a route.
const (
	// defaultIdleTimeout ends connections whose peers forgot them.
	defaultIdleTimeout = time.Hour
	// defaultHalfCloseTimeout is shorter: one side has said all it had to say.
	defaultHalfCloseTimeout = 5 * time.Minute

	// maxWeight keeps products and sums of weights far away from overflow.
	maxWeight = 1_000_000
)

// defaultChainName is the name of a default_filter_chain, which has no label.
const defaultChainName = "default"

// chainDecl is a filter chain with what the checks over several blocks need.
type chainDecl struct {
	*FilterChain
	at       hcl.Range      // its name, or its header
	criteria hcl.Attributes // of its match block
	hidden   bool           // part of the match came from env() or file()
	matchBad bool           // part of the match is missing: it is not compared
	tlsAt    hcl.Range      // its tls block
	tlsBad   bool
	failure  *hcl.Range // on_upstream_failure
	access   accessDecl
	refs     []clusterRef
}

// clusterRef is where a route names a cluster.
type clusterRef struct {
	name   string
	at     hcl.Range
	hidden bool
}

// decodeChain decodes a filter_chain or a default_filter_chain. onChange is what
// its listener says.
func decodeChain(b *block, onChange ConnectionFate) *chainDecl {
	d := &chainDecl{at: b.at, FilterChain: &FilterChain{Name: b.label, Pos: posOf(b.def)}}
	if b.kind == "filter_chain" {
		failures := b.failures
		if match, ok := b.one("match"); ok {
			d.criteria = match.attrs
			d.Match = decodeMatch(match)
			d.matchBad = !match.complete()
			d.hidden = match.hidden
		}
		d.matchBad = d.matchBad || b.failures != failures || !b.complete()
	} else {
		d.Name = defaultChainName
	}
	d.Access, d.access = decodeAccess(b)
	failures := b.failures
	if t, ok := b.one("tls"); ok {
		d.tlsAt = t.def
		d.TLS = decodeTLS(t)
	}
	d.tlsBad = b.failures != failures
	if route, ok := b.one("route"); ok {
		d.Route, d.refs = decodeRoute(route)
	} else if b.complete() {
		b.errorf(b.at, "Missing route", "The chain leads nowhere: add route { cluster = \"...\" }.")
	}
	d.OnUpstreamFailure = decodeRefusal(b, "on_upstream_failure")
	d.OnChange = decodeFate(b, "on_change", onChange)
	if b.has("on_upstream_failure") {
		d.failure = b.attrs["on_upstream_failure"].Expr.Range().Ptr()
	}
	return d
}

func decodeMatch(b *block) Match {
	m := Match{
		DestinationPort:      uint16(b.integer("destination_port", 0, 1, 65535)),
		DestinationPrefixes:  parsedList(b, "destination_prefix_ranges", kindPrefix, parsePrefix),
		ServerNames:          parsedList(b, "server_names", kindServerName, parseServerName),
		ApplicationProtocols: parsedList(b, "application_protocols", kindALPN, parseALPN),
		DirectSourcePrefixes: parsedList(b, "direct_source_prefix_ranges", kindPrefix, parsePrefix),
		SourcePrefixes:       parsedList(b, "source_prefix_ranges", kindPrefix, parsePrefix),
	}
	m.SourcePorts, _ = listOf(b, "source_ports", func(s setting) (uint16, bool) {
		n, ok := s.integer(1, 65535)
		return uint16(n), ok
	})
	m.TransportProtocol = decodeTransport(b)
	return m
}

func decodeTransport(b *block) TransportProtocol {
	switch b.word("transport_protocol", "", "tls", "raw_buffer") {
	case "tls":
		return TransportTLS
	case "raw_buffer":
		return TransportRawBuffer
	}
	return TransportAny
}

// decodeRoute reads a route in its short form, cluster = "name", or its long
// one, weighted_cluster blocks.
func decodeRoute(b *block) (Route, []clusterRef) {
	r := Route{
		IdleTimeout:      b.duration("idle_timeout", defaultIdleTimeout),
		HalfCloseTimeout: b.duration("half_close_timeout", defaultHalfCloseTimeout),
		MaxDuration:      b.duration("max_downstream_connection_duration", 0),
	}
	var refs []clusterRef
	weighted := b.all("weighted_cluster")
	switch {
	case b.has("cluster") && len(weighted) > 0:
		b.errorf(b.attrs["cluster"].NameRange, "Two kinds of route", "cluster stands beside weighted_cluster: write either one cluster, or a weighted_cluster for each.")
	case b.has("cluster"):
		failures := b.failures
		name := parsed(b, "cluster", "", "the name of a cluster", notEmpty)
		if name != "" {
			r.Clusters = []WeightedCluster{{Name: name, Weight: 1}}
			refs = []clusterRef{{name, b.attrs["cluster"].Expr.Range(), b.hidden}}
		} else if b.failures == failures {
			b.errorf(b.attrs["cluster"].Expr.Range(), "Route without cluster", "The cluster is null: write cluster = \"...\".")
		}
		if b.has("hash_on") {
			b.errorf(b.attrs["hash_on"].NameRange, "Nothing to choose", "hash_on chooses among weighted_cluster blocks, and this route has one cluster. Leave it out; for a choice among endpoints write lb_policy = \"maglev\" and hash_on in the cluster.")
		}
	case len(weighted) > 0:
		r.Clusters, refs = decodeWeighted(weighted)
		r.HashOn = decodeHashKey(b, HashNone)
	case b.complete():
		b.errorf(b.def, "Route without cluster", "The route leads nowhere: write cluster = \"...\", or weighted_cluster blocks.")
	}
	return r, refs
}

func decodeWeighted(blocks []*block) (clusters []WeightedCluster, refs []clusterRef) {
	seen := map[string]hcl.Range{}
	for _, b := range blocks {
		if first, twice := seen[b.label]; twice {
			b.errorf(b.at, "Duplicate cluster in route", "The route leads to %q already, at %s. Add the weights up.", b.label, posOf(first))
			continue
		}
		seen[b.label] = b.at
		clusters = append(clusters, WeightedCluster{Name: b.label, Weight: b.integer("weight", 1, 1, maxWeight)})
		refs = append(refs, clusterRef{b.label, b.at, b.secret})
	}
	return clusters, refs
}

func notEmpty(s string) (string, error) {
	if s == "" {
		return "", errors.New("is empty: write a name")
	}
	return s, nil
}
