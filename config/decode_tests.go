package config

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// testDecl is a test with what the checks over several blocks need.
type testDecl struct {
	*Test
	at       hcl.Range // its name
	given    hcl.Range
	listener *clusterRef // nil: not given
	chain    *clusterRef
	clusters []clusterRef
	bad      bool // something could not be read: it is not checked further
}

func testSchema() *schema {
	s := labelled("name", of("", map[string]*schema{
		"given":  of("listener transport_protocol server_name application_protocols source direct_source destination", nil),
		"expect": of("outcome filter_chain clusters tls", nil),
	}))
	s.once = true
	return s
}

func (l *loader) decodeTest(b *block) {
	d := &testDecl{at: b.at, Test: &Test{Name: b.label, Pos: posOf(b.def)}}
	failures := b.failures
	if strings.ContainsFunc(b.label, func(c rune) bool { return c < ' ' || c == 0x7f }) || strings.TrimSpace(b.label) == "" {
		b.errorf(b.at, "Test without name", "Say in the name what the test shows: test \"canary network reaches the canary\" {")
	}
	given, there := b.one("given")
	if !there && b.complete() {
		b.errorf(b.at, "Missing given", "The test is about no connection: add given { server_name = \"...\" }.")
	}
	d.given = given.def
	d.Given = decodeGiven(given, d)
	expect, there := b.one("expect")
	if !there && b.complete() {
		b.errorf(b.at, "Missing expect", "The test expects nothing: add expect { filter_chain = \"...\" }.")
	}
	d.Expect = decodeExpect(expect, d)
	if there && len(expect.attrs) == 0 && expect.complete() {
		b.errorf(expect.def, "Test expects nothing", "Whatever happens, the test would succeed: write at least one of outcome, filter_chain, clusters and tls.")
	}
	d.bad = b.failures != failures || !b.complete()
	d.place = b.placeOf(b.at)
	l.tests = append(l.tests, d)
}

// placeOf is a diagnostic that says nothing yet.
func (r *report) placeOf(at hcl.Range) Diagnostic {
	r.add("", &at, "", "")
	last := len(r.list) - 1
	d := r.list[last]
	r.list = r.list[:last]
	return d
}

// reference reads an attribute that names something else of the configuration.
func (b *block) reference(name, kind string) *clusterRef {
	text := parsed(b, name, "", kind, notEmpty)
	if text == "" {
		return nil
	}
	return &clusterRef{text, b.attrs[name].Expr.Range(), b.hidden}
}

func (ref *clusterRef) text() string {
	if ref == nil {
		return ""
	}
	return ref.name
}

func decodeGiven(b *block, d *testDecl) Given {
	d.listener = b.reference("listener", "the name of a listener")
	g := Given{
		Listener:             d.listener.text(),
		ServerName:           parsed(b, "server_name", "", kindAskedName, parseAskedName),
		ApplicationProtocols: parsedList(b, "application_protocols", kindALPN, parseALPN),
		Source:               parsed(b, "source", "", kindParty, parseParty),
		DirectSource:         parsed(b, "direct_source", "", kindParty, parseParty),
		Destination:          parsed(b, "destination", "", kindDestination, parseDestination),
		TransportProtocol:    decodeTransport(b),
	}
	if g.TransportProtocol == TransportRawBuffer && (g.ServerName != "" || len(g.ApplicationProtocols) > 0) {
		b.errorf(b.attrs["transport_protocol"].Expr.Range(), "Impossible connection",
			"Only TLS connections have a server name and application protocols, and raw_buffer is all others. Leave one of the two out.")
	}
	return g
}

func decodeExpect(b *block, d *testDecl) Expect {
	d.chain = b.reference("filter_chain", "the name of a filter chain")
	x := Expect{
		Outcome:     b.word("outcome", "", "forward", "reset", "close", "tls_alert"),
		FilterChain: d.chain.text(),
		TLS:         b.word("tls", "", "passthrough", "terminated", "none"),
	}
	there := false
	x.Clusters, there = listOf(b, "clusters", func(s setting) (string, bool) {
		name, ok := parseSetting(s, "the name of a cluster", notEmpty)
		if ok {
			d.clusters = append(d.clusters, clusterRef{name, s.at, s.secret})
		}
		return name, ok
	})
	if there && len(x.Clusters) == 0 && b.complete() {
		b.errorf(b.attrs["clusters"].Expr.Range(), "Test expects nothing", "An empty list of clusters is nothing to expect. Leave it out; that the client is turned away is outcome = \"reset\", \"close\" or \"tls_alert\".")
	}
	return x
}

const (
	kindAskedName   = `a server name such as "app.example.com"`
	kindParty       = `an address such as "10.9.0.1" or "10.9.0.1:4711"`
	kindDestination = `an address and a port such as "192.0.2.1:443"`
)

// parseAskedName reads a name that a client asks for.
func parseAskedName(s string) (string, error) {
	if strings.HasPrefix(s, "*.") {
		return "", fmt.Errorf("is a pattern, and a client asks for one name: write a name that it stands for, such as %q", "any"+s[1:])
	}
	name, err := parseServerName(s)
	if s == "" {
		err = errors.New("is empty: write a name, or leave server_name out for a client that asks for none")
	}
	return name, err
}

// parseParty reads who a client is.
func parseParty(s string) (string, error) {
	ap, err := netip.ParseAddrPort(s)
	ip := ap.Addr()
	if err != nil {
		ip, err = netip.ParseAddr(s)
	}
	switch {
	case s == "unix:":
	case err != nil:
		return "", errors.New(`is not an address: write one such as "10.9.0.1", "10.9.0.1:4711" or "[2001:db8::1]:4711"; "unix:" is the peer of a unix socket`)
	case ip.Zone() != "":
		return "", withZone(ip)
	}
	return s, nil
}

func parseDestination(s string) (string, error) {
	if strings.HasPrefix(s, "unix:") {
		return s, nil
	}
	ap, err := netip.ParseAddrPort(s)
	switch {
	case err != nil:
		return "", errors.New(`is not an address and a port: write them as "192.0.2.1:443" or "[2001:db8::1]:443"`)
	case ap.Addr().Zone() != "":
		return "", withZone(ap.Addr())
	}
	return s, nil
}
