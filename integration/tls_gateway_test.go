package integration

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"sluice/tlsutil/certgen"
)

// tlsGateway is a gateway with every kind of TLS chain on one port:
//
//	pass.test      passed through to a TLS backend with a certificate of its own
//	term.test      terminated with ours, plain to the backend
//	required.test  the same, and a client certificate of clients must be shown
//	optional.test  the same, and one may be shown
//	sans.test      required, and its names must be among some
//	other.test     required, from another authority
//	pinned.test    terminated, TLS 1.2 only
//	modern.test    terminated, TLS 1.3 only
type tlsGateway struct {
	*process
	ours, backends, clients, others *authority
}

// startTLSGateway starts one. The backends, passed through to and behind the
// terminated chains, are servers of the same kind: web servers when web is
// set, else [answerLine].
func startTLSGateway(t *testing.T, web bool) *tlsGateway {
	t.Helper()
	g := &tlsGateway{
		ours:     newAuthority(t, "ours"),
		backends: newAuthority(t, "backends"),
		clients:  newAuthority(t, "clients"),
		others:   newAuthority(t, "others"),
	}
	backendTLS := &tls.Config{Certificates: []tls.Certificate{
		g.backends.pair(certgen.Options{Names: []string{"pass.test"}})}}
	var plainAddress, tlsAddress string
	if web {
		plainAddress, tlsAddress = webBackend(t, "behind", nil), webBackend(t, "passed", backendTLS)
	} else {
		plainAddress, tlsAddress = backend(t, answerLine("behind")), tlsBackend(t, backendTLS, answerLine("passed"))
	}
	certFile, keyFile := g.ours.files("ours", certgen.Options{Names: []string{
		"term.test", "required.test", "optional.test", "sans.test", "other.test", "pinned.test", "modern.test"}})
	chain := func(name, extra string) string {
		return fmt.Sprintf(`
  filter_chain %q {
    match { server_names = [%q] }
    tls {
      certificate {
        cert_file = %q
        key_file  = %q
      }
      alpn_protocols = ["http/1.1", "ours/1"]
      %s
    }
    route { cluster = "plain" }
  }`, name, name+".test", certFile, keyFile, extra)
	}
	auth := func(mode string, a *authority, extra string) string {
		return fmt.Sprintf("client_auth {\n mode = %q\n ca_file = %q\n %s\n }", mode, a.caFile(), extra)
	}
	g.process = startSluice(t, `
listener "tls" {
  address = "127.0.0.1:0"
  filter_chain "pass" {
    match { server_names = ["pass.test"] }
    route { cluster = "tls" }
  }`+
		chain("term", "")+
		chain("required", auth("require", g.clients, ""))+
		chain("optional", auth("optional", g.clients, ""))+
		chain("sans", auth("require", g.clients, `allowed_sans = ["*.good.test", "spiffe://test/good"]`))+
		chain("other", auth("require", g.others, ""))+
		chain("pinned", `max_version = "1.2"`)+
		chain("modern", `min_version = "1.3"`)+fmt.Sprintf(`
}
cluster "tls" { endpoints = [%q] }
cluster "plain" { endpoints = [%q] }
`, tlsAddress, plainAddress))
	return g
}

// answerLine reads a line, answers with its own name and the line, and
// finishes.
func answerLine(name string) func(net.Conn) {
	return func(c net.Conn) {
		line := make([]byte, 0, 100)
		for b := make([]byte, 1); len(line) == 0 || line[len(line)-1] != '\n'; line = append(line, b[0]) {
			if _, err := c.Read(b); err != nil {
				return
			}
		}
		fmt.Fprintf(c, "%s got %s", name, line)
		if h, ok := c.(halfCloser); ok {
			h.CloseWrite()
		}
		io.Copy(io.Discard, c)
	}
}

// webBackend is a web server. POST / gives the body back, GET / the server's
// name, and the header Reached says the name in both.
func webBackend(t *testing.T, name string, cfg *tls.Config) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		TLSConfig:   cfg,
		ReadTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Reached", name)
			if r.Method == http.MethodPost {
				body, err := io.ReadAll(r.Body)
				if err == nil {
					w.Write(body)
				}
				return
			}
			io.WriteString(w, name)
		}),
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		if cfg != nil {
			server.ServeTLS(ln, "", "")
		} else {
			server.Serve(ln)
		}
	}()
	t.Cleanup(func() {
		server.Close()
		<-served
	})
	return ln.Addr().String()
}

// pool trusts what the gateway and its backends show.
func (g *tlsGateway) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(g.ours.CAPEM())
	pool.AppendCertsFromPEM(g.backends.CAPEM())
	return pool
}

// bothCAs writes the same to a file, for programs.
func (g *tlsGateway) bothCAs() string {
	return g.ours.write("both.pem", append(g.ours.CAPEM(), g.backends.CAPEM()...))
}

// talk shakes hands as a Go client with the configuration, sends a line, and
// gives the answer. It gives the client's address too, for the record.
func (g *tlsGateway) talk(t *testing.T, cfg *tls.Config) (answer string, cs tls.ConnectionState, client net.Addr, err error) {
	t.Helper()
	if cfg.RootCAs == nil {
		cfg.RootCAs = g.pool()
	}
	raw := dial(t, g.on(t).address("tls"))
	defer raw.Close()
	conn := tls.Client(raw, cfg)
	client = raw.LocalAddr()
	if err = conn.Handshake(); err != nil {
		return "", cs, client, err
	}
	// With TLS 1.3 a client learns only from its first read that its
	// certificate was refused.
	if _, err = io.WriteString(conn, "hello\n"); err == nil {
		var b []byte
		b, err = io.ReadAll(conn)
		answer = string(b)
	}
	conn.Close()
	return answer, conn.ConnectionState(), client, err
}
