package integration

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// sayPeer tells each client from where it is seen to come, and then echoes.
func sayPeer(c net.Conn) {
	fmt.Fprintf(c, "%s\n", c.RemoteAddr())
	echo(c)
}

// readLine reads up to the end of a line.
func readLine(t *testing.T, c net.Conn) string {
	t.Helper()
	var line []byte
	for len(line) == 0 || line[len(line)-1] != '\n' {
		line = append(line, receive(t, c, 1)...)
	}
	return strings.TrimSuffix(string(line), "\n")
}

// withInCluster is plainGateway with another line in its cluster.
func withInCluster(address, endpoint, more string) string {
	endpoints := fmt.Sprintf("endpoints = [%q]", endpoint)
	return strings.Replace(plainGateway(address, endpoint), endpoints, "\n"+endpoints+"\n"+more+"\n", 1)
}

// TestSourceAddress: the endpoint sees the address that is configured, and the
// record names it.
func TestSourceAddress(t *testing.T) {
	t.Parallel()
	p := startSluice(t, withInCluster("127.0.0.1:0", backend(t, sayPeer), `source_address = "127.99.0.7"`))
	c := dial(t, p.address("tcp"))
	seen := readLine(t, c)
	if host, _, _ := net.SplitHostPort(seen); host != "127.99.0.7" {
		t.Errorf("the endpoint sees %s", seen)
	}
	exchange(t, c, "hello")
	c.Close()
	expectFields(t, p.waitEnd(c.LocalAddr()), map[string]string{"upstream_local": seen})
}

// TestSourceTransparent: the endpoint sees the client's own address, over a
// network in which that is another machine's, and answers go back.
func TestSourceTransparent(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	const port = "8080" // in a namespace of our own nobody else has it
	listenIn(t, l.endpoint, net.JoinHostPort(endpointIPv4, port), sayPeer)
	listenIn(t, l.endpoint, net.JoinHostPort(endpointIPv6, port), sayPeer)
	p := startSluice(t, fmt.Sprintf(`
listener "v4" {
  address = "%s:0"
  filter_chain "all" {
    route { cluster = "v4" }
  }
}
listener "v6" {
  address = "[%s]:0"
  filter_chain "all" {
    route { cluster = "v6" }
  }
}
listener "mixed" {
  address = "%s:0"
  filter_chain "all" {
    route { cluster = "v6" }
  }
}
listener "behind" {
  address = "%s:0"
  proxy_protocol { trusted = ["10.98.1.0/24"] }
  filter_chain "all" {
    route { cluster = "v4" }
  }
}
cluster "v4" {
  endpoints          = ["%s:%s"]
  source_transparent = true
}
cluster "v6" {
  endpoints          = ["[%s]:%s"]
  source_transparent = true
}
`, gatewayIPv4, gatewayIPv6, gatewayIPv4, gatewayIPv4, endpointIPv4, port, endpointIPv6, port), inNamespace(l.gateway))

	for _, c := range []struct{ name, listener, header, want string }{
		{"IPv4", "v4", "", clientIPv4},
		{"IPv6", "v6", "", clientIPv6},
		// Routed back to us like any other: its packets come from the endpoint.
		{"the address of a header", "behind", "PROXY TCP4 192.0.2.77 10.98.1.2 1000 443\r\n", "192.0.2.77"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := p.on(t)
			conn := dialIn(t, l.client, p.address(c.listener))
			conn.SetDeadline(time.Now().Add(2 * patience))
			send(t, conn, []byte(c.header))
			seen := readLine(t, conn)
			if host, _, _ := net.SplitHostPort(seen); host != c.want {
				t.Errorf("the endpoint sees %s, want %s", seen, c.want)
			}
			exchange(t, conn, "hello")
			conn.Close()
			p.waitRecord(func(rec map[string]any) bool {
				return text(rec, "upstream_local") == seen && within(rec, "termination", "reason") == "finished"
			})
		})
	}

	t.Run("a client of another family", func(t *testing.T) {
		p := p.on(t)
		in(t, l.client, func() error {
			c, err := net.Dial("tcp", p.address("mixed"))
			if err == nil {
				defer c.Close()
				_, err = c.Read(make([]byte, 1))
			}
			if !isReset(err) {
				return fmt.Errorf("the client gets %v, want a reset", err)
			}
			return nil
		})
		rec := p.waitRecord(func(rec map[string]any) bool { return text(rec, "listener") == "mixed" })
		if got := attemptsOf(rec); len(got) != 3 || !strings.HasSuffix(got[0], " source_family") {
			t.Errorf("attempts are %q, want three that fail for the family", got)
		}
	})
}

// TestSourceTransparentNeedsCapability: without it the gateway says so and does
// not start.
func TestSourceTransparentNeedsCapability(t *testing.T) {
	t.Parallel()
	p := startSluice(t, withInCluster("127.0.0.1:0", "127.0.0.1:1", "source_transparent = true"), asNobody(), mayFail())
	if code := p.wait(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if said := p.stderr.String(); !strings.Contains(said, "CAP_NET_ADMIN") {
		t.Errorf("the gateway says %q", said)
	}
}
