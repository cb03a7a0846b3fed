package tlsutil

import (
	"crypto/tls"
	"crypto/x509"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/tlsutil/certgen"
)

// sharedKey stands for a key file that several gateways have.
var sharedKey = [32]byte{1, 2, 3}

// eachVersion runs a test in TLS 1.2, whose tickets hold the session itself,
// and in TLS 1.3, where they are pre-shared keys.
func eachVersion(t *testing.T, f func(t *testing.T, version uint16)) {
	for _, version := range bothVersions {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			t.Parallel()
			f(t, version)
		})
	}
}

// ticketFrom makes a client that holds a ticket of the server.
func ticketFrom(t *testing.T, server *tls.Config, version uint16, cert *Certificate) *client {
	t.Helper()
	c := &client{cert: cert, version: version, cache: &oneSession{}}
	c.cfg.ServerName = "api.example.com"
	out := shake(server, c)
	wantOutcome(t, out, "", "")
	if out.client.DidResume {
		t.Fatal("the first connection was resumed")
	}
	return c
}

func wantResumed(t *testing.T, out outcome, want bool) {
	t.Helper()
	wantOutcome(t, out, "", "")
	if out.server.DidResume != want {
		t.Errorf("resumed = %t, want %t", out.server.DidResume, want)
	}
}

func TestResumptionKeepsTheClient(t *testing.T) {
	t.Parallel()
	ca := certgen.NewAuthority("Clients")
	cert := issue(ca, certgen.Options{Names: []string{"billing.example.com"}, Client: true})
	eachVersion(t, func(t *testing.T, version uint16) {
		cfg := mustConfig(t, ServerOptions{ClientAuth: &ClientAuth{
			Required: true, CAs: ca.Pool(), CRLs: crls(t, ca), AllowedSANs: []string{"billing.example.com"},
		}})
		c := ticketFrom(t, cfg, version, cert)
		out := shake(cfg, c)
		wantResumed(t, out, true)
		if got := strings.Join(PeerSANs(&out.server), " "); got != "billing.example.com" {
			t.Errorf("names of the resumed client: %q", got)
		}
	})
}

// TestResumptionByTheClock moves the server's clock between the two
// connections of one client at one chain.
func TestResumptionByTheClock(t *testing.T) {
	t.Parallel()
	ca := certgen.NewAuthority("Clients")
	start := time.Now()
	short := issue(ca, certgen.Options{Client: true, NotAfter: start.Add(time.Hour)})
	long := issue(ca, certgen.Options{Client: true})
	list := crls(t, ca)
	tests := []struct {
		name          string
		cert          *Certificate
		lists         []*RevocationList
		later         time.Time
		alert, server string
	}{
		{"certificate still valid", short, nil, start.Add(30 * time.Minute), "", ""},
		{"certificate expired", short, nil, start.Add(2 * time.Hour), "expired certificate", "expired"},
		{"revocation list out of date", long, list, list[0].NextUpdate.Add(time.Minute), "bad certificate", "out of date since"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			eachVersion(t, func(t *testing.T, version uint16) {
				now := start
				clock := func() time.Time { return now }
				if tt.lists != nil {
					// Within the life of a ticket, which is a week too.
					now = tt.later.Add(-time.Hour)
				}
				cfg := mustConfig(t, ServerOptions{
					ClientAuth: &ClientAuth{Required: true, CAs: ca.Pool(), CRLs: tt.lists}, Time: clock,
				})
				c := ticketFrom(t, cfg, version, tt.cert)
				now = tt.later
				out := shake(cfg, c)
				wantOutcome(t, out, tt.alert, tt.server)
				// Only where crypto/tls does not see it is the ticket taken.
				if got, want := out.server.DidResume, !strings.Contains(tt.server, "expired"); got != want {
					t.Errorf("resumed = %t, want %t", got, want)
				}
			})
		})
	}
}

// TestResumptionAcrossPolicies takes a ticket from one chain to another. Each
// row differs in one thing from the first chain.
func TestResumptionAcrossPolicies(t *testing.T) {
	t.Parallel()
	ca, other := certgen.NewAuthority("Clients"), certgen.NewAuthority("Others")
	cert := issue(ca, certgen.Options{Names: []string{"a.example.com", "b.example.com"}, Client: true})
	twoCAs := ca.Pool()
	twoCAs.AppendCertsFromPEM(other.CAPEM())
	list, list2 := crls(t, ca), crls(t, ca, other.CAPEM())
	base := ClientAuth{Required: true, CAs: ca.Pool(), CRLs: list, AllowedSANs: []string{"a.example.com", "b.example.com"}}
	renewed := issue(servers(), certgen.Options{Names: []string{"api.example.com"}, Key: certgen.Ed25519})
	elsewhere := issue(servers(), certgen.Options{Names: []string{"api.example.com", "admin.example.com"}})
	with := func(change func(*ClientAuth)) *ClientAuth {
		a := base
		change(&a)
		return &a
	}
	tests := []struct {
		name   string
		second ServerOptions
		resume bool
	}{
		{"the same", ServerOptions{ClientAuth: &base}, true},
		{"names in another order and case",
			ServerOptions{ClientAuth: with(func(a *ClientAuth) { a.AllowedSANs = []string{"B.example.com", "a.example.com"} })}, true},
		{"certificate renewed", ServerOptions{ClientAuth: &base, Certificates: []*Certificate{renewed}}, true},
		{"another ALPN", ServerOptions{ClientAuth: &base, ALPN: []string{"h2"}}, true},
		{"no client authentication", ServerOptions{}, false},
		{"optional", ServerOptions{ClientAuth: with(func(a *ClientAuth) { a.Required = false })}, false},
		{"another CA", ServerOptions{ClientAuth: with(func(a *ClientAuth) { a.CAs = twoCAs })}, false},
		{"the next revocation list", ServerOptions{ClientAuth: with(func(a *ClientAuth) { a.CRLs = list2 })}, true},
		{"no revocation list", ServerOptions{ClientAuth: with(func(a *ClientAuth) { a.CRLs = nil })}, false},
		{"fewer names", ServerOptions{ClientAuth: with(func(a *ClientAuth) { a.AllowedSANs = a.AllowedSANs[:1] })}, false},
		{"other server names", ServerOptions{ClientAuth: &base, Certificates: []*Certificate{elsewhere}}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			eachVersion(t, func(t *testing.T, version uint16) {
				one, two := ServerOptions{ClientAuth: &base}, tt.second
				one.TicketKeys, two.TicketKeys = [][32]byte{sharedKey}, [][32]byte{sharedKey}
				c := ticketFrom(t, mustConfig(t, one), version, cert)
				wantResumed(t, shake(mustConfig(t, two), c), tt.resume)
			})
		})
	}
}

// TestResumptionOwnKeys shows that chains without shared keys never take each
// other's tickets, not even with equal options.
func TestResumptionOwnKeys(t *testing.T) {
	t.Parallel()
	eachVersion(t, func(t *testing.T, version uint16) {
		first, second := mustConfig(t, ServerOptions{}), mustConfig(t, ServerOptions{})
		c := ticketFrom(t, first, version, nil)
		wantResumed(t, shake(second, c), false)
	})
}

// TestResumptionJudgesAgain forces one key on two policies, against the rule
// that keys are bound, to show that the second policy holds even then.
func TestResumptionJudgesAgain(t *testing.T) {
	t.Parallel()
	ca, other := certgen.NewAuthority("Clients"), certgen.NewAuthority("Others")
	sameName := certgen.NewAuthority("Clients")
	sub := ca.Subordinate("Team")
	cert := issue(sub, certgen.Options{Names: []string{"a.example.com"}, Client: true})
	tests := []struct {
		name          string
		second        ClientAuth
		alert, server string
		resume        bool
	}{
		{"all well", ClientAuth{Required: true, CAs: ca.Pool(), AllowedSANs: []string{"a.example.com"}}, "", "", true},
		{"CA removed", ClientAuth{Required: true, CAs: other.Pool()}, "unknown certificate authority", "unknown authority", false},
		{"CA replaced by one of its name", ClientAuth{Required: true, CAs: sameName.Pool()},
			"unknown certificate authority", "unknown authority", false},
		{"revoked", ClientAuth{Required: true, CAs: ca.Pool(), CRLs: slices.Concat(crls(t, ca), crls(t, sub, leafPEM(cert)))},
			"bad certificate", "revoked since", true},
		{"its CA revoked", ClientAuth{Required: true, CAs: ca.Pool(), CRLs: slices.Concat(crls(t, ca, sub.CAPEM()), crls(t, sub))},
			"bad certificate", `its CA "CN=Team"`, true},
		{"name not allowed", ClientAuth{CAs: ca.Pool(), AllowedSANs: []string{"b.example.com"}},
			"bad certificate", "none of its names is in allowed_sans", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			eachVersion(t, func(t *testing.T, version uint16) {
				first := mustConfig(t, ServerOptions{ClientAuth: &ClientAuth{Required: true, CAs: ca.Pool()}})
				second := mustConfig(t, ServerOptions{ClientAuth: &tt.second})
				first.SetSessionTicketKeys([][32]byte{sharedKey})
				second.SetSessionTicketKeys([][32]byte{sharedKey})
				c := ticketFrom(t, first, version, cert)
				out := shake(second, c)
				wantOutcome(t, out, tt.alert, tt.server)
				if out.server.DidResume != tt.resume {
					t.Errorf("resumed = %t, want %t", out.server.DidResume, tt.resume)
				}
			})
		})
	}
}

// TestResumptionIgnoresOldChains is the case that crypto/tls leaves open: it
// asks that one of the ticket's chains still hold and hands over all of them.
func TestResumptionIgnoresOldChains(t *testing.T) {
	t.Parallel()
	ca, removed := certgen.NewAuthority("Clients"), certgen.NewAuthority("Removed")
	leaf := issue(ca, certgen.Options{Client: true})
	p, err := newClientPolicy(&ClientAuth{
		Required: true, CAs: ca.Pool(), CRLs: slices.Concat(crls(t, ca, leafPEM(leaf)), crls(t, removed)),
	}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	above := crls(t, removed)[0].signer
	cross := *leaf.Leaf
	cross.RawIssuer = above.RawSubject
	state := tls.ConnectionState{
		PeerCertificates: []*x509.Certificate{leaf.Leaf},
		VerifiedChains:   [][]*x509.Certificate{{&cross, above}},
	}
	if err := p.verify(state); err != nil {
		t.Fatalf("the old chain alone is refused, so the test proves nothing: %v", err)
	}
	state.DidResume = true
	if err := p.verify(state); !strings.Contains(errText(err), "revoked since") {
		t.Errorf("resumed with a chain to a removed CA: %v", err)
	}
	state.PeerCertificates = []*x509.Certificate{issue(removed, certgen.Options{Client: true}).Leaf}
	if err := p.verify(state); !strings.Contains(errText(err), "unknown authority") {
		t.Errorf("resumed with a certificate of a removed CA: %v", err)
	}
}

// TestResumptionRequiresACertificate holds even if crypto/tls took a ticket
// without one.
func TestResumptionRequiresACertificate(t *testing.T) {
	t.Parallel()
	for _, required := range []bool{true, false} {
		p, err := newClientPolicy(&ClientAuth{Required: required, CAs: servers().Pool()}, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.verify(tls.ConnectionState{DidResume: true}); (err != nil) != required {
			t.Errorf("required %t: %v", required, err)
		}
	}
}

func TestTicketKeyRollout(t *testing.T) {
	t.Parallel()
	newKey := [32]byte{9}
	with := func(t *testing.T, keys ...[32]byte) *tls.Config {
		return mustConfig(t, ServerOptions{TicketKeys: keys})
	}
	eachVersion(t, func(t *testing.T, version uint16) {
		c := ticketFrom(t, with(t, sharedKey), version, nil)
		wantResumed(t, shake(with(t, newKey, sharedKey), c), true)
		// The resumed connection brought a ticket under the new key.
		wantResumed(t, shake(with(t, newKey), c), true)

		c = ticketFrom(t, with(t, sharedKey), version, nil)
		wantResumed(t, shake(with(t, newKey), c), false)
	})
}

// TestOwnTicketKeysRotate asks crypto/tls on each of nine days whether it
// still understands the first day's ticket.
func TestOwnTicketKeysRotate(t *testing.T) {
	t.Parallel()
	now := time.Now()
	cfg := mustConfig(t, ServerOptions{Time: func() time.Time { return now }})
	ticket, err := cfg.EncryptTicket(tls.ConnectionState{}, sessionOf(t, cfg))
	if err != nil {
		t.Fatal(err)
	}
	for day := range 9 {
		s, err := cfg.DecryptTicket(ticket, tls.ConnectionState{})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := s != nil, day < 7; got != want {
			t.Errorf("day %d: ticket understood = %t, want %t", day, got, want)
		}
		now = now.Add(24 * time.Hour)
	}
}

// sessionOf catches the state that a server puts into a ticket.
func sessionOf(t *testing.T, cfg *tls.Config) *tls.SessionState {
	t.Helper()
	var state *tls.SessionState
	spy := cfg.Clone()
	spy.WrapSession = func(cs tls.ConnectionState, ss *tls.SessionState) ([]byte, error) {
		state = ss
		return cfg.EncryptTicket(cs, ss)
	}
	wantOutcome(t, shake(spy, &client{cache: &oneSession{}}), "", "")
	if state == nil {
		t.Fatal("the server made no ticket")
	}
	return state
}

// TestPolicyDigestTellsServersApart covers certificates that serve addresses
// or, with a client that knows them by other means, no name at all.
func TestPolicyDigestTellsServersApart(t *testing.T) {
	t.Parallel()
	seen := make(map[string]string)
	for name, certs := range map[string][]*Certificate{
		"name":            {issue(servers(), certgen.Options{Names: []string{"a.example.com"}})},
		"two names":       {issue(servers(), certgen.Options{Names: []string{"a.example.com", "b.example.com"}})},
		"address":         {issue(servers(), certgen.Options{Names: []string{"192.0.2.1"}})},
		"another address": {issue(servers(), certgen.Options{Names: []string{"192.0.2.2"}})},
		"nameless":        {issue(servers(), certgen.Options{})},
		"nameless too":    {issue(servers(), certgen.Options{})},
	} {
		digest := string(policyDigest(certs, nil))
		if other, ok := seen[digest]; ok {
			t.Errorf("%s and %s share their tickets", name, other)
		}
		seen[digest] = name
	}
}
