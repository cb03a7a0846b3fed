package route

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestExplainSaysWhatFailed(t *testing.T) {
	t.Parallel()
	f := func(name string, c Criteria, in *Input, want ...Mismatch) {
		t.Helper()
		got := New([]Criteria{c}, false).Explain(in)
		if diff := cmp.Diff([]Verdict{{Failed: want}}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	f("destination port", Criteria{DestinationPort: 8443}, on(),
		Mismatch{DestinationPort, "443", "8443"})
	f("destination prefix", Criteria{DestinationPrefixes: prefixList("198.51.100.0/24 10.0.0.0/8")}, on(),
		Mismatch{DestinationPrefix, "192.0.2.1", "10.0.0.0/8, 198.51.100.0/24"})
	f("server name", names("a.test *.b.test"), on(sni("c.test")),
		Mismatch{ServerName, "c.test", "a.test, *.b.test"})
	f("no server name", names("a.test"), on(),
		Mismatch{ServerName, "", "a.test"})
	f("many server names", names("a b c d e f"), on(sni("x")),
		Mismatch{ServerName, "x", "a, b, c, d and 2 more"})
	f("transport", Criteria{Transport: RawBuffer}, on(),
		Mismatch{TransportProtocol, "tls", "raw_buffer"})
	f("protocols", Criteria{ApplicationProtocols: []string{"h2"}}, on(alpn("http/1.1", "\x1b[2J")),
		Mismatch{ApplicationProtocol, `http/1.1, \x1b[2J`, "h2"})
	f("many protocols", Criteria{ApplicationProtocols: []string{"h2"}}, on(alpn("a", "b", "c", "d", "e", "f")),
		Mismatch{ApplicationProtocol, "a, b, c, d and 2 more", "h2"})
	f("direct source", Criteria{DirectSourcePrefixes: prefixList("fe80::/10")}, on(directFrom("[::ffff:10.0.0.1]:1")),
		Mismatch{DirectSourcePrefix, "10.0.0.1", "fe80::/10"})
	f("source without address", Criteria{SourcePrefixes: prefixList("10.0.0.0/8")}, on(from("")),
		Mismatch{SourcePrefix, "", "10.0.0.0/8"})
	f("source port", Criteria{SourcePorts: []uint16{7, 1, 7}}, on(),
		Mismatch{SourcePort, "5000", "1, 7"})
	f("ja4", Criteria{JA4: []string{toolJA4, browserJA4, toolJA4}}, on(ja4("t12i030000_28fa9b2900ea_000000000000")),
		Mismatch{JA4, "t12i030000_28fa9b2900ea_000000000000", toolJA4 + ", " + browserJA4})
	f("no ja4", Criteria{JA4: []string{browserJA4}}, on(raw),
		Mismatch{JA4, "", browserJA4})
	f("all of several, in order of precedence",
		Criteria{SourcePorts: []uint16{1}, ServerNames: []string{"a.test"}, Transport: TLS, DestinationPort: 1}, on(raw, sni("b.test")),
		Mismatch{DestinationPort, "443", "1"},
		Mismatch{ServerName, "b.test", "a.test"},
		Mismatch{TransportProtocol, "raw_buffer", "tls"},
		Mismatch{SourcePort, "5000", "1"})
}

func TestExplainSaysByWhatAChainLost(t *testing.T) {
	t.Parallel()
	f := func(name string, winner, loser Criteria, want Defeat) {
		t.Helper()
		got := New([]Criteria{loser, winner}, false).Explain(on(sni("x.a.b.test"), alpn("h2", "http/1.1"), ja4(browserJA4)))
		if diff := cmp.Diff([]Verdict{{LostBy: &want}, {Won: true}}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	f("destination port", Criteria{DestinationPort: 443}, Criteria{},
		Defeat{DestinationPort, "", "443"})
	f("destination prefix",
		Criteria{DestinationPrefixes: prefixList("192.0.2.0/24")}, Criteria{DestinationPrefixes: prefixList("0.0.0.0/0")},
		Defeat{DestinationPrefix, "0.0.0.0/0", "192.0.2.0/24"})
	f("exact name", names("x.a.b.test"), names("*.b.test"),
		Defeat{ServerName, "*.b.test", "x.a.b.test"})
	f("longer wildcard", names("*.a.b.test"), names("*.test"),
		Defeat{ServerName, "*.test", "*.a.b.test"})
	f("transport", Criteria{Transport: TLS}, Criteria{},
		Defeat{TransportProtocol, "", "tls"})
	f("protocol", Criteria{ApplicationProtocols: []string{"h2"}}, Criteria{ApplicationProtocols: []string{"http/1.1"}},
		Defeat{ApplicationProtocol, "http/1.1", "h2"})
	f("direct source", Criteria{DirectSourcePrefixes: prefixList("10.1.2.3/32")}, Criteria{DirectSourcePrefixes: prefixList("10.0.0.0/8")},
		Defeat{DirectSourcePrefix, "10.0.0.0/8", "10.1.2.3/32"})
	f("source", Criteria{SourcePrefixes: prefixList("10.1.0.0/16")}, Criteria{},
		Defeat{SourcePrefix, "", "10.1.0.0/16"})
	f("source port", Criteria{SourcePorts: []uint16{5000}}, Criteria{},
		Defeat{SourcePort, "", "5000"})
	f("ja4", Criteria{JA4: []string{toolJA4, browserJA4}}, Criteria{},
		Defeat{JA4, "", browserJA4})
}

func TestWordsOfTheConfiguration(t *testing.T) {
	t.Parallel()
	var got []string
	for c := range Position + 1 {
		got = append(got, c.String())
	}
	for tr := range RawBuffer + 1 {
		got = append(got, tr.String())
	}
	want := "destination_port destination_prefix_ranges server_names transport_protocol application_protocols " +
		"direct_source_prefix_ranges source_prefix_ranges source_ports ja4 position  tls raw_buffer"
	if diff := cmp.Diff(want, strings.Join(got, " ")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
