package route

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// The oracle: the rules of doc.go written down as naively as possible, one
// chain after the other, sharing no code with the table.

// naiveRanks gives, in order of precedence, how specifically each criterion
// of c holds, and the criteria that do not hold.
func naiveRanks(c *Criteria, in *Input) (ranks [9]int, failed []Criterion) {
	set := func(cr Criterion, given bool, rank int) {
		if given && rank == 0 {
			failed = append(failed, cr)
		}
		if given {
			ranks[cr] = rank
		}
	}
	set(DestinationPort, c.DestinationPort != 0, naivePort([]uint16{c.DestinationPort}, in.Destination))
	set(DestinationPrefix, len(c.DestinationPrefixes) > 0, naivePrefix(c.DestinationPrefixes, in.Destination))
	set(ServerName, len(c.ServerNames) > 0, naiveName(c.ServerNames, string(in.ServerName)))
	set(TransportProtocol, c.Transport != AnyTransport, naiveIf(c.Transport == in.Transport))
	set(ApplicationProtocol, len(c.ApplicationProtocols) > 0, naiveProtocol(c.ApplicationProtocols, in.ALPN))
	set(DirectSourcePrefix, len(c.DirectSourcePrefixes) > 0, naivePrefix(c.DirectSourcePrefixes, in.DirectSource))
	set(SourcePrefix, len(c.SourcePrefixes) > 0, naivePrefix(c.SourcePrefixes, in.Source))
	set(SourcePort, len(c.SourcePorts) > 0, naivePort(c.SourcePorts, in.Source))
	set(JA4, len(c.JA4) > 0, naiveIf(slices.Contains(c.JA4, in.JA4)))
	return ranks, failed
}

func naiveIf(b bool) int {
	if b {
		return 1
	}
	return 0
}

func naivePort(want []uint16, got netip.AddrPort) int {
	return naiveIf(got.IsValid() && slices.Contains(want, got.Port()))
}

func naivePrefix(want []netip.Prefix, got netip.AddrPort) int {
	best := 0
	for _, p := range want {
		if got.IsValid() && p.Contains(got.Addr().Unmap().WithZone("")) {
			best = max(best, p.Bits()+1)
		}
	}
	return best
}

func naiveName(want []string, got string) int {
	best := 0
	if len(got) > 253 {
		return 0
	}
	for _, w := range want {
		if w == got {
			best = 1 << 20
		} else if suffix, ok := strings.CutPrefix(w, "*"); ok && strings.HasSuffix(got, suffix) && got != suffix {
			best = max(best, len(suffix))
		}
	}
	return best
}

func naiveProtocol(want []string, got Protocols) int {
	rank := 1 << 20
	for len(got) > 0 {
		n := int(got[0])
		if slices.Contains(want, string(got[1:1+n])) {
			return rank
		}
		rank--
		got = got[1+n:]
	}
	return 0
}

// naiveLookup gives the winner, the first of several equal ones.
func naiveLookup(chains []Criteria, in *Input) int {
	winner, best := -1, [9]int{}
	for i := range chains {
		ranks, failed := naiveRanks(&chains[i], in)
		if failed == nil && (winner < 0 || slices.Compare(ranks[:], best[:]) > 0) {
			winner, best = i, ranks
		}
	}
	return winner
}

// naiveTie is the configuration's definition of two chains that tie: for
// every criterion both omit it or share an element.
func naiveTie(a, b *Criteria) bool {
	return a.DestinationPort == b.DestinationPort &&
		a.Transport == b.Transport &&
		naiveShare(a.DestinationPrefixes, b.DestinationPrefixes) &&
		naiveShare(a.ServerNames, b.ServerNames) &&
		naiveShare(a.ApplicationProtocols, b.ApplicationProtocols) &&
		naiveShare(a.DirectSourcePrefixes, b.DirectSourcePrefixes) &&
		naiveShare(a.SourcePrefixes, b.SourcePrefixes) &&
		naiveShare(a.SourcePorts, b.SourcePorts) &&
		naiveShare(a.JA4, b.JA4)
}

func naiveShare[E comparable](a, b []E) bool {
	if len(a) == 0 || len(b) == 0 {
		return len(a) == len(b)
	}
	return slices.ContainsFunc(a, func(e E) bool { return slices.Contains(b, e) })
}

// The random tables and connections are drawn from alphabets so small that
// most chains compete with each other.
var (
	someNames     = strings.Fields("x a.x b.x a.b.x b.b.x *.x *.b.x *.a.b.x y *.y")
	someHosts     = strings.Fields("x a.x b.x a.b.x c.b.x c.a.b.x c.c.c.x y a.y z")
	someProtocols = strings.Fields("h2 http/1.1 acme")
	somePrefixes  = prefixList("0.0.0.0/0 10.0.0.0/8 10.1.0.0/16 10.1.2.0/24 10.1.2.3/32 ::/0 fe80::/10 fe80::1/128 2001:db8::/32")
	someAddrs     = strings.Fields("10.1.2.3 10.1.2.4 10.2.0.1 192.0.2.1 ::ffff:10.1.2.3 ::ffff:192.0.2.1 fe80::1 fe80::1%eth0 2001:db8::1")
	somePorts     = []uint16{443, 8443, 9000}
	someJA4s      = strings.Fields("t13d1516h2_8daaf6152771_e5627efa2ab1 t13d1312h2_f57a46bbacb6_ab7e3b40a677 t12i030000_28fa9b2900ea_000000000000")
)

func prefixList(s string) (list []netip.Prefix) {
	for f := range strings.FieldsSeq(s) {
		list = append(list, netip.MustParsePrefix(f))
	}
	return list
}

func randomChains(r *rand.Rand) []Criteria {
	density := r.Float64() // how likely a chain is to have a criterion
	chains := make([]Criteria, r.IntN(12))
	for i := range chains {
		c := &chains[i]
		if r.Float64() < density {
			c.DestinationPort = somePorts[r.IntN(2)]
		}
		if r.Float64() < density {
			c.Transport = Transport(r.IntN(3))
		}
		c.DestinationPrefixes = randomSome(r, density/2, somePrefixes)
		c.ServerNames = randomSome(r, density, someNames)
		c.ApplicationProtocols = randomSome(r, density/2, someProtocols)
		c.DirectSourcePrefixes = randomSome(r, density/3, somePrefixes)
		c.SourcePrefixes = randomSome(r, density/2, somePrefixes)
		c.SourcePorts = randomSome(r, density/3, somePorts)
		c.JA4 = randomSome(r, density/3, someJA4s)
		c.UsesHello = r.IntN(4) == 0
	}
	return chains
}

func randomSome[E any](r *rand.Rand, density float64, from []E) []E {
	if r.Float64() >= density {
		return nil
	}
	some := make([]E, 1+r.IntN(3))
	for i := range some {
		some[i] = from[r.IntN(len(from))]
	}
	return some
}

func randomInput(r *rand.Rand) *Input {
	in := &Input{
		Destination:  randomAddr(r),
		DirectSource: randomAddr(r),
		Source:       randomAddr(r),
		Transport:    Transport(r.IntN(3)),
	}
	if r.IntN(6) > 0 {
		in.ServerName = []byte(someHosts[r.IntN(len(someHosts))])
	}
	for range r.IntN(4) {
		in.ALPN = in.ALPN.Append(someProtocols[r.IntN(len(someProtocols))])
	}
	if r.IntN(4) > 0 {
		in.JA4 = someJA4s[r.IntN(len(someJA4s))]
	}
	return in
}

func randomAddr(r *rand.Rand) netip.AddrPort {
	if r.IntN(12) == 0 {
		return netip.AddrPort{}
	}
	addr := netip.MustParseAddr(someAddrs[r.IntN(len(someAddrs))])
	return netip.AddrPortFrom(addr, somePorts[r.IntN(len(somePorts))])
}

// forRandomTables runs check on many tables with many connections each.
func forRandomTables(t *testing.T, check func(chains []Criteria, table *Table, in *Input) error) {
	t.Helper()
	t.Parallel()
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 0))
		chains := randomChains(r)
		table := New(chains, false)
		for range 50 {
			in := randomInput(r)
			if err := check(chains, table, in); err != nil {
				t.Fatalf("seed %d: %v\nconnection: %+v\nname %q alpn %q\nchains:\n%s",
					seed, err, in, in.ServerName, in.ALPN, chainsText(chains))
			}
		}
	}
}

func chainsText(chains []Criteria) string {
	var b strings.Builder
	for i, c := range chains {
		fmt.Fprintf(&b, "%d: %+v\n", i, c)
	}
	return b.String()
}

func TestRandomLookupAgainstOracle(t *testing.T) {
	forRandomTables(t, func(chains []Criteria, table *Table, in *Input) error {
		if got, want := table.Lookup(in), naiveLookup(chains, in); got != want {
			return fmt.Errorf("Lookup gives chain %d, the oracle %d", got, want)
		}
		return nil
	})
}

func TestRandomExplainAgainstOracle(t *testing.T) {
	forRandomTables(t, func(chains []Criteria, table *Table, in *Input) error {
		winner := table.Lookup(in)
		verdicts := table.Explain(in)
		if len(verdicts) != len(chains) {
			return fmt.Errorf("%d verdicts on %d chains", len(verdicts), len(chains))
		}
		for i, v := range verdicts {
			if err := checkVerdict(chains, in, winner, i, v); err != nil {
				return fmt.Errorf("verdict on chain %d, winner %d: %w", i, winner, err)
			}
		}
		return nil
	})
}

func checkVerdict(chains []Criteria, in *Input, winner, i int, v Verdict) error {
	ranks, wantFailed := naiveRanks(&chains[i], in)
	var failed []Criterion
	for _, m := range v.Failed {
		failed = append(failed, m.Criterion)
		if m.Want == "" || m.Want == m.Got {
			return fmt.Errorf("%v failed with got %q, want %q", m.Criterion, m.Got, m.Want)
		}
	}
	if !slices.Equal(failed, wantFailed) {
		return fmt.Errorf("failed on %v, the oracle says %v", failed, wantFailed)
	}
	if v.Won != (i == winner) || (v.LostBy != nil) != (failed == nil && i != winner) {
		return fmt.Errorf("won %v, lost by %v, failed on %v", v.Won, v.LostBy, failed)
	}
	if v.LostBy == nil {
		return nil
	}
	best, _ := naiveRanks(&chains[winner], in)
	want := Position
	for c := range Position {
		if ranks[c] != best[c] {
			want = c
			break
		}
	}
	if v.LostBy.Criterion != want {
		return fmt.Errorf("lost by %v, the oracle says %v", v.LostBy.Criterion, want)
	}
	if want == Position && !naiveTie(&chains[i], &chains[winner]) {
		return fmt.Errorf("ranks equal to the winner, but the configuration would not call it a tie")
	}
	if want != Position && (v.LostBy.Winners == "" || (v.LostBy.Own == "") != (ranks[want] == 0)) {
		return fmt.Errorf("lost by %v: own %q, winner's %q", want, v.LostBy.Own, v.LostBy.Winners)
	}
	return nil
}

func TestRandomNeedsHelloAgainstOracle(t *testing.T) {
	forRandomTables(t, func(chains []Criteria, table *Table, in *Input) error {
		want := false
		for _, c := range chains {
			uses := c.UsesHello || c.ServerNames != nil || c.ApplicationProtocols != nil || c.Transport != AnyTransport || c.JA4 != nil
			c.ServerNames, c.ApplicationProtocols, c.Transport, c.JA4 = nil, nil, AnyTransport, nil
			_, failed := naiveRanks(&c, in)
			want = want || uses && failed == nil
		}
		if got := table.NeedsHello(in.Destination, in.DirectSource, in.Source); got != want {
			return fmt.Errorf("NeedsHello gives %v, the oracle %v", got, want)
		}
		return nil
	})
}

func TestRandomLookupRawAgainstOracle(t *testing.T) {
	forRandomTables(t, func(chains []Criteria, table *Table, in *Input) error {
		bare := *in
		bare.Transport, bare.ServerName, bare.ALPN, bare.JA4 = RawBuffer, nil, nil, ""
		want := naiveLookup(chains, &bare)
		if want >= 0 && chains[want].Transport != RawBuffer {
			want = -1
		}
		if got := table.LookupRaw(in.Destination, in.DirectSource, in.Source); got != want {
			return fmt.Errorf("LookupRaw gives %v, the oracle %v", got, want)
		}
		return nil
	})
}
