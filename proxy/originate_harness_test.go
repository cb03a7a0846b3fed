package proxy

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
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
