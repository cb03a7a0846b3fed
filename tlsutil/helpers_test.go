package tlsutil

import (
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/tlsutil/certgen"
)

// handshakeDeadline ends a handshake that would hang; none comes near it.
const handshakeDeadline = 30 * time.Second

var bothVersions = []uint16{tls.VersionTLS12, tls.VersionTLS13}

// servers signs all server certificates of the tests.
var servers = sync.OnceValue(func() *certgen.Authority { return certgen.NewAuthority("Servers") })

// rsaPair is shared because RSA keys are slow to make.
var rsaPair = sync.OnceValues(func() (certPEM, keyPEM []byte) {
	return servers().Issue(certgen.Options{Names: []string{"api.example.com"}, Key: certgen.RSA})
})

// apiCertificate serves where a test does not care which certificate it is.
var apiCertificate = sync.OnceValue(func() *Certificate {
	return mustCertificate(servers().Issue(certgen.Options{Names: []string{"api.example.com"}}))
})

func mustCertificate(certPEM, keyPEM []byte) *Certificate {
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		panic(err)
	}
	return &Certificate{Certificate: pair}
}

func issue(a *certgen.Authority, o certgen.Options) *Certificate {
	return mustCertificate(a.Issue(o))
}

func leafPEM(c *Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Leaf.Raw})
}

func mustConfig(t *testing.T, o ServerOptions) *tls.Config {
	t.Helper()
	if o.Certificates == nil {
		o.Certificates = []*Certificate{apiCertificate()}
	}
	cfg, err := NewServerConfig(o)
	if err != nil {
		t.Fatalf("NewServerConfig: %v", err)
	}
	return cfg
}

// crls gives the lists that an authority signs of certificates in PEM.
func crls(t *testing.T, a *certgen.Authority, revoked ...[]byte) []*RevocationList {
	t.Helper()
	dir := files(t, map[string][]byte{"crl": a.CRL(revoked...), "ca.pem": a.CAPEM()})
	lists, err := LoadCRL(filepath.Join(dir, "crl"), filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return lists
}

// client is the client side of a handshake. Its session cache holds one
// ticket, whatever the server is called.
type client struct {
	cert    *Certificate
	version uint16
	cfg     tls.Config // what differs from the usual
	cache   tls.ClientSessionCache
}

func (c *client) config() *tls.Config {
	cfg := c.cfg.Clone()
	cfg.InsecureSkipVerify = true
	if c.version != 0 {
		cfg.MinVersion, cfg.MaxVersion = c.version, c.version
	}
	cfg.ClientSessionCache = c.cache
	if c.cert != nil {
		// Certificates would be held back when the server does not name the
		// CA, and then nothing would be refused.
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &c.cert.Certificate, nil
		}
	}
	return cfg
}

// oneSession is a session cache for one server under any name.
type oneSession struct {
	mu sync.Mutex
	s  *tls.ClientSessionState // guarded by mu
}

func (o *oneSession) Get(string) (*tls.ClientSessionState, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.s, o.s != nil
}

func (o *oneSession) Put(_ string, s *tls.ClientSessionState) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if s != nil {
		o.s = s
	}
}

// outcome is what both sides saw of a handshake and one byte each way.
type outcome struct {
	server, client       tls.ConnectionState
	serverErr, clientErr error
}

// routedConn is a connection as the gateway hands it to crypto/tls.
type routedConn struct {
	net.Conn
	name string
	ok   bool
}

func (c routedConn) RoutedServerName() (string, bool) { return c.name, c.ok }

var _ RoutedConn = routedConn{}

// shake performs a handshake over loopback. A byte goes each way, because a
// TLS 1.3 client learns of its refusal, and gets its ticket, only after it.
func shake(server *tls.Config, c *client) outcome {
	return shakeOver(server, c, func(conn net.Conn) net.Conn { return conn })
}

func shakeOver(server *tls.Config, c *client, wrap func(net.Conn) net.Conn) outcome {
	return shakeBoth(server, c.config(), wrap)
}

// shakeBoth is shake with any client's config; wrap is for the server's side
// and may be nil.
func shakeBoth(server, client *tls.Config, wrap func(net.Conn) net.Conn) outcome {
	if wrap == nil {
		wrap = func(conn net.Conn) net.Conn { return conn }
	}
	a, b := connPair()
	defer a.Close()
	defer b.Close()
	var out outcome
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn := tls.Server(wrap(a), server)
		out.serverErr = speak(conn)
		out.server = conn.ConnectionState()
		// Only half, since a close with unread data would overtake the alert.
		_ = a.CloseWrite()
	}()
	conn := tls.Client(b, client)
	out.clientErr = speak(conn)
	out.client = conn.ConnectionState()
	_ = b.CloseWrite()
	<-done
	return out
}

// connPair is net.Pipe with the buffers that TLS 1.3 needs, where both sides
// may write at once.
func connPair() (a, b *net.TCPConn) {
	ln, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		panic(err)
	}
	defer ln.Close()
	if b, err = net.DialTCP("tcp", nil, ln.Addr().(*net.TCPAddr)); err != nil {
		panic(err)
	}
	if a, err = ln.AcceptTCP(); err != nil {
		panic(err)
	}
	for _, conn := range []*net.TCPConn{a, b} {
		if err := conn.SetDeadline(time.Now().Add(handshakeDeadline)); err != nil {
			panic(err)
		}
	}
	return a, b
}

func speak(conn *tls.Conn) error {
	if err := conn.Handshake(); err != nil {
		return err
	}
	if _, err := conn.Write([]byte{1}); err != nil {
		return err
	}
	_, err := io.ReadFull(conn, make([]byte, 1))
	return err
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// wantOutcome compares what the two sides saw; client is the alert's text in
// crypto/tls, server a part of the error's. Both are "" for success.
func wantOutcome(t *testing.T, out outcome, client, server string) {
	t.Helper()
	if client != "" {
		client = "remote error: tls: " + client
	}
	if got := errText(out.clientErr); got != client {
		t.Errorf("client saw %q, want %q", got, client)
	}
	if got := errText(out.serverErr); server == "" && got != "" || !strings.Contains(got, server) {
		t.Errorf("server saw %q, want %q", got, server)
	}
}

// files writes a test's files and gives their directory.
func files(t *testing.T, contents map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range contents {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// wantLoadError compares a LoadError's text, in which $DIR stands for dir,
// and the file it blames.
func wantLoadError(t *testing.T, err error, dir, file, want string) {
	t.Helper()
	le, ok := errors.AsType[*LoadError](err)
	if !ok {
		t.Fatalf("got %v (%T), want a *LoadError", err, err)
	}
	if le.File != filepath.Join(dir, file) {
		t.Errorf("File = %q, want %q", le.File, file)
	}
	want = fmt.Sprintf("loading %q: %s", filepath.Join(dir, file), strings.ReplaceAll(want, "$DIR", dir))
	if err.Error() != want {
		t.Errorf("error\n got %s\nwant %s", err, want)
	}
}
