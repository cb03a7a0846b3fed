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

	"sluice/proxy/status"
	"sluice/tlsutil/certgen"
	"sluice/tlsutil/clienthello/hellotest"
)

// killConfig has a way into every phase that a connection can be killed in.
func killConfig(t *testing.T, echo, hanging, silent, resetting string) string {
	t.Helper()
	cert, key, err := certgen.NewAuthority("kill").WriteFiles(t.TempDir(), "a", certgen.Options{Names: []string{"terminated.test"}})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`
runtime { workers = 2 }
listener "in" {
  address     = "127.0.0.1:0"
  on_no_match = "tls_alert"
  inspect { timeout = "60s" }
  filter_chain "passed" {
    match { server_names = ["passed.test"] }
    route { cluster = "echo" }
  }
  filter_chain "terminated" {
    match { server_names = ["terminated.test"] }
    tls {
      certificate {
        cert_file = %q
        key_file  = %q
      }
    }
    route { cluster = "echo" }
  }
  filter_chain "hanging" {
    match { server_names = ["hanging.test"] }
    route { cluster = "hanging" }
  }
  filter_chain "queue" {
    match { server_names = ["queue.test"] }
    route { cluster = "queue" }
  }
  filter_chain "resetting" {
    match { server_names = ["resetting.test"] }
    route { cluster = "resetting" }
  }
}
listener "raw" {
  address = "127.0.0.1:0"
  filter_chain "originated" {
    route { cluster = "silent" }
  }
}
listener "alert" {
  address     = "127.0.0.1:0"
  on_no_match = "tls_alert"
  filter_chain "passed" {
    match { server_names = ["passed.test"] }
    route { cluster = "echo" }
  }
}
cluster "echo" { endpoints = [%q] }
cluster "hanging" {
  connect_timeout = "60s"
  endpoints       = [%q]
}
cluster "queue" {
  endpoints = [%q]
  limits {
    max_connections = 1
    max_pending     = 8
  }
}
cluster "resetting" { endpoints = [%q] }
cluster "silent" {
  connect_timeout = "60s"
  endpoints       = [%q]
  tls { insecure_skip_verify = true }
}
`, cert, key, echo, hanging, echo, resetting, silent)
}

// theOne waits until the gateway has a connection that holds is true of, and
// gives it.
func (g *gatewayUnderTest) theOne(t *testing.T, filter status.ConnectionFilter, holds func(status.Connection) bool) (found status.Connection) {
	t.Helper()
	eventually(t, func() error {
		page, err := g.Connections(t.Context(), filter)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range page.Connections {
			if holds(c) {
				found = c
				return nil
			}
		}
		return fmt.Errorf("none of %+v", page.Connections)
	})
	return found
}

// TestKill: in every phase the connection is reset on both sides, at once, has
// one record that says killed, and nothing of it is left.
func TestKill(t *testing.T) {
	inPhase := func(p string) func(status.Connection) bool {
		return func(c status.Connection) bool { return c.Phase == p }
	}
	f := func(name, listener string, begin func(t *testing.T, g *gatewayUnderTest, c *net.TCPConn), holds func(status.Connection) bool) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ends := make(chan error, 4)
			echo := backend(t, func(c net.Conn) {
				defer c.Close()
				_, err := io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c})
				ends <- err
			})
			heard := make(chan error, 4)
			silent := backend(t, func(c net.Conn) {
				defer c.Close()
				_, err := c.Read(make([]byte, 1))
				heard <- err
				_, err = io.Copy(io.Discard, c)
				ends <- err
			})
			resetting := backend(t, func(c net.Conn) {
				c.Write(make([]byte, 200<<10))
				awaitAcknowledged(t, c)
				c.(*net.TCPConn).SetLinger(0)
				c.Close()
				ends <- syscall.ECONNRESET
			})
			g := startGateway(t, killConfig(t, echo, fullEndpoint(t), silent, resetting))
			c := dial(t, g.address(listener)).(*net.TCPConn)
			begin(t, g, c)
			if listener == "raw" {
				// Before that the endpoint may not know of the connection: the
				// gateway acknowledges its SYN together with the hello.
				if err := awaitEvent(t, "the hello at the endpoint", heard); err != nil {
					t.Fatal(err)
				}
			}
			own := status.ConnectionFilter{Listener: listener}
			one := g.theOne(t, own, func(s status.Connection) bool { return s.Source == c.LocalAddr().String() && holds(s) })
			if err := g.Kill(t.Context(), one.ID); err != nil {
				t.Fatal(err)
			}
			for {
				line := g.records.next(t)
				if !strings.Contains(line, fmt.Sprintf(`"id":%d,`, one.ID)) {
					continue // another one's that made way
				}
				if !strings.Contains(line, `"termination":{"reason":"killed","side":"gateway"}`) {
					t.Errorf("the record is %s", line)
				}
				break
			}
			if _, err := io.Copy(io.Discard, c); err != nil && !errors.Is(err, syscall.ECONNRESET) || err == nil && one.Phase != "lingering" {
				t.Errorf("the client got %v, want a reset", err)
			}
			if one.Endpoint != "" && one.Cluster != "hanging" {
				if err := awaitEvent(t, "the end at the endpoint", ends); !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("the endpoint got %v, want a reset", err)
				}
			}
			if err := g.Kill(t.Context(), one.ID); !errors.Is(err, ErrNoConnection) {
				t.Errorf("killing it again: %v", err)
			}
			g.Close()
			for len(g.records.lines) > 0 {
				if line := g.records.next(t); strings.Contains(line, fmt.Sprintf(`"id":%d,`, one.ID)) {
					t.Errorf("a second record: %s", line)
				}
			}
		})
	}
	says := func(name string) func(*testing.T, *gatewayUnderTest, *net.TCPConn) {
		return func(t *testing.T, _ *gatewayUnderTest, c *net.TCPConn) { sendString(t, c, string(helloFor(name))) }
	}
	f("before the hello", "in", func(*testing.T, *gatewayUnderTest, *net.TCPConn) {}, inPhase("setup"))
	f("inside the hello", "in", func(t *testing.T, _ *gatewayUnderTest, c *net.TCPConn) {
		sendString(t, c, string(helloFor("passed.test")[:20]))
	}, func(s status.Connection) bool { return s.BytesReceived == 20 })
	f("while it connects", "in", says("hanging.test"), func(s status.Connection) bool { return s.Endpoint != "" })
	f("in the queue", "in", func(t *testing.T, g *gatewayUnderTest, c *net.TCPConn) {
		first := dial(t, g.address("in"))
		sendString(t, first, string(helloFor("queue.test")))
		io.ReadFull(first, make([]byte, 1))
		sendString(t, c, string(helloFor("queue.test")))
	}, func(s status.Connection) bool { return s.Cluster == "queue" && s.Endpoint == "" })
	f("in the client's handshake", "in", says("terminated.test"), func(s status.Connection) bool { return s.FilterChain == "terminated" })
	f("in the endpoint's handshake", "raw", func(*testing.T, *gatewayUnderTest, *net.TCPConn) {}, func(s status.Connection) bool { return s.Endpoint != "" })
	f("while bytes flow", "in", func(t *testing.T, _ *gatewayUnderTest, c *net.TCPConn) {
		hello := helloFor("passed.test")
		sendString(t, c, string(hello))
		io.ReadFull(c, make([]byte, len(hello)))
	}, inPhase("relay"))
	f("while decrypted bytes flow", "in", func(t *testing.T, _ *gatewayUnderTest, c *net.TCPConn) {
		if err := roundTrip(tls.Client(c, &tls.Config{ServerName: "terminated.test", InsecureSkipVerify: true}), "some bytes"); err != nil {
			t.Fatal(err)
		}
	}, inPhase("relay"))
	f("while a reset is held back", "in", func(t *testing.T, _ *gatewayUnderTest, c *net.TCPConn) {
		c.SetReadBuffer(4 << 10)
		sendString(t, c, string(helloFor("resetting.test")))
	}, inPhase("resetting"))
	f("while it lingers", "alert", says("unknown.test"), inPhase("lingering"))
}

// TestKillAmongChaos: beside whatever else happens to them, no connection has two
// records, and none is left.
func TestKillAmongChaos(t *testing.T) {
	chaosRun(t, func(t *testing.T, ch *chaos, g *gatewayUnderTest) {
		end := time.Now().Add(2 * time.Second)
		killed := 0
		for time.Now().Before(end) {
			page, err := g.Connections(t.Context(), status.ConnectionFilter{Limit: 16})
			if err != nil {
				t.Fatal(err)
			}
			for i, c := range page.Connections {
				if i%2 == 0 {
					continue
				}
				switch err := g.Kill(t.Context(), c.ID); {
				case err == nil:
					killed++
				case !errors.Is(err, ErrNoConnection):
					t.Fatal(err)
				}
			}
		}
		if killed == 0 {
			t.Error("none was killed")
		}
	})
}

func TestKillOfNothing(t *testing.T) {
	g := startGateway(t, loadConfig(t, "127.0.0.1:1"))
	for _, id := range []uint64{0, 1, 2, 3, 1 << 63} {
		if err := g.Kill(t.Context(), id); !errors.Is(err, ErrNoConnection) {
			t.Errorf("connection %d: %v", id, err)
		}
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := g.Connections(over, status.ConnectionFilter{}); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that is over: %v", err)
	}
	g.Close()
	if err := g.Kill(t.Context(), 1); !errors.Is(err, ErrNoConnection) {
		t.Errorf("after the end: %v", err)
	}
	if page, err := g.Connections(t.Context(), status.ConnectionFilter{}); err != nil || len(page.Connections) != 0 {
		t.Errorf("after the end: %v, %v", page, err)
	}
}

// helloFor is a client's hello.
func helloFor(name string) []byte { return hellotest.Builder{ServerNames: []string{name}}.Records() }
