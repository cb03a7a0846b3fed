package route

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Verdict is what became of one chain, and why. Exactly one of these is so:
// it won; Failed is not empty; LostBy is not nil.
type Verdict struct {
	Won    bool
	Failed []Mismatch // every criterion that does not hold, in order of precedence
	LostBy *Defeat    // the chain matches, but another is more specific
}

// Mismatch is a criterion that does not hold. The texts are for people.
type Mismatch struct {
	Criterion Criterion
	Got       string // of the connection; "" when it has none
	Want      string // of the chain; of a long list the first few and how many more
}

// Defeat is the first criterion on which the winner is more specific.
type Defeat struct {
	Criterion Criterion
	Own       string // the element of the chain that held; "" when the criterion is omitted
	Winners   string // the element of the winner
}

// Explain gives the verdict on every chain, in their order. The winner is
// the one that Lookup gives.
func (t *Table) Explain(in *Input) []Verdict {
	q := query{newAddresses(in.Destination, in.DirectSource, in.Source), in}
	names := make(map[int]rank)
	for name, part := range t.names.levels(in.ServerName) {
		for i := range t.names.chains(name, part) {
			names[int(i)] = max(names[int(i)], name)
		}
	}
	winner := t.Lookup(in)
	var highest specificity
	if winner >= 0 {
		highest, _ = t.chains[winner].evaluate(&q, names[winner], 0)
	}
	verdicts := make([]Verdict, len(t.chains))
	for i := range t.chains {
		c, v := &t.chains[i], &verdicts[i]
		s, matched := c.evaluate(&q, names[i], 0)
		switch {
		case !matched:
			v.Failed = c.mismatches(&q, names[i])
		case i == winner:
			v.Won = true
		default:
			cr := decider(s, highest)
			v.LostBy = &Defeat{cr, q.held(cr, s), q.held(cr, highest)}
		}
	}
	return verdicts
}

func (c *chain) mismatches(q *query, name rank) []Mismatch {
	var failed []Mismatch
	for left := c.given; left != 0; left = left.withoutFirst() {
		cr := left.first()
		if c.rank(cr, q, name) == 0 {
			failed = append(failed, Mismatch{cr, q.got(cr), c.want(cr)})
		}
	}
	return failed
}

// got is what the connection brings for a criterion.
func (q *query) got(c Criterion) string {
	switch c {
	case DestinationPort:
		return portText(q.destinationPort)
	case DestinationPrefix:
		return addrText(q.destination)
	case ServerName:
		return string(q.in.ServerName)
	case TransportProtocol:
		return q.in.Transport.String()
	case ApplicationProtocol:
		var names []string
		for _, name := range q.in.ALPN.All() {
			names = append(names, protocolText(name))
		}
		return listText(names, len(names))
	case DirectSourcePrefix:
		return addrText(q.directSource)
	case SourcePrefix:
		return addrText(q.source)
	case SourcePort:
		return portText(q.sourcePort)
	case JA4:
		return q.in.JA4
	}
	panic("BUG: nothing is known of a connection's " + c.String())
}

// want is what the chain asks of a criterion.
func (c *chain) want(cr Criterion) string {
	switch cr {
	case DestinationPort:
		return portText(c.gate.port)
	case DestinationPrefix:
		return elementsText(c.gate.destination.list, netip.Prefix.String)
	case ServerName:
		return listText(c.firstNames, c.nameCount)
	case TransportProtocol:
		return c.transport.String()
	case ApplicationProtocol:
		return elementsText(c.protocols, func(name string) string { return protocolText([]byte(name)) })
	case DirectSourcePrefix:
		return elementsText(c.gate.directSource.list, netip.Prefix.String)
	case SourcePrefix:
		return elementsText(c.gate.source.list, netip.Prefix.String)
	case SourcePort:
		return elementsText(c.gate.sourcePorts, portText)
	case JA4:
		return listText(c.fingerprints, len(c.fingerprints))
	}
	panic("BUG: no chain has a " + cr.String())
}

// held is the element of a criterion that held for the connection: a rank
// says which one, so the chain is not needed. Empty for an omitted criterion.
func (q *query) held(c Criterion, s specificity) string {
	if c == Position {
		return ""
	}
	r := s.rank(c)
	if r == 0 {
		return ""
	}
	switch c {
	case DestinationPrefix:
		return prefixText(q.destination, r)
	case DirectSourcePrefix:
		return prefixText(q.directSource, r)
	case SourcePrefix:
		return prefixText(q.source, r)
	case ServerName:
		return nameText(q.in.ServerName, r)
	case ApplicationProtocol:
		for i, name := range q.in.ALPN.All() {
			if firstProtocol-rank(i) == r {
				return protocolText(name)
			}
		}
	}
	return q.got(c)
}

// nameText gives the listed name of that rank which name matches.
func nameText(name []byte, r rank) string {
	if r == exactName {
		return string(name)
	}
	dot := len(name)
	for range r {
		dot = lastDot(name, dot)
	}
	return "*" + string(name[dot:])
}

func prefixText(a netip.Addr, r rank) string {
	prefix, err := a.Prefix(int(r) - 1)
	if err != nil {
		panic(fmt.Sprintf("BUG: rank %d of %v: %v", r, a, err))
	}
	return prefix.String()
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func portText(port uint16) string {
	if port == 0 {
		return ""
	}
	return strconv.Itoa(int(port))
}

// protocolText keeps what a client sent from reaching a terminal as it is.
func protocolText(name []byte) string {
	quoted := strconv.Quote(string(name))
	return quoted[1 : len(quoted)-1]
}

func elementsText[E any](list []E, text func(E) string) string {
	var first []string
	for _, e := range list[:min(shownElements, len(list))] {
		first = append(first, text(e))
	}
	return listText(first, len(list))
}

// listText joins the first of n elements.
func listText(first []string, n int) string {
	first = first[:min(shownElements, len(first))]
	text := strings.Join(first, ", ")
	if more := n - len(first); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
