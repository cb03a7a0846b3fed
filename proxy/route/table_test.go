package route

import (
	"net/netip"
	"strings"
	"testing"
)

// on is a TLS connection to 192.0.2.1:443 from 10.1.2.3:5000, changed by with.
func on(with ...func(*Input)) *Input {
	in := &Input{
		Destination:  netip.MustParseAddrPort("192.0.2.1:443"),
		DirectSource: netip.MustParseAddrPort("10.1.2.3:5000"),
		Source:       netip.MustParseAddrPort("10.1.2.3:5000"),
		Transport:    TLS,
	}
	for _, w := range with {
		w(in)
	}
	return in
}

func sni(name string) func(*Input)      { return func(in *Input) { in.ServerName = []byte(name) } }
func to(ap string) func(*Input)         { return func(in *Input) { in.Destination = addrPort(ap) } }
func from(ap string) func(*Input)       { return func(in *Input) { in.Source = addrPort(ap) } }
func directFrom(ap string) func(*Input) { return func(in *Input) { in.DirectSource = addrPort(ap) } }
func ja4(text string) func(*Input)      { return func(in *Input) { in.JA4 = text } }
func raw(in *Input)                     { in.Transport = RawBuffer }
func undecided(in *Input)               { in.Transport = AnyTransport }

func alpn(names ...string) func(*Input) {
	return func(in *Input) {
		for _, name := range names {
			in.ALPN = in.ALPN.Append(name)
		}
	}
}

// Fingerprints of a browser and of a tool.
const (
	browserJA4 = "t13d1516h2_8daaf6152771_e5627efa2ab1"
	toolJA4    = "t13d1312h2_f57a46bbacb6_ab7e3b40a677"
)

// addrPort takes "" for an address that is not known.
func addrPort(s string) netip.AddrPort {
	if s == "" {
		return netip.AddrPort{}
	}
	return netip.MustParseAddrPort(s)
}

func names(s string) Criteria { return Criteria{ServerNames: strings.Fields(s)} }

func TestCriterionHolds(t *testing.T) {
	t.Parallel()
	f := func(name string, c Criteria, in *Input, want bool) {
		t.Helper()
		if got := New([]Criteria{c}, false).Lookup(in) == 0; got != want {
			t.Errorf("%s: matched is %v, want %v", name, got, want)
		}
	}

	f("no criteria", Criteria{}, on(), true)
	f("no criteria and nothing known", Criteria{}, &Input{}, true)

	port := Criteria{DestinationPort: 443}
	f("destination port", port, on(), true)
	f("another destination port", port, on(to("192.0.2.1:8443")), false)
	f("destination port without address", port, on(to("")), false)

	nets := Criteria{DestinationPrefixes: prefixList("192.0.2.0/24 2001:db8::/32")}
	f("destination in the IPv4 prefix", nets, on(), true)
	f("destination in the IPv6 prefix", nets, on(to("[2001:db8::1]:443")), true)
	f("destination elsewhere", nets, on(to("198.51.100.1:443")), false)
	f("destination IPv4-mapped", nets, on(to("[::ffff:192.0.2.1]:443")), true)
	f("destination without address", nets, on(to("")), false)
	f("any IPv4 takes IPv4", Criteria{DestinationPrefixes: prefixList("0.0.0.0/0")}, on(), true)
	f("any IPv4 takes IPv4-mapped", Criteria{DestinationPrefixes: prefixList("0.0.0.0/0")}, on(to("[::ffff:192.0.2.1]:1")), true)
	f("any IPv4 takes no IPv6", Criteria{DestinationPrefixes: prefixList("0.0.0.0/0")}, on(to("[::1]:443")), false)
	f("any IPv6 takes no IPv4", Criteria{DestinationPrefixes: prefixList("::/0")}, on(), false)
	f("any IPv6 takes no IPv4-mapped", Criteria{DestinationPrefixes: prefixList("::/0")}, on(to("[::ffff:192.0.2.1]:1")), false)
	f("prefix of IPv4-mapped addresses", Criteria{DestinationPrefixes: prefixList("::ffff:192.0.2.0/120")}, on(), true)
	f("prefix with host bits", Criteria{DestinationPrefixes: prefixList("192.0.2.77/24")}, on(), true)
	f("link-local with zone", Criteria{DestinationPrefixes: prefixList("fe80::/10")}, on(to("[fe80::1%eth0]:443")), true)

	f("exact name", names("a.test"), on(sni("a.test")), true)
	f("second of two names", names("a.test b.test"), on(sni("b.test")), true)
	f("another name", names("a.test"), on(sni("b.test")), false)
	f("name below an exact one", names("a.test"), on(sni("x.a.test")), false)
	f("no name", names("a.test"), on(), false)
	f("wildcard, one label", names("*.a.test"), on(sni("x.a.test")), true)
	f("wildcard, several labels", names("*.a.test"), on(sni("x.y.z.a.test")), true)
	f("wildcard, not the apex", names("*.a.test"), on(sni("a.test")), false)
	f("wildcard, not the end of a label", names("*.a.test"), on(sni("xa.test")), false)
	f("wildcard, not an empty label", names("*.a.test"), on(sni(".a.test")), false)
	f("wildcard of a top level name", names("*.test"), on(sni("a.test")), true)
	f("wildcard, longer than a name can be", names("*.a.test"), on(sni(strings.Repeat("x.", 150)+"a.test")), false)
	f("wildcard of another depth only", names("*.a.test *.z.z.z.test"), on(sni("x.b.test")), false)

	f("tls", Criteria{Transport: TLS}, on(), true)
	f("tls, raw connection", Criteria{Transport: TLS}, on(raw), false)
	f("raw_buffer", Criteria{Transport: RawBuffer}, on(raw), true)
	f("raw_buffer, TLS connection", Criteria{Transport: RawBuffer}, on(), false)
	f("tls, not known yet", Criteria{Transport: TLS}, on(undecided), false)
	f("raw_buffer, not known yet", Criteria{Transport: RawBuffer}, on(undecided), false)

	h2 := Criteria{ApplicationProtocols: []string{"h2", "h3"}}
	f("protocol, the client's second", h2, on(alpn("http/1.1", "h2")), true)
	f("protocol, not offered", h2, on(alpn("http/1.1", "h")), false)
	f("protocol, none offered", h2, on(), false)

	direct := Criteria{DirectSourcePrefixes: prefixList("10.0.0.0/8")}
	f("direct source", direct, on(from("192.0.2.9:1")), true)
	f("direct source elsewhere", direct, on(directFrom("192.0.2.9:1")), false)
	f("direct source without address", direct, on(directFrom("")), false)
	source := Criteria{SourcePrefixes: prefixList("10.0.0.0/8")}
	f("source", source, on(directFrom("192.0.2.9:1")), true)
	f("source elsewhere", source, on(from("192.0.2.9:1")), false)
	f("source without address", source, on(from("")), false)
	ports := Criteria{SourcePorts: []uint16{6000, 5000}}
	f("source port", ports, on(directFrom("10.1.2.3:1")), true)
	f("another source port", ports, on(from("10.1.2.3:1")), false)
	f("source port without address", ports, on(from("")), false)

	tools := Criteria{JA4: []string{toolJA4, "t12i030000_28fa9b2900ea_000000000000", toolJA4}}
	f("ja4", tools, on(ja4(toolJA4)), true)
	f("another ja4", tools, on(ja4(browserJA4)), false)
	f("the beginning of a ja4", tools, on(ja4("t13d1312h2")), false)
	f("no ja4", tools, on(), false)

	all := Criteria{
		DestinationPort: 443, DestinationPrefixes: prefixList("192.0.2.0/24"), ServerNames: []string{"a.test"},
		Transport: TLS, ApplicationProtocols: []string{"h2"}, DirectSourcePrefixes: prefixList("10.0.0.0/8"),
		SourcePrefixes: prefixList("10.1.0.0/16"), SourcePorts: []uint16{5000}, JA4: []string{browserJA4},
	}
	f("all at once", all, on(sni("a.test"), alpn("h2"), ja4(browserJA4)), true)
	f("all but one", all, on(sni("a.test"), alpn("h3"), ja4(browserJA4)), false)
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	// f checks that on the connection winner beats loser, whichever was
	// written first, and that Explain names the criterion.
	f := func(name string, in *Input, by Criterion, winner, loser Criteria) {
		t.Helper()
		if got := New([]Criteria{winner, loser}, false).Lookup(in); got != 0 {
			t.Errorf("%s: winner written first: Lookup gives %d", name, got)
		}
		table := New([]Criteria{loser, winner}, false)
		if got := table.Lookup(in); got != 1 {
			t.Errorf("%s: winner written last: Lookup gives %d", name, got)
		}
		if v := table.Explain(in)[0]; v.LostBy == nil || v.LostBy.Criterion != by {
			t.Errorf("%s: lost by %v, want %v", name, v.LostBy, by)
		}
	}
	// What is as specific as can be in every criterion after the one at hand.
	after := func(c Criterion) (rest Criteria) {
		rest = Criteria{
			DestinationPort: 443, DestinationPrefixes: prefixList("192.0.2.1/32"), ServerNames: []string{"a.b.test"},
			Transport: TLS, ApplicationProtocols: []string{"h2"}, DirectSourcePrefixes: prefixList("10.1.2.3/32"),
			SourcePrefixes: prefixList("10.1.2.3/32"), SourcePorts: []uint16{5000}, JA4: []string{browserJA4},
		}
		omit := [...]func(){
			func() { rest.DestinationPort = 0 },
			func() { rest.DestinationPrefixes = nil },
			func() { rest.ServerNames = nil },
			func() { rest.Transport = AnyTransport },
			func() { rest.ApplicationProtocols = nil },
			func() { rest.DirectSourcePrefixes = nil },
			func() { rest.SourcePrefixes = nil },
			func() { rest.SourcePorts = nil },
			func() { rest.JA4 = nil },
		}
		for _, o := range omit[:c+1] {
			o()
		}
		return rest
	}
	in := on(sni("a.b.test"), alpn("h2", "http/1.1"), ja4(browserJA4))

	f("destination port over everything after it", in, DestinationPort,
		Criteria{DestinationPort: 443}, after(DestinationPort))
	f("destination prefix over everything after it", in, DestinationPrefix,
		Criteria{DestinationPrefixes: prefixList("0.0.0.0/0")}, after(DestinationPrefix))
	f("server name over everything after it", in, ServerName,
		names("*.test"), after(ServerName))
	f("transport over everything after it", in, TransportProtocol,
		Criteria{Transport: TLS}, after(TransportProtocol))
	f("application protocol over everything after it", in, ApplicationProtocol,
		Criteria{ApplicationProtocols: []string{"http/1.1"}}, after(ApplicationProtocol))
	f("direct source over everything after it", in, DirectSourcePrefix,
		Criteria{DirectSourcePrefixes: prefixList("0.0.0.0/0")}, after(DirectSourcePrefix))
	f("source over everything after it", in, SourcePrefix,
		Criteria{SourcePrefixes: prefixList("0.0.0.0/0")}, after(SourcePrefix))
	f("source port over everything after it", in, SourcePort,
		Criteria{SourcePorts: []uint16{5000}}, after(SourcePort))
	f("ja4 over nothing", in, JA4,
		Criteria{JA4: []string{browserJA4}}, after(JA4))

	prefix := func(s string) Criteria { return Criteria{DestinationPrefixes: prefixList(s)} }
	f("longer prefix", in, DestinationPrefix, prefix("192.0.2.0/25"), prefix("192.0.2.0/24"))
	f("longest of those that match, not that are listed", in, DestinationPrefix,
		prefix("192.0.2.0/25"), prefix("192.0.2.0/24 198.51.100.7/32"))
	f("exact name over wildcard", in, ServerName, names("a.b.test"), names("*.b.test"))
	f("longer wildcard", in, ServerName, names("*.b.test"), names("*.test"))
	f("exact name of a chain that has the wildcard too", in, ServerName, names("*.test a.b.test"), names("*.b.test"))
	f("wildcard over none", in, ServerName, names("*.test"), Criteria{})
	f("any wildcard over a transport", in, ServerName, names("*.test"), Criteria{Transport: TLS})
	protocol := func(s ...string) Criteria { return Criteria{ApplicationProtocols: s} }
	f("the client's first protocol", in, ApplicationProtocol, protocol("h2"), protocol("http/1.1"))
	f("the client's order, not the chain's", in, ApplicationProtocol, protocol("zz", "h2"), protocol("http/1.1"))
	f("a late protocol over none", in, ApplicationProtocol, protocol("http/1.1"), Criteria{})
	f("longer direct source", in, DirectSourcePrefix,
		Criteria{DirectSourcePrefixes: prefixList("10.1.0.0/16")}, Criteria{DirectSourcePrefixes: prefixList("10.0.0.0/8")})
	f("longer source", in, SourcePrefix,
		Criteria{SourcePrefixes: prefixList("10.1.0.0/16")}, Criteria{SourcePrefixes: prefixList("10.0.0.0/8")})
	f("IPv6 host prefix over the network", on(from("[fe80::1%eth0]:5000")), SourcePrefix,
		Criteria{SourcePrefixes: prefixList("fe80::1/128")}, Criteria{SourcePrefixes: prefixList("fe80::/10")})
}

// Where Envoy ends in the default chain, because it does not come back once
// it has chosen the most specific bucket, the next best chain wins here.
func TestNoBucketSwallowsConnections(t *testing.T) {
	t.Parallel()
	f := func(name string, in *Input, want int, chains ...Criteria) {
		t.Helper()
		if got := New(chains, false).Lookup(in); got != want {
			t.Errorf("%s: chain %d, want %d", name, got, want)
		}
	}
	internal := Criteria{ServerNames: []string{"api.example.com"}, SourcePrefixes: prefixList("192.168.0.0/16")}
	f("exact name for other clients, then wildcard", on(sni("api.example.com")), 1,
		internal, names("*.example.com"))
	f("exact name for other clients, then no name", on(sni("api.example.com")), 1,
		internal, Criteria{})
	f("destination port with another name, then no port", on(sni("a.test")), 1,
		Criteria{DestinationPort: 443, ServerNames: []string{"b.test"}}, names("a.test"))
	f("destination prefix with another name, then shorter prefix", on(sni("a.test")), 1,
		Criteria{DestinationPrefixes: prefixList("192.0.2.1/32"), ServerNames: []string{"b.test"}},
		Criteria{DestinationPrefixes: prefixList("192.0.2.0/24")})
	f("tls with another protocol, then any transport", on(alpn("h2")), 1,
		Criteria{Transport: TLS, ApplicationProtocols: []string{"http/1.1"}}, Criteria{})
	f("first protocol for other clients, then the second", on(alpn("h2", "http/1.1")), 1,
		Criteria{ApplicationProtocols: []string{"h2"}, SourcePrefixes: prefixList("192.168.0.0/16")},
		Criteria{ApplicationProtocols: []string{"http/1.1"}})
	f("longer wildcard with another port, then the shorter", on(sni("x.a.test")), 1,
		Criteria{ServerNames: []string{"*.a.test"}, DestinationPort: 8443}, names("*.test"))
	f("longer source prefix with another source port, then the shorter", on(), 1,
		Criteria{SourcePrefixes: prefixList("10.1.0.0/16"), SourcePorts: []uint16{1}},
		Criteria{SourcePrefixes: prefixList("10.0.0.0/8")})
	f("a name with another ja4, then the name", on(sni("a.test"), ja4(toolJA4)), 1,
		Criteria{ServerNames: []string{"a.test"}, JA4: []string{browserJA4}}, names("a.test"))
	f("nothing left", on(sni("api.example.com")), -1, internal)
}

func TestLookupGivesTheFirstOfTwoThatTie(t *testing.T) {
	t.Parallel()
	table := New([]Criteria{names("z.test"), names("b.test a.test"), names("a.test")}, false)
	if got := table.Lookup(on(sni("a.test"))); got != 1 {
		t.Errorf("chain %d, want 1", got)
	}
	if v := table.Explain(on(sni("a.test")))[2]; v.LostBy == nil || v.LostBy.Criterion != Position {
		t.Errorf("the second: %+v, want lost by position", v)
	}
}

func TestEmptyTable(t *testing.T) {
	t.Parallel()
	table := New(nil, false)
	if got := table.Lookup(on(sni("a.test"))); got != -1 {
		t.Errorf("Lookup gives %d", got)
	}
	if got := table.Explain(on()); len(got) != 0 {
		t.Errorf("Explain gives %v", got)
	}
}

func TestNeedsHello(t *testing.T) {
	t.Parallel()
	f := func(name string, in *Input, want bool, defaultUses bool, chains ...Criteria) {
		t.Helper()
		if got := New(chains, defaultUses).NeedsHello(in.Destination, in.DirectSource, in.Source); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	f("no chains", on(), false, false)
	f("default chain uses it", on(), true, true)
	f("nothing uses it", on(), false, false, Criteria{}, Criteria{SourcePrefixes: prefixList("10.0.0.0/8")})
	f("server names", on(), true, false, names("a.test"))
	f("application protocols", on(), true, false, Criteria{ApplicationProtocols: []string{"h2"}})
	f("transport tls", on(), true, false, Criteria{Transport: TLS})
	f("transport raw_buffer", on(), true, false, Criteria{Transport: RawBuffer})
	f("ja4", on(), true, false, Criteria{JA4: []string{browserJA4}})
	f("terminates or its cluster uses it", on(), true, false, Criteria{UsesHello: true})
	tls443 := Criteria{DestinationPort: 443, ServerNames: []string{"a.test"}}
	mail := Criteria{DestinationPort: 25}
	f("on the port of the names", on(), true, false, tls443, mail)
	f("on the port of the mail, whose server speaks first", on(to("192.0.2.1:25")), false, false, tls443, mail)
	f("without address, names bound to a port", on(to("")), false, false, tls443)
	peers := Criteria{UsesHello: true, DirectSourcePrefixes: prefixList("10.0.0.0/8"), SourcePorts: []uint16{5000}}
	f("direct source and source port", on(), true, false, peers)
	f("another source port", on(from("10.1.2.3:1")), false, false, peers)
	f("another direct source", on(directFrom("192.0.2.1:1")), false, false, peers)
}

func TestLookupRaw(t *testing.T) {
	t.Parallel()
	f := func(name string, in *Input, want int, chains ...Criteria) {
		t.Helper()
		if got := New(chains, false).LookupRaw(in.Destination, in.DirectSource, in.Source); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	anything, rawBuffer := Criteria{}, Criteria{Transport: RawBuffer}
	clients := Criteria{Transport: RawBuffer, SourcePrefixes: prefixList("10.0.0.0/8")}
	f("no chains", on(), -1)
	f("no criteria", on(), -1, anything)
	f("no criteria, and terminated", on(), -1, Criteria{UsesHello: true})
	f("raw_buffer", on(), 0, rawBuffer)
	f("tls", on(), -1, Criteria{Transport: TLS})
	f("server names", on(), -1, names("a.test *.test"))
	f("application protocols", on(), -1, Criteria{ApplicationProtocols: []string{"h2"}})
	f("ja4", on(), -1, Criteria{JA4: []string{browserJA4}})
	f("raw_buffer for these clients", on(), 1, names("a.test"), clients)
	f("raw_buffer for other clients", on(from("192.0.2.1:1")), -1, names("a.test"), clients)
	f("raw_buffer beside a chain for anything", on(), 1, anything, rawBuffer)
	f("raw_buffer, but a chain for anything is more specific", on(), -1, Criteria{DestinationPort: 443}, rawBuffer)
}

func TestNewRefusesWhatCannotBeConfigured(t *testing.T) {
	t.Parallel()
	f := func(name string, c Criteria) {
		t.Helper()
		defer func() {
			if msg, _ := recover().(string); !strings.HasPrefix(msg, "BUG: ") {
				t.Errorf("%s: recovered %q, want a BUG", name, msg)
			}
		}()
		New([]Criteria{c}, false)
	}
	f("empty name", Criteria{ServerNames: []string{""}})
	f("bare wildcard", names("*"))
	f("wildcard of nothing", Criteria{ServerNames: []string{"*."}})
	f("partial wildcard", names("*a.test"))
	f("wildcard inside", names("a.*.test"))
	f("wildcard twice", names("*.*.test"))
	f("upper case", names("A.test"))
	f("trailing dot", names("a.test."))
	f("leading dot", names(".a.test"))
	f("empty label", names("a..test"))
	f("name too long", names(strings.Repeat("a.", 127)+"a"))
	f("protocol without a name", Criteria{ApplicationProtocols: []string{""}})
	f("protocol too long", Criteria{ApplicationProtocols: []string{strings.Repeat("x", 256)}})
	f("unknown transport", Criteria{Transport: 3})
	f("invalid prefix", Criteria{SourcePrefixes: make([]netip.Prefix, 1)})
	f("empty fingerprint", Criteria{JA4: []string{""}})
	f("source port 0", Criteria{SourcePorts: []uint16{0}})
}

func TestNewCopiesTheCriteria(t *testing.T) {
	t.Parallel()
	c := Criteria{
		ServerNames: []string{"a.test"}, ApplicationProtocols: []string{"h2"},
		SourcePrefixes: prefixList("10.0.0.0/8"), SourcePorts: []uint16{5000}, JA4: []string{browserJA4},
	}
	table := New([]Criteria{c}, false)
	c.ServerNames[0], c.ApplicationProtocols[0], c.SourcePorts[0], c.JA4[0] = "b.test", "h3", 1, toolJA4
	c.SourcePrefixes[0] = netip.MustParsePrefix("192.0.2.0/24")
	if got := table.Lookup(on(sni("a.test"), alpn("h2"), ja4(browserJA4))); got != 0 {
		t.Errorf("Lookup gives %d after the criteria were changed", got)
	}
	if got := table.Explain(on(raw))[0].Failed[0].Want; got != "a.test" {
		t.Errorf("Explain wants %q after the criteria were changed", got)
	}
}
