package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// checkChains runs the checks over the chains of one listener.
func (l *loader) checkChains(d *listenerDecl) {
	for _, c := range d.chains {
		if !c.matchBad {
			l.checkContradiction(c)
			if !d.addressesBad {
				l.checkReachable(d, c)
			}
		}
		l.checkTermination(c)
	}
	if d.fallback != nil {
		l.checkTermination(d.fallback)
	}
	l.checkTies(d)
	l.checkFallback(d)
}

// criterion is where the match of a chain says something.
func (c *chainDecl) criterion(name string) hcl.Range {
	if attr := c.criteria[name]; attr != nil {
		return attr.Expr.Range()
	}
	return c.at
}

// checkContradiction reports a match that no connection can fulfil: server
// names and application protocols stand in a TLS hello.
func (l *loader) checkContradiction(c *chainDecl) {
	if c.Match.TransportProtocol != TransportRawBuffer {
		return
	}
	at := c.criterion("transport_protocol")
	const tail = "Leave one of the two out."
	switch {
	case len(c.Match.ServerNames) > 0:
		l.errorf(at, "Chain never matches", "Only TLS connections have a server name, and raw_buffer matches all others. "+tail)
	case len(c.Match.ApplicationProtocols) > 0:
		l.errorf(at, "Chain never matches", "Only TLS connections have application protocols, and raw_buffer matches all others. "+tail)
	case c.TLS != nil:
		l.errorf(at, "Chain cannot terminate TLS", "The chain has a tls block (line %d), and raw_buffer matches connections that are not TLS. "+tail, c.tlsAt.Start.Line)
	}
}

// checkReachable reports a match on addresses that the listener does not have.
func (l *loader) checkReachable(d *listenerDecl, c *chainDecl) {
	m := c.Match
	tcp := slices.ContainsFunc(d.Addresses, func(a Address) bool { return a.Network == TCP })
	if !tcp {
		for _, name := range []string{"destination_port", "destination_prefix_ranges", "direct_source_prefix_ranges", "source_prefix_ranges", "source_ports"} {
			if d.ProxyProtocol != nil && name != "direct_source_prefix_ranges" {
				continue // a header brings the addresses
			}
			if given(m, name) {
				l.errorf(c.criterion(name), "Chain never matches", "The listener %q has unix sockets only, whose connections have no IP address. Leave %s out.", d.Name, name)
			}
		}
		return
	}
	if d.ProxyProtocol != nil {
		return // the destination is what a header says
	}
	if m.DestinationPort != 0 && !slices.ContainsFunc(d.Addresses, func(a Address) bool {
		return a.Network == TCP && (a.AddrPort.Port() == 0 || a.AddrPort.Port() == m.DestinationPort)
	}) {
		l.errorf(c.criterion("destination_port"), "Chain never matches", "The listener %q has no address with port %s; it has %s.",
			d.Name, shown(fmt.Sprint(m.DestinationPort), c.hidden), shown(listed(d.Addresses), d.hidden))
	}
	if len(m.DestinationPrefixes) > 0 && !slices.ContainsFunc(d.Addresses, func(a Address) bool { return mayHold(m, a) }) {
		l.errorf(c.criterion("destination_prefix_ranges"), "Chain never matches", "None of the prefixes holds an address of the listener %q, which has %s.",
			d.Name, shown(listed(d.Addresses), d.hidden))
	}
}

// given reports whether a match has an address criterion.
func given(m Match, name string) bool {
	switch name {
	case "destination_port":
		return m.DestinationPort != 0
	case "destination_prefix_ranges":
		return len(m.DestinationPrefixes) > 0
	case "direct_source_prefix_ranges":
		return len(m.DirectSourcePrefixes) > 0
	case "source_prefix_ranges":
		return len(m.SourcePrefixes) > 0
	case "source_ports":
		return len(m.SourcePorts) > 0
	}
	panic("BUG: not an address criterion: " + name)
}

// mayHold reports whether a connection accepted at a can have a destination
// in one of the prefixes.
func mayHold(m Match, a Address) bool {
	ip := a.AddrPort.Addr().WithZone("")
	for _, p := range m.DestinationPrefixes {
		switch {
		case a.Network == Unix:
			return false
		case a.Dual, ip.IsUnspecified() && ip.Is4() == p.Addr().Is4(), p.Contains(ip):
			return true
		}
	}
	return false
}

func listed(addresses []Address) string {
	texts := make([]string, len(addresses))
	for i, a := range addresses {
		texts[i] = a.String()
	}
	return strings.Join(texts, ", ")
}

// checkTermination checks a chain's tls block against the rest of the chain.
func (l *loader) checkTermination(c *chainDecl) {
	if c.OnUpstreamFailure == RefuseTLSAlert && c.failure != nil {
		switch {
		case c.TLS != nil:
			l.errorf(*c.failure, "TLS alert not possible", "The chain terminates TLS, so the handshake is finished before an endpoint is tried, and no alert would be understood as a refusal. Write \"reset\" or \"close\".")
		case c.Match.TransportProtocol == TransportRawBuffer:
			l.errorf(*c.failure, "TLS alert not possible", "The chain takes connections that are not TLS. Write \"reset\" or \"close\".")
		}
	}
	if c.TLS == nil || c.tlsBad || c.matchBad {
		return
	}
	var bare []int // indexes of the names that no certificate covers
	for i, name := range c.Match.ServerNames {
		covered := false
		for _, cert := range c.TLS.Certificates {
			covered = covered || cert.Covers(name)
		}
		if !covered {
			bare = append(bare, i)
		}
	}
	if len(bare) == 0 {
		return
	}
	attr := c.criteria["server_names"]
	at := elementRanges(attr.Expr, len(c.Match.ServerNames))(bare[0])
	more := ""
	if n := len(bare) - 1; n > 0 {
		more = fmt.Sprintf(" (and %d more)", n)
	}
	l.errorf(at, "Name without certificate", "No certificate of the chain (line %d) covers %s%s, so its clients would see another's. Add one, or route the name elsewhere.",
		c.tlsAt.Start.Line, shown(strconv.Quote(c.Match.ServerNames[bare[0]]), c.hidden), more)
}

// checkFallback reports a default chain, or an on_no_match, to which nothing
// is left.
func (l *loader) checkFallback(d *listenerDecl) {
	for _, c := range d.chains {
		if c.matchBad || !c.takesAll() {
			continue
		}
		if d.fallback != nil {
			l.errorf(d.fallback.at, "Chain never matches", "The chain %q (%s) has no match and so takes every connection that no other chain takes. Leave one of the two out.", c.Name, c.Pos)
		} else if d.onNoMatch != nil {
			l.warnf(*d.onNoMatch, "Unused on_no_match", "The chain %q (%s) has no match and so takes every connection that no other chain takes. Leave it out.", c.Name, c.Pos)
		}
		return
	}
	if d.fallback != nil && d.onNoMatch != nil {
		l.warnf(*d.onNoMatch, "Unused on_no_match", "The default_filter_chain (%s) takes every connection that no other chain takes. Leave it out.", d.fallback.Pos)
	}
}

// takesAll reports whether every connection matches the chain.
func (c *chainDecl) takesAll() bool {
	m := c.Match
	return m.TransportProtocol == TransportAny && m.DestinationPort == 0 &&
		len(m.DestinationPrefixes)+len(m.ServerNames)+len(m.ApplicationProtocols)+
			len(m.DirectSourcePrefixes)+len(m.SourcePrefixes)+len(m.SourcePorts) == 0
}
