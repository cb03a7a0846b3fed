package route

import "math/bits"

// Criterion is one of the things a chain may match on. Their order is the
// order in which two matching chains are compared.
type Criterion uint8

// The criteria, the one that is compared first at the top.
const (
	DestinationPort Criterion = iota
	DestinationPrefix
	ServerName
	TransportProtocol
	ApplicationProtocol
	DirectSourcePrefix
	SourcePrefix
	SourcePort
	JA4

	// Position is what is left to decide when two chains rank equal on every
	// criterion: the one that was written first wins. The configuration
	// refuses such chains, no chain matches on it, and only a [Defeat] names it.
	Position
)

// String gives the attribute that stands in the configuration.
func (c Criterion) String() string {
	return [...]string{
		"destination_port",
		"destination_prefix_ranges",
		"server_names",
		"transport_protocol",
		"application_protocols",
		"direct_source_prefix_ranges",
		"source_prefix_ranges",
		"source_ports",
		"ja4",
		"position",
	}[c]
}

// criteria is a set of them, one bit each.
type criteria uint16

func (s criteria) has(c Criterion) bool      { return s>>c&1 != 0 }
func (s criteria) with(c Criterion) criteria { return s | 1<<c }
func (s criteria) minus(o criteria) criteria { return s &^ o }
func (s criteria) first() Criterion          { return Criterion(bits.TrailingZeros16(uint16(s))) }
func (s criteria) withoutFirst() criteria    { return s & (s - 1) }
func only(c Criterion) criteria              { return 1 << c }
func (s criteria) withIf(c Criterion, given bool) criteria {
	if given {
		return s.with(c)
	}
	return s
}

// rank says how specifically one criterion holds: 0 for an omitted one,
// more for a more specific one. For a criterion that is given, 0 means that
// it does not hold.
//
//   - a port, a transport, a fingerprint: 1
//   - a prefix: its length in bits plus 1, so that even /0 ranks above none
//   - a server name: exactName, or the number of labels after the "*."
//   - application protocols: firstProtocol for the client's first, 1 less for
//     each after it
type rank uint64

const (
	exactName     rank = 1<<8 - 1  // above the 127 labels a name can have
	firstProtocol rank = 1<<16 - 1 // a list has at most 32767 names: its length has 16 bits
)

// specificity is the ranks of all criteria of a chain side by side, the one
// that is compared first in the highest bits. A greater one wins.
type specificity uint64

// layout gives the lowest bit of each criterion's rank; it reaches up to the
// lowest bit of the criterion before it.
var layout = [...]uint8{
	DestinationPort:     51, // 1 bit
	DestinationPrefix:   43, // 8 bits
	ServerName:          35, // 8 bits
	TransportProtocol:   34, // 1 bit
	ApplicationProtocol: 18, // 16 bits
	DirectSourcePrefix:  10, // 8 bits
	SourcePrefix:        2,  // 8 bits
	SourcePort:          1,  // 1 bit
	JA4:                 0,  // 1 bit
}

// of gives the rank its place.
func (r rank) of(c Criterion) specificity { return specificity(r) << layout[c] }

// rank gives the rank of one criterion back.
func (s specificity) rank(c Criterion) rank {
	if c > 0 {
		s &= 1<<layout[c-1] - 1
	}
	return rank(s >> layout[c])
}

// decider is the first criterion on which a and b differ.
func decider(a, b specificity) Criterion {
	for c := range Position {
		if a.rank(c) != b.rank(c) {
			return c
		}
	}
	return Position
}
