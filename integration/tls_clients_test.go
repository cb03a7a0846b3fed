package integration

import (
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/tlsutil/certgen"
)

// TestOpenSSLClient: the certificate that OpenSSL verifies is the backend's on
// a chain that passes through and ours on one that terminates.
func TestOpenSSLClient(t *testing.T) {
	t.Parallel()
	needTool(t, "openssl")
	g := startTLSGateway(t, false)
	cas := g.bothCAs()
	for _, c := range []struct {
		name, server, version, protocol, answer string
	}{
		{"pass_1.2", "pass.test", "-tls1_2", "TLSv1.2", "passed got hello"},
		{"pass_1.3", "pass.test", "-tls1_3", "TLSv1.3", "passed got hello"},
		{"terminated_1.2", "term.test", "-tls1_2", "TLSv1.2", "behind got hello"},
		{"terminated_1.3", "term.test", "-tls1_3", "TLSv1.3", "behind got hello"},
		{"terminated_1.2_only", "pinned.test", "-no_ign_eof", "TLSv1.2", "behind got hello"},
		{"terminated_1.3_only", "modern.test", "-no_ign_eof", "TLSv1.3", "behind got hello"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out, err := run(t, "hello\n", "openssl", "s_client", "-connect", g.on(t).address("tls"), "-servername", c.server,
				"-CAfile", cas, "-verify_return_error", "-verify_hostname", c.server, c.version, "-brief", "-ign_eof")
			if err != nil {
				t.Errorf("openssl: %v\n%s", err, out)
			}
			for _, want := range []string{"Protocol version: " + c.protocol, "Peer certificate: CN = " + commonName(c.server),
				"Verification: OK", c.answer} {
				if !strings.Contains(out, want) {
					t.Errorf("openssl's output does not contain %q:\n%s", want, out)
				}
			}
		})
	}
}

// commonName is the name in the certificate that a client sees under a server
// name: the first that it was issued for.
func commonName(server string) string {
	if server == "pass.test" {
		return server
	}
	return "term.test"
}

// TestVersionsOutsideTheChain: a client that only speaks another version gets
// the alert that says so, and not a reset.
func TestVersionsOutsideTheChain(t *testing.T) {
	t.Parallel()
	g := startTLSGateway(t, false)
	for name, cfg := range map[string]*tls.Config{
		"1.3_to_1.2_only": {ServerName: "pinned.test", MinVersion: tls.VersionTLS13},
		"1.2_to_1.3_only": {ServerName: "modern.test", MaxVersion: tls.VersionTLS12},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, client, err := g.talk(t, cfg)
			if err == nil || !strings.Contains(err.Error(), "protocol version not supported") {
				t.Errorf("the client got %v, want the alert protocol_version", err)
			}
			expectFields(t, g.on(t).waitEnd(client), map[string]string{
				"termination.reason": "tls_handshake_failed", "termination.side": "gateway", "flags": "LR"})
		})
	}
}

// TestCurlClient: web traffic, with bodies, through both kinds of chain.
func TestCurlClient(t *testing.T) {
	t.Parallel()
	needTool(t, "curl")
	g := startTLSGateway(t, true)
	cas := g.bothCAs()
	body := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(body, pattern(5<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(g.on(t).address("tls"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, server, version, http, reached string }{
		{"pass_1.2", "pass.test", "1.2", "2", "passed"},
		{"pass_1.3", "pass.test", "1.3", "2", "passed"},
		{"terminated_1.2", "term.test", "1.2", "1.1", "behind"},
		{"terminated_1.3", "term.test", "1.3", "1.1", "behind"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			back := filepath.Join(t.TempDir(), "back")
			out, err := run(t, "", "curl", "--silent", "--show-error", "--noproxy", "*", "--cacert", cas,
				"--resolve", c.server+":"+port+":127.0.0.1", "--tlsv"+c.version, "--tls-max", c.version,
				"--data-binary", "@"+body, "--header", "Expect:", "--output", back,
				"--write-out", "%{http_version} %{response_code} %{ssl_verify_result} %header{reached}",
				"https://"+c.server+":"+port+"/")
			if want := c.http + " 200 0 " + c.reached; err != nil || out != want {
				t.Errorf("curl says %q, %v; want %q", out, err, want)
			}
			got, err := os.ReadFile(back)
			if err != nil {
				t.Fatal(err)
			}
			expectSame(t, got, pattern(5<<20))
		})
	}
}

// TestPostQuantumClient: a hello with a key share of 1.2 KB takes two segments
// on a real network; the group has to be agreed on with both kinds of chain.
func TestPostQuantumClient(t *testing.T) {
	t.Parallel()
	g := startTLSGateway(t, false)
	for server, answer := range map[string]string{"pass.test": "passed got hello\n", "term.test": "behind got hello\n"} {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			got, cs, _, err := g.talk(t, &tls.Config{ServerName: server, CurvePreferences: []tls.CurveID{tls.X25519MLKEM768}})
			if err != nil || got != answer || cs.CurveID != tls.X25519MLKEM768 {
				t.Errorf("got %q over %v, %v; want %q over X25519MLKEM768", got, cs.CurveID, err, answer)
			}
		})
	}
}

// TestALPN: on a terminated chain the protocol is agreed on with us, the
// server's order deciding; one that is not ours is refused by the alert.
func TestALPN(t *testing.T) {
	t.Parallel()
	g := startTLSGateway(t, false)
	for _, c := range []struct {
		name   string
		offers []string
		want   string
		alert  string
	}{
		{"none_offered", nil, "", ""},
		{"one_of_ours", []string{"ours/1"}, "ours/1", ""},
		{"our_order_decides", []string{"ours/1", "http/1.1"}, "http/1.1", ""},
		{"only_strange_ones", []string{"strange/1"}, "", "no application protocol"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, cs, client, err := g.talk(t, &tls.Config{ServerName: "term.test", NextProtos: c.offers})
			rec := g.on(t).waitEnd(client)
			expectFields(t, rec, map[string]string{"alpn": strings.Join(c.offers, ","), "negotiated_alpn": c.want})
			if c.alert != "" {
				if err == nil || !strings.Contains(err.Error(), c.alert) {
					t.Errorf("the client got %v, want the alert %q", err, c.alert)
				}
				return
			}
			if err != nil || cs.NegotiatedProtocol != c.want {
				t.Errorf("agreed on %q, %v; want %q", cs.NegotiatedProtocol, err, c.want)
			}
		})
	}
}

// TestClientCertificates: who may come in, who may not, and what the record
// says of each. A refused client gets an alert, which a reset would have eaten.
func TestClientCertificates(t *testing.T) {
	t.Parallel()
	g := startTLSGateway(t, false)
	good := g.clients.pair(certgen.Options{Client: true, Names: []string{"a.good.test"}, URIs: []string{"spiffe://test/good"}})
	byURI := g.clients.pair(certgen.Options{Client: true, URIs: []string{"spiffe://test/good"}})
	wrongName := g.clients.pair(certgen.Options{Client: true, Names: []string{"good.test"}})
	stranger := g.others.pair(certgen.Options{Client: true, Names: []string{"a.good.test"}})
	server := g.clients.pair(certgen.Options{Names: []string{"a.good.test"}}) // not for clients
	none := tls.Certificate{}
	for _, c := range []struct {
		name   string
		server string
		cert   tls.Certificate
		alert  string // empty: let in
		sans   string
	}{
		{"required_good", "required.test", good, "", "spiffe://test/good a.good.test"},
		{"required_none", "required.test", none, "certificate required", ""},
		{"required_other_ca", "required.test", stranger, "unknown certificate authority", ""},
		{"required_not_for_clients", "required.test", server, "bad certificate", ""},
		{"optional_good", "optional.test", good, "", "spiffe://test/good a.good.test"},
		{"optional_none", "optional.test", none, "", ""},
		{"optional_other_ca", "optional.test", stranger, "unknown certificate authority", ""},
		{"sans_name", "sans.test", good, "", "spiffe://test/good a.good.test"},
		{"sans_uri", "sans.test", byURI, "", "spiffe://test/good"},
		{"sans_other_name", "sans.test", wrongName, "bad certificate", ""},
		{"other_authority", "other.test", stranger, "", "a.good.test"},
		{"other_authority_wrong", "other.test", good, "unknown certificate authority", ""},
	} {
		for version, number := range map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13} {
			t.Run(c.name+"_"+version, func(t *testing.T) {
				t.Parallel()
				answer, _, client, err := g.talk(t, &tls.Config{
					ServerName: c.server, MinVersion: number, MaxVersion: number,
					// Whatever the server says it would take.
					GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c.cert, nil },
				})
				rec := g.on(t).waitEnd(client)
				if c.alert == "" {
					if err != nil || answer != "behind got hello\n" {
						t.Errorf("answered %q, %v; want it let in", answer, err)
					}
					expectFields(t, rec, map[string]string{"termination.reason": "finished"})
					if got := strings.Join(texts(rec, "peer_sans"), " "); got != c.sans {
						t.Errorf("peer_sans is %q, want %q", got, c.sans)
					}
					return
				}
				want := c.alert
				if version == "1.2" && want == "certificate required" {
					want = "handshake failure" // RFC 5246 §7.4.6; that alert came with TLS 1.3
				}
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("the client got %v, want the alert %q", err, want)
				}
				expectFields(t, rec, map[string]string{"termination.reason": "tls_handshake_failed", "flags": "LR", "endpoint": ""})
			})
		}
	}
}

// TestClientCertificateOfOpenSSL is the same once more with OpenSSL and curl.
func TestClientCertificateOfOpenSSL(t *testing.T) {
	t.Parallel()
	needTool(t, "openssl")
	needTool(t, "curl")
	g := startTLSGateway(t, true)
	certFile, keyFile := g.clients.files("client", certgen.Options{Client: true, Names: []string{"a.good.test"}})
	out, err := run(t, "GET / HTTP/1.0\r\n\r\n", "openssl", "s_client", "-connect", g.on(t).address("tls"), "-servername", "required.test",
		"-CAfile", g.bothCAs(), "-verify_return_error", "-cert", certFile, "-key", keyFile, "-brief", "-ign_eof")
	if err != nil || !strings.Contains(out, "Reached: behind") {
		t.Errorf("openssl with a certificate: %v\n%s", err, out)
	}
	_, port, err := net.SplitHostPort(g.on(t).address("tls"))
	if err != nil {
		t.Fatal(err)
	}
	curl := func(extra ...string) (string, error) {
		return run(t, "", "curl", append(extra, "--silent", "--show-error", "--noproxy", "*", "--cacert", g.bothCAs(),
			"--resolve", "required.test:"+port+":127.0.0.1", "https://required.test:"+port+"/")...)
	}
	if out, err := curl("--cert", certFile, "--key", keyFile); err != nil || out != "behind" {
		t.Errorf("curl with a certificate: %v\n%s", err, out)
	}
	if out, err := curl(); err == nil || !strings.Contains(out, "certificate required") {
		t.Errorf("curl without a certificate: %v; want the alert certificate required\n%s", err, out)
	}
}
