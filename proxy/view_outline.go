package proxy

import "sluice/proxy/status"

// Outline gives what a reload compares, of the configuration that runs, with the
// connections that there are.
func (g *Gateway) Outline() status.Outline {
	snap, sums := g.snapshot.Load(), g.counters.sums()
	o := snap.outline()
	o.Workers = snap.workers
	for i, ln := range snap.listeners {
		k := 0
		for ch := range ln.all() {
			o.Listeners[i].FilterChains[k].Active = sums.chains[ch.counters].Active
			k++
		}
	}
	for i, cl := range snap.inOrder {
		o.Clusters[i].Active = sums.clusters[cl.Name].Active
	}
	return o
}

// Outline gives what a reload to the configuration compares.
func (p *Plan) Outline() status.Outline { return p.snapshot.outline() }

// compare says what is different in the next snapshot.
func (s *snapshot) compare(next *snapshot) status.Diff {
	running := s.outline()
	running.Workers = s.workers
	return status.Compare(running, next.outline())
}

func (s *snapshot) outline() status.Outline {
	o := status.Outline{
		Workers:      s.config.Runtime.Workers,
		DrainTimeout: durationText(s.config.Runtime.DrainTimeout),
		Listeners:    make([]status.ListenerOutline, len(s.listeners)),
		Clusters:     make([]status.ClusterOutline, len(s.inOrder)),
	}
	for i, ln := range s.listeners {
		o.Listeners[i] = ln.outline()
	}
	for i, cl := range s.inOrder {
		c := status.ClusterOutline{
			Name: cl.Name, Position: cl.spec.Pos.String(), Digest: string(cl.digest),
			Endpoints: []string{}, OnEndpointRemoved: string(cl.onRemoved),
		}
		for _, ep := range cl.spec.Endpoints {
			c.Endpoints = append(c.Endpoints, ep.Address.String())
		}
		o.Clusters[i] = c
	}
	return o
}

func (ln *listener) outline() status.ListenerOutline {
	o := status.ListenerOutline{
		Name: ln.name, Position: ln.spec.Pos.String(), Digest: string(ln.spec.Digest()),
		OnChange: string(ln.spec.OnChange), FilterChains: []status.ChainOutline{},
	}
	for _, a := range ln.spec.Addresses {
		o.Addresses = append(o.Addresses, a.String())
	}
	for ch := range ln.all() {
		o.FilterChains = append(o.FilterChains, status.ChainOutline{
			Name: ch.name, Default: ch == ln.fallback, Position: ch.spec.Pos.String(),
			Digest: string(ch.digest), Material: string(ch.material), OnChange: string(ch.spec.OnChange),
		})
	}
	return o
}
