package integration

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sluice/tlsutil/certgen"
	"sluice/tlsutil/clienthello/hellotest"
)

// routeGateway is plainGateway with something added to the route.
func routeGateway(endpoint, route string) string {
	return strings.Replace(plainGateway("127.0.0.1:0", endpoint),
		`route { cluster = "one" }`, "route {\n cluster = \"one\"\n "+route+"\n }", 1)
}

// expectTimeout checks the record of a connection that the gateway ended.
func expectTimeout(t *testing.T, p *process, client net.Addr, reason, flags string, least time.Duration) {
	t.Helper()
	rec := p.waitEnd(client)
	expectFields(t, rec, map[string]string{"termination.reason": reason, "termination.side": "gateway", "flags": flags})
	// Timers may fire late, never early; the wheel's tick is some milliseconds.
	if got := number(rec, "duration_ms"); got < float64(least.Milliseconds())-20 {
		t.Errorf("it ended after %v ms, want at least %v", got, least)
	}
}

func TestIdleTimeout(t *testing.T) {
	t.Parallel()
	const idle = 400 * time.Millisecond
	both := make(chan ending, 1)
	p := startSluice(t, routeGateway(backend(t, func(c net.Conn) {
		echoOnce(c, len("hello"))
		_, end := drainToEnd(c)
		both <- end
	}), `idle_timeout = "400ms"`))
	c := dial(t, p.address("tcp"))
	exchange(t, c, "hello")
	expectEnd(t, c, fin) // nothing was under way, so nothing is lost by a FIN
	if end := <-both; end != fin {
		t.Errorf("the endpoint saw %s, want %s", end, fin)
	}
	expectTimeout(t, p, c.LocalAddr(), "idle_timeout", "SI", idle)
}

// TestIdleTimeoutCountsBytes: a connection on which bytes flow is not idle,
// however old it is.
func TestIdleTimeoutCountsBytes(t *testing.T) {
	t.Parallel()
	const idle = 400 * time.Millisecond
	p := startSluice(t, routeGateway(echoBackend(t), `idle_timeout = "400ms"`))
	c := dial(t, p.address("tcp"))
	for began := time.Now(); time.Since(began) < 4*idle; {
		exchange(t, c, "still here")
	}
	expectEnd(t, c, fin)
	expectTimeout(t, p, c.LocalAddr(), "idle_timeout", "SI", 5*idle)
}

// TestIdleTimeoutOfAStalledConnection: bytes that wait for a side that does not
// take them are no sign of life, and they are lost, which a FIN would hide.
func TestIdleTimeoutOfAStalledConnection(t *testing.T) {
	t.Parallel()
	sent, bulk := make(chan error, 1), pattern(64<<20)
	p := startSluice(t, routeGateway(backend(t, func(c net.Conn) {
		_, err := c.Write(bulk)
		sent <- err
	}), `idle_timeout = "400ms"`))
	c := dial(t, p.address("tcp"))
	if err := <-sent; !isReset(err) {
		t.Errorf("the endpoint's write ended with %v, want a reset", err)
	}
	if n, end := drainToEnd(c); end != rst {
		t.Errorf("the client saw %s after %d bytes, want %s", end, n, rst)
	}
	expectTimeout(t, p, c.LocalAddr(), "idle_timeout", "SI", 400*time.Millisecond)
}

// TestIdleTimeoutOfTLS: on a terminated chain the orderly end is a
// close_notify.
func TestIdleTimeoutOfTLS(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "idle")
	certFile, keyFile := ca.files("term", certgen.Options{Names: []string{"term.test"}})
	hcl := strings.Replace(routeGateway(echoBackend(t), `idle_timeout = "400ms"`), "route",
		fmt.Sprintf("tls {\n certificate {\n cert_file = %q\n key_file = %q\n }\n }\n route", certFile, keyFile), 1)
	p := startSluice(t, hcl)
	raw := dial(t, p.address("tcp"))
	conn := handshake(t, raw, "term.test", ca)
	exchange(t, conn, "hello")
	expectEnd(t, conn, fin) // crypto/tls gives an error for a FIN without close_notify
	expectTimeout(t, p, raw.LocalAddr(), "idle_timeout", "SI", 400*time.Millisecond)
}

// TestHalfCloseTimeoutOfTheClient: an endpoint that has heard the client finish
// and then says nothing does not keep the connection.
func TestHalfCloseTimeoutOfTheClient(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	p := startSluice(t, routeGateway(backend(t, func(c net.Conn) {
		echoOnce(c, len("hello"))
		drainToEnd(c)
		<-hold
	}), "half_close_timeout = \"400ms\"\n idle_timeout = \"1h\""))
	defer close(hold)
	c := dial(t, p.address("tcp"))
	exchange(t, c, "hello")
	finish(c)
	expectEnd(t, c, fin)
	expectTimeout(t, p, c.LocalAddr(), "half_close_timeout", "SI", 400*time.Millisecond)
}

// TestHalfCloseTimeoutOfTheEndpoint is the same the other way round.
func TestHalfCloseTimeoutOfTheEndpoint(t *testing.T) {
	t.Parallel()
	ended := make(chan ending, 1)
	p := startSluice(t, routeGateway(backend(t, func(c net.Conn) {
		echoOnce(c, len("hello"))
		finish(c)
		_, end := drainToEnd(c)
		ended <- end
	}), "half_close_timeout = \"400ms\"\n idle_timeout = \"1h\""))
	c := dial(t, p.address("tcp"))
	exchange(t, c, "hello")
	expectEnd(t, c, fin)
	if end := <-ended; end != fin {
		t.Errorf("the endpoint saw %s, want %s", end, fin)
	}
	expectTimeout(t, p, c.LocalAddr(), "half_close_timeout", "SI", 400*time.Millisecond)
}

// TestHalfCloseTimeoutCountsBytes: it is an idle time, not a limit on how long
// the other direction may go on.
func TestHalfCloseTimeoutCountsBytes(t *testing.T) {
	t.Parallel()
	const idle = 400 * time.Millisecond
	p := startSluice(t, routeGateway(backend(t, func(c net.Conn) {
		finish(c)
		drainToEnd(c)
	}), `half_close_timeout = "400ms"`))
	c := dial(t, p.address("tcp"))
	expectEnd(t, c, fin)
	for began := time.Now(); time.Since(began) < 4*idle; {
		send(t, c, []byte("still here"))
	}
	finish(c)
	expectFields(t, p.waitEnd(c.LocalAddr()), map[string]string{"termination.reason": "finished"})
}

// TestHalfCloseTimeoutBeginsWithTheEnd: it is the time for an answer. A
// connection that was quiet for longer than that before a side finished has all
// of it still ahead.
func TestHalfCloseTimeoutBeginsWithTheEnd(t *testing.T) {
	t.Parallel()
	const allowed = 400 * time.Millisecond
	for _, finisher := range []string{"client", "endpoint"} {
		t.Run(finisher, func(t *testing.T) {
			t.Parallel()
			accepted, hold := make(chan net.Conn, 1), make(chan struct{})
			p := startSluice(t, routeGateway(backend(t, func(c net.Conn) {
				accepted <- c
				<-hold
			}), "half_close_timeout = \"400ms\"\n idle_timeout = \"1h\""))
			defer close(hold)
			c := dial(t, p.address("tcp"))
			endpoint := <-accepted
			began := time.Now()
			expectQuiet(t, c, 2*allowed)
			quiet := time.Since(began)
			finish(map[string]net.Conn{"client": c, "endpoint": endpoint}[finisher])
			expectEnd(t, c, fin)
			expectTimeout(t, p, c.LocalAddr(), "half_close_timeout", "SI", quiet+allowed)
		})
	}
}

// expectQuiet waits for as long as nothing has to come, not even an end.
func expectQuiet(t *testing.T, c net.Conn, d time.Duration) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(d))
	if n, err := c.Read(make([]byte, 1)); !isTimeout(err) {
		t.Fatalf("read gave %d bytes and %v within %v, want nothing", n, err, d)
	}
	c.SetReadDeadline(time.Now().Add(patience))
}

func TestMaxDuration(t *testing.T) {
	t.Parallel()
	p := startSluice(t, routeGateway(echoBackend(t), `max_downstream_connection_duration = "600ms"`))
	c := dial(t, p.address("tcp"))
	for {
		// However busy it is.
		if _, err := c.Write([]byte("x")); err != nil {
			break
		}
		if _, err := c.Read(make([]byte, 1)); err != nil {
			break
		}
	}
	c.Close()
	expectTimeout(t, p, c.LocalAddr(), "max_duration", "DT", 600*time.Millisecond)
}

// TestMaxDurationInsideARecord: an upload that is cut off inside a TLS record
// must not look complete to the endpoint, although every byte was read from the
// client's socket and every whole record was delivered.
func TestMaxDurationInsideARecord(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "cut")
	certFile, keyFile := ca.files("term", certgen.Options{Names: []string{"term.test"}})
	ended := make(chan ending, 1)
	hcl := strings.Replace(routeGateway(backend(t, func(c net.Conn) {
		_, end := drainToEnd(c)
		ended <- end
	}), `max_downstream_connection_duration = "600ms"`), "route",
		fmt.Sprintf("tls {\n certificate {\n cert_file = %q\n key_file = %q\n }\n }\n route", certFile, keyFile), 1)
	p := startSluice(t, hcl)
	raw := dial(t, p.address("tcp"))
	conn := handshake(t, raw, "term.test", ca)
	send(t, conn, []byte("a whole record"))
	send(t, raw, []byte{hellotest.RecordApplicationData, 3, 3, 0, 50, 1, 2, 3})
	if end := <-ended; end != rst {
		t.Errorf("the endpoint saw %s, want %s", end, rst)
	}
	expectTimeout(t, p, raw.LocalAddr(), "max_duration", "DT", 600*time.Millisecond)
}

// TestHelloTimeout: a client that says nothing, or not all, is ended at the
// deadline of inspect.
func TestHelloTimeout(t *testing.T) {
	t.Parallel()
	hcl := strings.Replace(plainGateway("127.0.0.1:0", echoBackend(t)), "route", "match { server_names = [\"a.test\"] }\n route", 1)
	p := startSluice(t, strings.Replace(hcl, "filter_chain", "inspect { timeout = \"400ms\" }\n filter_chain", 1))
	for name, said := range map[string]string{"nothing": "", "half_a_header": "\x16\x03\x01"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := p.on(t)
			c := dial(t, p.address("tcp"))
			send(t, c, []byte(said))
			expectEnd(t, c, rst)
			expectTimeout(t, p, c.LocalAddr(), "hello_timeout", "LR", 400*time.Millisecond)
			expectFields(t, p.waitEnd(c.LocalAddr()), map[string]string{"hello": "timeout"})
		})
	}
}

// TestConnectTimeout: an endpoint that does not answer costs connect_timeout,
// and the next one serves.
func TestConnectTimeout(t *testing.T) {
	t.Parallel()
	silent := silentAddress(t)
	hcl := strings.Replace(plainGateway("127.0.0.1:0", silent), "{ endpoints", `{
  connect_timeout      = "300ms"
  max_connect_attempts = 2
  endpoints`, 1)
	hcl = strings.Replace(hcl, "] }", "]\n}", 1)
	t.Run("alone", func(t *testing.T) {
		t.Parallel()
		p := startSluice(t, hcl)
		c := dial(t, p.address("tcp"))
		expectEnd(t, c, rst)
		rec := p.waitEnd(c.LocalAddr())
		expectFields(t, rec, map[string]string{
			"termination.reason": "connect_failed", "termination.side": "upstream", "flags": "UF,URX"})
		if got := strings.Join(attemptsOf(rec), ", "); got != silent+" timeout, "+silent+" timeout" {
			t.Errorf("attempts are %s", got)
		}
		if got := number(rec, "duration_ms"); got < 580 {
			t.Errorf("two attempts of 300 ms took %v ms", got)
		}
	})
	t.Run("with_another", func(t *testing.T) {
		t.Parallel()
		live := backend(t, sayName("live"))
		p := startSluice(t, strings.Replace(hcl, "["+fmt.Sprintf("%q", silent)+"]", fmt.Sprintf("[%q, %q]", silent, live), 1))
		for retried := false; !retried; {
			c := dial(t, p.address("tcp"))
			if got, end := readToEnd(c); string(got) != "live" || end != fin {
				t.Fatalf("the client got %q and %s", got, end)
			}
			c.Close()
			rec := p.waitEnd(c.LocalAddr())
			got := strings.Join(attemptsOf(rec), ", ")
			switch retried = got == silent+" timeout, "+live+" connected"; {
			case retried && number(rec, "connect_ms") < 290:
				t.Errorf("connect_ms is %v after an attempt of 300 ms", number(rec, "connect_ms"))
			case !retried && got != live+" connected":
				t.Fatalf("attempts are %s", got)
			}
		}
	})
}

// silentAddress gives an address at which connections are neither accepted nor
// refused: that of a listener whose queue is full, so that the kernel drops
// what comes (tcp_conn_request).
func silentAddress(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	// A backlog of 0 has room for one. The dials after it do not complete, and
	// the first of them takes the place that a lost race might have left.
	for range 3 {
		s, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(s) })
		if err := unix.Connect(s, sa); err != nil && err != unix.EINPROGRESS {
			t.Fatal(err)
		}
	}
	return (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: sa.(*unix.SockaddrInet4).Port}).String()
}
