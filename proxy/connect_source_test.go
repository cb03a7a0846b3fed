package proxy

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sourceGateway has one listener and one cluster, with inCluster.
func sourceGateway(t *testing.T, inCluster string) *gatewayUnderTest {
	t.Helper()
	return startGateway(t, `
listener "tcp" {
  address = "127.0.0.1:0"
  filter_chain "all" {
    route { cluster = "one" }
  }
}
cluster "one" {
`+inCluster+`
}
`)
}

// TestSourceAddress: endpoints see the connection come from there, from another
// port each time.
func TestSourceAddress(t *testing.T) {
	t.Parallel()
	endpoint, conns := headerBackend(t)
	g := sourceGateway(t, fmt.Sprintf(`  endpoints      = [%q]
  source_address = "127.88.0.5"`, endpoint))
	ports := make(map[string]bool)
	for range 3 {
		c := dial(t, g.address("tcp"))
		up := next(t, conns)
		defer up.Close()
		host, port, _ := net.SplitHostPort(up.RemoteAddr().String())
		if host != "127.88.0.5" || ports[port] {
			t.Errorf("the endpoint is connected from %s; earlier ports were %v", up.RemoteAddr(), ports)
		}
		ports[port] = true
		sendString(t, c, "hello")
		expectWritten(t, up, "hello")
		c.Close()
		up.Close()
		expectRecord(t, g, map[string]string{"upstream_local": up.RemoteAddr().String()})
	}
}

func expectWritten(t *testing.T, c net.Conn, want string) {
	t.Helper()
	b := make([]byte, len(want))
	if n, err := c.Read(b); err != nil || string(b[:n]) != want {
		t.Errorf("got %q and %v, want %q", b[:n], err, want)
	}
}

// TestSourceAddressOfAnotherMachine: it is no endpoint's fault, and the record
// says what it is.
func TestSourceAddressOfAnotherMachine(t *testing.T) {
	t.Parallel()
	endpoint, _ := headerBackend(t)
	g := sourceGateway(t, fmt.Sprintf(`  endpoints      = [%q]
  source_address = "192.0.2.1"`, endpoint))
	expectResetAtOnce(t, g.address("tcp"), "")
	f := expectRecord(t, g, map[string]string{"termination.reason": "out_of_resources", "termination.side": "gateway"})
	if got := fmt.Sprint(f["attempts"]); strings.Count(got, "source_unavailable") != 3 {
		t.Errorf("attempts are %s", got)
	}
	for ep := range g.snapshot.Load().clusters["one"].Endpoints() {
		if n := ep.Counters.Failures.Load(); n != 0 {
			t.Errorf("%d failures are counted against the endpoint", n)
		}
	}
}

// TestSourceAddressLeavesUnixEndpointsAlone: they have no address to come from.
func TestSourceAddressLeavesUnixEndpointsAlone(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/s"
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		if c, err := ln.Accept(); err == nil {
			echo(c)
		}
	}()
	g := sourceGateway(t, fmt.Sprintf(`  endpoints      = ["unix:%s"]
  source_address = "127.88.0.5"`, path))
	c := dial(t, g.address("tcp"))
	sendString(t, c, "hello")
	expectEcho(t, c, "hello")
}

// TestSourceOfAnotherFamily: endpoints that cannot be connected from the source
// are passed over, however many there are, and use up no attempts.
func TestSourceOfAnotherFamily(t *testing.T) {
	t.Parallel()
	var found []string
	for port := range 10 {
		found = append(found, fmt.Sprintf(`{"address": "[::1]:%d"}`, 1+port))
	}
	found = append(found, fmt.Sprintf(`{"address": %q}`, backend(t, echo)))
	file := filepath.Join(t.TempDir(), "endpoints.json")
	if err := os.WriteFile(file, []byte(`{"endpoints": [`+strings.Join(found, ", ")+`]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	g := sourceGateway(t, fmt.Sprintf(`  source_address = "127.88.0.5"
  discovery "file" { path = %q }`, file))
	until(t, "the file to be read", func() bool { return g.snapshot.Load().clusters["one"].Choices() == len(found) })
	for range 10 { // those before are still there, so that the others have fewer connections
		c := dial(t, g.address("tcp"))
		if err := roundTrip(c, "hello"); err != nil {
			t.Error(err)
		}
	}
	for ep := range g.snapshot.Load().clusters["one"].Endpoints() {
		if n := ep.Counters.Failures.Load(); n != 0 {
			t.Errorf("%d failures are counted against %s", n, ep.Name())
		}
	}
}
