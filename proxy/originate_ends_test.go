package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

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

// TestOriginationRefusedByTheEndpoint: with TLS 1.3 an endpoint refuses the
// gateway when the handshake is over for the gateway (RFC 8446 4.4.4), so that it
// is no failed attempt. It is an early end, and such an endpoint is ejected.
func TestOriginationRefusedByTheEndpoint(t *testing.T) {
	o := newOriginating(t)
	endpoint := backend(t, func(c net.Conn) {
		defer c.Close()
		tls.Server(c, &tls.Config{Certificates: []tls.Certificate{o.good}, ClientAuth: tls.RequireAnyClientCert}).Handshake()
		io.Copy(io.Discard, c)
	})
	g := startGateway(t, fmt.Sprintf(`
listener "tcp" {
  address = "127.0.0.1:0"
  proxy_protocol { trusted = ["127.0.0.0/8"] }
  filter_chain "all" {
    route { cluster = "one" }
  }
}
cluster "one" {
  lb_policy = "first"
  endpoints = [%q, %q]
  outlier_detection { consecutive_failures = 3 }
  tls {
    ca_file     = %q
    server_name = "good.test"
  }
}
`, endpoint, o.echo(t), o.caFile))
	for i := range 3 {
		c := dial(t, g.address("tcp"))
		fmt.Fprintf(c, "PROXY TCP4 192.0.2.%d 198.51.100.1 1000 443\r\n", i)
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the client got %v, want a reset", err)
		}
		c.Close()
		if r := g.records.decoded(t); r.Termination.Reason != "tls_error" || r.Termination.Side != "upstream" || !strings.Contains(r.Error, "certificate required") {
			t.Errorf("%+v", r)
		}
	}
	for ep := range g.snapshot.Load().clusters["one"].Endpoints() {
		bad := ep.Name() == endpoint
		if n := ep.Counters.EarlyEnds.Load(); bad && n != 3 || !bad && n != 0 {
			t.Errorf("%d early ends are counted against %s", n, ep.Name())
		}
		if ep.Ejected() != bad {
			t.Errorf("%s: ejected is %t", ep.Name(), !bad)
		}
	}
}

// TestOriginationIsNotBegun: a gateway with more handshakes than it can compute
// keeps to connect_timeout all the same, and does not blame the endpoint.
func TestOriginationIsNotBegun(t *testing.T) {
	o := newOriginating(t)
	g := o.gateway(t, []string{o.echo(t)}, `connect_timeout = "200ms"`, `server_name = "good.test"`, "")
	for range cap(g.handshakes) {
		g.handshakes <- struct{}{}
	}
	c := dial(t, g.address("plain"))
	_, err := c.Read(make([]byte, 1))
	for range cap(g.handshakes) {
		<-g.handshakes
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client got %v, want a reset", err)
	}
	r := g.records.decoded(t)
	if r.results() != "tls_overload" || r.Termination.Reason != "out_of_resources" || r.Termination.Side != "gateway" ||
		!strings.Contains(r.Error, "more TLS handshakes than") {
		t.Errorf("%+v", r)
	}
	for ep := range g.snapshot.Load().clusters["one"].Endpoints() {
		if n := ep.Counters.Failures.Load(); n != 0 {
			t.Errorf("%d failures are counted against the endpoint", n)
		}
	}
}
