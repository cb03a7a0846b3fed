package proxy

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sluice/proxy/upstream"
	"sluice/tlsutil/certgen"
)

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

// TestOriginationEncryptsWhatWasReadAhead: where the first bytes decide on the
// chain they are read before there is an endpoint, and wait for the handshake.
func TestOriginationEncryptsWhatWasReadAhead(t *testing.T) {
	o := newOriginating(t)
	g := startGateway(t, fmt.Sprintf(`
listener "plain" {
  address = "127.0.0.1:0"
  filter_chain "raw" {
    match { transport_protocol = "raw_buffer" }
    route { cluster = "one" }
  }
}
cluster "one" {
  lb_policy = "first"
  endpoints = [%q, %q]
  tls {
    server_name = "good.test"
    ca_file     = %q
  }
}
`, refusing(t), o.echo(t), o.caFile))
	for _, size := range []int{1, 3000, 200_000} {
		c := dial(t, g.address("plain"))
		said := strings.Repeat("x", size-1) + "y"
		if err := roundTrip(c, said); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
		c.Close()
		if r := g.records.decoded(t); r.results() != "refused connected" || r.Received != size || r.Sent != size {
			t.Errorf("%d bytes: %+v", size, r)
		}
	}
}

// TestOriginationBehindAProxyHeader: the header is in the clear, as whoever
// reads it does so before TLS; what follows is not.
func TestOriginationBehindAProxyHeader(t *testing.T) {
	o := newOriginating(t)
	headers := make(chan string, 2) // of both clients, in any order
	endpoint := backend(t, func(c net.Conn) {
		defer c.Close()
		var header []byte
		for b := make([]byte, 1); !strings.HasSuffix(string(header), "\r\n"); header = append(header, b[0]) {
			if _, err := c.Read(b); err != nil {
				break
			}
		}
		headers <- string(header)
		conn := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{o.good}})
		io.Copy(conn, conn)
		conn.CloseWrite()
	})
	g := o.gateway(t, []string{endpoint}, "proxy_protocol { version = 1 }", `server_name = "good.test"`, "")
	for name, c := range map[string]net.Conn{"plain": dial(t, g.address("plain")), "terminated": o.dialTLS(t, g, "good.test")} {
		if err := roundTrip(c, "hello"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got, want := awaitEvent(t, "the header", headers), "PROXY TCP4 127.0.0.1 127.0.0.1 "; !strings.HasPrefix(got, want) {
			t.Errorf("%s: the header is %q", name, got)
		}
		c.Close()
		if r := g.records.decoded(t); r.results() != "connected" || r.Received != 5 || r.Sent != 5 {
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

// TestOriginationIsNotSkippedForAnAnswerInTheClear: what an endpoint says
// before a reset is its answer only where it may speak without TLS: whoever can
// forge a segment could speak to the client otherwise. The gateway learns of both
// at once.
func TestOriginationIsNotSkippedForAnAnswerInTheClear(t *testing.T) {
	o := newOriginating(t)
	said := make(chan struct{}, 1)
	endpoint := backend(t, func(c net.Conn) {
		io.WriteString(c, "in the clear")
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
		said <- struct{}{}
	})
	for _, header := range []string{"", "proxy_protocol {}\n"} {
		g := o.gateway(t, []string{endpoint}, header+"max_connect_attempts = 1", `server_name = "good.test"`, `on_upstream_failure = "close"`)
		var c net.Conn
		g.lookAfter(t, func() { c = dial(t, g.address("plain")) }, said)
		if b, err := io.ReadAll(c); len(b) > 0 || err != nil {
			t.Errorf("%q: the client got %q and %v, want a FIN", header, b, err)
		}
		c.Close()
		if r := g.records.decoded(t); r.results() != "reset" || r.Termination.Reason != "connect_failed" {
			t.Errorf("%q: %+v", header, r)
		}
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
	attempts := 2
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
  max_connect_attempts = %d
  tls {
    %s
  }
}
`, chain, endpoint, attempts, inTLS))
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
		if result == "tls_server_name" && (!strings.Contains(r.Error, "server_name") || r.Attempts[0].Error == "" || r.Termination.Reason != "connect_failed") {
			t.Errorf("%s: %+v", name, r)
		}
	}
	ca := fmt.Sprintf("ca_file = %q\n", o.caFile)
	f("the client's", ca, "good.test", "good.test", "connected")
	f("the cluster's", ca+`server_name = "good.test"`, "", "good.test", "connected")
	f("nobody's", ca, "", "", "tls_server_name")
	attempts = 1
	f("nobody's, and no more attempts", ca, "", "", "tls_server_name")
	attempts = 2
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

// TestOriginationALPNOfTheClient: what the client and the chain agreed on is what
// the client is going to speak, so an endpoint that would choose another protocol
// is not let.
func TestOriginationALPNOfTheClient(t *testing.T) {
	o := newOriginating(t)
	o.cert = strings.TrimSuffix(o.cert, "}") + "alpn_protocols = [\"h2\", \"http/1.1\", \"ours/1\"]\n }"
	serving := func(protocols ...string) string {
		return o.endpoint(t, &tls.Config{Certificates: []tls.Certificate{o.good}, NextProtos: protocols})
	}
	both, old := serving("h2", "http/1.1"), serving("http/1.1")
	for _, c := range []struct {
		name           string
		endpoints      []string
		client         []string
		results, agree string
	}{
		{"h2", []string{both}, []string{"h2", "http/1.1"}, "connected", "h2"},
		{"http/1.1", []string{both}, []string{"http/1.1"}, "connected", "http/1.1"},
		{"h2, and an endpoint without", []string{old, both}, []string{"h2"}, "tls_handshake connected", "h2"},
		{"none, so the endpoint chooses", []string{both}, nil, "connected", "h2"},
		{"one that endpoints are not offered", []string{both}, []string{"ours/1"}, "connected", "h2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := o.gateway(t, c.endpoints, "", "server_name = \"good.test\"\n alpn_protocols = [\"h2\", \"http/1.1\"]", "")
			conn := tls.Client(dial(t, g.address("https")), &tls.Config{RootCAs: o.ca.Pool(), ServerName: "good.test", NextProtos: c.client})
			if err := roundTrip(conn, "hello"); err != nil {
				t.Fatal(err)
			}
			conn.Close()
			if r := g.records.decoded(t); r.results() != c.results || r.ALPN != c.agree {
				t.Errorf("%+v", r)
			}
		})
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

// TestEndpointName: the cluster's word first, then the name that a client asked
// the gateway for, then the endpoint's own.
func TestEndpointName(t *testing.T) {
	terminates, passes := &chain{tls: &tls.Config{}}, &chain{}
	tests := []struct {
		name     string
		chain    *chain
		fixed    string
		insecure bool
		sni      string
		host     string
		want     string
		ok       bool
	}{
		{name: "fixed", chain: terminates, fixed: "fixed.test", sni: "sni.test", host: "host.test", want: "fixed.test", ok: true},
		{name: "the client's", chain: terminates, sni: "sni.test", host: "host.test", want: "sni.test", ok: true},
		{name: "the endpoint's", chain: terminates, host: "host.test", want: "host.test", ok: true},
		{name: "a name in a hello that is passed on", chain: passes, sni: "sni.test", host: "host.test", want: "host.test", ok: true},
		{name: "a name in a hello that is passed on, and an address", chain: passes, sni: "sni.test"},
		{name: "none", chain: terminates},
		{name: "none that is needed", chain: terminates, insecure: true, ok: true},
		{name: "not verified, and sent all the same", chain: terminates, insecure: true, sni: "sni.test", want: "sni.test", ok: true},
	}
	for _, tt := range tests {
		cl := upstream.NewCluster("one", []upstream.Spec{{
			Address: upstream.Address{Path: "/run/x"}, Weight: 1, Host: tt.host,
		}})
		c := &conn{chain: tt.chain, cluster: &cluster{Cluster: cl, tls: &upstreamTLS{serverName: tt.fixed, verifies: !tt.insecure}}}
		if tt.sni != "" {
			c.record.sni = &tt.sni
		}
		for ep := range cl.Endpoints() {
			if got, ok := c.endpointName(ep); got != tt.want || ok != tt.ok {
				t.Errorf("%s: %q, %t", tt.name, got, ok)
			}
		}
	}
}
