package integration

import (
	"fmt"
	"strings"
	"testing"
)

// TestServerFirst: where no chain needs a hello, a server that speaks first is
// heard. The listeners wait for a hello without limit, so if the gateway waited
// for one at all the greeting would never come.
func TestServerFirst(t *testing.T) {
	t.Parallel()
	const greeting = "220 mail.test ESMTP\r\n"
	endpoint := backend(t, banner(greeting))
	p := startSluice(t, fmt.Sprintf(`
listener "plain" {
  address = "127.0.0.1:0"
  inspect { timeout = "0s" }
  filter_chain "all" {
    route { cluster = "mail" }
  }
}
# For clients of another network the hello is needed, for ours it is not.
listener "mixed" {
  address = "127.0.0.1:0"
  inspect { timeout = "0s" }
  filter_chain "by_name" {
    match {
      server_names         = ["mail.test"]
      source_prefix_ranges = ["192.0.2.0/24"]
    }
    route { cluster = "mail" }
  }
  filter_chain "ours" {
    match { source_prefix_ranges = ["127.0.0.0/8"] }
    route { cluster = "mail" }
  }
}
cluster "mail" { endpoints = [%q] }
`, endpoint))
	for _, listener := range []string{"plain", "mixed"} {
		t.Run(listener, func(t *testing.T) {
			t.Parallel()
			p := p.on(t)
			c := dial(t, p.address(listener))
			if got := string(receive(t, c, len(greeting))); got != greeting {
				t.Fatalf("greeted with %q, want %q", got, greeting)
			}
			exchange(t, c, "EHLO client.test\r\n")
			c.Close()
			rec := p.waitEnd(c.LocalAddr())
			if _, peeked := rec["peek_ms"]; peeked || text(rec, "hello") != "" {
				t.Errorf("the gateway looked for a hello: %s", asJSON(rec))
			}
		})
	}
}

// TestClientFirstIsAskedForAHello is the other half: with a chain that matches
// on the server name nothing reaches the endpoint before the client spoke, and
// then all of it does.
func TestClientFirstIsAskedForAHello(t *testing.T) {
	t.Parallel()
	p := startSluice(t, strings.Replace(plainGateway("127.0.0.1:0", backend(t, banner("greeting "))),
		`filter_chain "all" {`, `filter_chain "named" {
    match { server_names = ["a.test"] }
    route { cluster = "one" }
  }
  filter_chain "all" {
    match { transport_protocol = "raw_buffer" }`, 1))
	c := dial(t, p.address("tcp"))
	send(t, c, []byte("SSH-2.0-test\r\n"))
	if got := string(receive(t, c, len("greeting SSH-2.0-test\r\n"))); got != "greeting SSH-2.0-test\r\n" {
		t.Errorf("got %q", got)
	}
	c.Close()
	expectFields(t, p.waitEnd(c.LocalAddr()), map[string]string{"hello": "not_tls", "filter_chain": "all", "tls": "none"})
}
