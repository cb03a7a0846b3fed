package route

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestOrder(t *testing.T) {
	t.Parallel()
	chains := []Criteria{
		{},
		{ServerNames: []string{"*.b.test"}},
		{ServerNames: []string{"*.a.b.test"}},
		{ServerNames: []string{"a.test"}, SourcePrefixes: prefixList("10.0.0.0/8")},
		{ServerNames: []string{"*.b.test", "a.b.test"}},
		{DestinationPort: 443},
		{ServerNames: []string{"a.test"}, SourcePrefixes: prefixList("0.0.0.0/0 10.1.0.0/16")},
		{Transport: RawBuffer},
		{ApplicationProtocols: []string{"h2"}},
		{},
	}
	if got, want := fmt.Sprint(New(chains, false).Order()), "[5 6 3 4 2 1 7 8 0 9]"; got != want {
		t.Errorf("order %v, want %v", got, want)
	}
	if got := New(nil, false).Order(); len(got) != 0 {
		t.Errorf("the order of nothing is %v", got)
	}
}

// naiveHighest gives the ranks that a chain could have at best.
func naiveHighest(c *Criteria) (ranks [8]int) {
	ranks[DestinationPort] = naiveIf(c.DestinationPort != 0)
	ranks[TransportProtocol] = naiveIf(c.Transport != AnyTransport)
	ranks[SourcePort] = naiveIf(len(c.SourcePorts) > 0)
	for _, p := range c.DestinationPrefixes {
		ranks[DestinationPrefix] = max(ranks[DestinationPrefix], p.Bits()+1)
	}
	for _, p := range c.DirectSourcePrefixes {
		ranks[DirectSourcePrefix] = max(ranks[DirectSourcePrefix], p.Bits()+1)
	}
	for _, p := range c.SourcePrefixes {
		ranks[SourcePrefix] = max(ranks[SourcePrefix], p.Bits()+1)
	}
	for _, name := range c.ServerNames {
		suffix, isWildcard := strings.CutPrefix(name, "*")
		rank := len(suffix)
		if !isWildcard {
			rank = 1 << 20
		}
		ranks[ServerName] = max(ranks[ServerName], rank)
	}
	if len(c.ApplicationProtocols) > 0 {
		ranks[ApplicationProtocol] = 1 << 20
	}
	return ranks
}

// TestNothingBehindWins: where a chain matches as specifically as it ever could,
// none that stands behind it in the order takes the connection.
func TestNothingBehindWins(t *testing.T) {
	forRandomTables(t, func(chains []Criteria, table *Table, in *Input) error {
		order, winner := table.Order(), table.Lookup(in)
		if len(order) != len(chains) {
			return fmt.Errorf("%d of %d chains are in the order", len(order), len(chains))
		}
		for i := range chains {
			ranks, failed := naiveRanks(&chains[i], in)
			if failed == nil && ranks == naiveHighest(&chains[i]) && slices.Index(order, winner) > slices.Index(order, i) {
				return fmt.Errorf("chain %d wins, and stands behind %d: %v", winner, i, order)
			}
		}
		return nil
	})
}
