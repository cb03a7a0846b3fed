package proxy

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"

	"sluice/config"
	"sluice/proxy/proxyheader"
	"sluice/proxy/upstream"
	"sluice/proxy/upstream/health"
	"sluice/tlsutil"
)

var checkTypes = map[string]health.Type{"tcp": health.TCP, "tls": health.TLS, "http": health.HTTP}

// newChecks gives the checks of the clusters that are to be checked otherwise
// than before.
func (g *Gateway) newChecks(cfg *config.Config, next *snapshot) (map[string]*health.Check, error) {
	checks := make(map[string]*health.Check)
	for _, spec := range cfg.Clusters {
		if spec.HealthCheck == nil {
			continue
		}
		if u := g.upkeeps[spec.Name]; u != nil && u.checked == spec.CheckDigest() { // nobody else changes it
			continue
		}
		check, err := checkOf(next.clusters[spec.Name], g.checks)
		if err != nil {
			return nil, fmt.Errorf("cluster %q: health_check: %w", spec.Name, err)
		}
		checks[spec.Name] = &check
	}
	return checks, nil
}

// checkOf says how the cluster's endpoints are checked: over the same way as its
// connections.
func checkOf(cl *cluster, gate health.Gate) (health.Check, error) {
	h := cl.spec.HealthCheck
	kind, known := checkTypes[h.Type]
	if !known {
		panic("BUG: proxy: the configuration was checked, but has the health check " + h.Type)
	}
	c := health.Check{
		Type:               kind,
		Interval:           h.Interval,
		Timeout:            h.Timeout,
		Jitter:             float64(h.Jitter) / 100,
		HealthyThreshold:   h.HealthyThreshold,
		UnhealthyThreshold: h.UnhealthyThreshold,
		Send:               []byte(h.Send),
		Expect:             []byte(h.Expect),
		Path:               h.Path,
		Host:               h.Host,
		Port:               h.Port,
		Dial:               dialerFrom(cl.source),
		Gate:               gate,
	}
	for _, r := range h.ExpectedStatuses {
		c.Statuses = append(c.Statuses, health.StatusRange(r))
	}
	if p := cl.header; p != nil {
		c.Preface = func(conn net.Conn) []byte {
			return proxyheader.Local(p.Version, tcpAddress(conn.LocalAddr()), tcpAddress(conn.RemoteAddr()))
		}
	}
	var err error
	c.TLS, err = checkTLS(kind, cl.spec.TLS)
	return c, err
}

// checkTLS gives the TLS of a check. That of a cluster whose TLS is passed
// through is between its clients and its endpoints: all that can be checked is
// that there is a handshake.
func checkTLS(kind health.Type, spec *config.UpstreamTLS) (*tls.Config, error) {
	switch {
	case kind == health.TCP, kind == health.HTTP && spec == nil:
		return nil, nil
	case spec == nil:
		return tlsutil.NewClientConfig(tlsutil.ClientOptions{InsecureSkipVerify: true})
	}
	return tlsutil.NewClientConfig(clientOptions(spec))
}

// tcpAddress is invalid for any other.
func tcpAddress(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok {
		ap := tcp.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}

// healthChanged is called by a check that has found out.
func (u *upkeep) healthChanged(ch health.Change) {
	g := u.gateway
	log := u.log.Info()
	switch {
	case ch.Health == upstream.Unhealthy:
		log = u.log.Warn()
	case ch.Was == upstream.Unchecked:
		log = u.log.Debug() // as it should be
	}
	log.Str("endpoint", ch.Endpoint.Name()).Str("reason", ch.Reason).Msg("endpoint " + ch.Health.String())
	if ch.Was != upstream.Unchecked || ch.Health == upstream.Unhealthy {
		g.healthChanges.Add(1)
		u.current().counters.changed(ch.Health)
	}
	endpoints, fate := []*upstream.Endpoint{ch.Endpoint}, u.current().onUnhealthy
	if ch.Health == upstream.Unhealthy && !ch.Endpoint.Offered() {
		g.endpointsLost(endpoints, fate, reasonEndpointUnhealthy)
	} else if ch.Was == upstream.Unhealthy {
		g.endpointBack(ch.Endpoint)
	}
}

// forgetHealth takes back what checks have said: there are none any more.
func (u *upkeep) forgetHealth() {
	for e := range u.live.Endpoints() {
		was := e.Health()
		if e.SetHealth(upstream.Unchecked); was == upstream.Unhealthy {
			u.gateway.endpointBack(e)
		}
	}
}

// cannotCheck is called when a check fails for want of something of the
// gateway's own. As a rule it is so for every endpoint, and told of one.
func (u *upkeep) cannotCheck(e *upstream.Endpoint, err error) {
	if n, tell := u.troubles.add(); tell {
		u.log.Error().Err(err).Str("endpoint", e.Name()).Uint64("failures", n).Msg("cannot check the endpoint; what was known of it stays")
	}
}
