package route

import (
	"cmp"
	"net/netip"
	"slices"
)

// Table is the compiled form of the chains of one listener. It never changes
// and may be used by any number of goroutines.
type Table struct {
	chains   []chain
	names    *nameIndex
	nameless []int32 // chains without server names, the highest limit first

	// aboveName is the highest ranks that any chain with server names could
	// have in the criteria that are compared before the name.
	aboveName specificity

	// What NeedsHello asks: either the answer is always yes, or these gates
	// lead to chains that use the hello.
	alwaysHello bool
	helloGates  []*gate
}

// New compiles the chains; Lookup gives indexes into them. defaultUsesHello
// says whether the default chain, which is not among them, needs the
// ClientHello. New copies what it needs. Criteria that a checked
// configuration cannot contain (a name in upper case, an invalid prefix)
// make it panic.
func New(chains []Criteria, defaultUsesHello bool) *Table {
	t := &Table{
		chains:      make([]chain, len(chains)),
		names:       newNameIndex(chains),
		alwaysHello: defaultUsesHello,
	}
	shared := gates{byKey: make(map[string]*gate)}
	listed := make(map[*gate]bool)
	for i := range chains {
		c := &chains[i]
		g := shared.of(c)
		t.chains[i] = newChain(c, g)
		if len(c.ServerNames) == 0 {
			t.nameless = append(t.nameless, int32(i))
		} else {
			t.aboveName = max(t.aboveName, t.chains[i].limit>>layout[DestinationPrefix]<<layout[DestinationPrefix])
		}
		if !c.usesHello() || listed[g] {
			continue
		}
		listed[g] = true
		t.helloGates = append(t.helloGates, g)
		t.alwaysHello = t.alwaysHello || g.given == 0
	}
	slices.SortStableFunc(t.nameless, func(a, b int32) int {
		return cmp.Compare(t.chains[b].limit, t.chains[a].limit)
	})
	return t
}

func (c *Criteria) usesHello() bool {
	return c.UsesHello || len(c.ServerNames) > 0 || len(c.ApplicationProtocols) > 0 ||
		c.Transport != AnyTransport || len(c.JA4) > 0
}

// candidate is the best chain so far.
type candidate struct {
	chain       int // -1: none
	specificity specificity
}

// Lookup gives the index of the chain that takes the connection, -1 when
// none does. It does not allocate and keeps nothing of in.
func (t *Table) Lookup(in *Input) int {
	q := query{newAddresses(in.Destination, in.DirectSource, in.Source), in}
	best := candidate{chain: -1}
	for name, part := range t.names.levels(in.ServerName) {
		if best.specificity > t.highest(name) {
			break
		}
		for i := range t.names.chains(name, part) {
			t.consider(&best, int(i), &q, name)
		}
	}
	for _, i := range t.nameless {
		if t.chains[i].limit < best.specificity {
			break
		}
		t.consider(&best, int(i), &q, 0)
	}
	return best.chain
}

// highest is what no chain that matches with a server name of that rank, or
// a lower one, can exceed.
func (t *Table) highest(name rank) specificity {
	return t.aboveName | name.of(ServerName) | (1<<layout[ServerName] - 1)
}

// consider makes chain i the best if it matches and beats the best so far.
func (t *Table) consider(best *candidate, i int, q *query, name rank) {
	s, matched := t.chains[i].evaluate(q, name, best.specificity)
	if !matched {
		return
	}
	if best.chain < 0 || s > best.specificity || s == best.specificity && i < best.chain {
		*best = candidate{i, s}
	}
}

// NeedsHello says whether the ClientHello has to be read before a chain can
// be chosen or used: whether, among the chains whose port and address
// criteria hold (the default chain's always do), one matches on what the
// hello says or uses it otherwise. If not, bytes can be forwarded at once,
// which protocols in which the server speaks first rely on.
func (t *Table) NeedsHello(destination, directSource, source netip.AddrPort) bool {
	if t.alwaysHello {
		return true
	}
	a := newAddresses(destination, directSource, source)
	for _, g := range t.helloGates {
		if g.holds(&a) {
			return true
		}
	}
	return false
}

// LookupRaw gives the index of the chain that takes a connection between these
// addresses which is not TLS, if that chain asks for raw_buffer in so many
// words, and -1 otherwise: also where a chain without such criteria, or with
// more specific ones, would take it. It is for bytes that some servers take for
// TLS: they may go to a chain whose author knew that they come, and to no other.
func (t *Table) LookupRaw(destination, directSource, source netip.AddrPort) int {
	i := t.Lookup(&Input{
		Destination:  destination,
		DirectSource: directSource,
		Source:       source,
		Transport:    RawBuffer,
	})
	if i < 0 || t.chains[i].transport != RawBuffer {
		return -1
	}
	return i
}
