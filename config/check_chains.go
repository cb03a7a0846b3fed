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

// checkContradiction reports a match that no connection can fulfil: server names,
// application protocols and what a fingerprint is of stand in a TLS hello.
func (l *loader) checkContradiction(c *chainDecl) {
	if len(c.Match.ServerNames) > 0 && len(c.Match.JA4) > 0 && !slices.ContainsFunc(c.Match.JA4, func(s string) bool { return !namesNoServer(s) }) {
		l.errorf(c.criterion("ja4"), "Chain never matches", "The chain takes clients that ask for a server name, and these fingerprints are of clients that ask for none (\"i\" in their fourth place; of one with a name it is \"d\"). Take that of the same program with a name.")
	}
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
	case len(c.Match.JA4) > 0:
		l.errorf(at, "Chain never matches", "Only TLS connections have a JA4 fingerprint, and raw_buffer matches all others. "+tail)
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
			if addressGiven(m, name) {
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
	r := reachOf(d)
	if len(m.DestinationPrefixes) > 0 && !slices.ContainsFunc(m.DestinationPrefixes, r.destination) {
		l.errorf(c.criterion("destination_prefix_ranges"), "Chain never matches", "None of the prefixes holds an address of the listener %q, which has %s.",
			d.Name, shown(listed(d.Addresses), d.hidden))
	}
	for _, i := range []int{directSourcePrefixes, sourcePrefixes} {
		list := &listCriteria[i]
		if prefixes := list.prefixes(&m); len(prefixes) > 0 && !slices.ContainsFunc(prefixes, r.source) {
			l.errorf(c.criterion(list.name), "Chain never matches", "None of the prefixes is of the family in which the listener %q takes connections: it has %s. Leave %s out, or add an address to the listener.",
				d.Name, shown(listed(d.Addresses), d.hidden), list.name)
		}
	}
}

// addressGiven reports whether a match has an address criterion.
func addressGiven(m Match, name string) bool {
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
	l.checkProtocols(c)
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

// checkProtocols reports a chain that terminates TLS and speaks none of the
// protocols by which it is chosen.
func (l *loader) checkProtocols(c *chainDecl) {
	chosenBy, spoken := c.Match.ApplicationProtocols, c.TLS.ALPN
	if len(chosenBy) == 0 || len(spoken) == 0 || slices.ContainsFunc(chosenBy, func(p string) bool { return slices.Contains(spoken, p) }) {
		return
	}
	l.errorf(c.criterion("application_protocols"), "No protocol in common", "The chain takes clients that offer %s, and alpn_protocols of its tls block (line %d) has none of that. Add it there, or leave it out here.",
		shown(quotedOr(chosenBy), c.hidden), c.tlsAt.Start.Line)
}

// checkFallback reports a default chain, or an on_no_match, to which nothing
// is left.
func (l *loader) checkFallback(d *listenerDecl) {
	r := reachOf(d)
	for _, c := range d.chains {
		if c.matchBad || !c.takesAll(&r) {
			continue
		}
		why := "has no match"
		if c.Match.given() {
			why = "matches every connection that the listener can get"
		}
		const tail = "The chain %q (%s) %s and so takes every connection that no other chain takes. "
		if d.fallback != nil {
			l.errorf(d.fallback.at, "Chain never matches", tail+"Leave one of the two out.", c.Name, c.Pos, why)
		} else if d.onNoMatch != nil {
			l.warnf(*d.onNoMatch, "Unused on_no_match", tail+"Leave it out.", c.Name, c.Pos, why)
		}
		return
	}
	if d.fallback != nil && d.onNoMatch != nil {
		l.warnf(*d.onNoMatch, "Unused on_no_match", "The default_filter_chain (%s) takes every connection that no other chain takes. Leave it out.", d.fallback.Pos)
	}
}

// takesAll reports whether every connection of the listener matches the chain.
func (c *chainDecl) takesAll(r *reach) bool {
	m := &c.Match
	for i := range listCriteria {
		if list := &listCriteria[i]; list.len(m) > 0 && !list.implied(r, m) {
			return false
		}
	}
	return m.TransportProtocol == TransportAny && (m.DestinationPort == 0 || m.DestinationPort == r.port)
}

// given reports whether the match has any criterion.
func (m *Match) given() bool {
	for i := range listCriteria {
		if listCriteria[i].len(m) > 0 {
			return true
		}
	}
	return m.TransportProtocol != TransportAny || m.DestinationPort != 0
}
