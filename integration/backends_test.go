package integration

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/tlsutil/certgen"
)

// backend serves each connection to a free loopback port with f, which owns the
// connection; it is closed when f returns. It gives the address.
func backend(t *testing.T, f func(net.Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, ln, f)
	return ln.Addr().String()
}

// serve accepts until the test ends, and then closes what is still open.
func serve(t *testing.T, ln net.Listener, f func(net.Conn)) {
	var (
		mu      sync.Mutex // guards open and ended
		open    = make(map[net.Conn]bool)
		ended   bool
		serving sync.WaitGroup
	)
	serveOne := func(c net.Conn) {
		defer func() {
			c.Close()
			mu.Lock()
			delete(open, c)
			mu.Unlock()
		}()
		f(c)
	}
	serving.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			if ended {
				c.Close()
			} else {
				open[c] = true
				serving.Go(func() { serveOne(c) })
			}
			mu.Unlock()
		}
	})
	t.Cleanup(func() {
		ln.Close()
		mu.Lock()
		ended = true
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		serving.Wait()
	})
}

// echo sends everything back, and finishes when its client has.
func echo(c net.Conn) { io.Copy(c, c) }

// echoBackend is a backend that echoes.
func echoBackend(t *testing.T) string {
	t.Helper()
	return backend(t, echo)
}

// banner speaks first: it sends a line before it has been sent anything, and
// then echoes.
func banner(line string) func(net.Conn) {
	return func(c net.Conn) {
		io.WriteString(c, line)
		echo(c)
	}
}

// sayName sends a name and finishes, so that a client can tell whom it reached.
func sayName(name string) func(net.Conn) {
	return func(c net.Conn) {
		io.WriteString(c, name)
		finish(c)
		io.Copy(io.Discard, c)
	}
}

// discard reads to the end and then finishes.
func discard(c net.Conn) { io.Copy(io.Discard, c) }

// resetAtOnce resets a connection as soon as it is accepted.
func resetAtOnce(c net.Conn) { reset(c) }

// tlsBackend is a backend that speaks TLS; f gets the plain side.
func tlsBackend(t *testing.T, cfg *tls.Config, f func(net.Conn)) string {
	t.Helper()
	return backend(t, func(c net.Conn) {
		conn := tls.Server(c, cfg)
		if conn.Handshake() != nil {
			return
		}
		f(conn)
		conn.CloseWrite()
	})
}

// refusingAddress gives an address that refuses connections. It stays bound
// for as long as the test runs, so that nobody else can come to listen there.
func refusingAddress(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: sa.(*unix.SockaddrInet4).Port}).String()
}

// authority is a certificate authority with a directory for its certificates.
type authority struct {
	*certgen.Authority
	t   *testing.T
	dir string
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{certgen.NewAuthority(name), t, t.TempDir()}
	a.write("ca.pem", a.CAPEM())
	return a
}

// caFile is the authority's own certificate.
func (a *authority) caFile() string { return filepath.Join(a.dir, "ca.pem") }

func (a *authority) write(base string, content []byte) string {
	a.t.Helper()
	file := filepath.Join(a.dir, base)
	if err := os.WriteFile(file, content, 0o600); err != nil {
		a.t.Fatal(err)
	}
	return file
}

// files issues a certificate and gives its files.
func (a *authority) files(base string, o certgen.Options) (certFile, keyFile string) {
	a.t.Helper()
	certFile, keyFile, err := a.WriteFiles(a.dir, base, o)
	if err != nil {
		a.t.Fatal(err)
	}
	return certFile, keyFile
}

// pair issues a certificate for crypto/tls.
func (a *authority) pair(o certgen.Options) tls.Certificate {
	a.t.Helper()
	cert, err := tls.X509KeyPair(a.Issue(o))
	if err != nil {
		a.t.Fatal(err)
	}
	return cert
}

// isReset tells whether an error is that of a connection that was reset.
func isReset(err error) bool {
	return errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE)
}
