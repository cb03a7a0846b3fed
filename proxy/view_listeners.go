package proxy

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"sluice/config"
	"sluice/proxy/status"
)

// Listeners tells of every listener with its filter chains, in the order in which
// they win.
func (g *Gateway) Listeners() []status.Listener {
	snap, sums := g.snapshot.Load(), g.counters.sums()
	addresses := make(map[string][]string)
	for _, a := range g.Addresses() {
		addresses[a.Listener] = append(addresses[a.Listener], a.Address)
	}
	list := make([]status.Listener, 0, len(snap.listeners))
	for _, ln := range snap.listeners {
		l := status.Listener{
			Name:          ln.name,
			Position:      ln.spec.Pos.String(),
			Addresses:     orEmpty(addresses[ln.name]),
			FilterChains:  []status.FilterChain{},
			OnNoMatch:     ln.onNoMatch.String(),
			ProxyProtocol: ln.proxyProtocol.word(),
			Traffic:       sums.listeners[ln.name],
		}
		for _, ch := range ln.asTheyWin() {
			l.FilterChains = append(l.FilterChains, ch.status(ch == ln.fallback, &sums))
		}
		list = append(list, l)
	}
	return list
}

// asTheyWin gives the chains in the order in which they win, the default chain
// last.
func (ln *listener) asTheyWin() []*chain {
	var list []*chain
	for _, i := range ln.table.Order() {
		list = append(list, ln.chains[i])
	}
	if ln.fallback != nil {
		list = append(list, ln.fallback)
	}
	return list
}

func (ch *chain) status(isDefault bool, s *sums) status.FilterChain {
	m := &ch.spec.Match
	tls := "passthrough"
	if ch.tls != nil {
		tls = "terminated"
	}
	return status.FilterChain{
		Name:     ch.name,
		Position: ch.spec.Pos.String(),
		Default:  isDefault,
		Match: status.Match{
			ServerNames:          m.ServerNames,
			TransportProtocol:    m.TransportProtocol.String(),
			ApplicationProtocols: m.ApplicationProtocols,
			DestinationPort:      m.DestinationPort,
			DestinationPrefixes:  texts(m.DestinationPrefixes),
			SourcePrefixes:       texts(m.SourcePrefixes),
			DirectSourcePrefixes: texts(m.DirectSourcePrefixes),
			SourcePorts:          m.SourcePorts,
		},
		MatchText:   matchText(m),
		TLS:         tls,
		Destination: ch.destinations(),
		Traffic:     s.chains[ch.counters],
	}
}

func (ch *chain) destinations() []status.Destination {
	total := 0
	for _, wc := range ch.spec.Route.Clusters {
		total += wc.Weight
	}
	list := make([]status.Destination, len(ch.clusters))
	for i, wc := range ch.spec.Route.Clusters {
		list[i] = status.Destination{
			Cluster: wc.Name,
			Weight:  wc.Weight,
			Share:   float64(wc.Weight) / float64(total),
			Traffic: ch.traffic[i].read(),
		}
	}
	return list
}

// Routes tells where the connections of each filter chain go, in the order of
// [Gateway.Listeners].
func (g *Gateway) Routes() []status.Route {
	list := []status.Route{}
	for _, ln := range g.snapshot.Load().listeners {
		for _, ch := range ln.asTheyWin() {
			r := &ch.spec.Route
			domains := ch.spec.Match.ServerNames
			if len(domains) == 0 {
				domains = []string{"*"}
			}
			list = append(list, status.Route{
				Name:             ch.name,
				Listener:         ln.name,
				Position:         ch.spec.Pos.String(),
				Domains:          domains,
				MatchText:        matchText(&ch.spec.Match),
				Destination:      ch.destinations(),
				HashOn:           string(r.HashOn),
				IdleTimeout:      durationText(r.IdleTimeout),
				HalfCloseTimeout: durationText(r.HalfCloseTimeout),
				MaxDuration:      durationText(r.MaxDuration),
			})
		}
	}
	return list
}

// word is the configuration's; "" for none.
func (p *proxyProtocol) word() string {
	switch {
	case p == nil:
		return ""
	case p.required:
		return "require"
	}
	return "optional"
}

// matchText says a match in istioctl's grammar, which has no words for sources:
// theirs follow the model of Addr.
func matchText(m *config.Match) string {
	var parts []string
	add := func(key string, values ...string) {
		if len(values) > 0 {
			parts = append(parts, key+": "+strings.Join(values, ","))
		}
	}
	add("SNI", m.ServerNames...)
	if m.TransportProtocol != config.TransportAny {
		add("Trans", m.TransportProtocol.String())
	}
	add("App", m.ApplicationProtocols...)
	var ports []uint16
	if m.DestinationPort != 0 {
		ports = []uint16{m.DestinationPort}
	}
	add("Addr", withPorts(m.DestinationPrefixes, ports)...)
	add("Source", withPorts(m.SourcePrefixes, m.SourcePorts)...)
	add("Direct Source", texts(m.DirectSourcePrefixes)...)
	if len(parts) == 0 {
		return "ALL"
	}
	return strings.Join(parts, "; ")
}

// withPorts gives "cidr,cidr:port", as istioctl does, or "*:port" for ports of any
// address; several ports are separated by "|".
func withPorts(prefixes []netip.Prefix, ports []uint16) []string {
	list := texts(prefixes)
	if len(ports) == 0 {
		return list
	}
	if len(list) == 0 {
		list = []string{"*"}
	}
	numbers := make([]string, len(ports))
	for i, p := range ports {
		numbers[i] = strconv.Itoa(int(p))
	}
	list[len(list)-1] += ":" + strings.Join(numbers, "|")
	return list
}

func texts(prefixes []netip.Prefix) []string {
	var list []string
	for _, p := range prefixes {
		list = append(list, p.String())
	}
	return list
}

// durationText spells a duration as the configuration would: "1h", not "1h0m0s".
func durationText(d time.Duration) string {
	s := d.String()
	if rest, ok := strings.CutSuffix(s, "m0s"); ok {
		s = rest + "m"
	}
	if rest, ok := strings.CutSuffix(s, "h0m"); ok {
		s = rest + "h"
	}
	return s
}

// orEmpty gives a list that is not null in JSON.
func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
