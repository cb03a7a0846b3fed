package config

import (
	"strconv"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// Defaults of a cluster.
const (
	defaultConnectTimeout     = 5 * time.Second
	defaultMaxConnectAttempts = 3
	maxMaxConnectAttempts     = 100 // more would be a storm rather than a retry
)

// clusterDecl is a cluster with what the checks over several blocks need.
type clusterDecl struct {
	*Cluster
	at   hcl.Range // its name
	used bool
}

func (l *loader) decodeCluster(b *block) {
	c := &Cluster{
		Name:               b.label,
		Pos:                posOf(b.def),
		LBPolicy:           b.word("lb_policy", "least_connections", "least_connections"),
		ConnectTimeout:     b.duration("connect_timeout", defaultConnectTimeout),
		MaxConnectAttempts: b.integer("max_connect_attempts", defaultMaxConnectAttempts, 1, maxMaxConnectAttempts),
		Keepalive:          decodeKeepalive(b),
	}
	failures := b.failures
	c.Endpoints = decodeEndpoints(b)
	if len(c.Endpoints) == 0 && b.failures == failures && b.complete() {
		b.errorf(b.at, "Cluster without endpoints", "The cluster %q leads nowhere: write endpoints = [\"10.0.0.11:8443\"], or endpoint blocks.", b.label)
	}
	l.clusters = append(l.clusters, &clusterDecl{Cluster: c, at: b.at})
}

// decodeEndpoints reads the short form, then the blocks. An address may stand
// in only one of them.
func decodeEndpoints(b *block) []Endpoint {
	var endpoints []Endpoint
	seen := map[Address]hcl.Range{}
	names := map[string]hcl.Range{}
	add := func(s setting, e Endpoint, hidden bool) {
		if first, twice := seen[e.Address]; twice {
			s.errorf(s.at, "Duplicate endpoint", "The address %s is an endpoint of this cluster already, at %s. Leave one out, or raise the weight of the other.",
				shown(e.Address.String(), hidden), posOf(first))
			return
		}
		if first, twice := names[e.Name]; twice {
			s.errorf(s.at, "Duplicate endpoint name", "Another endpoint of this cluster has the name %s, at %s. Give it a name of its own.",
				shown(strconv.Quote(e.Name), hidden), posOf(first))
			return
		}
		seen[e.Address], names[e.Name] = s.at, s.at
		endpoints = append(endpoints, e)
	}
	dir := b.directory("endpoints")
	b.elements("endpoints", func(s setting) {
		if a, ok := parseEndpointSetting(s, dir); ok {
			add(s, Endpoint{Address: a, Name: a.String(), Weight: 1}, s.secret)
		}
	})
	for _, e := range b.all("endpoint") {
		if !isLabel(e.label) {
			continue // it was reported
		}
		s := setting{loader: b.loader, name: "endpoint", value: cty.StringVal(e.label), at: e.at, secret: e.secret}
		a, ok := parseEndpointSetting(s, directoryOf(e.def.Filename))
		weight := e.integer("weight", 1, 1, maxWeight)
		if ok {
			name := parsed(e, "name", a.String(), "a name", notEmpty)
			add(s, Endpoint{Address: a, Name: name, Weight: weight}, e.hidden)
		}
	}
	return endpoints
}

func parseEndpointSetting(s setting, dir string) (Address, bool) {
	return parseSetting(s, kindEndpoint, func(text string) (Address, error) { return parseEndpoint(text, dir) })
}
