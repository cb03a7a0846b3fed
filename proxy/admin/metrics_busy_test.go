package admin

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"sluice/config"
	"sluice/proxy"
	"sluice/proxy/status"
	"sluice/tlsutil/certgen"
)

// fakeCounted is what metrics are read from when nothing runs.
type fakeCounted struct {
	counters proxy.Counters
	server   status.Server
	secrets  []status.Secret
}

func newFakeCounted() *fakeCounted {
	return &fakeCounted{server: status.Server{Version: "v9", State: "running"}}
}

func (f *fakeCounted) Counters() proxy.Counters { return f.counters }
func (f *fakeCounted) Server() status.Server    { return f.server }
func (f *fakeCounted) Secrets() []status.Secret { return f.secrets }

// What clients of the busy gateway send, and where they come from.
const (
	clientMarks  = "secret-name.passed.test unknown-name.test marked-protocol"
	clientSource = "127.0.0.66"
)

// everything is a configuration that has something of each kind. Its files are
// in dir; a is the address of a live endpoint.
func everything(t testing.TB, dir, a string) string {
	t.Helper()
	ca := certgen.NewAuthority("metrics")
	cert, key, err := ca.WriteFiles(dir, "terminated", certgen.Options{Names: []string{"terminated.test"}})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`
runtime { workers = 2 }
listener "edge" {
  address = "127.0.0.1:0"
  access { deny = ["127.0.0.9/32"] }
  filter_chain "passed" {
    match { server_names = ["*.passed.test"] }
    route {
      weighted_cluster "a" { weight = 1000000 }
      weighted_cluster "b" { weight = 1 }
    }
  }
  filter_chain "terminated" {
    match { server_names = ["terminated.test"] }
    tls {
      certificate {
        cert_file = %q
        key_file  = %q
      }
    }
    route { cluster = "a" }
  }
  filter_chain "dead" {
    match { server_names = ["dead.test"] }
    route { cluster = "dead" }
  }
  filter_chain "full" {
    match { server_names = ["full.test"] }
    route { cluster = "full" }
  }
}
cluster "a" {
  endpoint %q { name = "one" }
}
cluster "b" {
  endpoint "127.0.0.1:3" { name = "two" }
}
cluster "dead" {
  lb_policy            = "first"
  endpoints            = ["127.0.0.1:1", "127.0.0.1:2"]
  max_connect_attempts = 1
  outlier_detection {
    consecutive_failures = 1
    base_ejection_time   = "1h"
    max_ejection_time    = "1h"
    max_ejection_percent = 100
  }
}
cluster "full" {
  endpoint %q { name = "one" }
  limits { max_connections = 1 }
}
# the rest goes
listener "raw" {
  address = "127.0.0.1:0"
  default_filter_chain {
    route { cluster = "plain" }
  }
}
listener "impatient" {
  address = "127.0.0.1:0"
  inspect { timeout = "20ms" }
  filter_chain "passed" {
    match { server_names = ["*.passed.test"] }
    route { cluster = "plain" }
  }
}
cluster "plain" {
  endpoint %q { name = "one" }
}
`, cert, key, a, a, a)
}

// loaded gives a configuration that writes no records.
func loaded(t testing.TB, hcl string) *config.Config {
	t.Helper()
	cfg, diags := config.LoadSource("sluice.hcl", []byte(hcl), config.Options{Environ: []string{}})
	if cfg == nil {
		var text bytes.Buffer
		diags.WriteText(&text, 0, false)
		t.Fatal(text.String())
	}
	cfg.AccessLog.Enabled = false
	return cfg
}

// startGateway runs a gateway. It ends with the test.
func startGateway(t testing.TB, hcl string) *proxy.Gateway {
	t.Helper()
	g, err := proxy.New(loaded(t, hcl), proxy.Options{Log: zerolog.Nop(), Version: "v9"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

// startEcho is an endpoint that sends back what it gets. It ends with the test.
func startEcho(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c)
			}()
		}
	}()
	t.Cleanup(func() { ln.Close(); <-ended })
	return ln.Addr().String()
}

// busyGateway has served, refused and failed connections of many kinds, has no
// connection but one, and has an endpoint that was ejected and one that an
// operator drains.
func busyGateway(t *testing.T) *proxy.Gateway {
	t.Helper()
	g := startGateway(t, everything(t, t.TempDir(), startEcho(t)))
	edge, raw, impatient := g.Addresses()[0].Address, g.Addresses()[1].Address, g.Addresses()[2].Address
	dial := func(from, to string) (net.Conn, error) {
		return (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).Dial("tcp", to)
	}
	dialTo := func(to string) net.Conn {
		t.Helper()
		c, err := dial(clientSource, to)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(30 * time.Second))
		return c
	}
	say := func(c net.Conn, text string) net.Conn {
		t.Helper()
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		return c
	}
	// until waits for the gateway to end a connection: counted, it is before that.
	until := func(c net.Conn) { io.Copy(io.Discard, c) }
	back := func(c net.Conn, text string) net.Conn {
		t.Helper()
		got := make([]byte, len(text))
		if _, err := io.ReadFull(say(c, text), got); err != nil || string(got) != text {
			t.Fatalf("%q comes back as %q: %v", text, got, err)
		}
		return c
	}

	back(dialTo(raw), "plain").Close()
	passed := back(dialTo(edge), helloOf(t, "secret-name.passed.test"))
	passed.(*net.TCPConn).SetLinger(0)
	passed.Close()
	sealed := tls.Client(dialTo(edge), &tls.Config{ServerName: "terminated.test", InsecureSkipVerify: true})
	back(sealed, "sealed").Close()
	until(say(dialTo(edge), helloOf(t, "unknown-name.test")))
	until(say(dialTo(edge), helloOf(t, "dead.test")))
	until(say(dialTo(edge), "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"))
	// These say nothing, and may be reset before they know that they were connected.
	silent := func(from, to string) {
		t.Helper()
		c, err := dial(from, to)
		if errors.Is(err, syscall.ECONNRESET) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		until(c)
		c.Close()
	}
	silent(clientSource, impatient)
	silent("127.0.0.9", edge)
	back(dialTo(edge), helloOf(t, "full.test"))
	until(say(dialTo(edge), helloOf(t, "full.test")))
	if err := g.SetEndpoint("b", "127.0.0.1:3", proxy.EndpointChange{State: "drain"}); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); g.Stats().Active > 1; <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d connections do not end", g.Stats().Active-1)
		}
	}
	return g
}

// helloOf gives a real ClientHello.
func helloOf(t testing.TB, name string) string {
	t.Helper()
	client, server := net.Pipe()
	defer server.Close()
	go func() {
		tls.Client(client, &tls.Config{ServerName: name, NextProtos: []string{"marked-protocol"}, InsecureSkipVerify: true}).Handshake()
		client.Close()
	}()
	record := make([]byte, 5)
	if _, err := io.ReadFull(server, record); err != nil {
		t.Fatal(err)
	}
	rest := make([]byte, int(record[3])<<8|int(record[4]))
	if _, err := io.ReadFull(server, rest); err != nil {
		t.Fatal(err)
	}
	if hello := string(append(record, rest...)); strings.Contains(hello, name) {
		return hello
	}
	t.Fatalf("the hello for %s does not name it", name)
	return ""
}
