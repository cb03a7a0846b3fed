package tlsutil

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"testing"
	"time"

	"sluice/tlsutil/certgen"
)

// clientCase is a handshake of a client with one certificate, or none, at a
// chain with one policy.
type clientCase struct {
	name    string
	policy  ClientAuth
	cert    *Certificate
	alert   string // that the client gets; "" for success
	alert12 string // in TLS 1.2, where it is another
	server  string // a part of the server's error
}

func TestClientAuth(t *testing.T) {
	t.Parallel()
	ca, other := certgen.NewAuthority("Clients"), certgen.NewAuthority("Others")
	hour := time.Hour
	now := time.Now()
	required := func(sans ...string) ClientAuth {
		return ClientAuth{Required: true, CAs: ca.Pool(), AllowedSANs: sans}
	}
	optional := ClientAuth{CAs: ca.Pool()}
	billing := issue(ca, certgen.Options{
		Names:  []string{"billing.clients.example.com", "192.0.2.7"},
		URIs:   []string{"spiffe://prod/billing"},
		Client: true,
	})
	expired := issue(ca, certgen.Options{Names: []string{"old.example.com"}, Client: true, NotBefore: now.Add(-3 * hour), NotAfter: now.Add(-hour)})
	early := issue(ca, certgen.Options{Names: []string{"new.example.com"}, Client: true, NotBefore: now.Add(hour)})
	server := issue(ca, certgen.Options{Names: []string{"billing.clients.example.com"}})
	stranger := issue(other, certgen.Options{Names: []string{"billing.clients.example.com"}, Client: true})

	const notAllowed = "none of its names is in allowed_sans"
	tests := []clientCase{
		{name: "required, none", policy: required(), alert: "certificate required", alert12: "handshake failure", server: "didn't provide a certificate"},
		{name: "required, good", policy: required(), cert: billing},
		{name: "optional, none", policy: optional},
		{name: "optional, none, names restricted", policy: ClientAuth{CAs: ca.Pool(), AllowedSANs: []string{"x.example.com"}}},
		{name: "optional, good", policy: optional, cert: billing},
		{name: "optional, other CA", policy: optional, cert: stranger, alert: "unknown certificate authority", server: "unknown authority"},
		{name: "optional, expired", policy: optional, cert: expired, alert: "expired certificate", server: "expired"},
		{name: "required, other CA", policy: required(), cert: stranger, alert: "unknown certificate authority", server: "unknown authority"},
		{name: "required, expired", policy: required(), cert: expired, alert: "expired certificate", server: "expired"},
		{name: "required, not valid yet", policy: required(), cert: early, alert: "expired certificate", server: "not yet valid"},
		{name: "required, a server's certificate", policy: required(), cert: server, alert: "bad certificate", server: "incompatible key usage"},

		{name: "DNS name allowed", policy: required("x.example.com", "Billing.clients.example.com"), cert: billing},
		{name: "wildcard allowed", policy: required("*.clients.example.com"), cert: billing},
		{name: "wildcard is one label", policy: required("*.example.com"), cert: billing, alert: "bad certificate", server: notAllowed},
		{name: "URI allowed", policy: required("SPIFFE://prod/billing"), cert: billing},
		{name: "URI path is exact", policy: required("spiffe://prod/Billing"), cert: billing, alert: "bad certificate", server: notAllowed},
		{name: "IP address allowed", policy: required("::ffff:192.0.2.7"), cert: billing},
		{name: "name not allowed", policy: required("search.clients.example.com"), cert: billing, alert: "bad certificate",
			server: notAllowed + `; it has ["spiffe://prod/billing" "billing.clients.example.com" "192.0.2.7"]`},
		{name: "allowed name of other CA", policy: required("billing.clients.example.com"), cert: stranger,
			alert: "unknown certificate authority", server: "unknown authority"},
	}
	runClientCases(t, tests)
}

func TestClientAuthRevocation(t *testing.T) {
	t.Parallel()
	ca := certgen.NewAuthority("Clients")
	sub := ca.Subordinate("Team")
	plain := issue(ca, certgen.Options{Names: []string{"plain.example.com"}, Client: true})
	team := issue(sub, certgen.Options{Names: []string{"team.example.com"}, Client: true})
	bothCAs := ca.Pool()
	if !bothCAs.AppendCertsFromPEM(sub.CAPEM()) {
		t.Fatal("no certificate")
	}
	list := func(a *certgen.Authority, revoked ...[]byte) []*RevocationList { return crls(t, a, revoked...) }
	policy := func(cas *x509.CertPool, lists ...[]*RevocationList) ClientAuth {
		return ClientAuth{Required: true, CAs: cas, CRLs: slices.Concat(lists...)}
	}
	const bad = "bad certificate"
	runClientCases(t, []clientCase{
		{name: "not listed", policy: policy(ca.Pool(), list(ca, leafPEM(team))), cert: plain},
		{name: "revoked", policy: policy(ca.Pool(), list(ca, leafPEM(plain))), cert: plain, alert: bad, server: "revoked since "},
		{name: "revoked by one list of two", policy: policy(ca.Pool(), list(ca, leafPEM(plain)), list(ca)), cert: plain, alert: bad, server: "revoked since "},
		{name: "no list of the issuer", policy: policy(ca.Pool(), list(sub)), cert: plain, alert: bad,
			server: `no revocation list of its issuer "CN=Clients"; add one to crl_file`},
		{name: "intermediate, both listed", policy: policy(ca.Pool(), list(ca), list(sub)), cert: team},
		{name: "intermediate, a list of the root alone", policy: policy(ca.Pool(), list(ca)), cert: team, alert: bad,
			server: `no revocation list of its issuer "CN=Team"`},
		{name: "intermediate, a list of its own alone", policy: policy(ca.Pool(), list(sub)), cert: team, alert: bad,
			server: `no revocation list of its issuer "CN=Clients"`},
		{name: "intermediate revoked", policy: policy(ca.Pool(), list(ca, sub.CAPEM()), list(sub)), cert: team, alert: bad,
			server: `its CA "CN=Team"`},
		{name: "intermediate trusted itself needs no list above", policy: policy(bothCAs, list(sub)), cert: team},
		{name: "intermediate trusted itself but revoked", policy: policy(bothCAs, list(sub), list(ca, sub.CAPEM())), cert: team, alert: bad,
			server: `its CA "CN=Team"`},
		{name: "optional, none", policy: ClientAuth{CAs: ca.Pool(), CRLs: list(ca)}},
	})
}

func runClientCases(t *testing.T, tests []clientCase) {
	for _, tt := range tests {
		cfg := mustConfig(t, ServerOptions{ClientAuth: &tt.policy})
		for _, version := range bothVersions {
			t.Run(fmt.Sprintf("%s/%s", tt.name, tls.VersionName(version)), func(t *testing.T) {
				t.Parallel()
				alert := tt.alert
				if version == tls.VersionTLS12 && tt.alert12 != "" {
					alert = tt.alert12
				}
				out := shake(cfg, &client{cert: tt.cert, version: version})
				wantOutcome(t, out, alert, tt.server)
				if got := len(out.server.PeerCertificates) > 0; alert == "" && got != (tt.cert != nil) {
					t.Errorf("the server has a certificate: %t, want %t", got, tt.cert != nil)
				}
			})
		}
	}
}

// TestClientAuthRevocationByKey: a CA that has changed its key and kept its
// name has a list for each key, and neither stands for the other.
func TestClientAuthRevocationByKey(t *testing.T) {
	t.Parallel()
	before, after := certgen.NewAuthority("Clients"), certgen.NewAuthority("Clients")
	root := certgen.NewAuthority("Root")
	team, otherTeam := root.Subordinate("Team"), root.Subordinate("Team")
	old := issue(before, certgen.Options{Names: []string{"old.example.com"}, Client: true})
	member := issue(team, certgen.Options{Names: []string{"member.example.com"}, Client: true})
	pool := func(authorities ...*certgen.Authority) *x509.CertPool {
		p := x509.NewCertPool()
		for _, a := range authorities {
			p.AppendCertsFromPEM(a.CAPEM())
		}
		return p
	}
	list := func(a *certgen.Authority, revoked ...[]byte) []*RevocationList { return crls(t, a, revoked...) }
	stale := func(lists []*RevocationList) []*RevocationList {
		l := *lists[0].RevocationList
		l.NextUpdate = time.Now().Add(-time.Minute)
		return []*RevocationList{{&l, lists[0].signer}}
	}
	policy := func(cas *x509.CertPool, lists ...[]*RevocationList) ClientAuth {
		return ClientAuth{Required: true, CAs: cas, CRLs: slices.Concat(lists...)}
	}
	both := pool(before, after)
	const bad = "bad certificate"
	runClientCases(t, []clientCase{
		{name: "a list of each key", policy: policy(both, list(after), list(before)), cert: old},
		{name: "revoked by its own key", policy: policy(both, list(after), list(before, leafPEM(old))), cert: old, alert: bad, server: "revoked since "},
		{name: "its number revoked by the other key", policy: policy(both, list(after, leafPEM(old)), list(before)), cert: old},
		{name: "a list of the other key alone", policy: policy(both, list(after)), cert: old, alert: bad,
			server: `no revocation list of its issuer "CN=Clients" by the key that signed it; add one to crl_file`},
		{name: "its own key's list out of date", policy: policy(both, list(after), stale(list(before))), cert: old, alert: bad,
			server: `the revocation list of its issuer "CN=Clients" is out of date since `},
		{name: "intermediate, the list of its other key", policy: policy(pool(root), list(root), list(otherTeam)), cert: member, alert: bad,
			server: `no revocation list of its issuer "CN=Team" by the key that signed it`},
		// The end of the chain is trusted; who signed it is not known.
		{name: "trusted itself but revoked by some key of its issuer's", policy: policy(pool(root, team), list(team), list(root), list(root, team.CAPEM())),
			cert: member, alert: bad, server: `its CA "CN=Team"`},
	})
}

// TestClientAuthStaleList moves the server's clock past the list's next
// update.
func TestClientAuthStaleList(t *testing.T) {
	t.Parallel()
	ca := certgen.NewAuthority("Clients")
	lists := crls(t, ca)
	policy := &ClientAuth{Required: true, CAs: ca.Pool(), CRLs: lists}
	c := &client{cert: issue(ca, certgen.Options{Client: true})}
	at := func(now time.Time) ServerOptions {
		return ServerOptions{ClientAuth: policy, Time: func() time.Time { return now }}
	}
	end := lists[0].NextUpdate
	wantOutcome(t, shake(mustConfig(t, at(end)), c), "", "")
	wantOutcome(t, shake(mustConfig(t, at(end.Add(time.Second))), c), "bad certificate",
		`the revocation list of its issuer "CN=Clients" is out of date since `+end.UTC().Format(time.RFC3339)+"; refresh crl_file")

	// A newer list beside the stale one is enough; so is one without an end.
	newer, endless := *lists[0].RevocationList, *lists[0].RevocationList
	newer.NextUpdate, endless.NextUpdate = end.Add(time.Hour), time.Time{}
	for name, second := range map[string]*RevocationList{"newer": {&newer, lists[0].signer}, "endless": {&endless, lists[0].signer}} {
		for _, both := range [][]*RevocationList{{lists[0], second}, {second, lists[0]}} {
			policy := &ClientAuth{Required: true, CAs: ca.Pool(), CRLs: both}
			o := ServerOptions{ClientAuth: policy, Time: func() time.Time { return end.Add(time.Minute) }}
			t.Run(name, func(t *testing.T) { wantOutcome(t, shake(mustConfig(t, o), c), "", "") })
		}
	}
}

// TestClientAuthLongSubject bounds what a client writes into a log.
func TestClientAuthLongSubject(t *testing.T) {
	t.Parallel()
	cert := *issue(servers(), certgen.Options{Names: []string{"x"}}).Leaf
	cert.Subject.CommonName = string(bytes.Repeat([]byte("ü"), 500))
	if got := describe(&cert); len(got) > 2*maxSubjectBytes {
		t.Errorf("%d bytes: %s", len(got), got)
	}
}
