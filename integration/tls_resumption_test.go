package integration

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/tlsutil/certgen"
)

// anyName is a session cache that offers its last ticket to every server: the
// client that tries where else a ticket is good.
type anyName struct{ last *tls.ClientSessionState }

func (c *anyName) Get(string) (*tls.ClientSessionState, bool) { return c.last, c.last != nil }
func (c *anyName) Put(_ string, s *tls.ClientSessionState) {
	if s != nil {
		c.last = s
	}
}

var versions = map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

func TestResumption(t *testing.T) {
	t.Parallel()
	g := startTLSGateway(t, false)
	cert := g.clients.pair(certgen.Options{Client: true, Names: []string{"a.good.test"}})
	for version, number := range versions {
		for _, server := range []string{"pass.test", "term.test", "required.test"} {
			t.Run(server+"_"+version, func(t *testing.T) {
				t.Parallel()
				cfg := &tls.Config{ServerName: server, MinVersion: number, MaxVersion: number,
					ClientSessionCache: new(anyName), Certificates: []tls.Certificate{cert}}
				for _, resumed := range []bool{false, true, true} {
					_, cs, client, err := g.talk(t, cfg)
					if err != nil || cs.DidResume != resumed {
						t.Fatalf("resumed: %v, %v; want %v", cs.DidResume, err, resumed)
					}
					rec := g.on(t).waitEnd(client)
					if server == "pass.test" {
						continue // the handshake is not ours to look into
					}
					if rec["resumed"] != resumed {
						t.Errorf("the record says resumed: %v, want %v", rec["resumed"], resumed)
					}
					if got := texts(rec, "peer_sans"); server == "required.test" && len(got) != 1 {
						t.Errorf("peer_sans is %q: who the client is has to survive resumption", got)
					}
				}
			})
		}
	}
}

// TestTicketOfAnotherPolicy: a ticket stands for what its chain has checked. On
// a chain that checks something else it must not stand for anything.
func TestTicketOfAnotherPolicy(t *testing.T) {
	t.Parallel()
	g := startTLSGateway(t, false)
	known := g.clients.pair(certgen.Options{Client: true, Names: []string{"good.test"}}) // not of allowed_sans
	for version, number := range versions {
		alert := "certificate required"
		if version == "1.2" {
			alert = "handshake failure" // RFC 5246 §7.4.6
		}
		for _, c := range []struct{ name, from, to, alert string }{
			{"none_to_required", "term.test", "required.test", alert},
			{"optional_to_required", "optional.test", "required.test", alert},
			{"clients_to_others", "required.test", "other.test", alert},
			{"any_name_to_some", "required.test", "sans.test", alert},
			{"required_to_none", "required.test", "term.test", ""},
		} {
			t.Run(c.name+"_"+version, func(t *testing.T) {
				t.Parallel()
				cache := new(anyName)
				first := &tls.Config{ServerName: c.from, MinVersion: number, MaxVersion: number, ClientSessionCache: cache}
				if c.from == "required.test" {
					first.Certificates = []tls.Certificate{known}
				}
				if _, _, _, err := g.talk(t, first); err != nil || cache.last == nil {
					t.Fatalf("no ticket from %s: %v", c.from, err)
				}
				// Then without a certificate: the ticket is all there is.
				_, cs, client, err := g.talk(t, &tls.Config{ServerName: c.to, MinVersion: number, MaxVersion: number, ClientSessionCache: cache})
				if cs.DidResume {
					t.Errorf("a ticket of %s was accepted by %s", c.from, c.to)
				}
				if c.alert == "" && err != nil || c.alert != "" && (err == nil || !strings.Contains(err.Error(), c.alert)) {
					t.Errorf("the client got %v, want the alert %q", err, c.alert)
				}
				if rec := g.on(t).waitEnd(client); rec["resumed"] == true {
					t.Errorf("the record says that the session was resumed")
				}
			})
		}
	}
}

// TestResumptionOfOpenSSL: another implementation resumes too.
func TestResumptionOfOpenSSL(t *testing.T) {
	t.Parallel()
	needTool(t, "openssl")
	g := startTLSGateway(t, false)
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			session := filepath.Join(t.TempDir(), "session")
			client := func(flag string) string {
				out, err := run(t, "hello\n", "openssl", "s_client", "-connect", g.on(t).address("tls"), "-servername", "term.test",
					"-CAfile", g.ours.caFile(), version, flag, session, "-ign_eof")
				if err != nil {
					t.Fatalf("openssl: %v\n%s", err, out)
				}
				return out
			}
			if out := client("-sess_out"); !strings.Contains(out, "New, TLSv1") {
				t.Errorf("the first session is not new:\n%s", out)
			}
			if _, err := os.Stat(session); err != nil {
				t.Fatal(err)
			}
			if out := client("-sess_in"); !strings.Contains(out, "Reused, TLSv1") || !strings.Contains(out, "behind got hello") {
				t.Errorf("the second session is not resumed:\n%s", out)
			}
		})
	}
}
