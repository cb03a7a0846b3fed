package route

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"
)

// addresses is where a connection came from and goes to, in the one form in
// which addresses are compared. Unknown ones are invalid, with port 0.
type addresses struct {
	destination, directSource, source netip.Addr
	destinationPort, sourcePort       uint16
}

func newAddresses(destination, directSource, source netip.AddrPort) addresses {
	var a addresses
	a.destination, a.destinationPort = canonical(destination)
	a.directSource, _ = canonical(directSource)
	a.source, a.sourcePort = canonical(source)
	return a
}

// canonical turns the ::ffff:a.b.c.d of a dual-stack socket into a.b.c.d and
// drops the zone of a link-local address: prefixes have none.
func canonical(ap netip.AddrPort) (netip.Addr, uint16) {
	addr := ap.Addr()
	switch {
	case addr.Is4(): // nothing to do for most
		return addr, ap.Port()
	case addr.IsValid():
		return addr.Unmap().WithZone(""), ap.Port()
	}
	return netip.Addr{}, 0
}

// gate is the port and address criteria of a chain: what can be decided
// before the client has sent anything. Chains with the same ones share it.
type gate struct {
	given        criteria
	port         uint16
	destination  *prefixes
	directSource *prefixes
	source       *prefixes
	sourcePorts  []uint16
}

// rank ranks one criterion of those that are given, 0 when it does not hold.
func (g *gate) rank(c Criterion, a *addresses) rank {
	switch c {
	case DestinationPort:
		return rankIf(a.destinationPort == g.port)
	case DestinationPrefix:
		return g.destination.rank(a.destination)
	case DirectSourcePrefix:
		return g.directSource.rank(a.directSource)
	case SourcePrefix:
		return g.source.rank(a.source)
	case SourcePort:
		return rankIf(slices.Contains(g.sourcePorts, a.sourcePort))
	}
	panic("BUG: not a criterion of a gate: " + c.String())
}

// highest is the rank that a criterion could have at best.
func (g *gate) highest(c Criterion) rank {
	switch c {
	case DestinationPrefix:
		return g.destination.longest
	case DirectSourcePrefix:
		return g.directSource.longest
	case SourcePrefix:
		return g.source.longest
	}
	return 1
}

// holds says whether every criterion of the gate does.
func (g *gate) holds(a *addresses) bool {
	for left := g.given; left != 0; left = left.withoutFirst() {
		if g.rank(left.first(), a) == 0 {
			return false
		}
	}
	return true
}

func rankIf(holds bool) rank {
	if holds {
		return 1
	}
	return 0
}

// prefixes is a list of prefixes that finds the longest one that contains an
// address.
type prefixes struct {
	list    []netip.Prefix // sorted, each once
	ranks   bart.Table[uint8]
	longest rank
}

// newPrefixes takes a list as normalPrefixes gives it.
func newPrefixes(list []netip.Prefix) *prefixes {
	if len(list) == 0 {
		return nil
	}
	p := &prefixes{list: list}
	for _, prefix := range list {
		p.ranks.Insert(prefix, uint8(prefix.Bits()+1))
		p.longest = max(p.longest, rank(prefix.Bits()+1))
	}
	return p
}

// rank is 1 more than the length of the longest prefix that contains a, 0
// when none does.
func (p *prefixes) rank(a netip.Addr) rank {
	r, _ := p.ranks.Lookup(a)
	return rank(r)
}

// normalPrefixes gives a sorted copy without duplicates and host bits. A
// prefix of IPv4-mapped addresses becomes the IPv4 prefix, as the addresses
// themselves do.
func normalPrefixes(list []netip.Prefix) []netip.Prefix {
	normal := make([]netip.Prefix, 0, len(list))
	for _, prefix := range list {
		if !prefix.IsValid() {
			panic("BUG: a prefix that is not valid reached the table")
		}
		prefix = prefix.Masked()
		if a := prefix.Addr(); a.Is4In6() {
			prefix = netip.PrefixFrom(a.Unmap(), prefix.Bits()-96)
		}
		normal = append(normal, prefix)
	}
	slices.SortFunc(normal, netip.Prefix.Compare)
	return slices.Clip(slices.Compact(normal))
}

// gates makes equal gates one, so that a thousand chains for port 443 are
// one test of the port.
type gates struct {
	byKey map[string]*gate
	key   []byte
}

func (gs *gates) of(c *Criteria) *gate {
	destination := normalPrefixes(c.DestinationPrefixes)
	directSource := normalPrefixes(c.DirectSourcePrefixes)
	source := normalPrefixes(c.SourcePrefixes)
	ports := slices.Clone(c.SourcePorts)
	slices.Sort(ports)
	ports = slices.Clip(slices.Compact(ports))
	if slices.Contains(ports, 0) {
		panic("BUG: source port 0 reached the table")
	}

	gs.key = binary.BigEndian.AppendUint16(gs.key[:0], c.DestinationPort)
	for _, list := range [...][]netip.Prefix{destination, directSource, source} {
		gs.key = binary.BigEndian.AppendUint32(gs.key, uint32(len(list)))
		for _, prefix := range list {
			// No text of a prefix has a comma in it.
			gs.key = append(prefix.AppendTo(gs.key), ',')
		}
	}
	for _, port := range ports {
		gs.key = binary.BigEndian.AppendUint16(gs.key, port)
	}
	if g := gs.byKey[string(gs.key)]; g != nil {
		return g
	}
	g := &gate{
		port:         c.DestinationPort,
		destination:  newPrefixes(destination),
		directSource: newPrefixes(directSource),
		source:       newPrefixes(source),
		sourcePorts:  ports,
	}
	g.given = g.given.
		withIf(DestinationPort, g.port != 0).
		withIf(DestinationPrefix, len(destination) > 0).
		withIf(DirectSourcePrefix, len(directSource) > 0).
		withIf(SourcePrefix, len(source) > 0).
		withIf(SourcePort, len(ports) > 0)
	gs.byKey[string(gs.key)] = g
	return g
}
