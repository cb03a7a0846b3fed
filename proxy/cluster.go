package proxy

import (
	"fmt"

	"sluice/config"
	"sluice/proxy/upstream"
)

// policies are the words of lb_policy.
var policies = map[string]upstream.Policy{
	"least_connections": upstream.LeastConnections,
	"round_robin":       upstream.RoundRobin,
	"random":            upstream.Random,
	"maglev":            upstream.Maglev,
	"first":             upstream.First,
}

// compileCluster compiles a cluster that takes the place of old, nil when there
// was none. TLS of which the same is said is the same object: so are its sessions.
// The live cluster of a name is the same for as long as there is one of it.
func compileCluster(spec *config.Cluster, old *cluster) (*cluster, error) {
	c := &cluster{
		spec:            spec,
		digest:          spec.Digest(),
		hashOn:          spec.HashOn,
		connectTimeout:  spec.ConnectTimeout,
		maxAttempts:     spec.MaxConnectAttempts,
		retryEarlyReset: spec.RetryEarlyReset,
		queueTimeout:    spec.Limits.QueueTimeout,
		keepalive:       spec.Keepalive,
		usesHello:       spec.UsesHello(),
		header:          spec.ProxyHeader,
		source:          compileSource(spec),
		onUnhealthy:     spec.OnEndpointUnhealthy,
		onRemoved:       spec.OnEndpointRemoved,
	}
	if old != nil {
		c.Cluster = old.Cluster
	} else {
		c.Cluster = upstream.NewCluster(spec.Name, nil)
	}
	if old != nil && old.tls != nil && spec.TLS != nil && old.spec.TLS.Options() == spec.TLS.Options() {
		c.tls = old.tls
		return c, nil
	}
	var err error
	if c.tls, err = newUpstreamTLS(spec.TLS); err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	return c, nil
}

// endpointSpecs gives the endpoints that are written in the configuration.
func endpointSpecs(spec *config.Cluster) (list []upstream.Spec) {
	for _, ep := range spec.Endpoints {
		list = append(list, endpointSpec(ep))
	}
	return list
}

func endpointSpec(ep config.Endpoint) upstream.Spec {
	return upstream.Spec{
		Name:           ep.Name,
		Address:        upstream.Address{AddrPort: ep.Address.AddrPort, Path: ep.Address.Path},
		Weight:         ep.Weight,
		Priority:       ep.Priority,
		MaxConnections: ep.MaxConnections,
	}
}

func clusterOptions(spec *config.Cluster, onEjection func(upstream.Ejection)) upstream.Options {
	policy, known := policies[spec.LBPolicy]
	if !known {
		panic(fmt.Sprintf("BUG: proxy: the configuration was checked, but has the policy %q", spec.LBPolicy))
	}
	o := upstream.Options{
		Policy:         policy,
		SlowStart:      spec.SlowStart,
		PanicThreshold: spec.PanicThreshold,
		MaxConnections: spec.Limits.MaxConnections,
		MaxPending:     spec.Limits.MaxPending,
		OnEjection:     onEjection,
	}
	if d := spec.Outlier; d != nil {
		o.Outlier = &upstream.Outlier{
			ConsecutiveFailures: d.ConsecutiveFailures,
			BaseEjectionTime:    d.BaseEjectionTime,
			MaxEjectionTime:     d.MaxEjectionTime,
			MaxEjectionPercent:  d.MaxEjectionPercent,
		}
	}
	return o
}

// ejection writes into the service log that an endpoint is held off, or no more.
func (g *Gateway) ejection(e upstream.Ejection) {
	if !e.Ejected {
		g.log.Info().Str("cluster", e.Endpoint.Cluster().Name).Str("endpoint", e.Endpoint.Name()).
			Str("reason", e.Reason).Msg("endpoint may serve again")
		return
	}
	g.counters.ejected(e.Endpoint.Cluster().Name)
	g.log.Warn().Str("cluster", e.Endpoint.Cluster().Name).Str("endpoint", e.Endpoint.Name()).
		Str("reason", e.Reason).Dur("for_ms", e.For).Int("count", e.Count).Msg("endpoint ejected")
}
