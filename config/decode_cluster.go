package config

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// Defaults and bounds of a cluster.
const (
	defaultConnectTimeout     = 5 * time.Second
	defaultMaxConnectAttempts = 3
	maxMaxConnectAttempts     = 100 // more would be a storm rather than a retry

	// maxPriority is the largest that an SRV record has.
	maxPriority = 65_535
	// maxConnections is more than the descriptors of a process allow.
	maxConnections = 100_000_000

	// Five in a row are no accident; half a minute is what a restart takes.
	defaultConsecutiveFailures = 5
	maxConsecutiveFailures     = 1_000_000
	defaultBaseEjectionTime    = 30 * time.Second
	defaultMaxEjectionTime     = 5 * time.Minute
	defaultMaxEjectionPercent  = 50
)

// policies are the words of lb_policy.
var policies = []string{"least_connections", "round_robin", "random", "maglev", "first"}

// clusterDecl is a cluster with what the checks over several blocks need.
type clusterDecl struct {
	*Cluster
	at   hcl.Range // its name
	used bool

	tlsAt    hcl.Range // its tls block
	tlsBad   bool
	nameless bool // it was said that server_name is missing
}

func (l *loader) decodeCluster(b *block) {
	failures := b.failures
	policy := b.word("lb_policy", policies[0], policies...)
	policyBad := b.failures != failures
	c := &Cluster{
		Name:               b.label,
		Pos:                posOf(b.def),
		LBPolicy:           policy,
		SlowStart:          b.duration("slow_start", 0),
		PanicThreshold:     b.integer("panic_threshold", 0, 0, 100),
		RetryEarlyReset:    b.boolean("retry_early_reset", true),
		ConnectTimeout:     b.duration("connect_timeout", defaultConnectTimeout),
		MaxConnectAttempts: b.integer("max_connect_attempts", defaultMaxConnectAttempts, 1, maxMaxConnectAttempts),
		Outlier:            decodeOutlier(b),
		Keepalive:          decodeKeepalive(b),
	}
	if !policyBad {
		c.decodeHash(b)
	}
	failures = b.failures
	list := decodeEndpoints(b)
	c.Endpoints, c.Discoveries = list.endpoints, append(list.discoveries, decodeDiscoveries(b)...)
	if len(c.Endpoints)+len(c.Discoveries) == 0 && b.failures == failures && b.complete() {
		b.errorf(b.at, "Cluster without endpoints", "The cluster %q leads nowhere: write endpoints = [\"10.0.0.11:8443\"], or endpoint blocks, or a discovery.", b.label)
	}
	c.decodeHealth(b)
	c.ProxyHeader = decodeProxyHeader(b)
	decodeSource(b, c)
	c.decodeLimits(b)
	d := &clusterDecl{Cluster: c, at: b.at}
	d.decodeUpstreamTLS(b)
	l.clusters = append(l.clusters, d)
}

// decodeHash reads what the policy may need beside its name.
func (c *Cluster) decodeHash(b *block) {
	if c.LBPolicy == "maglev" {
		c.HashOn = decodeHashKey(b, HashSourceIP)
	} else if b.has("hash_on") {
		b.errorf(b.attrs["hash_on"].NameRange, "Policy without hash", "hash_on goes with lb_policy = \"maglev\", and this cluster has %s. Write that policy, or leave hash_on out.", c.LBPolicy)
	}
	if c.SlowStart > 0 && (c.LBPolicy == "maglev" || c.LBPolicy == "first") {
		b.warnf(b.attrs["slow_start"].NameRange, "Unused slow_start", "The policy %s does not go by weights that grow. Leave slow_start out, or write another lb_policy.", c.LBPolicy)
	}
}

func decodeHashKey(b *block, absent HashKey) HashKey {
	return HashKey(b.word("hash_on", string(absent), string(HashSourceIP), string(HashServerName)))
}

// decodeLimits reads the limits block, after the endpoints.
func (c *Cluster) decodeLimits(b *block) {
	limits, _ := b.one("limits")
	c.Limits = readLimits(limits)
	limited := c.Limits.MaxConnections > 0
	for _, e := range c.Endpoints {
		limited = limited || e.MaxConnections > 0
	}
	for _, d := range c.Discoveries {
		limited = limited || d.DNS != nil && d.DNS.MaxConnections > 0
	}
	switch {
	case !limited && c.Limits.MaxPending > 0:
		b.warnf(limits.attrs["max_pending"].NameRange, "Nothing to wait for", "Neither the cluster nor an endpoint of it has max_connections, so no connection ever waits. Write such a limit, or leave max_pending out.")
	case c.Limits.QueueTimeout > 0 && c.Limits.MaxPending == 0:
		b.warnf(limits.attrs["queue_timeout"].NameRange, "Unused queue_timeout", "Without max_pending no connection waits: one that finds the cluster full is refused. Write max_pending, or leave queue_timeout out.")
	}
}

func readLimits(b *block) Limits {
	return Limits{
		MaxConnections: b.integer("max_connections", 0, 0, maxConnections),
		MaxPending:     b.integer("max_pending", 0, 0, maxConnections),
		QueueTimeout:   b.duration("queue_timeout", 0),
	}
}

// decodeOutlier reads the outlier_detection block of a cluster; nil when there
// is none.
func decodeOutlier(b *block) *OutlierDetection {
	if o, there := b.one("outlier_detection"); there {
		return readOutlier(o)
	}
	return nil
}

func readOutlier(o *block) *OutlierDetection {
	d := &OutlierDetection{
		ConsecutiveFailures: o.integer("consecutive_failures", defaultConsecutiveFailures, 1, maxConsecutiveFailures),
		BaseEjectionTime:    o.positiveDuration("base_ejection_time", defaultBaseEjectionTime),
		MaxEjectionPercent:  o.integer("max_ejection_percent", defaultMaxEjectionPercent, 1, 100),
	}
	d.MaxEjectionTime = o.positiveDuration("max_ejection_time", max(defaultMaxEjectionTime, d.BaseEjectionTime))
	if d.MaxEjectionTime < d.BaseEjectionTime && (o.has("base_ejection_time") || o.complete()) {
		o.errorf(o.attrs["max_ejection_time"].Expr.Range(), "Invalid max_ejection_time", "It is shorter than base_ejection_time, %s, with which ejections begin. Write at least that.", shown(strconv.Quote(d.BaseEjectionTime.String()), o.hidden))
	}
	return d
}

// positiveDuration is a duration that cannot be none.
func (b *block) positiveDuration(name string, absent time.Duration) time.Duration {
	return parsed(b, name, absent, kindDuration, func(s string) (time.Duration, error) {
		d, err := parseDuration(s)
		if err == nil && d == 0 {
			err = errors.New(`is none: write a duration such as "30s"`)
		}
		return d, err
	})
}

// weight is the weight of an endpoint. A weight of 0 is how other proxies are
// told to send nothing there.
func (b *block) weight() int {
	s, ok := b.setting("weight")
	if !ok {
		return 1
	}
	if s.value.Type() == cty.Number && s.value.AsBigFloat().Sign() == 0 {
		s.invalid(fmt.Sprintf("a whole number from 1 to %d", maxWeight),
			errors.New("is not possible: an endpoint that is to get no connections is left out; one for when the others fail gets a higher priority"))
		return 1
	}
	n, ok := s.integer(1, maxWeight)
	if !ok {
		return 1
	}
	return n
}
