package tlsutil

import (
	"bytes"
	"crypto/tls"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/tlsutil/certgen"
)

func mustServer(t *testing.T, o ServerOptions) *Server {
	t.Helper()
	s, err := NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *Server) mustUse(t *testing.T, o ServerOptions) {
	t.Helper()
	r, err := s.Prepare(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Use(r)
}

// TestRenewal: what is replaced is what the next handshake shows, and tickets stay
// good for as long as they vouch for the same.
func TestRenewal(t *testing.T) {
	t.Parallel()
	ca, other := certgen.NewAuthority("Clients"), certgen.NewAuthority("Others")
	cert := issue(ca, certgen.Options{Names: []string{"a.example.com"}, Client: true})
	twoCAs := ca.Pool()
	twoCAs.AppendCertsFromPEM(other.CAPEM())
	auth := func(change func(*ClientAuth)) *ClientAuth {
		a := &ClientAuth{Required: true, CAs: ca.Pool(), CRLs: crls(t, ca)}
		change(a)
		return a
	}
	same := auth(func(*ClientAuth) {})
	first := []*Certificate{apiCertificate()}
	renewed := []*Certificate{issue(servers(), certgen.Options{Names: []string{"api.example.com"}})}
	renamed := []*Certificate{issue(servers(), certgen.Options{Names: []string{"api.example.com", "b.example.com"}})}
	for _, tt := range []struct {
		name  string
		next  ServerOptions
		alert string
		keeps bool // the tickets
	}{
		{"renewed", ServerOptions{Certificates: renewed, ClientAuth: same}, "", true},
		{"for more names", ServerOptions{Certificates: renamed, ClientAuth: same}, "", false},
		{"the next list", ServerOptions{Certificates: first, ClientAuth: auth(func(a *ClientAuth) { a.CRLs = crls(t, ca, other.CAPEM()) })}, "", true},
		{"revoked", ServerOptions{Certificates: first, ClientAuth: auth(func(a *ClientAuth) { a.CRLs = crls(t, ca, leafPEM(cert)) })}, "bad certificate", true},
		{"one more CA", ServerOptions{Certificates: first, ClientAuth: auth(func(a *ClientAuth) { a.CAs = twoCAs })}, "", false},
		{"another CA", ServerOptions{Certificates: first, ClientAuth: &ClientAuth{Required: true, CAs: other.Pool()}}, "unknown certificate authority", false},
	} {
		for _, keys := range [][][32]byte{nil, {sharedKey}} {
			t.Run(tt.name+map[bool]string{true: "", false: ", shared keys"}[keys == nil], func(t *testing.T) {
				eachVersion(t, func(t *testing.T, version uint16) {
					next := tt.next
					next.TicketKeys = keys
					s := mustServer(t, ServerOptions{Certificates: first, ClientAuth: same, TicketKeys: keys})
					begun := s.Config()
					c := ticketFrom(t, begun, version, cert)
					s.mustUse(t, next)
					if tt.keeps && s.Config() != begun {
						t.Error("handshakes begin with other ticket keys")
					}
					out := shake(s.Config(), c)
					wantOutcome(t, out, tt.alert, map[bool]string{true: "", false: "certificate"}[tt.alert == ""])
					if out.server.DidResume != tt.keeps {
						t.Errorf("resumed = %t, want %t", out.server.DidResume, tt.keeps)
					}
					if tt.alert != "" {
						return
					}
					c.cache = &oneSession{}
					out = shake(s.Config(), c)
					wantOutcome(t, out, "", "")
					if !out.client.PeerCertificates[0].Equal(next.Certificates[0].Leaf) {
						t.Error("the old certificate is shown")
					}
				})
			})
		}
	}
}

// TestReplacementsAreWhole flips between two sets under handshakes: each handshake
// shows the certificate and asks for the client CA of one and the same.
func TestReplacementsAreWhole(t *testing.T) {
	t.Parallel()
	type set struct {
		options ServerOptions
		client  *Certificate
		ca      []byte
	}
	var sets [2]set
	for i, name := range []string{"Clients A", "Clients B"} {
		ca := certgen.NewAuthority(name)
		sets[i] = set{
			ServerOptions{
				Certificates: []*Certificate{issue(servers(), certgen.Options{Names: []string{"api.example.com"}})},
				ClientAuth:   &ClientAuth{Required: true, CAs: ca.Pool(), CRLs: crls(t, ca)},
			},
			issue(ca, certgen.Options{Client: true}), nil,
		}
		sets[i].ca = sets[i].client.Leaf.RawIssuer
	}
	s := mustServer(t, sets[0].options)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 1; ; i++ {
			r, err := s.Prepare(sets[i%2].options)
			if err != nil {
				t.Error(err)
				return
			}
			s.Use(r)
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	for i := range 300 {
		c := &client{version: bothVersions[i%2]}
		var asked [][]byte
		c.cfg.GetClientCertificate = func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			asked = r.AcceptableCAs
			k := slices.IndexFunc(sets[:], func(s set) bool { return bytes.Equal(s.ca, asked[0]) })
			return &sets[k].client.Certificate, nil
		}
		out := shake(s.Config(), c)
		wantOutcome(t, out, "", "")
		k := slices.IndexFunc(sets[:], func(s set) bool { return s.options.Certificates[0].Leaf.Equal(out.client.PeerCertificates[0]) })
		if k < 0 || len(asked) != 1 || !bytes.Equal(asked[0], sets[k].ca) {
			t.Fatalf("handshake %d shows certificate %d and asks for the CA %q", i, k, asked)
		}
	}
}

// TestRenewalsKeepRotating: a server that is given another certificate every day
// drops its ticket keys after a week as any other does.
func TestRenewalsKeepRotating(t *testing.T) {
	t.Parallel()
	now := time.Now()
	o := ServerOptions{Certificates: []*Certificate{apiCertificate()}, Time: func() time.Time { return now }}
	s := mustServer(t, o)
	inner := mustConfig(t, o)
	ticket, err := s.Config().EncryptTicket(tls.ConnectionState{}, sessionOf(t, inner))
	if err != nil {
		t.Fatal(err)
	}
	for day := range 9 {
		state, err := s.Config().DecryptTicket(ticket, tls.ConnectionState{})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := state != nil, day < 7; got != want {
			t.Errorf("day %d: ticket understood = %t, want %t", day, got, want)
		}
		o.Certificates = []*Certificate{issue(servers(), certgen.Options{Names: []string{"api.example.com"}})}
		s.mustUse(t, o)
		now = now.Add(24 * time.Hour)
	}
}

// TestPrepareTouchesNothing: what cannot be used leaves what is in use.
func TestPrepareTouchesNothing(t *testing.T) {
	t.Parallel()
	s := mustServer(t, ServerOptions{Certificates: []*Certificate{apiCertificate()}, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}})
	_, err := s.Prepare(ServerOptions{Certificates: []*Certificate{mustCertificate(rsaPair())}, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}})
	if err == nil || !strings.Contains(err.Error(), "RSA") {
		t.Errorf("an RSA certificate for ECDSA suites: %v", err)
	}
	wantOutcome(t, shake(s.Config(), &client{version: tls.VersionTLS12}), "", "")
}
