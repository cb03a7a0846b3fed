package tlsutil

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"sluice/tlsutil/certgen"
)

// rsaOnlySuites is what a client of TLS 1.2 offers that cannot verify ECDSA.
var rsaOnlySuites = []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}

func TestCertificateChoice(t *testing.T) {
	t.Parallel()
	name := func(k certgen.KeyType, names ...string) *Certificate {
		return issue(servers(), certgen.Options{Names: names, Key: k})
	}
	byLabel := map[string]*Certificate{
		"other ecdsa":   name(certgen.ECDSA, "other.example.org"),
		"api rsa":       mustCertificate(rsaPair()),
		"api ecdsa":     name(certgen.ECDSA, "API.example.com", "www.example.com"),
		"wildcard":      name(certgen.ECDSA, "*.example.com"),
		"ed25519":       name(certgen.Ed25519, "ed.example.com"),
		"second api ec": name(certgen.ECDSA, "api.example.com"),
	}
	order := []string{"other ecdsa", "api rsa", "api ecdsa", "wildcard", "ed25519", "second api ec"}
	var certs []*Certificate
	for _, label := range order {
		certs = append(certs, byLabel[label])
	}
	cfg := mustConfig(t, ServerOptions{Certificates: certs})

	tests := []struct {
		name, sni string
		suites    []uint16 // RSA alone can only be asked for in TLS 1.2
		want      string
	}{
		{name: "ECDSA before RSA", sni: "api.example.com", want: "api ecdsa"},
		{name: "letter case of the client", sni: "API.Example.COM", want: "api ecdsa"},
		{name: "another name of the same certificate", sni: "www.example.com", want: "api ecdsa"},
		{name: "RSA for a client without ECDSA", sni: "api.example.com", suites: rsaOnlySuites, want: "api rsa"},
		{name: "exact before wildcard", sni: "ed.example.com", want: "ed25519"},
		{name: "wildcard", sni: "new.example.com", want: "wildcard"},
		{name: "wildcard is one label", sni: "a.new.example.com", want: "other ecdsa"},
		{name: "wildcard is not its own domain", sni: "example.com", want: "other ecdsa"},
		{name: "no name", sni: "", want: "other ecdsa"},
		{name: "no name, client without ECDSA", sni: "", suites: rsaOnlySuites, want: "api rsa"},
		{name: "unknown name", sni: "unknown.test", want: "other ecdsa"},
	}
	for _, tt := range tests {
		for _, version := range bothVersions {
			if tt.suites != nil && version != tls.VersionTLS12 {
				continue
			}
			t.Run(fmt.Sprintf("%s/%s", tt.name, tls.VersionName(version)), func(t *testing.T) {
				t.Parallel()
				c := &client{version: version}
				c.cfg.ServerName, c.cfg.CipherSuites = tt.sni, tt.suites
				out := shake(cfg, c)
				wantOutcome(t, out, "", "")
				if !out.client.PeerCertificates[0].Equal(byLabel[tt.want].Leaf) {
					t.Errorf("served %v, want %s", out.client.PeerCertificates[0].DNSNames, tt.want)
				}
			})
		}
	}
}

func TestCertificateChoiceNothingInCommon(t *testing.T) {
	t.Parallel()
	c := &client{version: tls.VersionTLS12}
	c.cfg.CipherSuites = rsaOnlySuites
	wantOutcome(t, shake(mustConfig(t, ServerOptions{}), c), "handshake failure", "no cipher suite")

	// One that the client could verify, but of another name, is no help.
	c.cfg.ServerName = "new.example.com"
	certs := []*Certificate{mustCertificate(rsaPair()), issue(servers(), certgen.Options{Names: []string{"*.example.com"}})}
	wantOutcome(t, shake(mustConfig(t, ServerOptions{Certificates: certs}), c), "handshake failure", "no cipher suite")
}

// TestCertificateChoiceWithoutName: ECDSA goes before RSA among the certificates
// of the first one's names also for clients without a name, or with one that no
// certificate has.
func TestCertificateChoiceWithoutName(t *testing.T) {
	t.Parallel()
	rsa := mustCertificate(rsaPair()) // api.example.com
	ecdsa := issue(servers(), certgen.Options{Names: []string{"www.example.com", "api.example.com"}})
	other := issue(servers(), certgen.Options{Names: []string{"other.example.org"}})
	bare := issue(servers(), certgen.Options{Names: []string{"192.0.2.1"}})
	f := func(name string, suites []uint16, want *Certificate, certs ...*Certificate) {
		t.Helper()
		cfg := mustConfig(t, ServerOptions{Certificates: certs})
		for _, sni := range []string{"", "unknown.test"} {
			c := &client{version: tls.VersionTLS12}
			c.cfg.ServerName, c.cfg.CipherSuites = sni, suites
			out := shake(cfg, c)
			wantOutcome(t, out, "", "")
			if !out.client.PeerCertificates[0].Equal(want.Leaf) {
				t.Errorf("%s, name %q: served %v", name, sni, out.client.PeerCertificates[0].DNSNames)
			}
		}
	}
	f("ECDSA behind RSA", nil, ecdsa, rsa, other, ecdsa)
	f("ECDSA behind RSA, client without ECDSA", rsaOnlySuites, rsa, rsa, other, ecdsa)
	f("other names are not preferred for their keys", nil, rsa, rsa, other)
	f("other names as a last resort", rsaOnlySuites, rsa, other, ecdsa, rsa)
	f("first without a name", nil, bare, bare, ecdsa)
}

// TestCertificateChoiceWithoutItsCurve: for TLS 1.2 crypto/tls calls an ECDSA
// certificate unsupported unless its curve is among the key exchanges of the
// configuration, which it need not be. That must not lead to another name's.
func TestCertificateChoiceWithoutItsCurve(t *testing.T) {
	t.Parallel()
	other := issue(servers(), certgen.Options{Names: []string{"other.example.org"}, Key: certgen.Ed25519})
	for _, name := range []string{"api.example.com", "*.example.com"} {
		cert := issue(servers(), certgen.Options{Names: []string{name}}) // on P-256
		cfg := mustConfig(t, ServerOptions{Certificates: []*Certificate{other, cert}, Curves: []tls.CurveID{tls.X25519}})
		for _, version := range bothVersions {
			c := &client{version: version}
			c.cfg.ServerName = "api.example.com"
			out := shake(cfg, c)
			wantOutcome(t, out, "", "")
			if !out.client.PeerCertificates[0].Equal(cert.Leaf) {
				t.Errorf("%s: served %v, want %s", tls.VersionName(version), out.client.PeerCertificates[0].DNSNames, name)
			}
		}
	}
}

func TestCovers(t *testing.T) {
	t.Parallel()
	cert := issue(servers(), certgen.Options{Names: []string{"cn.example.com", "Api.Example.com", "*.apps.example.com", "192.0.2.1"}})
	onlyCN := issue(servers(), certgen.Options{Names: []string{"cn.example.com"}})
	onlyCN.Leaf.DNSNames = nil
	tests := []struct {
		name string
		cert *Certificate
		want bool
	}{
		{"api.example.com", cert, true},
		{"API.EXAMPLE.COM", cert, true},
		{"api.example.com.", cert, true},
		{"example.com", cert, false},
		{"*.example.com", cert, false},
		{"a.apps.example.com", cert, true},
		{"*.apps.example.com", cert, true}, // at depth one
		{"*.APPS.example.com.", cert, true},
		{"a.b.apps.example.com", cert, false},
		{"*.b.apps.example.com", cert, false},
		{"apps.example.com", cert, false},
		{".apps.example.com", cert, false},
		{"", cert, false},
		{"192.0.2.1", cert, false}, // a server name is never an address (RFC 6066 §3)
		{"cn.example.com", onlyCN, false},
	}
	for _, tt := range tests {
		if got := tt.cert.Covers(tt.name); got != tt.want {
			t.Errorf("Covers(%q) = %t, want %t", tt.name, got, tt.want)
		}
	}
}

// TestCoversAgreesWithClients draws names and compares with crypto/x509,
// which is what a Go client would say, and with the choice by index.
func TestCoversAgreesWithClients(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	labels := []string{"a", "B", "c-d", "x1"}
	draw := func() string {
		name := make([]string, 1+rng.IntN(4))
		for i := range name {
			name[i] = labels[rng.IntN(len(labels))]
		}
		return strings.Join(name, ".")
	}
	covered := 0
	for range 200 {
		names := []string{draw(), "*." + draw()}
		cert := issue(servers(), certgen.Options{Names: names})
		ch := newChooser([]*Certificate{cert})
		for range 50 {
			name := draw()
			want := cert.Leaf.VerifyHostname(name) == nil
			if got := cert.Covers(name); got != want {
				t.Fatalf("certificate for %q: Covers(%q) = %t, but crypto/x509 says %t", names, name, got, want)
			}
			wildcard, _ := wildcardFor(canonicalName(name))
			if got := len(ch.byName[canonicalName(name)])+len(ch.byName[wildcard]) > 0; got != want {
				t.Fatalf("certificate for %q: the index has %q: %t, want %t", names, name, got, want)
			}
			if want {
				covered++
			}
		}
	}
	if covered < 100 {
		t.Errorf("only %d names were covered; the draw proves nothing", covered)
	}
}
