package integration

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// line is three network namespaces in a line, client - gateway - endpoint, each
// with an address of each family on either link. Packets for the client that come
// back from the endpoint's side are the gateway's, as source_transparent needs.
type line struct {
	client, gateway, endpoint string // namespaces
}

const (
	clientIPv4, clientIPv6     = "10.98.1.1", "2001:db8:98:1::1"
	gatewayIPv4, gatewayIPv6   = "10.98.1.2", "2001:db8:98:1::2" // on the client's link
	endpointIPv4, endpointIPv6 = "10.98.2.2", "2001:db8:98:2::2"
)

// newLine makes one; it goes with the test. The test is skipped where
// namespaces cannot be made.
func newLine(t *testing.T) *line {
	t.Helper()
	needTool(t, "ip")
	prefix := fmt.Sprintf("sluicetest%d", os.Getpid())
	l := &line{prefix + "c", prefix + "g", prefix + "e"}
	t.Cleanup(func() {
		for _, ns := range []string{l.client, l.gateway, l.endpoint} {
			// The ones that were never made are no loss.
			_ = exec.Command("ip", "netns", "del", ns).Run()
		}
	})
	need(t, "network namespaces", ip("netns add "+l.client))
	for _, command := range l.commands() {
		if err := ip(command); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// ip runs the program of that name.
func ip(arguments string) error {
	out, err := exec.Command("ip", strings.Fields(arguments)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", arguments, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// commands are what follows once there is a first namespace.
func (l *line) commands() []string {
	lines := []string{"netns add " + l.gateway, "netns add " + l.endpoint}
	for _, ns := range []string{l.client, l.gateway, l.endpoint} {
		lines = append(lines, "-n "+ns+" link set lo up")
	}
	link := func(a, nameA string, addressesA [2]string, b, nameB string, addressesB [2]string) {
		lines = append(lines, fmt.Sprintf("-n %s link add %s type veth peer name %s netns %s", a, nameA, nameB, b))
		for _, end := range []struct {
			ns, name  string
			addresses [2]string
		}{{a, nameA, addressesA}, {b, nameB, addressesB}} {
			lines = append(lines,
				fmt.Sprintf("-n %s addr add %s/24 dev %s", end.ns, end.addresses[0], end.name),
				fmt.Sprintf("-n %s addr add %s/64 dev %s nodad", end.ns, end.addresses[1], end.name),
				fmt.Sprintf("-n %s link set dev %s up", end.ns, end.name))
		}
	}
	link(l.client, "gateway", [2]string{clientIPv4, clientIPv6}, l.gateway, "client", [2]string{gatewayIPv4, gatewayIPv6})
	link(l.gateway, "endpoint", [2]string{"10.98.2.1", "2001:db8:98:2::1"}, l.endpoint, "gateway", [2]string{endpointIPv4, endpointIPv6})
	return append(lines,
		"-n "+l.endpoint+" route add default via 10.98.2.1",
		"-n "+l.endpoint+" -6 route add default via 2001:db8:98:2::1",
		// Whatever comes from the endpoint is for this machine.
		"-n "+l.gateway+" rule add iif endpoint lookup 98",
		"-n "+l.gateway+" route add local default dev lo table 98",
		"-n "+l.gateway+" -6 rule add iif endpoint lookup 98",
		"-n "+l.gateway+" -6 route add local default dev lo table 98",
	)
}

// in runs f in a namespace. Sockets that f opens stay there; goroutines that it
// starts do not.
func in(t *testing.T, ns string, f func() error) {
	t.Helper()
	done := make(chan error)
	go func() {
		// And never unlocked: the thread ends with the goroutine. The first thread
		// of the process does not end, but nothing runs on it any more.
		runtime.LockOSThread()
		file, err := os.Open("/var/run/netns/" + ns)
		if err == nil {
			defer file.Close()
			err = unix.Setns(int(file.Fd()), unix.CLONE_NEWNET)
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// inNamespace runs the gateway in one.
func inNamespace(ns string) option {
	return withCommand(func(cmd *exec.Cmd) {
		path, err := exec.LookPath("ip")
		if err != nil {
			panic("BUG: integration: the ip program is gone")
		}
		cmd.Args = append([]string{path, "netns", "exec", ns}, cmd.Args...)
		cmd.Path = path
	})
}

// listenIn listens in a namespace and serves each connection with f.
func listenIn(t *testing.T, ns, address string, f func(net.Conn)) {
	t.Helper()
	var ln net.Listener
	in(t, ns, func() (err error) {
		ln, err = net.Listen("tcp", address)
		return err
	})
	serve(t, ln, f)
}

// dialIn connects from a namespace.
func dialIn(t *testing.T, ns, address string) net.Conn {
	t.Helper()
	var c net.Conn
	in(t, ns, func() (err error) {
		// A dialer with an address races families in goroutines of its own;
		// with IP addresses there is just one.
		c, err = net.Dial("tcp", address)
		return err
	})
	t.Cleanup(func() { c.Close() })
	return c
}
