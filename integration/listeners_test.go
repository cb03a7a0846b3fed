package integration

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// plainGateway forwards every connection of one listener, "tcp", to one
// endpoint.
func plainGateway(address, endpoint string) string {
	return fmt.Sprintf(`
listener "tcp" {
  address = %q
  filter_chain "all" {
    route { cluster = "one" }
  }
}
cluster "one" { endpoints = [%q] }
`, address, endpoint)
}

// needIPv6 skips the test on a machine without an IPv6 loopback address.
func needIPv6(t *testing.T) {
	t.Helper()
	ln, err := net.Listen("tcp6", "[::1]:0")
	if err == nil {
		ln.Close()
	}
	need(t, "IPv6 on loopback", err)
}

func TestListenerIPv4(t *testing.T) {
	t.Parallel()
	p := startSluice(t, plainGateway("127.0.0.1:0", echoBackend(t)))
	c := dial(t, p.address("tcp"))
	exchange(t, c, "over IPv4")
	c.Close()
	rec := p.waitEnd(c.LocalAddr())
	expectFields(t, rec, map[string]string{"destination": p.address("tcp"), "tls": "none"})
}

func TestListenerIPv6(t *testing.T) {
	t.Parallel()
	needIPv6(t)
	ln, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, ln, echo)
	p := startSluice(t, plainGateway("[::1]:0", ln.Addr().String()))
	c := dial(t, p.address("tcp"))
	exchange(t, c, "over IPv6 to IPv6")
	c.Close()
	rec := p.waitEnd(c.LocalAddr())
	expectFields(t, rec, map[string]string{"destination": p.address("tcp"), "endpoint": ln.Addr().String()})
	_, port, _ := net.SplitHostPort(p.address("tcp"))
	if c, err := tryDial(net.JoinHostPort("127.0.0.1", port)); err == nil {
		c.Close()
		t.Error("a listener on [::1] can be reached over IPv4")
	}
}

func TestListenerDualStack(t *testing.T) {
	t.Parallel()
	needIPv6(t)
	p := startSluice(t, plainGateway(":0", echoBackend(t)))
	_, port, err := net.SplitHostPort(p.address("tcp"))
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"127.0.0.1", "::1"} {
		c := dial(t, net.JoinHostPort(host, port))
		exchange(t, c, "over "+host)
		c.Close()
		// An IPv4 client is an IPv4 client in the record, not ::ffff:127.0.0.1.
		rec := p.waitEnd(c.LocalAddr())
		expectFields(t, rec, map[string]string{"destination": net.JoinHostPort(host, port)})
	}
}

func TestListenerUnixSocketToUnixEndpoint(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.sock"), filepath.Join(dir, "out.sock")
	ln, err := net.Listen("unix", out)
	if err != nil {
		t.Fatal(err)
	}
	serve(t, ln, echo)
	p := startSluice(t, plainGateway("unix:"+in, "unix:"+out))
	c := dial(t, p.address("tcp"))
	exchange(t, c, "from a unix socket to a unix socket")
	bulk := pattern(8 << 20)
	go func() {
		c.Write(bulk)
		finish(c)
	}()
	got, end := readToEnd(c)
	if end != fin {
		t.Errorf("the connection ended with %s, want %s", end, fin)
	}
	expectSame(t, got, bulk)
	rec := p.waitRecord(func(rec map[string]any) bool { return text(rec, "type") == "end" })
	expectFields(t, rec, map[string]string{"termination.reason": "finished", "source": "", "endpoint": "unix:" + out})
	if code := p.stop(); code != 0 {
		t.Errorf("the gateway exits with %d, want 0", code)
	}
	if _, err := os.Stat(in); !os.IsNotExist(err) {
		t.Errorf("the gateway leaves its socket file behind: %v", err)
	}
}

func TestStaleUnixSocketIsReplaced(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "in.sock")
	leaveStaleSocket(t, path)
	p := startSluice(t, plainGateway("unix:"+path, echoBackend(t)))
	exchange(t, dial(t, p.address("tcp")), "through a replaced socket")
}

// leaveStaleSocket leaves what a process that was killed leaves: a socket file
// on which nobody listens.
func leaveStaleSocket(t *testing.T, path string) {
	t.Helper()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	ln.Close()
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
}

func TestFileThatIsNoSocketIsLeftAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(path, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startSluice(t, plainGateway("unix:"+path, echoBackend(t)), mayFail())
	if code := p.wait(); code != 1 {
		t.Errorf("the gateway exits with %d, want 1", code)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "data" {
		t.Errorf("the file is now %q, %v", b, err)
	}
}

// TestSecondGatewayOnTheSameAddress: it has to fail, not share the address in
// silence (the first one's sockets have SO_REUSEPORT), and not do the first
// one any harm.
func TestSecondGatewayOnTheSameAddress(t *testing.T) {
	t.Parallel()
	endpoint := echoBackend(t)
	for name, address := range map[string]string{
		"tcp":  "127.0.0.1:0",
		"unix": "unix:" + filepath.Join(t.TempDir(), "in.sock"),
		"any":  ":0",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := startSluice(t, plainGateway(address, endpoint))
			c := dial(t, first.address("tcp"))
			exchange(t, c, "before")

			taken := first.address("tcp")
			if name == "any" {
				taken = taken[strings.LastIndexByte(taken, ':'):]
			}
			second := startSluice(t, plainGateway(taken, endpoint), mayFail())
			if code := second.wait(); code != 1 {
				t.Errorf("the second gateway exits with %d, want 1", code)
			}
			if said := second.stderr.String(); !strings.Contains(said, "address in use") || !strings.Contains(said, `listener "tcp"`) {
				t.Errorf("the second gateway should name the listener and say address in use:\n%s", said)
			}
			exchange(t, c, "on the old connection")
			for range 8 { // each worker's socket is still there
				exchange(t, dial(t, first.address("tcp")), "on a new one")
			}
		})
	}
}

// TestOneAddressTakenOfTwo: a gateway that cannot have all of its addresses
// has accepted nothing on the others.
func TestOneAddressTakenOfTwo(t *testing.T) {
	t.Parallel()
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	free := filepath.Join(t.TempDir(), "in.sock")
	hcl := strings.Replace(plainGateway("127.0.0.1:0", echoBackend(t)),
		`address = "127.0.0.1:0"`, fmt.Sprintf(`addresses = ["unix:%s", %q]`, free, other.Addr()), 1)
	p := startSluice(t, hcl, mayFail())
	if code := p.wait(); code != 1 {
		t.Errorf("the gateway exits with %d, want 1", code)
	}
	if _, err := os.Stat(free); !os.IsNotExist(err) {
		t.Errorf("the gateway leaves a socket file behind: %v", err)
	}
}

// TestFreebind: a gateway may start before its address comes up.
func TestFreebind(t *testing.T) {
	t.Parallel()
	const elsewhere = "192.0.2.1:0" // RFC 5737: never ours
	p := startSluice(t, plainGateway(elsewhere, echoBackend(t)), mayFail())
	if code := p.wait(); code != 1 || !strings.Contains(p.stderr.String(), "freebind = true") {
		t.Errorf("exit code %d, want 1 and a hint at freebind:\n%s", code, p.stderr)
	}
	startSluice(t, strings.Replace(plainGateway(elsewhere, echoBackend(t)), "address", "freebind = true\n  address", 1))
}
