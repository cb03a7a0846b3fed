package config

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// Among the chains that match a connection the most specific one wins. That
// is only well defined when no two chains can be equally specific for one
// connection, which is what the checks here make sure of.
//
// Two chains tie when for every criterion both omit it or share an element. A
// chain is shadowed by another when the other matches whatever it matches and
// is more specific each time. Since more specific elements would not cover
// the less specific ones, that happens only when the other says aloud what
// the first one implies: that a connection with a server name is TLS, or
// that it came in on the only port that the listener has. So both checks
// compare the same pairs: chains that share an element of every list, once
// what they imply is filled in.

// listCriterion is a criterion whose elements are alternatives.
type listCriterion struct {
	name string // of the attribute
	noun string
	len  func(*Match) int
	at   func(*Match, int) any // comparable
}

// listCriteria are all of them, the most telling first.
var listCriteria = [...]listCriterion{
	{"server_names", "the server name", func(m *Match) int { return len(m.ServerNames) }, func(m *Match, i int) any { return m.ServerNames[i] }},
	{"destination_prefix_ranges", "the destination", func(m *Match) int { return len(m.DestinationPrefixes) }, func(m *Match, i int) any { return m.DestinationPrefixes[i] }},
	{"source_prefix_ranges", "the source", func(m *Match) int { return len(m.SourcePrefixes) }, func(m *Match, i int) any { return m.SourcePrefixes[i] }},
	{"direct_source_prefix_ranges", "the direct source", func(m *Match) int { return len(m.DirectSourcePrefixes) }, func(m *Match, i int) any { return m.DirectSourcePrefixes[i] }},
	{"application_protocols", "the protocol", func(m *Match) int { return len(m.ApplicationProtocols) }, func(m *Match, i int) any { return m.ApplicationProtocols[i] }},
	{"source_ports", "the source port", func(m *Match) int { return len(m.SourcePorts) }, func(m *Match, i int) any { return m.SourcePorts[i] }},
}

// group is what two chains must have in common to be compared: the criteria
// with one value, what is implied filled in, and which lists are given.
type group struct {
	port      uint16
	transport TransportProtocol
	lists     [len(listCriteria)]bool
}

// checkTies reports chains of a listener that tie or are shadowed.
func (l *loader) checkTies(d *listenerDecl) {
	groups := map[group][]*chainDecl{}
	var order []group
	only := onlyPort(d)
	for _, c := range d.chains {
		if c.matchBad {
			continue
		}
		g := groupOf(&c.Match, only)
		if groups[g] == nil {
			order = append(order, g)
		}
		groups[g] = append(groups[g], c)
	}
	for _, g := range order {
		if chains := groups[g]; len(chains) > 1 {
			l.checkGroup(chains)
		}
	}
}

// onlyPort is the one port that a listener has, or 0.
func onlyPort(d *listenerDecl) uint16 {
	if d.addressesBad || d.Addresses[0].Network == Unix {
		return 0
	}
	port := d.Addresses[0].AddrPort.Port()
	for _, a := range d.Addresses {
		if a.Network == Unix || a.AddrPort.Port() != port {
			return 0
		}
	}
	return port
}

func groupOf(m *Match, only uint16) group {
	g := group{port: m.DestinationPort, transport: m.TransportProtocol}
	if g.port == 0 {
		g.port = only
	}
	if g.transport == TransportAny && len(m.ServerNames)+len(m.ApplicationProtocols) > 0 {
		g.transport = TransportTLS
	}
	for i, criterion := range listCriteria {
		g.lists[i] = criterion.len(m) > 0
	}
	return g
}

// checkGroup compares the chains that share an element of the list that has
// the fewest such pairs. With server names alone that is a look into a map
// for each name, however many chains there are.
func (l *loader) checkGroup(chains []*chainDecl) {
	var chosen *listCriterion
	var fewest map[any][]*chainDecl
	best := 0
	for i := range listCriteria {
		criterion := &listCriteria[i]
		if criterion.len(&chains[0].Match) == 0 {
			continue
		}
		buckets, pairs := bucketsOf(criterion, chains)
		if pairs == 0 {
			return
		}
		if chosen == nil || pairs < best {
			chosen, best, fewest = criterion, pairs, buckets
		}
	}
	said, sets := map[*chainDecl]bool{}, elementSets{}
	if chosen == nil {
		l.checkBucket(chains, said, sets)
		return
	}
	for _, c := range chains { // rather than the map, for the same errors every time
		for i := range chosen.len(&c.Match) {
			element := chosen.at(&c.Match, i)
			l.checkBucket(fewest[element], said, sets)
			delete(fewest, element)
		}
	}
}

// bucketsOf sorts chains by the elements of one list and counts the pairs
// that share one.
func bucketsOf(criterion *listCriterion, chains []*chainDecl) (buckets map[any][]*chainDecl, pairs int) {
	buckets = map[any][]*chainDecl{}
	for _, c := range chains {
		for i := range criterion.len(&c.Match) {
			element := criterion.at(&c.Match, i)
			pairs += len(buckets[element])
			buckets[element] = append(buckets[element], c)
		}
	}
	return buckets, pairs
}

// checkBucket compares the chains of a bucket, which are in the order in
// which they were written. Once something was said about a chain, it is left
// out: hundreds of equal chains give hundreds of errors, not the square.
func (l *loader) checkBucket(chains []*chainDecl, said map[*chainDecl]bool, sets elementSets) {
	for j := 1; j < len(chains); j++ {
		for i := 0; i < j && !said[chains[j]]; i++ {
			if !said[chains[i]] {
				l.comparePair(chains[i], chains[j], said, sets)
			}
		}
	}
}

func (l *loader) comparePair(a, b *chainDecl, said map[*chainDecl]bool, sets elementSets) {
	shared, ok := sets.shared(a, b)
	if !ok {
		return
	}
	winner, loser := a, b
	switch {
	case a.Match.DestinationPort == b.Match.DestinationPort && a.Match.TransportProtocol == b.Match.TransportProtocol:
		said[b] = true
		l.errorf(b.sharedRange(shared), "Chains tie", "The chains %q (%s) and %q %s, or give one a further criterion.",
			a.Name, a.Pos, b.Name, describe(b, shared, a.hidden || b.hidden))
		return
	case a.Match.DestinationPort != b.Match.DestinationPort:
		if b.Match.DestinationPort != 0 {
			winner, loser = b, a
		}
	case b.Match.TransportProtocol != TransportAny:
		winner, loser = b, a
	}
	if sets.covers(winner, loser) {
		said[loser] = true
		l.errorf(loser.at, "Chain never matches", "The chain %q (%s) takes every connection that %q could take, and is more specific because it says %s. Leave one of the two out.",
			winner.Name, winner.Pos, loser.Name, extra(winner, loser))
	}
}

// extra is the criterion by which winner is more specific than loser.
func extra(winner, loser *chainDecl) string {
	if winner.Match.DestinationPort != loser.Match.DestinationPort {
		return "a destination_port, which is the only one of the listener"
	}
	return fmt.Sprintf("transport_protocol = %q, which the other implies", winner.Match.TransportProtocol)
}

// sharedRange is where b says what it shares.
func (c *chainDecl) sharedRange(shared [len(listCriteria)]int) hcl.Range {
	for i, criterion := range listCriteria {
		if n := criterion.len(&c.Match); n > 0 {
			return elementRanges(c.criteria[criterion.name].Expr, n)(shared[i])
		}
	}
	return c.at
}

// describe says what two chains match alike.
func describe(c *chainDecl, shared [len(listCriteria)]int, hidden bool) string {
	var parts []string
	for i, criterion := range listCriteria {
		if criterion.len(&c.Match) == 0 {
			continue
		}
		element := criterion.at(&c.Match, shared[i])
		if text, ok := element.(string); ok {
			element = fmt.Sprintf("%q", text)
		}
		parts = append(parts, criterion.noun+" "+shown(fmt.Sprint(element), hidden))
	}
	if len(parts) == 0 {
		return "match the same connections, and neither is more specific. Leave one out"
	}
	return "are equally specific for " + strings.Join(parts, " with ") + ". Take that out of one of them"
}
