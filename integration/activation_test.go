package integration

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// activated starts the gateway as a service manager does that has opened the
// sockets, under these names: LISTEN_PID has to be its own ID, which only a
// process that becomes it knows.
func activated(names []string, files []*os.File) option {
	return withCommand(func(cmd *exec.Cmd) {
		cmd.Args = append([]string{"/bin/sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`}, append([]string{cmd.Path}, cmd.Args[1:]...)...)
		cmd.Path = "/bin/sh"
		cmd.ExtraFiles = files
		cmd.Env = append(os.Environ(), fmt.Sprintf("LISTEN_FDS=%d", len(files)), "LISTEN_FDNAMES="+strings.Join(names, ":"))
	})
}

// opened listens as a service manager does: what it opens stays open.
func opened(t *testing.T, network, address string) (net.Addr, *os.File) {
	t.Helper()
	ln, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	f, err := ln.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return ln.Addr(), f
}

// TestSocketActivation: a socket goes to the listener that has its address,
// whatever its name, or else to the one that has its name, in order; and it
// outlives an upgrade and the gateway.
func TestSocketActivation(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "given.sock")
	byAddress, f1 := opened(t, "tcp", "127.0.0.1:0")
	firstNamed, f2 := opened(t, "tcp", "127.0.0.1:0")
	secondNamed, f3 := opened(t, "tcp", "127.0.0.1:0")
	unused, f4 := opened(t, "tcp", "127.0.0.1:0")
	_, f5 := opened(t, "unix", path)
	route := "  default_filter_chain {\n    route { cluster = \"one\" }\n  }\n}\n"
	hcl := fmt.Sprintf("listener \"fixed\" {\n  address = %q\n%s", byAddress, route) +
		fmt.Sprintf("listener \"named\" {\n  addresses = [\"127.0.0.1:0\", %q, \"127.0.0.1:0\", \"127.0.0.1:0\"]\n%s", "unix:"+path, route) +
		fmt.Sprintf("cluster \"one\" { endpoints = [%q] }\n", echoBackend(t))
	g := startGenerations(t, hcl, activated([]string{"odd", "named", "named", "nobodys", "web"}, []*os.File{f1, f2, f3, f4, f5}))

	want := []string{firstNamed.String(), "unix:" + path, secondNamed.String()}
	named := g.addresses["named"]
	if len(named) != 4 || strings.Join(named[:3], " ") != strings.Join(want, " ") {
		t.Errorf("listener named has the addresses %q, want %q and one of its own", named, want)
	}
	if got := g.address("fixed"); got != byAddress.String() {
		t.Errorf("listener fixed has the address %q, want %q", got, byAddress)
	}
	if ev := g.waitLog("a socket of the service manager's is not used"); text(ev, "socket") != "nobodys" {
		t.Errorf("the log names %q, want nobodys (%v)", text(ev, "socket"), unused)
	}
	if ev := g.waitLog("which is not the configured one"); text(ev, "listener") != "named" {
		t.Errorf("the log names %q", text(ev, "listener"))
	}
	serves := func(when string) {
		t.Helper()
		for _, address := range append(named, g.address("fixed")) {
			if err := once(address, []byte("hello")); err != nil {
				t.Errorf("%s, %s: %v", when, address, err)
			}
		}
	}
	serves("at first")
	awaitGone(t, g.upgrade())
	serves("after an upgrade")
	awaitGone(t, g.upgrade())
	serves("after another one")
	g.stopServing()
	// The service manager goes on listening.
	for _, address := range []string{byAddress.String(), want[0], want[1], want[2]} {
		c, err := tryDial(address)
		if err != nil {
			t.Errorf("once the gateway has ended: %v", err)
			continue
		}
		c.Close()
	}
}

// TestSocketActivationOfTheWrongKind is refused in words.
func TestSocketActivationOfTheWrongKind(t *testing.T) {
	t.Parallel()
	_, f := opened(t, "unix", filepath.Join(t.TempDir(), "x.sock"))
	p := startSluice(t, plainGateway("127.0.0.1:0", echoBackend(t)), activated([]string{"tcp"}, []*os.File{f}), mayFail())
	if code := p.wait(); code != 1 || !strings.Contains(p.stderr.String(), "make ListenStream= of the socket unit and the listener's address the same") {
		t.Errorf("exit code %d, and it says:\n%s", code, p.stderr)
	}
}

// TestSocketActivationWithDatagrams is, too.
func TestSocketActivationWithDatagrams(t *testing.T) {
	t.Parallel()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	f, err := c.(*net.UDPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := startSluice(t, plainGateway("127.0.0.1:0", echoBackend(t)), activated([]string{"tcp"}, []*os.File{f}), mayFail())
	if code := p.wait(); code != 1 || !strings.Contains(p.stderr.String(), "ListenStream= and Accept=no") {
		t.Errorf("exit code %d, and it says:\n%s", code, p.stderr)
	}
}
