package config

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// randomListener makes a listener whose chains match on a few words each, so
// that ties and shadows are common.
func randomListener(rnd *rand.Rand) *listenerDecl {
	some := func(words ...string) []string {
		var picked []string
		for _, w := range words {
			if rnd.IntN(3) == 0 {
				picked = append(picked, w)
			}
		}
		return picked
	}
	prefixes := func(texts ...string) (picked []netip.Prefix) {
		if rnd.IntN(2) == 0 {
			for _, text := range some(texts...) {
				picked = append(picked, netip.MustParsePrefix(text))
			}
		}
		return picked
	}
	d := &listenerDecl{Listener: &Listener{Name: "x"}}
	for _, text := range [][]string{
		{":443"}, {":443", ":8443"}, {"10.0.0.1:443", "[::1]:443"}, {"0.0.0.0:443"}, {"10.0.0.1:443"}, {"[::]:443", "unix:/a"},
		{"10.0.0.1:443", "10.0.0.2:443"},
	}[rnd.IntN(7)] {
		a, err := parseListen(text, "")
		if err != nil {
			panic(err)
		}
		d.Addresses = append(d.Addresses, a)
	}
	for i := range 2 + rnd.IntN(5) {
		c := &chainDecl{FilterChain: &FilterChain{Name: fmt.Sprint(i)}, criteria: hcl.Attributes{}}
		m := &c.Match
		m.ServerNames = some("a.test", "b.test", "*.test")
		if rnd.IntN(2) == 0 {
			m.ApplicationProtocols = some("h2", "http/1.1")
		}
		if rnd.IntN(4) == 0 {
			m.JA4 = some("t13", "t12")
		}
		m.SourcePrefixes = prefixes("0.0.0.0/0", "::/0", "10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32")
		m.DestinationPrefixes = prefixes("0.0.0.0/0", "::/0", "10.0.0.0/8", "10.0.0.1/32", "::1/128")
		m.DestinationPort = []uint16{0, 0, 443, 8443}[rnd.IntN(4)]
		m.TransportProtocol = []TransportProtocol{TransportAny, TransportAny, TransportTLS}[rnd.IntN(3)]
		c.at = hcl.Range{Start: hcl.Pos{Line: i, Byte: i}}
		for _, list := range listCriteria {
			c.criteria[list.name] = &hcl.Attribute{Expr: hcl.StaticExpr(cty.DynamicVal, c.at)}
		}
		d.chains = append(d.chains, c)
	}
	return d
}

// meet reports whether two lists are both empty or share an element that a
// connection can have.
func meet[T comparable](a, b []T, possible func(T) bool) bool {
	if len(a) == 0 || len(b) == 0 {
		return len(a) == len(b)
	}
	return slices.ContainsFunc(a, func(x T) bool { return slices.Contains(b, x) && possible(x) })
}

// tie is the definition, word by word.
func tie(a, b Match, conns []conn) bool {
	always := func(string) bool { return true }
	from := func(p netip.Prefix) bool {
		return slices.ContainsFunc(conns, func(c conn) bool { return p.Contains(c.source) })
	}
	to := func(p netip.Prefix) bool {
		return slices.ContainsFunc(conns, func(c conn) bool { return p.Contains(c.destination) })
	}
	return a.DestinationPort == b.DestinationPort && a.TransportProtocol == b.TransportProtocol &&
		meet(a.ServerNames, b.ServerNames, always) && meet(a.ApplicationProtocols, b.ApplicationProtocols, always) && meet(a.JA4, b.JA4, always) &&
		meet(a.SourcePrefixes, b.SourcePrefixes, from) && meet(a.DestinationPrefixes, b.DestinationPrefixes, to)
}

// conn is a connection of a very small world.
type conn struct {
	port        uint16
	name        string
	tls         bool
	alpn        []string
	ja4         string
	source      netip.Addr // invalid for a unix socket, as is the destination
	destination netip.Addr
}

// ends lists the sources and destinations of an address.
func ends(a Address) (sources, destinations []netip.Addr) {
	addrs := func(texts ...string) (list []netip.Addr) {
		for _, text := range texts {
			list = append(list, netip.MustParseAddr(text))
		}
		return list
	}
	v4, v6 := addrs("10.0.0.1", "10.1.0.1", "11.0.0.1"), addrs("::1", "2001:db8::1")
	ip := a.AddrPort.Addr()
	switch {
	case a.Network == Unix:
		return make([]netip.Addr, 1), make([]netip.Addr, 1)
	case a.Dual:
		both := slices.Concat(v4, v6)
		return both, both
	case ip.Is4():
		sources, destinations = v4, v4
	default:
		sources, destinations = v6, v6
	}
	if !ip.IsUnspecified() {
		destinations = []netip.Addr{ip}
	}
	return sources, destinations
}

// world lists the connections that a listener can get.
func world(d *listenerDecl) []conn {
	var all []conn
	for _, a := range d.Addresses {
		sources, destinations := ends(a)
		for _, source := range sources {
			for _, destination := range destinations {
				if destination.Is4() != source.Is4() {
					continue
				}
				c := conn{port: a.AddrPort.Port(), source: source, destination: destination}
				all = append(all, c)
				c.tls = true
				for _, c.name = range []string{"", "a.test", "b.test", "c.test"} {
					for _, c.alpn = range [][]string{nil, {"h2"}, {"http/1.1"}, {"h2", "http/1.1"}, {"http/1.1", "h2"}} {
						for _, c.ja4 = range []string{"t13", "t12", "t11"} {
							all = append(all, c)
						}
					}
				}
			}
		}
	}
	return all
}

// score is how specific a match is for a connection, criterion by criterion
// in their order; higher is more specific. ok is false when it does not match.
func score(m Match, c conn) (score [7]int, ok bool) {
	fail := false
	grade := func(i int, given bool, n int) {
		if given {
			score[i] = n
			fail = fail || n == 0
		}
	}
	best := func(n int, value func(int) int) (most int) {
		for i := range n {
			most = max(most, value(i))
		}
		return most
	}
	truth := map[bool]int{true: 1}
	grade(0, m.DestinationPort != 0, truth[m.DestinationPort == c.port])
	prefix := func(prefixes []netip.Prefix, ip netip.Addr) int {
		return best(len(prefixes), func(i int) int { return (1 + prefixes[i].Bits()) * truth[prefixes[i].Contains(ip)] })
	}
	grade(1, len(m.DestinationPrefixes) > 0, prefix(m.DestinationPrefixes, c.destination))
	grade(2, len(m.ServerNames) > 0, best(len(m.ServerNames), func(i int) int {
		name := m.ServerNames[i]
		if rest, ok := strings.CutPrefix(name, "*"); ok {
			return len(rest) * truth[c.name != "" && strings.HasSuffix(c.name, rest)]
		}
		return 1000 * truth[name == c.name]
	}))
	grade(3, m.TransportProtocol != TransportAny, truth[c.tls == (m.TransportProtocol == TransportTLS)])
	grade(4, len(m.ApplicationProtocols) > 0, best(len(m.ApplicationProtocols), func(i int) int {
		at := slices.Index(c.alpn, m.ApplicationProtocols[i])
		return (100 - at) * truth[at >= 0]
	}))
	grade(5, len(m.SourcePrefixes) > 0, prefix(m.SourcePrefixes, c.source))
	grade(6, len(m.JA4) > 0, truth[slices.Contains(m.JA4, c.ja4)])
	return score, !fail
}

// neverWins reports whether for every connection that a matches, b matches
// too and is more specific.
func neverWins(a, b Match, conns []conn) bool {
	for _, c := range conns {
		sa, oka := score(a, c)
		sb, okb := score(b, c)
		if oka && (!okb || slices.Compare(sb[:], sa[:]) <= 0) {
			return false
		}
	}
	return true
}

// TestTiesOracle compares the bucketed check with the definitions, read
// plainly, over all pairs and all connections of a small world.
func TestTiesOracle(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	ties, shadows := 0, 0
	for range 16000 {
		d := randomListener(rnd)
		l := newLoader(Options{Environ: []string{}})
		l.checkTies(d)
		conns := world(d)
		said := map[int]bool{}
		for _, x := range l.list {
			said[x.Line] = true
			justified := false
			for i, other := range d.chains {
				c := d.chains[x.Line]
				switch x.Summary {
				case "Chains tie":
					justified = justified || i < x.Line && tie(c.Match, other.Match, conns)
				default:
					justified = justified || i != x.Line && neverWins(c.Match, other.Match, conns)
				}
			}
			if !justified {
				t.Fatalf("%s is not so for chain %d of %s", x.Summary, x.Line, matches(d))
			}
			if x.Summary == "Chains tie" {
				ties++
			} else {
				shadows++
			}
		}
		for i, a := range d.chains {
			for j, b := range d.chains[:i] {
				if !said[i] && !said[j] && tie(a.Match, b.Match, conns) {
					t.Fatalf("chains %d and %d tie, and nothing was said about them: %s", j, i, matches(d))
				}
			}
		}
	}
	if ties < 500 || shadows < 1000 {
		t.Errorf("only %d ties and %d shadows were made: the test is too easy", ties, shadows)
	}
}

func matches(d *listenerDecl) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%v", d.Addresses)
	for _, c := range d.chains {
		fmt.Fprintf(&out, "\n%+v", c.Match)
	}
	return out.String()
}
