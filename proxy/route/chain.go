package route

import (
	"fmt"
	"slices"
)

// query is one connection to be matched.
type query struct {
	addresses
	in *Input
}

// chain is the compiled form of one Criteria, but for its server names:
// those are found from the name, in the table's index.
type chain struct {
	gate      *gate
	given     criteria
	transport Transport
	protocols []string

	// limit is the specificity that no connection can exceed: every
	// criterion that is given holds as specifically as it ever could.
	limit specificity

	// What Explain shows of the server names.
	nameCount  int
	firstNames []string

	highestName rank // 0: there is none
}

// shownElements is how many elements of a criterion Explain spells out.
const shownElements = 4

func newChain(c *Criteria, g *gate) chain {
	if c.Transport > RawBuffer {
		panic(fmt.Sprintf("BUG: transport %d reached the table", c.Transport))
	}
	for _, name := range c.ApplicationProtocols {
		if len(name) == 0 || len(name) > 255 {
			panic("BUG: an application protocol that no client can send reached the table")
		}
	}
	ch := chain{
		gate:       g,
		transport:  c.Transport,
		protocols:  slices.Clone(c.ApplicationProtocols),
		nameCount:  len(c.ServerNames),
		firstNames: slices.Clone(c.ServerNames[:min(shownElements, len(c.ServerNames))]),

		highestName: highestName(c.ServerNames),
	}
	ch.given = g.given.
		withIf(ServerName, len(c.ServerNames) > 0).
		withIf(TransportProtocol, c.Transport != AnyTransport).
		withIf(ApplicationProtocol, len(c.ApplicationProtocols) > 0)
	for left := ch.given; left != 0; left = left.withoutFirst() {
		ch.limit |= ch.highest(left.first()).of(left.first())
	}
	return ch
}

// highest is the rank that a criterion could have at best.
func (c *chain) highest(cr Criterion) rank {
	switch cr {
	case ServerName:
		return c.highestName
	case ApplicationProtocol:
		return firstProtocol
	}
	return c.gate.highest(cr)
}

// rank ranks one criterion of those that are given, 0 when it does not hold.
// name is the rank of the chain's best server name, as the index found it.
func (c *chain) rank(cr Criterion, q *query, name rank) rank {
	switch cr {
	case ServerName:
		return name
	case TransportProtocol:
		return rankIf(q.in.Transport == c.transport)
	case ApplicationProtocol:
		return c.protocolRank(q.in.ALPN)
	}
	return c.gate.rank(cr, &q.addresses)
}

func (c *chain) protocolRank(offered Protocols) rank {
	for i, name := range offered.All() {
		for _, want := range c.protocols {
			if string(name) == want {
				return max(firstProtocol-rank(i), 1)
			}
		}
	}
	return 0
}

// evaluate gives the chain's specificity for the connection, and whether
// every criterion holds. It may say no to a chain that matches with less
// than floor: the list of protocols is as long as the client likes, so it is
// not walked for a chain that loses anyway.
func (c *chain) evaluate(q *query, name rank, floor specificity) (specificity, bool) {
	var s specificity
	for left := c.given.minus(only(ApplicationProtocol)); left != 0; left = left.withoutFirst() {
		cr := left.first()
		r := c.rank(cr, q, name)
		if r == 0 {
			return 0, false
		}
		s |= r.of(cr)
	}
	if c.given.has(ApplicationProtocol) {
		if s|firstProtocol.of(ApplicationProtocol) < floor {
			return 0, false
		}
		r := c.rank(ApplicationProtocol, q, name)
		if r == 0 {
			return 0, false
		}
		s |= r.of(ApplicationProtocol)
	}
	return s, true
}
