package integration

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/tlsutil/certgen"
)

// opensslServer runs openssl s_server on a free port and gives its address. It
// sends back every line reversed. It ends with the test.
func opensslServer(t *testing.T, certFile, keyFile string, args ...string) string {
	t.Helper()
	needTool(t, "openssl")
	cmd := exec.Command("openssl", append([]string{"s_server", "-accept", "127.0.0.1:0",
		"-cert", certFile, "-key", keyFile, "-rev"}, args...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = &lockedBuffer{}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if address, ok := strings.CutPrefix(lines.Text(), "ACCEPT "); ok {
			go io.Copy(io.Discard, out)
			return address
		}
	}
	t.Fatalf("openssl s_server did not begin to accept: %v\n%s", lines.Err(), cmd.Stderr)
	return ""
}

// reencrypting is a gateway that terminates front.test and speaks TLS to an
// endpoint, with inTLS in the tls block of its cluster.
func reencrypting(t *testing.T, front *authority, inTLS, cluster string, endpoints ...string) *process {
	t.Helper()
	certFile, keyFile, err := front.WriteFiles(t.TempDir(), "front", certgen.Options{Names: []string{"front.test"}})
	if err != nil {
		t.Fatal(err)
	}
	quoted := make([]string, len(endpoints))
	for i, e := range endpoints {
		quoted[i] = fmt.Sprintf("%q", e)
	}
	return startSluice(t, fmt.Sprintf(`
listener "https" {
  address = "127.0.0.1:0"
  filter_chain "front" {
    match { server_names = ["front.test"] }
    tls {
      certificate {
        cert_file = %q
        key_file  = %q
      }
    }
    route { cluster = "endpoints" }
  }
}
cluster "endpoints" {
  endpoints = [%s]
  %s
  tls {
    %s
  }
}
`, certFile, keyFile, strings.Join(quoted, ", "), cluster, inTLS))
}

// TestOpenSSLEndpoint: what OpenSSL's server shows and asks for decides, for
// the reason that stands in the record.
func TestOpenSSLEndpoint(t *testing.T) {
	t.Parallel()
	front, ours, others := newAuthority(t, "front"), newAuthority(t, "endpoints"), newAuthority(t, "others")
	files := func(a *authority, base string, o certgen.Options) []string {
		cert, key := a.files(base, o)
		return []string{cert, key}
	}
	now := time.Now()
	good := files(ours, "good", certgen.Options{Names: []string{"api.internal"}})
	wrong := files(ours, "wrong", certgen.Options{Names: []string{"www.internal"}})
	stranger := files(others, "good", certgen.Options{Names: []string{"api.internal"}})
	expired := files(ours, "expired", certgen.Options{Names: []string{"api.internal"}, NotBefore: now.AddDate(0, 0, -2), NotAfter: now.AddDate(0, 0, -1)})
	client := files(ours, "client", certgen.Options{Client: true, Names: []string{"gateway.internal"}})
	strange := files(others, "client", certgen.Options{Client: true, Names: []string{"gateway.internal"}})

	verified := fmt.Sprintf("server_name = \"api.internal\"\n ca_file = %q\n", ours.caFile())
	showing := func(pair []string) string {
		return verified + fmt.Sprintf("certificate {\n cert_file = %q\n key_file = %q\n }\n", pair[0], pair[1])
	}
	mutual := []string{"-Verify", "2", "-verify_return_error", "-CAfile", ours.caFile()}
	for _, c := range []struct {
		name   string
		pair   []string
		server []string
		inTLS  string

		result string // of the attempt; "connected" for success, or for an end afterwards
		error  string // a part of it
	}{
		{"right_certificate", good, nil, verified, "connected", ""},
		{"wrong_name", wrong, nil, verified, "tls_certificate", "certificate is valid for www.internal, not api.internal"},
		{"unknown_CA", stranger, nil, verified, "tls_certificate", "certificate signed by unknown authority"},
		{"expired", expired, nil, verified, "tls_certificate", "certificate has expired"},
		{"wrong_name_not_verified", wrong, nil, "insecure_skip_verify = true", "connected", ""},
		{"client_certificate", good, mutual, showing(client), "connected", ""},
		{"client_certificate_missing", good, mutual, verified, "tls_handshake", "remote error: tls: "},
		{"client_certificate_of_another_CA", good, mutual, showing(strange), "tls_handshake", "remote error: tls: "},
	} {
		for _, version := range []string{"1.2", "1.3"} {
			t.Run(c.name+"_"+version, func(t *testing.T) {
				t.Parallel()
				endpoint := opensslServer(t, c.pair[0], c.pair[1], append(c.server, "-tls"+strings.Replace(version, ".", "_", 1))...)
				p := reencrypting(t, front, c.inTLS, "max_connect_attempts = 1", endpoint)
				raw := dial(t, p.address("https"))
				conn := handshake(t, raw, "front.test", front)
				_, err := io.WriteString(conn, "stressed\n")
				var answer string
				if err == nil {
					answer, err = bufio.NewReader(conn).ReadString('\n')
				}
				raw.Close()
				rec := p.waitEnd(raw.LocalAddr())
				got := attemptsOf(rec)
				// A TLS 1.3 server refuses a client's certificate after the
				// handshake is over for the client (RFC 8446 §4.4.4).
				late := version == "1.3" && c.result == "tls_handshake"
				want := c.result
				if late {
					want = "connected"
				}
				if len(got) != 1 || got[0] != endpoint+" "+want {
					t.Errorf("attempts are %q, want %s", got, want)
				}
				if !strings.Contains(text(rec, "error"), c.error) {
					t.Errorf("the error is %q, want %q", text(rec, "error"), c.error)
				}
				switch {
				case c.result == "connected":
					if answer != "desserts\n" {
						t.Errorf("the answer is %q, %v", answer, err)
					}
					expectFields(t, rec, map[string]string{"upstream_tls_version": "TLS " + version, "tls": "terminated"})
				case late:
					expectFields(t, rec, map[string]string{"termination.reason": "tls_error", "termination.side": "upstream"})
				default:
					expectFields(t, rec, map[string]string{"termination.reason": "connect_failed", "termination.side": "upstream", "flags": "UF"})
				}
				if c.result != "connected" && !isReset(err) {
					t.Errorf("the client got %q, %v, want a reset", answer, err)
				}
			})
		}
	}
}

// TestOpenSSLOrigination: a client that speaks no TLS, as with stunnel.
func TestOpenSSLOrigination(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t, "endpoints")
	cert, key := ours.files("good", certgen.Options{Names: []string{"api.internal"}})
	p := startSluice(t, fmt.Sprintf(`
listener "plain" {
  address = "127.0.0.1:0"
  default_filter_chain {
    route { cluster = "endpoints" }
  }
}
cluster "endpoints" {
  endpoints = [%q]
  tls {
    server_name    = "api.internal"
    ca_file        = %q
    alpn_protocols = ["lines/1"]
  }
}
`, opensslServer(t, cert, key, "-alpn", "lines/1"), ours.caFile()))
	for i := range 3 {
		c := dial(t, p.address("plain"))
		lines := bufio.NewReader(c)
		for _, said := range []string{"stressed\n", "drawer\n"} {
			send(t, c, []byte(said))
			if answer, err := lines.ReadString('\n'); err != nil || len(answer) != len(said) {
				t.Errorf("the answer to %q is %q, %v", said, answer, err)
			}
		}
		c.Close()
		rec := p.waitEnd(c.LocalAddr())
		expectKeys(t, rec, endedRecord+routeFields+"first_byte_ms mode upstream_tls_version upstream_cipher upstream_resumed upstream_alpn upstream_handshake_ms")
		expectFields(t, rec, map[string]string{"tls": "none", "upstream_alpn": "lines/1", "upstream_tls_version": "TLS 1.3"})
		expectTimes(t, rec, "upstream_handshake_ms", "connect_ms")
		if resumed, _ := rec["upstream_resumed"].(bool); resumed != (i > 0) {
			t.Errorf("connection %d: resumed %t", i, resumed)
		}
	}
}

// TestEndpointWithTheWrongCertificate: one of three answers TLS with another's
// certificate. It fails for that reason, is ejected, and nobody else notices.
func TestEndpointWithTheWrongCertificate(t *testing.T) {
	t.Parallel()
	front, ours := newAuthority(t, "front"), newAuthority(t, "endpoints")
	serving := func(name string) string {
		cfg := &tls.Config{Certificates: []tls.Certificate{ours.pair(certgen.Options{Names: []string{name}})}}
		return tlsBackend(t, cfg, answerLine(name))
	}
	one, two, wrong := serving("api.internal"), serving("api.internal"), serving("www.internal")
	p := reencrypting(t, front, fmt.Sprintf("server_name = \"api.internal\"\n ca_file = %q", ours.caFile()),
		`outlier_detection { consecutive_failures = 3 }`, one, wrong, two)
	const clients = 60
	var failures int
	var after []net.Addr
	for range clients {
		raw := dial(t, p.address("https"))
		conn := handshake(t, raw, "front.test", front)
		send(t, conn, []byte("hello\n"))
		if answer, err := io.ReadAll(conn); string(answer) != "api.internal got hello\n" || err != nil {
			t.Errorf("the answer is %q, %v", answer, err)
		}
		conn.Close()
		rec := p.waitEnd(raw.LocalAddr())
		for _, a := range attemptsOf(rec) {
			if result, ok := strings.CutPrefix(a, wrong+" "); ok {
				failures++
				if result != "tls_certificate" {
					t.Errorf("%s: %s", wrong, result)
				}
			} else if !slices.Contains([]string{one + " connected", two + " connected"}, a) {
				t.Errorf("attempt: %s", a)
			}
		}
		if failures == 3 {
			after = append(after, raw.LocalAddr())
		}
	}
	if failures != 3 || len(after) == 0 {
		t.Errorf("%d attempts on the endpoint with the wrong certificate, want 3 before it is ejected", failures)
	}
	if ev := p.waitLog("endpoint ejected"); text(ev, "endpoint") != wrong {
		t.Errorf("ejected: %v", ev)
	}
}

// TestReencryptionLeavesNothing: descriptors come back, whatever became of the
// handshakes.
func TestReencryptionLeavesNothing(t *testing.T) {
	t.Parallel()
	front, ours := newAuthority(t, "front"), newAuthority(t, "endpoints")
	good := &tls.Config{Certificates: []tls.Certificate{ours.pair(certgen.Options{Names: []string{"api.internal"}})}}
	wrong := &tls.Config{Certificates: []tls.Certificate{ours.pair(certgen.Options{Names: []string{"www.internal"}})}}
	silent := backend(t, discard)
	p := reencrypting(t, front, fmt.Sprintf("server_name = \"api.internal\"\n ca_file = %q", ours.caFile()),
		"lb_policy = \"first\"\n connect_timeout = \"2s\"\n max_connect_attempts = 4",
		silent, tlsBackend(t, wrong, echo), backend(t, resetAtOnce), tlsBackend(t, good, echo))
	visit := func() error {
		raw, err := tryDial(p.address("https"))
		if err != nil {
			return err
		}
		defer raw.Close()
		conn := tls.Client(raw, &tls.Config{ServerName: "front.test", InsecureSkipVerify: true})
		return echoed(conn, []byte("something"))
	}
	if err := visit(); err != nil {
		t.Fatal(err)
	}
	before := settledDescriptors(t, p)
	n := loadSize(200)
	if err := many(n, func(int) error { return visit() }); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the descriptors from before", func() bool { return p.descriptors() == before })
}
