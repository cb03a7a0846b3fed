package proxy

import (
	"slices"
	"strconv"
	"strings"

	"sluice/config"
	"sluice/proxy/status"
	"sluice/proxy/upstream"
	"sluice/proxy/upstream/health"
)

// Clusters tells of every cluster, in the order of the configuration.
func (g *Gateway) Clusters() []status.Cluster {
	snap, sums := g.snapshot.Load(), g.counters.sums()
	list := make([]status.Cluster, 0, len(snap.inOrder))
	for _, cl := range snap.inOrder {
		c := cl.status()
		c.Traffic = sums.clusters[cl.Name]
		list = append(list, c)
	}
	return list
}

func (cl *cluster) status() status.Cluster {
	spec := cl.spec
	c := status.Cluster{
		Name:           cl.Name,
		Position:       spec.Pos.String(),
		Type:           clusterType(spec),
		Discovery:      []string{},
		Policy:         spec.LBPolicy,
		Port:           "-",
		MaxConnections: spec.Limits.MaxConnections,
		MaxPending:     spec.Limits.MaxPending,
		Pending:        int64(cl.Pending()),
	}
	for _, d := range spec.Discoveries {
		c.Discovery = append(c.Discovery, discoveryText(d))
	}
	for e := range cl.Endpoints() {
		c.Endpoints++
		if e.Serving() {
			c.Healthy++
		}
		switch port := portText(e.Address); {
		case c.Port == "-" || c.Port == port:
			c.Port = port
		default:
			c.Port = "mixed"
		}
	}
	if spec.TLS != nil {
		c.TLS = verifiedName(spec.TLS)
	}
	if spec.HealthCheck != nil {
		c.HealthCheck = spec.HealthCheck.Type
	}
	return c
}

// clusterType says how the cluster comes by its endpoints.
func clusterType(spec *config.Cluster) string {
	var types []string
	if len(spec.Endpoints) > 0 || len(spec.Discoveries) == 0 {
		types = append(types, "static")
	}
	for _, d := range spec.Discoveries {
		t := "file"
		if d.DNS != nil {
			t = "dns"
		}
		if !slices.Contains(types, t) {
			types = append(types, t)
		}
	}
	return strings.Join(types, "+")
}

func discoveryText(d config.Discovery) string {
	switch {
	case d.DNS == nil:
		return "file " + d.File
	case d.DNS.SRV:
		return "dns srv " + d.DNS.Host
	}
	return "dns a " + d.DNS.Host + ":" + strconv.Itoa(int(d.DNS.Port))
}

// portText is "unix" for a unix socket.
func portText(a upstream.Address) string {
	if a.Path != "" {
		return "unix"
	}
	return strconv.Itoa(int(a.AddrPort.Port()))
}

func verifiedName(t *config.UpstreamTLS) string {
	switch {
	case t.InsecureSkipVerify:
		return "not verified"
	case t.ServerName != "":
		return t.ServerName
	}
	return "(client's)"
}

// Endpoints tells of every endpoint, by cluster in the order of the configuration.
func (g *Gateway) Endpoints() []status.Endpoint {
	list := []status.Endpoint{}
	for _, cl := range g.snapshot.Load().inOrder {
		checker := cl.upkeep.checking()
		for e, spec := range cl.Endpoints() {
			list = append(list, endpointStatus(e, spec, checker))
		}
	}
	return list
}

// checking gives who checks the endpoints; nil when nobody does.
func (u *upkeep) checking() *health.Checker {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.checker
}

func endpointStatus(e *upstream.Endpoint, spec upstream.Spec, checker *health.Checker) status.Endpoint {
	r := readEndpoint(e)
	s := status.Endpoint{
		Cluster:        e.Cluster().Name,
		Name:           spec.Name,
		Address:        r.Address,
		Status:         r.Health,
		State:          r.State,
		Health:         r.Health,
		Outlier:        "ok",
		Serving:        r.Serving,
		Weight:         spec.Weight,
		Priority:       spec.Priority,
		MaxConnections: spec.MaxConnections,
		Attempts:       r.Attempts,
		Failures:       r.Failures,
		EarlyEnds:      r.EarlyEnds,
		Ejections:      r.Ejections,
		LastCheck:      lastCheck(e, checker),
		Traffic:        r.Traffic,
	}
	if r.State != upstream.Ready.String() {
		s.Status = r.State
	}
	if r.Ejected {
		s.Outlier = "ejected"
	}
	if w := e.Weight(); w > 0 {
		s.Weight, s.WeightSet = w, true
	}
	return s
}

// lastCheck tells how the last check of an endpoint went; nil: there was none.
func lastCheck(e *upstream.Endpoint, checker *health.Checker) *status.Check {
	if checker == nil {
		return nil
	}
	s, _ := checker.Status(e)
	if s.Last.IsZero() {
		return nil
	}
	return &status.Check{Time: s.Last.UTC(), Passed: s.Error == "", Took: inMilliseconds(s.Took), Reason: s.Error}
}
