package integration

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"testing"
)

// The gateway has ports of its own for its connections to endpoints. These tests
// leave it only two, in a network namespace: it is reached there over a unix
// socket, which belongs to no network.
const firstOwnPort, secondOwnPort = 50000, 50001

// withTwoPorts runs the gateway in a network namespace of its own, which has
// loopback and gives connections one of the two ports.
func withTwoPorts(t *testing.T) option {
	t.Helper()
	needTool(t, "unshare")
	needTool(t, "ip")
	script := fmt.Sprintf("ip link set lo up && echo %d %d >/proc/sys/net/ipv4/ip_local_port_range", firstOwnPort, secondOwnPort)
	inNamespace := []string{"--user", "--map-root-user", "--net", "sh", "-e", "-c", script + ` && exec "$@"`, "sh"}
	if out, err := exec.Command("unshare", append(inNamespace, "true")...).CombinedOutput(); err != nil {
		need(t, "network namespaces", fmt.Errorf("%w: %s", err, out))
	}
	return withCommand(func(cmd *exec.Cmd) {
		unshare, err := exec.LookPath("unshare")
		if err != nil {
			t.Fatal(err)
		}
		cmd.Args = append(append([]string{unshare}, inNamespace...), cmd.Args...)
		cmd.Path = unshare
	})
}

// TestDeadEndpointOnOwnPort: an endpoint on this machine that nobody listens on
// must refuse, also when the kernel chooses its port for the connection to it and
// connects that to itself. The client would be sent its own bytes.
func TestDeadEndpointOnOwnPort(t *testing.T) {
	t.Parallel()
	inNamespace, dir := withTwoPorts(t), t.TempDir()
	for _, ip := range []string{"127.0.0.1", "[::1]"} {
		for name, records := range map[string]string{"with_records": "", "without_records": "access_log { enabled = false }\n"} {
			t.Run(ip+"_"+name, func(t *testing.T) {
				t.Parallel()
				if ip == "[::1]" {
					needIPv6(t)
				}
				dead := fmt.Sprintf("%s:%d", ip, firstOwnPort)
				p := startSluice(t, plainGateway("unix:"+filepath.Join(dir, ip+name), dead)+records, inNamespace)
				for range 8 { // either port is chosen in some of them
					c := dial(t, p.address("tcp"))
					c.Write([]byte("hello"))
					// A unix socket knows a reset only where something was unread.
					if b, end := readToEnd(c); len(b) > 0 || end != fin && end != rst {
						t.Errorf("the client got %q and %s, want nothing and an end", b, end)
					}
					c.Close()
				}
				if records != "" {
					return
				}
				p.waitRecords(8, func(event) bool { return true })
				for _, rec := range p.records.all() {
					expectFields(t, rec, map[string]string{"termination.reason": "connect_failed", "termination.side": "upstream"})
					for _, attempt := range attemptsOf(rec) {
						if attempt != dead+" refused" {
							t.Errorf("an attempt is %q", attempt)
						}
					}
				}
			})
		}
	}
}

// TestOwnPortsRunOut: that the gateway has no port left for a connection says
// nothing about the endpoint, which is there and serves.
func TestOwnPortsRunOut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	endpoint, inside := filepath.Join(dir, "endpoint"), "127.0.0.1:7443"
	ln, err := net.Listen("unix", endpoint)
	if err != nil {
		t.Fatal(err)
	}
	serve(t, ln, echo)
	// The endpoint of the first listener is the second one: in the namespace
	// there is nobody else.
	p := startSluice(t, plainGateway("unix:"+filepath.Join(dir, "in"), inside)+fmt.Sprintf(`
listener "inside" {
  address = %q
  filter_chain "all" {
    route { cluster = "outside" }
  }
}
cluster "outside" { endpoints = ["unix:%s"] }
`, inside, endpoint), withTwoPorts(t))
	for range 2 {
		exchange(t, dial(t, p.address("tcp")), "with one of the ports")
	}
	c := dial(t, p.address("tcp"))
	if b, _ := readToEnd(c); len(b) > 0 {
		t.Errorf("the client got %q, want nothing", b)
	}
	rec := p.waitRecord(func(rec map[string]any) bool { return text(rec, "listener") == "tcp" })
	expectFields(t, rec, map[string]string{
		"termination.reason": "out_of_resources", "termination.side": "gateway", "flags": "OM",
		"error": "cannot assign requested address"})
	if got := attemptsOf(rec); len(got) != 3 {
		t.Errorf("attempts are %q, want three", got)
	}
}
