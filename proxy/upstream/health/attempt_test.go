package health

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sluice/proxy/upstream"
	"sluice/tlsutil/certgen"
)

// refuse is a Dial that finds nobody.
func refuse(context.Context, upstream.Address) (net.Conn, error) {
	return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
}

// serve runs an endpoint until the test ends; f gets each connection, which is
// closed when f returns.
func serve(t *testing.T, f func(net.Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, ln, f)
	return ln.Addr().String()
}

func serveOn(t *testing.T, ln net.Listener, f func(net.Conn)) {
	var serving sync.WaitGroup
	ended, end := context.WithCancel(context.Background())
	serving.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer context.AfterFunc(ended, func() { c.Close() })()
				defer c.Close()
				f(c)
			})
		}
	})
	t.Cleanup(func() { ln.Close(); end(); serving.Wait() })
}

// hang reads and says nothing.
func hang(c net.Conn) { io.Copy(io.Discard, c) }

// reset resets the connection.
func reset(c net.Conn) { c.(*net.TCPConn).SetLinger(0) }

// say sends a text and then waits for the other side to finish.
func say(text string) func(net.Conn) {
	return func(c net.Conn) {
		io.WriteString(c, text)
		hang(c)
	}
}

// refusing gives an address where nobody listens.
func refusing(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	return ln.Addr().String()
}

// long is a timeout that no test reaches, and short one that a test means to.
const (
	long  = 20 * time.Second
	short = 200 * time.Millisecond
)

// expect makes one check of the endpoint at the address. want is the reason of
// a failure; "" of a check that passes.
func expect(t *testing.T, name string, c Check, address, want string) {
	t.Helper()
	if c.Timeout == 0 {
		c.Timeout = long
	}
	got := ""
	if err := c.attempt(t.Context(), newEndpoints(address)[0]); err != nil {
		got = err.Error()
	}
	if got != want {
		t.Errorf("%s:\n got %q\nwant %q", name, got, want)
	}
}

func TestTCP(t *testing.T) {
	t.Parallel()
	f := func(name string, endpoint func(net.Conn), c Check, want string) {
		t.Helper()
		expect(t, name, c, serve(t, endpoint), want)
	}
	pong := Check{Send: []byte("PING\r\n"), Expect: []byte("PONG")}
	hears := func(line, answer string) func(net.Conn) {
		return func(c net.Conn) {
			if got, err := bufio.NewReader(c).ReadString('\n'); err == nil && got == line {
				io.WriteString(c, answer)
			}
		}
	}
	f("connects", hang, Check{}, "")
	f("connects, and the endpoint talks", say("hello"), Check{}, "")
	f("sends", hang, Check{Send: []byte("hello")}, "")
	f("expects what comes", say("220 ready\r\n"), Check{Expect: []byte("220")}, "")
	f("asks and is answered", hears("PING\r\n", "+PONG\r\n"), pong, "")
	f("the answer in pieces", func(c net.Conn) {
		for _, b := range "....PONG" {
			io.WriteString(c, string(b))
			time.Sleep(time.Millisecond) // so that they are pieces, most of the time
		}
		hang(c)
	}, pong, "")
	f("binary", say("\x00\xff\x01"), Check{Expect: []byte{0xff, 1}}, "")
	f("a header goes first", hears("PROXY to tcp\r\n", "ok"), Check{Preface: func(c net.Conn) []byte { return []byte("PROXY to " + c.RemoteAddr().Network() + "\r\n") }, Expect: []byte("ok")}, "")

	f("another answer", hears("PING\r\n", "-ERR\r\n"), pong, `waiting for "PONG", after it said "-ERR\r\n": the endpoint closed the connection`)
	f("no answer", func(c net.Conn) { hears("PING\r\n", "")(c) }, pong, `waiting for "PONG": the endpoint closed the connection`)
	f("a reset", func(c net.Conn) { bufio.NewReader(c).ReadString('\n'); reset(c) }, pong, `waiting for "PONG": the endpoint reset the connection`)
	quick := pong
	quick.Timeout = short
	f("silence", hang, quick, `waiting for "PONG" took longer than 200ms`)
	f("another answer and silence", say("-LOADING"), quick, `waiting for "PONG", after it said "-LOADING" took longer than 200ms`)
	f("endless", func(c net.Conn) {
		for {
			if _, err := io.WriteString(c, strings.Repeat("na ", 1000)); err != nil {
				return
			}
		}
	}, pong, `the endpoint said more than 64 KiB, and nothing of it was "PONG"; it began with "na na na na na na na na na na na na na n"...`)

	expect(t, "nobody", Check{}, refusing(t), "the connection was refused")
	expect(t, "another port", Check{Port: portOf(t, serve(t, hang))}, refusing(t), "")
	path := filepath.Join(t.TempDir(), "x.sock")
	expect(t, "no socket", Check{}, "unix:"+path, "connecting: no such file or directory")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, ln, say("hello"))
	expect(t, "a unix socket, whose port there is none of", Check{Port: 1, Expect: []byte("hello")}, "unix:"+path, "")
}

func portOf(t *testing.T, address string) uint16 {
	t.Helper()
	return newEndpoints(address)[0].Address.AddrPort.Port()
}

// An endpoint that does not answer at all: its backlog is full.
func TestConnectTimeout(t *testing.T) {
	t.Parallel()
	expect(t, "no answer to the connect", Check{Timeout: short}, fullBacklog(t), "connecting took longer than 200ms")
}

// fullBacklog gives an address at which connections are neither accepted nor
// refused: the kernel drops what comes.
func fullBacklog(t *testing.T) string {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	must(err)
	t.Cleanup(func() { syscall.Close(fd) })
	must(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	must(syscall.Listen(fd, 0))
	sa, err := syscall.Getsockname(fd)
	must(err)
	for range 3 { // there is room for one
		s, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
		must(err)
		t.Cleanup(func() { syscall.Close(s) })
		if err := syscall.Connect(s, sa); err != syscall.EINPROGRESS {
			must(err)
		}
	}
	return fmt.Sprint("127.0.0.1:", sa.(*syscall.SockaddrInet4).Port)
}

// tlsEndpoint runs an endpoint with a certificate of the authority's; f gets each
// connection whose handshake is done.
func tlsEndpoint(t *testing.T, a *certgen.Authority, o certgen.Options, f func(net.Conn)) string {
	t.Helper()
	cert, err := tls.X509KeyPair(a.Issue(o))
	if err != nil {
		t.Fatal(err)
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}}
	return serve(t, func(c net.Conn) {
		server := tls.Server(c, cfg)
		if server.Handshake() == nil {
			f(server)
		}
	})
}

func trust(t *testing.T, a *certgen.Authority) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(a.CAPEM()) {
		t.Fatal("no CA")
	}
	return pool
}

func TestTLS(t *testing.T) {
	t.Parallel()
	ours, theirs := certgen.NewAuthority("ours"), certgen.NewAuthority("theirs")
	check := func(name string) Check {
		return Check{Type: TLS, TLS: &tls.Config{RootCAs: trust(t, ours), ServerName: name}}
	}
	good := tlsEndpoint(t, ours, certgen.Options{Names: []string{"api.test"}}, hang)
	expect(t, "the right certificate", check("api.test"), good, "")
	expect(t, "for another name", check("other.test"), good, "the certificate is not good: certificate is valid for api.test, not other.test")
	expect(t, "no name: any", check(""), good, "")
	expect(t, "no name, of another authority", check(""), tlsEndpoint(t, theirs, certgen.Options{Names: []string{"api.test"}}, hang),
		"the certificate is not good: certificate signed by unknown authority")
	expired := tlsEndpoint(t, ours, certgen.Options{Names: []string{"api.test"}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)}, hang)
	nameless := check("")
	nameless.Timeout = long
	if err := nameless.attempt(t.Context(), newEndpoints(expired)[0]); err == nil || !strings.HasPrefix(err.Error(), "the certificate is not good: certificate has expired") {
		t.Errorf("no name, expired: %v", err)
	}
	named := check("")
	named.Host = "api.test"
	expect(t, "the name of the check", named, good, "")
	named.Host = "other.test"
	expect(t, "another name of the check", named, good, "the certificate is not good: certificate is valid for api.test, not other.test")
	named.TLS.ServerName = "api.test"
	expect(t, "the name of the cluster comes first", named, good, "")
	host := newEndpoints(good)[0]
	host.Cluster().Update([]upstream.Spec{{Name: "x", Address: host.Address, Weight: 1, Host: "other.test"}})
	byHost := check("")
	byHost.Timeout = long
	if err := byHost.attempt(t.Context(), host); err == nil || !strings.Contains(err.Error(), "valid for api.test, not other.test") {
		t.Errorf("the name of the endpoint: %v", err)
	}
	expect(t, "of another authority", check("api.test"), tlsEndpoint(t, theirs, certgen.Options{Names: []string{"api.test"}}, hang),
		"the certificate is not good: certificate signed by unknown authority")
	lax := Check{Type: TLS, TLS: &tls.Config{InsecureSkipVerify: true}}
	expect(t, "nobody looks", lax, tlsEndpoint(t, theirs, certgen.Options{Names: []string{"api.test"}}, hang), "")

	expect(t, "no TLS", check("api.test"), serve(t, say("SSH-2.0-OpenSSH_9.9\r\n")), "the TLS handshake: tls: first record does not look like a TLS handshake")
	expect(t, "a close", check("api.test"), serve(t, func(c net.Conn) { bufio.NewReader(c).ReadByte() }), "the TLS handshake: the endpoint closed the connection")
	expect(t, "a reset", check("api.test"), serve(t, func(c net.Conn) { bufio.NewReader(c).ReadByte(); reset(c) }), "the TLS handshake: the endpoint reset the connection")
	quick := check("api.test")
	quick.Timeout = short
	expect(t, "silence", quick, serve(t, hang), "the TLS handshake took longer than 200ms")
	expect(t, "an alert", check("api.test"), serve(t, func(c net.Conn) {
		bufio.NewReader(c).ReadByte()
		say("\x15\x03\x03\x00\x02\x02\x70")(c)
	}), "the TLS handshake: remote error: tls: unrecognized name")
}

// A session of an earlier check would let a certificate that is no good any
// more pass.
func TestSessionsAreNotResumed(t *testing.T) {
	t.Parallel()
	ca := certgen.NewAuthority("ca")
	var resumed []bool // written by one connection after the other
	address := tlsEndpoint(t, ca, certgen.Options{Names: []string{"api.test"}}, func(c net.Conn) {
		resumed = append(resumed, c.(*tls.Conn).ConnectionState().DidResume)
		http.ReadRequest(bufio.NewReader(c))
		io.WriteString(c, "hello")
	})
	c := Check{Type: HTTP, Path: "/", Statuses: []StatusRange{{200, 299}}, Timeout: long,
		TLS: &tls.Config{RootCAs: trust(t, ca), ServerName: "api.test", ClientSessionCache: tls.NewLRUClientSessionCache(8)}}
	for range 3 {
		c.attempt(t.Context(), newEndpoints(address)[0]) // reads the tickets, and then no HTTP
	}
	if fmt.Sprint(resumed) != "[false false false]" {
		t.Errorf("resumed: %v", resumed)
	}
}

// httpEndpoint answers each request with what answer makes of it.
func httpEndpoint(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	return serve(t, httpOn(answer))
}

func httpOn(answer http.HandlerFunc) func(net.Conn) {
	return func(c net.Conn) {
		r := bufio.NewReader(c)
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		w := &recorder{header: http.Header{}}
		answer(w, req)
		fmt.Fprintf(c, "HTTP/1.1 %d x\r\nContent-Length: 5\r\n\r\nhello", w.status)
		hang(c) // it would keep the connection
	}
}

// recorder takes a status.
type recorder struct {
	header http.Header
	status int
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) Write(b []byte) (int, error) { return len(b), nil }
func (r *recorder) WriteHeader(status int)      { r.status = status }

func TestHTTP(t *testing.T) {
	t.Parallel()
	check := Check{Type: HTTP, Path: "/healthz?deep=1", Statuses: []StatusRange{{200, 299}, {401, 401}}}
	status := func(n int) http.HandlerFunc { return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(n) } }
	for _, n := range []int{200, 204, 299, 401} {
		expect(t, fmt.Sprint("status ", n), check, httpEndpoint(t, status(n)), "")
	}
	for _, n := range []int{300, 301, 400, 404, 500, 503} {
		expect(t, fmt.Sprint("status ", n), check, httpEndpoint(t, status(n)), fmt.Sprintf("the status is %d, not 200-299, 401", n))
	}
	address := ""
	address = httpEndpoint(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(200)
		if got, want := fmt.Sprint(r.Method, " ", r.URL, " ", r.Host, " ", r.Close, " ", r.UserAgent()), "GET /healthz?deep=1 "+address+" true sluice"; got != want {
			t.Errorf("the request is %q, want %q", got, want)
		}
	})
	expect(t, "the request", check, address, "")
	named := check
	named.Host = "api.test"
	expect(t, "a host", named, httpEndpoint(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(200)
		if r.Host != "api.test" {
			t.Errorf("the host is %q", r.Host)
		}
	}), "")

	expect(t, "hints come first", check, serve(t, say("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")), "")
	expect(t, "a body that never ends", check, serve(t, say("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")), "")
	expect(t, "another protocol", check, serve(t, say("SSH-2.0-OpenSSH_9.9\r\n")), `waiting for the answer: malformed HTTP response "SSH-2.0-OpenSSH_9.9"`)
	expect(t, "a header without end", check, serve(t, func(c net.Conn) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\n")
		for {
			if _, err := io.WriteString(c, "X: "+strings.Repeat("x", 1000)+"\r\n"); err != nil {
				return
			}
		}
	}), "the header of the answer is longer than 64 KiB")
	expect(t, "closed", check, serve(t, func(c net.Conn) { http.ReadRequest(bufio.NewReader(c)) }), "waiting for the answer: the endpoint closed the connection")
	quick := check
	quick.Timeout = short
	expect(t, "silence", quick, serve(t, hang), "waiting for the answer took longer than 200ms")
}

func TestHTTPOverTLS(t *testing.T) {
	t.Parallel()
	ca := certgen.NewAuthority("ca")
	check := Check{Type: HTTP, Path: "/", Statuses: []StatusRange{{200, 200}},
		TLS: &tls.Config{RootCAs: trust(t, ca), ServerName: "api.test", NextProtos: []string{"h2"}}}
	address := tlsEndpoint(t, ca, certgen.Options{Names: []string{"api.test"}}, func(c net.Conn) {
		if p := c.(*tls.Conn).ConnectionState().NegotiatedProtocol; p != "http/1.1" {
			t.Errorf("the protocol is %q", p)
		}
		httpOn(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(200) })(c)
	})
	expect(t, "good", check, address, "")
	check.TLS.ServerName = "other.test"
	expect(t, "another name", check, address, "the certificate is not good: certificate is valid for api.test, not other.test")
}

// What the gateway's own machine does not have says nothing about an endpoint.
func TestOwnTrouble(t *testing.T) {
	t.Parallel()
	for errno, own := range map[syscall.Errno]bool{
		syscall.EMFILE: true, syscall.ENFILE: true, syscall.ENOMEM: true, syscall.ENOBUFS: true, syscall.EADDRNOTAVAIL: true,
		syscall.EADDRINUSE: true, syscall.EACCES: true, syscall.EPERM: true,
		syscall.ECONNREFUSED: false, syscall.ETIMEDOUT: false, syscall.EHOSTUNREACH: false, syscall.ENETUNREACH: false, syscall.ENOENT: false,
	} {
		c := Check{Timeout: long, Dial: func(context.Context, upstream.Address) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", errno)}
		}}
		if err := c.attempt(t.Context(), newEndpoints("10.0.0.1:80")[0]); err == nil || ownTrouble(err) != own {
			t.Errorf("%v: %v is own trouble: %v, want %v", errno, err, ownTrouble(err), own)
		}
	}
	if ownTrouble(errBad) {
		t.Error("an error without a number is own trouble")
	}
}

// A checker that is closed, or an endpoint that is let go, ends a check that
// hangs, at once and without a word.
func TestClosingEndsAHangingCheck(t *testing.T) {
	t.Parallel()
	connected := make(chan struct{}, 10)
	address := serve(t, func(c net.Conn) { connected <- struct{}{}; hang(c) })
	c := usual()
	c.Timeout, c.Expect = time.Hour, []byte("never")
	e := newEndpoints(address)
	checker := New(c, Observer{Changed: func(ch Change) { t.Errorf("told: %+v", ch) }})
	checker.Watch(e)
	<-connected
	checker.Watch(nil)
	checker.Watch(e)
	<-connected
	checker.Close()
	if e[0].Health() != upstream.Unchecked {
		t.Errorf("the endpoint is %s", e[0].Health())
	}
}

// A real endpoint that flaps, with a checker as a gateway has it.
func TestFlappingEndpoint(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	changes := make(chan string, 100)
	c := Check{Interval: time.Millisecond, Timeout: long, Jitter: 0.5, HealthyThreshold: 2, UnhealthyThreshold: 3}
	checker := New(c, Observer{Changed: func(ch Change) { changes <- ch.Health.String() + ": " + ch.Reason }})
	defer checker.Close()
	e := newEndpoints(address)
	checker.Watch(e)
	next := func(want string) {
		t.Helper()
		select {
		case got := <-changes:
			if got != want {
				t.Fatalf("%s, want %s", got, want)
			}
		case <-time.After(long):
			t.Fatalf("nothing changes; want %s", want)
		}
	}
	next("healthy: the first check passed")
	for range 3 {
		ln.Close()
		next("unhealthy: 3 checks in a row failed: the connection was refused")
		if ln, err = net.Listen("tcp", address); err != nil {
			t.Fatal(err)
		}
		next("healthy: 2 checks in a row passed")
	}
	ln.Close()
	if s, _ := checker.Status(e[0]); s.Changes < 6 {
		t.Errorf("%d changes were counted, want 6", s.Changes)
	}
}
