package config

import (
	"fmt"
	"net/netip"
	"slices"
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
// the first one implies: that a connection with a server name is TLS, that it
// came in on the only port that the listener has, that its addresses are some
// that a connection of the listener always has. So both checks compare the
// same pairs: chains that share an element of every list, once what they imply
// is filled in.

// listCriterion is a criterion whose elements are alternatives.
type listCriterion struct {
	name string // of the attribute
	noun string
	len  func(*Match) int
	at   func(*Match, int) any // comparable

	// Of prefixes: which there are, whether a connection can have an address
	// in one, and whether all have one in them.
	prefixes func(*Match) []netip.Prefix
	holds    func(*reach, netip.Prefix) bool
	any      func(*reach, []netip.Prefix) bool
}

// The indexes of the lists that are looked at by themselves.
const (
	serverNames = iota
	destinationPrefixes
	sourcePrefixes
	directSourcePrefixes
)

// listCriteria are all of them, the most telling first.
var listCriteria = [...]listCriterion{
	serverNames: {name: "server_names", noun: "the server name",
		len: func(m *Match) int { return len(m.ServerNames) }, at: func(m *Match, i int) any { return m.ServerNames[i] }},
	destinationPrefixes: prefixCriterion("destination_prefix_ranges", "the destination",
		func(m *Match) []netip.Prefix { return m.DestinationPrefixes }, (*reach).destination, (*reach).anyDestination),
	sourcePrefixes: prefixCriterion("source_prefix_ranges", "the source",
		func(m *Match) []netip.Prefix { return m.SourcePrefixes }, (*reach).source, (*reach).anySource),
	directSourcePrefixes: prefixCriterion("direct_source_prefix_ranges", "the direct source",
		func(m *Match) []netip.Prefix { return m.DirectSourcePrefixes }, (*reach).source, (*reach).anySource),
	{name: "application_protocols", noun: "the protocol",
		len: func(m *Match) int { return len(m.ApplicationProtocols) }, at: func(m *Match, i int) any { return m.ApplicationProtocols[i] }},
	{name: "source_ports", noun: "the source port",
		len: func(m *Match) int { return len(m.SourcePorts) }, at: func(m *Match, i int) any { return m.SourcePorts[i] }},
	{name: "ja4", noun: "the fingerprint",
		len: func(m *Match) int { return len(m.JA4) }, at: func(m *Match, i int) any { return m.JA4[i] }},
}

func prefixCriterion(name, noun string, prefixes func(*Match) []netip.Prefix, holds func(*reach, netip.Prefix) bool, all func(*reach, []netip.Prefix) bool) listCriterion {
	return listCriterion{
		name: name, noun: noun,
		len:      func(m *Match) int { return len(prefixes(m)) },
		at:       func(m *Match, i int) any { return prefixes(m)[i] },
		prefixes: prefixes, holds: holds, any: all,
	}
}

// implied reports whether a list is given and says nothing: every connection
// of the listener has an element of it.
func (c *listCriterion) implied(r *reach, m *Match) bool {
	return c.prefixes != nil && c.len(m) > 0 && c.any(r, c.prefixes(m))
}

// group is what two chains must have in common to be compared: the criteria
// with one value, what is implied filled in, and which lists they have to share
// an element of.
type group struct {
	port      uint16
	transport TransportProtocol
	lists     [len(listCriteria)]bool
}

// checkTies reports chains of a listener that tie or are shadowed.
func (l *loader) checkTies(d *listenerDecl) {
	x := &comparison{reach: reachOf(d), said: map[*chainDecl]bool{}, sets: map[setKey]map[any]int{}}
	groups := map[group][]*chainDecl{}
	var order []group
	for _, c := range d.chains {
		if c.matchBad {
			continue
		}
		for _, g := range groupsOf(&c.Match, &x.reach) {
			if groups[g] == nil {
				order = append(order, g)
			}
			groups[g] = append(groups[g], c)
		}
	}
	for _, g := range order {
		if chains := groups[g]; len(chains) > 1 {
			l.checkGroup(x, &g, chains)
		}
	}
}

// groupsOf gives the groups of a chain. One with a list that says nothing is
// compared with those that omit it, and with those that give it.
func groupsOf(m *Match, r *reach) []group {
	g := group{port: m.DestinationPort, transport: m.TransportProtocol}
	if g.port == 0 {
		g.port = r.port
	}
	if g.transport == TransportAny && m.impliesTLS() {
		g.transport = TransportTLS
	}
	groups := []group{g}
	for i := range listCriteria {
		criterion := &listCriteria[i]
		if criterion.len(m) == 0 {
			continue
		}
		without := slices.Clone(groups)
		for j := range groups {
			groups[j].lists[i] = true
		}
		if criterion.implied(r, m) {
			groups = append(without, groups...)
		}
	}
	return groups
}

// checkGroup compares the chains that share an element of the list that has
// the fewest such pairs. With server names alone that is a look into a map
// for each name, however many chains there are.
func (l *loader) checkGroup(x *comparison, g *group, chains []*chainDecl) {
	var chosen *listCriterion
	var fewest map[any][]*chainDecl
	best := 0
	for i := range listCriteria {
		if !g.lists[i] {
			continue
		}
		criterion := &listCriteria[i]
		buckets, pairs := bucketsOf(criterion, chains)
		if pairs == 0 {
			return
		}
		if chosen == nil || pairs < best {
			chosen, best, fewest = criterion, pairs, buckets
		}
	}
	if chosen == nil {
		l.checkBucket(x, g, chains)
		return
	}
	for _, c := range chains { // rather than the map, for the same errors every time
		for i := range chosen.len(&c.Match) {
			element := chosen.at(&c.Match, i)
			l.checkBucket(x, g, fewest[element])
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
func (l *loader) checkBucket(x *comparison, g *group, chains []*chainDecl) {
	for j := 1; j < len(chains); j++ {
		for i := 0; i < j && !x.said[chains[j]]; i++ {
			if !x.said[chains[i]] {
				l.comparePair(x, g, chains[i], chains[j])
			}
		}
	}
}

func (l *loader) comparePair(x *comparison, g *group, a, b *chainDecl) {
	shared, ok := x.shared(g, a, b)
	if !ok {
		return
	}
	sign, why, ok := x.compare(g, &a.Match, &b.Match)
	if !ok {
		return
	}
	if sign == 0 {
		x.said[b] = true
		l.errorf(b.sharedRange(shared), "Chains tie", "The chains %q (%s) and %q %s, or give one a further criterion.",
			a.Name, a.Pos, b.Name, describe(b, shared, a.hidden || b.hidden))
		return
	}
	winner, loser := a, b
	if sign < 0 {
		winner, loser = b, a
	}
	if x.covers(g, winner, loser) {
		x.said[loser] = true
		l.errorf(loser.at, "Chain never matches", "The chain %q (%s) takes every connection that %q could take, and is more specific because %s. Leave one of the two out.",
			winner.Name, winner.Pos, loser.Name, why)
	}
}

// compare says which of two chains is more specific for the connections that
// both match through an element that they share, and why: positive is a. The
// criteria are looked at in the order in which they decide. ok is false when it
// depends on the connection.
func (x *comparison) compare(g *group, a, b *Match) (sign int, why string, ok bool) {
	said := func(a, b bool) int {
		switch {
		case a == b:
			return 0
		case a:
			return 1
		}
		return -1
	}
	if sign = said(a.DestinationPort != 0, b.DestinationPort != 0); sign != 0 {
		return sign, "it says a destination_port, which is the only one of the listener", true
	}
	for _, i := range []int{destinationPrefixes, serverNames, directSourcePrefixes, sourcePrefixes} {
		list := &listCriteria[i]
		switch {
		case i == serverNames: // shared or omitted; what comes next is the transport
			if sign = said(a.TransportProtocol != TransportAny, b.TransportProtocol != TransportAny); sign != 0 {
				return sign, fmt.Sprintf("it says transport_protocol = %q, which the other implies", g.transport), true
			}
		case g.lists[i]:
		case list.len(a) == 0 || list.len(b) == 0:
			if sign = said(list.len(a) > 0, list.len(b) > 0); sign != 0 {
				return sign, "it says " + list.name + ", which hold every connection of the listener", true
			}
		case i == destinationPrefixes:
			if sign, ok = x.compareDestinations(a.DestinationPrefixes, b.DestinationPrefixes); sign != 0 || !ok {
				return sign, "it says longer " + list.name, ok
			}
		}
	}
	return 0, "", true
}

// sharedRange is where b says what it shares.
func (c *chainDecl) sharedRange(shared [len(listCriteria)]int) hcl.Range {
	for i, criterion := range listCriteria {
		if shared[i] >= 0 {
			return elementRanges(c.criteria[criterion.name].Expr, criterion.len(&c.Match))(shared[i])
		}
	}
	return c.at
}

// describe says what two chains match alike.
func describe(c *chainDecl, shared [len(listCriteria)]int, hidden bool) string {
	var parts []string
	for i, criterion := range listCriteria {
		if shared[i] < 0 {
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
