package proxy

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sluice/tlsutil/certgen"
)

// originating is what a test of TLS to endpoints needs: an authority, its file,
// and a certificate for good.test.
type originating struct {
	ca     *certgen.Authority
	caFile string
	good   tls.Certificate
	cert   string // a tls block for a chain that terminates good.test
}

func newOriginating(t *testing.T) *originating {
	t.Helper()
	o := &originating{ca: certgen.NewAuthority("endpoints")}
	dir := t.TempDir()
	certFile, keyFile, err := o.ca.WriteFiles(dir, "good", certgen.Options{Names: []string{"good.test"}})
	if err != nil {
		t.Fatal(err)
	}
	o.caFile = filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(o.caFile, o.ca.CAPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	if o.good, err = tls.LoadX509KeyPair(certFile, keyFile); err != nil {
		t.Fatal(err)
	}
	o.cert = fmt.Sprintf("tls {\n certificate {\n cert_file = %q\n key_file = %q\n }\n }", certFile, keyFile)
	return o
}

// gateway starts a gateway with a plain listener, "plain", and one that
// terminates good.test, "https", which lead to the endpoints; extra is for the
// cluster, inTLS for its tls block, and inChain for both chains.
func (o *originating) gateway(t *testing.T, endpoints []string, extra, inTLS, inChain string) *gatewayUnderTest {
	t.Helper()
	quoted := make([]string, len(endpoints))
	for i, e := range endpoints {
		quoted[i] = fmt.Sprintf("%q", e)
	}
	return startGateway(t, fmt.Sprintf(`
listener "plain" {
  address = "127.0.0.1:0"
  filter_chain "plain" {
    route { cluster = "one" }
    %[4]s
  }
}
listener "https" {
  address = "127.0.0.1:0"
  filter_chain "https" {
    %[5]s
    route { cluster = "one" }
    %[4]s
  }
}
cluster "one" {
  lb_policy = "first"
  endpoints = [%[1]s]
  %[2]s
  tls {
    ca_file = %[6]q
    %[3]s
  }
}
`, strings.Join(quoted, ", "), extra, inTLS, inChain, o.cert, o.caFile))
}

// dialTLS is a client of the listener that terminates.
func (o *originating) dialTLS(t *testing.T, g *gatewayUnderTest, serverName string) *tls.Conn {
	t.Helper()
	return tls.Client(dial(t, g.address("https")), &tls.Config{
		RootCAs: o.ca.Pool(), ServerName: serverName, InsecureSkipVerify: serverName == "",
	})
}

// endpoint is a TLS server that echoes, with its certificate and more.
func (o *originating) endpoint(t *testing.T, config *tls.Config) string {
	return backend(t, func(c net.Conn) {
		defer c.Close()
		conn := tls.Server(c, config)
		io.Copy(conn, conn)
		conn.CloseWrite()
	})
}

func (o *originating) echo(t *testing.T) string {
	return o.endpoint(t, &tls.Config{Certificates: []tls.Certificate{o.good}})
}

// roundTrip sends and receives the same.
func roundTrip(c net.Conn, said string) error {
	if _, err := io.WriteString(c, said); err != nil {
		return err
	}
	b := make([]byte, len(said))
	if _, err := io.ReadFull(c, b); err != nil {
		return err
	}
	if string(b) != said {
		return fmt.Errorf("sent %q, got %q", said, b)
	}
	return nil
}

// recorded is the part of a record that these tests look at.
type recorded struct {
	Endpoint string
	Attempts []struct{ Endpoint, Result, Error string }
	Error    string
	Flags    string

	Version     string  `json:"upstream_tls_version"`
	Cipher      string  `json:"upstream_cipher"`
	Resumed     bool    `json:"upstream_resumed"`
	ALPN        string  `json:"upstream_alpn"`
	HandshakeMS float64 `json:"upstream_handshake_ms"`
	Mode        struct{ Received, Sent string }

	Received    int `json:"bytes_received"`
	Sent        int `json:"bytes_sent"`
	Termination struct{ Reason, Side string }
}

func (r *recorded) results() string {
	var words []string
	for _, a := range r.Attempts {
		words = append(words, a.Result)
	}
	return strings.Join(words, " ")
}

func (s *recordSink) decoded(t *testing.T) (r recorded) {
	t.Helper()
	line := s.next(t)
	if err := json.Unmarshal([]byte(line), &r); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	return r
}

// awaitEvent waits for a test's own event.
func awaitEvent[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(10 * time.Second):
		t.Fatalf("%s: nothing after 10 s", what)
	}
	return v
}

// TestOriginationEncrypts: what a plain client says arrives encrypted, and so
// does what a client says whose TLS was terminated.
func TestOriginationEncrypts(t *testing.T) {
	o := newOriginating(t)
	g := o.gateway(t, []string{o.echo(t)}, "", `server_name = "good.test"`, "")
	clients := map[string]net.Conn{"plain": dial(t, g.address("plain")), "terminated": o.dialTLS(t, g, "good.test")}
	for name, c := range clients {
		for _, said := range []string{"hello", strings.Repeat("x", 60_000)} {
			if err := roundTrip(c, said); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		c.(interface{ CloseWrite() error }).CloseWrite()
		if b, err := io.ReadAll(c); len(b) != 0 || err != nil {
			t.Errorf("%s: %q, %v at the end", name, b, err)
		}
		c.Close()
		r := g.records.decoded(t)
		if r.results() != "connected" || r.Version != "TLS 1.3" || r.Cipher == "" || r.HandshakeMS == 0 || r.Mode.Sent != "copy" {
			t.Errorf("%s: %+v", name, r)
		}
		if r.Received != 60_005 || r.Sent != 60_005 || r.Termination.Reason != "finished" {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// TestOriginationFailsOver: an endpoint that does not do is a failed attempt,
// with its reason, and the next one serves.
func TestOriginationFailsOver(t *testing.T) {
	o := newOriginating(t)
	strangers := certgen.NewAuthority("strangers")
	pair := func(a *certgen.Authority, opts certgen.Options) tls.Certificate {
		cert, err := tls.X509KeyPair(a.Issue(opts))
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}
	now := time.Now()
	serving := func(cert tls.Certificate) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{cert}} }
	hold := make(chan struct{})
	defer close(hold)
	tests := []struct {
		name     string
		endpoint string
		result   string
		error    string // a part of it
	}{
		{"another name", o.endpoint(t, serving(pair(o.ca, certgen.Options{Names: []string{"other.test"}}))), "tls_certificate", "not good.test"},
		{"an unknown CA", o.endpoint(t, serving(pair(strangers, certgen.Options{Names: []string{"good.test"}}))), "tls_certificate", "unknown authority"},
		{"expired", o.endpoint(t, serving(pair(o.ca, certgen.Options{
			Names: []string{"good.test"}, NotBefore: now.Add(-2 * time.Hour), NotAfter: now.Add(-time.Hour)}))), "tls_certificate", "expired"},
		{"TLS 1.1", o.endpoint(t, &tls.Config{Certificates: []tls.Certificate{o.good}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}), "tls_handshake", "protocol version"},
		{"not TLS", backend(t, func(c net.Conn) {
			defer c.Close()
			io.WriteString(c, "220 mail.test ready\r\n")
			io.Copy(io.Discard, c)
		}), "tls_handshake", "first record does not look like a TLS handshake"},
		{"accepts and resets", backend(t, func(c net.Conn) { c.(*net.TCPConn).SetLinger(0); c.Close() }), "reset", ""},
		{"accepts and closes", backend(t, func(c net.Conn) { c.Read(make([]byte, 8<<10)); c.Close() }), "tls_handshake", "EOF"},
		{"accepts and stays silent", backend(t, func(c net.Conn) { <-hold; c.Close() }), "timeout", "connect_timeout"},
		{"refuses", refusing(t), "refused", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := o.gateway(t, []string{tt.endpoint, o.echo(t)}, `connect_timeout = "500ms"`, `server_name = "good.test"`, "")
			for name, c := range map[string]net.Conn{"plain": dial(t, g.address("plain")), "terminated": o.dialTLS(t, g, "good.test")} {
				if err := roundTrip(c, "hello"); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				c.Close()
				r := g.records.decoded(t)
				if len(r.Attempts) != 2 || r.results() != tt.result+" connected" || r.Attempts[0].Endpoint != tt.endpoint ||
					!strings.Contains(r.Attempts[0].Error, tt.error) {
					t.Errorf("%s: attempts %+v, want %q because of %q", name, r.Attempts, tt.result, tt.error)
				}
			}
		})
	}
}

func refusing(t *testing.T) string {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", sa.(*syscall.SockaddrInet4).Port)
}

// TestOriginationIsNeverSkipped: when no endpoint is who it should be the
// client is turned away as on_upstream_failure says, and no byte of it has
// gone anywhere.
func TestOriginationIsNeverSkipped(t *testing.T) {
	o := newOriginating(t)
	wrong, err := tls.X509KeyPair(o.ca.Issue(certgen.Options{Names: []string{"other.test"}}))
	if err != nil {
		t.Fatal(err)
	}
	var heard atomic.Int64
	told := make(chan error, 10)
	endpoint := func() string {
		return backend(t, func(c net.Conn) {
			defer c.Close()
			conn := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{wrong}})
			n, err := conn.Read(make([]byte, 100))
			heard.Add(int64(n))
			told <- err
		})
	}
	g := o.gateway(t, []string{endpoint(), endpoint()}, "max_connect_attempts = 2", `server_name = "good.test"`, `on_upstream_failure = "close"`)
	for name, c := range map[string]net.Conn{"plain": dial(t, g.address("plain")), "terminated": o.dialTLS(t, g, "good.test")} {
		io.WriteString(c, "a secret")
		if b, err := io.ReadAll(c); len(b) != 0 || err != nil {
			t.Errorf("%s: the client got %q and %v, want a FIN", name, b, err)
		}
		c.Close()
		r := g.records.decoded(t)
		if r.results() != "tls_certificate tls_certificate" || r.Termination.Reason != "connect_failed" || r.Termination.Side != "upstream" ||
			r.Flags != "UF,URX" || !strings.Contains(r.Error, "not good.test") {
			t.Errorf("%s: %+v", name, r)
		}
		for range 2 {
			if err := awaitEvent(t, "the endpoint's end", told); err == nil || !strings.Contains(err.Error(), "bad certificate") {
				t.Errorf("%s: the endpoint was told %v", name, err)
			}
		}
	}
	if n := heard.Load(); n != 0 {
		t.Errorf("the endpoints have heard %d bytes", n)
	}
}

// TestOriginationNames: which name an endpoint is asked for.
func TestOriginationNames(t *testing.T) {
	o := newOriginating(t)
	asked := make(chan string, 10)
	endpoint := o.endpoint(t, &tls.Config{
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			asked <- hello.ServerName
			return &o.good, nil
		},
	})
	chain := o.cert
	f := func(name, inTLS, clientName, want, result string) {
		t.Helper()
		g := startGateway(t, fmt.Sprintf(`
listener "https" {
  address = "127.0.0.1:0"
  filter_chain "https" {
    %s
    route { cluster = "one" }
  }
}
cluster "one" {
  endpoints = [%q]
  max_connect_attempts = 2
  tls {
    %s
  }
}
`, chain, endpoint, inTLS))
		c := o.dialTLS(t, g, clientName)
		err := roundTrip(c, "hello")
		c.Close()
		r := g.records.decoded(t)
		if r.results() != result || (err == nil) != (result == "connected") {
			t.Errorf("%s: %v, %+v", name, err, r)
		}
		if result == "tls_server_name" && r.Termination.Side == "gateway" {
			if len(asked) > 0 {
				t.Errorf("%s: the endpoint was asked all the same", name)
			}
		} else if got := awaitEvent(t, name, asked); got != want {
			t.Errorf("%s: the endpoint was asked for %q", name, got)
		}
		for len(asked) > 0 {
			<-asked
		}
		if result == "tls_server_name" && (!strings.Contains(r.Error, "server_name") || r.Attempts[0].Error == "") {
			t.Errorf("%s: %+v", name, r)
		}
	}
	ca := fmt.Sprintf("ca_file = %q\n", o.caFile)
	f("the client's", ca, "good.test", "good.test", "connected")
	f("the cluster's", ca+`server_name = "good.test"`, "", "good.test", "connected")
	f("nobody's", ca, "", "", "tls_server_name")
	f("nobody's, and nothing is verified", "insecure_skip_verify = true", "", "", "connected")
	f("an address, which is not sent", ca+`server_name = "127.0.0.1"`, "good.test", "", "tls_certificate tls_certificate")
}

// TestOriginationResumes sessions with the endpoint that issued them.
func TestOriginationResumes(t *testing.T) {
	o := newOriginating(t)
	g := o.gateway(t, []string{o.echo(t)}, "", `server_name = "good.test"`, "")
	for i := range 3 {
		c := dial(t, g.address("plain"))
		if err := roundTrip(c, "hello"); err != nil { // the ticket is read with the answer
			t.Fatal(err)
		}
		c.Close()
		if r := g.records.decoded(t); r.Resumed != (i > 0) {
			t.Errorf("connection %d: resumed %t", i, r.Resumed)
		}
	}
}

func TestOriginationALPN(t *testing.T) {
	o := newOriginating(t)
	endpoint := o.endpoint(t, &tls.Config{Certificates: []tls.Certificate{o.good}, NextProtos: []string{"h2", "http/1.1"}})
	g := o.gateway(t, []string{endpoint}, "", "server_name = \"good.test\"\n alpn_protocols = [\"http/1.1\"]", "")
	c := dial(t, g.address("plain"))
	if err := roundTrip(c, "hello"); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if r := g.records.decoded(t); r.ALPN != "http/1.1" {
		t.Errorf("%+v", r)
	}
}

// TestOriginationLetsTheServerSpeakFirst: to a client that says nothing.
func TestOriginationLetsTheServerSpeakFirst(t *testing.T) {
	o := newOriginating(t)
	endpoint := backend(t, func(c net.Conn) {
		conn := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{o.good}})
		io.WriteString(conn, "* OK IMAP4 ready\r\n")
		conn.CloseWrite()
		io.Copy(io.Discard, conn)
		c.Close()
	})
	g := o.gateway(t, []string{endpoint}, "", `server_name = "good.test"`, "")
	c := dial(t, g.address("plain"))
	if b, err := io.ReadAll(c); string(b) != "* OK IMAP4 ready\r\n" || err != nil {
		t.Errorf("the client got %q, %v", b, err)
	}
	c.Close()
	g.records.next(t)
}

// silentEndpoint accepts, reads the hello, and says nothing. It tells when it
// has read, and when its connection has ended.
func silentEndpoint(t *testing.T) (address string, greeted <-chan struct{}, ended <-chan error) {
	in, out := make(chan struct{}, 1), make(chan error, 1)
	return backend(t, func(c net.Conn) {
		defer c.Close()
		c.Read(make([]byte, 8<<10))
		in <- struct{}{}
		_, err := c.Read(make([]byte, 1))
		out <- err
	}), in, out
}

// TestOriginationWithAClientThatLeaves: a reset ends the handshake with the
// endpoint, at once and without trying another.
func TestOriginationWithAClientThatLeaves(t *testing.T) {
	o := newOriginating(t)
	silent, greeted, ended := silentEndpoint(t)
	g := o.gateway(t, []string{silent, o.echo(t)}, `connect_timeout = "0s"`, `server_name = "good.test"`, "")
	for _, listener := range []string{"plain", "https"} {
		raw := dial(t, g.address(listener))
		if listener == "https" {
			if err := tls.Client(raw, &tls.Config{RootCAs: o.ca.Pool(), ServerName: "good.test"}).Handshake(); err != nil {
				t.Fatal(err)
			}
		}
		awaitEvent(t, "the handshake", greeted)
		raw.(*net.TCPConn).SetLinger(0)
		raw.Close()
		awaitEvent(t, "the end of the handshake", ended)
		if r := g.records.decoded(t); len(r.Attempts) != 0 || r.Termination.Reason != "reset" || r.Termination.Side != "downstream" {
			t.Errorf("%s: %+v", listener, r)
		}
	}
}

// TestOriginationServesAClientThatHasFinished: its FIN is one half of the
// connection, as everywhere.
func TestOriginationServesAClientThatHasFinished(t *testing.T) {
	o := newOriginating(t)
	silent, greeted, _ := silentEndpoint(t)
	g := o.gateway(t, []string{silent, o.echo(t)}, `connect_timeout = "300ms"`, `server_name = "good.test"`, "")
	c := dial(t, g.address("plain"))
	io.WriteString(c, "a question")
	c.(*net.TCPConn).CloseWrite()
	awaitEvent(t, "the handshake", greeted)
	if b, err := io.ReadAll(c); string(b) != "a question" || err != nil {
		t.Errorf("the client got %q, %v", b, err)
	}
	if r := g.records.decoded(t); r.results() != "timeout connected" || r.Termination.Reason != "finished" {
		t.Errorf("%+v", r)
	}
}

// TestOriginationEndsWithTheGateway, which does not wait for endpoints.
func TestOriginationEndsWithTheGateway(t *testing.T) {
	o := newOriginating(t)
	silent, greeted, ended := silentEndpoint(t)
	g := o.gateway(t, []string{silent}, `connect_timeout = "0s"`, `server_name = "good.test"`, "")
	c := dial(t, g.address("plain"))
	awaitEvent(t, "the handshake", greeted)
	g.Close()
	awaitEvent(t, "the endpoint's end", ended)
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client got %v", err)
	}
	if r := g.records.decoded(t); r.Termination.Reason != "shutdown" {
		t.Errorf("%+v", r)
	}
}

// TestOriginationDrains: a connection with TLS on both sides that the gateway
// ends is told so on both.
func TestOriginationDrains(t *testing.T) {
	o := newOriginating(t)
	ended := make(chan error, 1)
	endpoint := backend(t, func(c net.Conn) {
		defer c.Close()
		conn := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{o.good}})
		_, err := io.Copy(conn, conn)
		ended <- err
	})
	g := o.gateway(t, []string{endpoint}, "", `server_name = "good.test"`, "")
	c := o.dialTLS(t, g, "good.test")
	if err := roundTrip(c, "hello"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := g.Drain(ctx, 10*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(c); len(b) != 0 || err != nil {
		t.Errorf("the client got %q, %v, want close_notify", b, err)
	}
	if err := awaitEvent(t, "the endpoint's end", ended); err != nil {
		t.Errorf("the endpoint got %v, want close_notify", err)
	}
	if r := g.records.decoded(t); r.Termination.Reason != "drain" {
		t.Errorf("%+v", r)
	}
}

// TestOriginationTLSError: an endpoint that breaks TLS while bytes flow is told
// with an alert, and the client gets a reset.
func TestOriginationTLSError(t *testing.T) {
	o := newOriginating(t)
	alerted := make(chan error, 1)
	endpoint := backend(t, func(c net.Conn) {
		defer c.Close()
		conn := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{o.good}})
		b := make([]byte, 5)
		io.ReadFull(conn, b)
		conn.Write(b)
		c.Write([]byte{23, 3, 3, 0, 20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20})
		_, err := conn.Read(b)
		alerted <- err
	})
	g := o.gateway(t, []string{endpoint}, "", `server_name = "good.test"`, "")
	c := dial(t, g.address("plain"))
	if err := roundTrip(c, "hello"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client got %v, want a reset", err)
	}
	if err := awaitEvent(t, "the alert", alerted); err == nil || !strings.Contains(err.Error(), "bad record MAC") {
		t.Errorf("the endpoint was told %v", err)
	}
	if r := g.records.decoded(t); r.Termination.Reason != "tls_error" || r.Termination.Side != "upstream" {
		t.Errorf("%+v", r)
	}
}
