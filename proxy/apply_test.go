package proxy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"sluice/config"
	"sluice/proxy/status"
)

// load gives a test's configuration.
func load(t *testing.T, hcl string) *config.Config {
	t.Helper()
	cfg, diags := config.LoadSource("test.hcl", []byte(hcl), config.Options{})
	if cfg == nil {
		var b bytes.Buffer
		diags.WriteText(&b, 100, false)
		t.Fatalf("the test's configuration:\n%s", b.String())
	}
	return cfg
}

// apply makes the gateway run another configuration.
func (g *gatewayUnderTest) apply(t *testing.T, hcl string) *Applied {
	t.Helper()
	a, err := g.Apply(load(t, hcl))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// reason waits for the next record and gives why the connection ended.
func (g *gatewayUnderTest) reason(t *testing.T) string {
	t.Helper()
	var r struct{ Termination struct{ Reason string } }
	if err := json.Unmarshal([]byte(g.records.next(t)), &r); err != nil {
		t.Fatal(err)
	}
	return r.Termination.Reason
}

// named answers each connection with a name, and then echoes.
func named(t *testing.T, name string) string {
	return backend(t, func(c net.Conn) {
		defer c.Close()
		io.WriteString(c, name)
		io.Copy(c, c)
	})
}

// reaches dials a listener and gives the connection with the name of the backend
// at its other end.
func (g *gatewayUnderTest) reaches(t *testing.T, listener string) (net.Conn, string) {
	t.Helper()
	c := dial(t, g.address(listener))
	name := make([]byte, 1)
	if _, err := io.ReadFull(c, name); err != nil {
		t.Fatalf("listener %s: %v", listener, err)
	}
	return c, string(name)
}

// chainTo is a listener with one chain, with words of the listener and of the
// chain in it, to the cluster of its name.
func chainTo(listener, words, chain, chainWords, cluster string) string {
	return fmt.Sprintf(`
listener %q {
  address = "127.0.0.1:0"
  %s
  filter_chain %q {
    %s
    route { cluster = %q }
  }
}
`, listener, words, chain, chainWords, cluster)
}

func clusterOf(name, words string, endpoints ...string) string {
	return fmt.Sprintf("cluster %q {\n%s\nendpoints = [\"%s\"]\n}\n", name, words, strings.Join(endpoints, `", "`))
}

// TestApplyOnChange: what did not change is not touched; what did is left as
// on_change says.
func TestApplyOnChange(t *testing.T) {
	t.Parallel()
	a, b := named(t, "a"), named(t, "b")
	clusters := clusterOf("a", "", a) + clusterOf("b", "", b)
	const other = `access { deny = ["203.0.113.0/24"] }`
	for _, c := range []struct {
		name   string
		before string
		after  string
		leaves bool
	}{
		{"nothing changed", chainTo("x", `on_change = "close"`, "c", "", "a"), "\n\n" + chainTo("x", `on_change = "close"`, "c", "", "a"), false},
		{"keep", chainTo("x", "", "c", "", "a"), chainTo("x", "", "c", other, "a"), false},
		{"close", chainTo("x", `on_change = "close"`, "c", "", "a"), chainTo("x", `on_change = "close"`, "c", other, "a"), true},
		{"the new configuration says", chainTo("x", "", "c", "", "a"), chainTo("x", "", "c", other+"\n"+`on_change = "close"`, "a"), true},
		{"only on_change changed", chainTo("x", "", "c", "", "a"), chainTo("x", "", "c", `on_change = "close"`, "a"), false},
		{"chain removed, close", chainTo("x", `on_change = "close"`, "c", "", "a"), chainTo("x", `on_change = "close"`, "d", "", "a"), true},
		{"chain removed, keep", chainTo("x", "", "c", "", "a"), chainTo("x", "", "d", "", "a"), false},
		{"listener removed, close", chainTo("x", "", "c", `on_change = "close"`, "a"), chainTo("y", "", "c", "", "a"), true},
		{"listener removed, keep", chainTo("x", "", "c", "", "a"), chainTo("y", "", "c", "", "a"), false},
		{"another cluster", chainTo("x", `on_change = "close"`, "c", "", "a"), chainTo("x", `on_change = "close"`, "c", "", "b"), true},
		{"the cluster changed, not the chain", chainTo("x", `on_change = "close"`, "c", "", "a"),
			chainTo("x", `on_change = "close"`, "c", "", "a") + "#", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := startGateway(t, c.before+clusters)
			conn, name := g.reaches(t, "x")
			if name != "a" {
				t.Fatalf("served by %q", name)
			}
			after := clusters
			if strings.HasSuffix(c.after, "#") {
				after = clusterOf("a", `lb_policy = "round_robin"`, a) + clusterOf("b", "", b)
			}
			plan, err := NewPlan(load(t, strings.TrimSuffix(c.after, "#")+after))
			if err != nil {
				t.Fatal(err)
			}
			if d := status.Compare(g.Outline(), plan.Outline()); (d.Leaving == 1) != c.leaves || (len(d.Changes) == 0) != (c.name == "nothing changed" || c.name == "only on_change changed") {
				t.Errorf("it is foretold that %d leave: %+v", d.Leaving, d)
			}
			applied := g.apply(t, strings.TrimSuffix(c.after, "#")+after)
			if applied.Generation != 2 || (applied.Leaving == 1) != c.leaves {
				t.Errorf("%+v, want generation 2 and a connection that leaves: %t", applied, c.leaves)
			}
			if !c.leaves {
				if !echoed(t, conn) {
					t.Error("the connection was cut")
				}
				return
			}
			if reason := g.reason(t); reason != "config_changed" {
				t.Errorf("the connection ended with %q, want config_changed", reason)
			}
			if _, err := conn.Read(make([]byte, 1)); err == nil {
				t.Error("the connection goes on")
			}
		})
	}
}

// TestApplyRoutes: new connections go where the new configuration says, on
// sockets that were not touched.
func TestApplyRoutes(t *testing.T) {
	t.Parallel()
	a, b := named(t, "a"), named(t, "b")
	clusters := clusterOf("a", "", a) + clusterOf("b", "", b)
	g := startGateway(t, chainTo("x", "", "c", "", "a")+clusters)
	address := g.address("x")
	old, _ := g.reaches(t, "x")
	g.apply(t, chainTo("x", "", "c", "", "b")+clusters)
	if g.address("x") != address {
		t.Errorf("listens on %s, before on %s", g.address("x"), address)
	}
	if _, name := g.reaches(t, "x"); name != "b" {
		t.Errorf("a new connection went to %q, want b", name)
	}
	if !echoed(t, old) {
		t.Error("the old connection was cut")
	}
}

// TestApplyAddresses: sockets of addresses that come are opened, of those that
// go are closed, and one that cannot be had leaves everything as it was.
func TestApplyAddresses(t *testing.T) {
	t.Parallel()
	a := named(t, "a")
	cluster := clusterOf("a", "", a)
	g := startGateway(t, chainTo("x", "", "c", "", "a")+cluster)
	x := g.address("x")
	applied := g.apply(t, chainTo("x", "", "c", "", "a")+chainTo("y", "", "c", "", "a")+cluster)
	if len(applied.Opened) != 1 || len(applied.Closed) != 0 || applied.Opened[0] != g.address("y") {
		t.Errorf("%+v, want one address opened", applied)
	}
	if _, name := g.reaches(t, "y"); name != "a" {
		t.Errorf("y leads to %q", name)
	}

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	bad := strings.Replace(chainTo("z", "", "c", "", "a"), "127.0.0.1:0", taken.Addr().String(), 1)
	if _, err := g.Apply(load(t, bad+cluster)); err == nil || !strings.Contains(err.Error(), "address in use") || !strings.Contains(err.Error(), `"z"`) {
		t.Errorf("an address that is taken: %v", err)
	}
	for _, listener := range []string{"x", "y"} {
		g.reaches(t, listener)
	}

	applied = g.apply(t, chainTo("y", "", "c", "", "a")+cluster)
	if len(applied.Opened) != 0 || len(applied.Closed) != 1 || applied.Closed[0] != x {
		t.Errorf("%+v, want %s closed", applied, x)
	}
	if c, err := net.Dial("tcp", x); err == nil {
		c.Close()
		t.Error("the closed address still takes connections")
	}
	// And again from a fixed address to one that it overlaps with.
	fixed := strings.Replace(chainTo("y", "", "c", "", "a"), "127.0.0.1:0", "127.0.0.1:"+quietPort(t), 1)
	g.apply(t, fixed+cluster)
	g.apply(t, strings.Replace(fixed, "127.0.0.1:", "0.0.0.0:", 1)+cluster)
	if c, name := g.reaches(t, "y"); name != "a" || !echoed(t, c) {
		t.Error("the wider address does not serve")
	}
}

// quietPort gives a port that nobody has, at any address, and that the kernel
// gives to nobody by itself.
func quietPort(t *testing.T) string {
	t.Helper()
	for port := localPortRange().first - 1; port > 1024; port-- {
		ln, err := net.Listen("tcp", fmt.Sprintf("0.0.0.0:%d", port))
		if err == nil {
			ln.Close()
			return fmt.Sprint(port)
		}
	}
	t.Fatal("every port is taken")
	return ""
}

// TestApplyKeepsLiveState: health, counts and limits are those of before.
func TestApplyKeepsLiveState(t *testing.T) {
	t.Parallel()
	a, b := named(t, "a"), named(t, "b")
	text := func(policy string, endpoints ...string) string {
		return chainTo("x", "max_connections = 3", "c", "", "one") + clusterOf("one", fmt.Sprintf("lb_policy = %q", policy), endpoints...)
	}
	g := startGateway(t, text("least_connections", a, b))
	cl := g.snapshot.Load().clusters["one"]
	for range 2 {
		g.reaches(t, "x")
	}
	g.apply(t, text("first", b))
	now := g.snapshot.Load().clusters["one"]
	if now.Cluster != cl.Cluster || now == cl {
		t.Error("the live cluster is another one, or what is said of it the same")
	}
	endpoints := 0
	for e := range now.Endpoints() {
		endpoints++
		if e.Active() != 1 {
			t.Errorf("%s has %d connections, want the one that it had", e.Name(), e.Active())
		}
	}
	if endpoints != 1 || now.Active() != 2 {
		t.Errorf("%d endpoints and %d connections, want 1 and 2", endpoints, now.Active())
	}
	if _, name := g.reaches(t, "x"); name != "b" {
		t.Errorf("led to %q, want b", name)
	}
	c, err := net.Dial("tcp", g.address("x"))
	if err == nil {
		defer c.Close()
		_, err = c.Read(make([]byte, 1))
	}
	if err == nil {
		t.Error("a fourth connection was served: the listener has forgotten those it has")
	}
}

// TestApplyChecks: a check that stays the same goes on, one that is taken away
// leaves no verdict.
func TestApplyChecks(t *testing.T) {
	t.Parallel()
	a := named(t, "a")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := ln.Addr().String()
	ln.Close()
	text := func(words string) string { return plainTo(words + fmt.Sprintf("\nendpoints = [%q, %q]", a, dead)) }
	const check = "health_check {\n interval = \"10ms\"\n unhealthy_threshold = 1\n}"
	g := startKept(t, text(check))
	g.said(t, "endpoint unhealthy", dead)
	checker := g.upkeeps["one"].checker
	g.apply(t, text(check+"\nlb_policy = \"first\""))
	if g.upkeeps["one"].checker != checker {
		t.Error("checks that stay the same were begun anew")
	}
	choices := func() int { return g.snapshot.Load().clusters["one"].Choices() }
	if choices() != 1 {
		t.Errorf("%d endpoints may be chosen, want the healthy one", choices())
	}
	g.apply(t, text(""))
	if choices() != 2 || g.upkeeps["one"].checker != nil {
		t.Errorf("%d endpoints may be chosen without checks, want both", choices())
	}
	g.apply(t, text(check))
	g.said(t, "endpoint unhealthy", dead)
}

// TestApplyDiscovery: what is looked for in the same words is not looked for
// anew, and what is not looked for any more is gone.
func TestApplyDiscovery(t *testing.T) {
	t.Parallel()
	a, b := named(t, "a"), named(t, "b")
	f := newEndpointsFile(t, a)
	found := fmt.Sprintf("discovery \"file\" { path = %q }\n", f.path)
	g := startKept(t, plainTo(found))
	g.said(t, "endpoints changed", a)
	finder := g.upkeeps["one"].finders[0]
	g.apply(t, plainTo(found+fmt.Sprintf("endpoints = [%q]", b)))
	if g.upkeeps["one"].finders[0] != finder {
		t.Error("discovery that stays the same was begun anew")
	}
	if n := g.snapshot.Load().clusters["one"].Choices(); n != 2 {
		t.Errorf("%d endpoints, want the one that was found and the one that is written", n)
	}
	g.apply(t, plainTo(fmt.Sprintf("endpoints = [%q]", b)))
	if n := g.snapshot.Load().clusters["one"].Choices(); n != 1 || len(g.upkeeps["one"].finders) != 0 {
		t.Errorf("%d endpoints without discovery, want 1", n)
	}
}

// TestApplyAccessLog: records go where the new configuration says, and none is
// lost on the way.
func TestApplyAccessLog(t *testing.T) {
	t.Parallel()
	a := named(t, "a")
	path := t.TempDir() + "/access.log"
	rest := chainTo("x", "", "c", "", "a") + clusterOf("a", "", a)
	g := startGateway(t, fmt.Sprintf("access_log { path = %q }\n", path)+rest)
	one := func() {
		c, _ := g.reaches(t, "x")
		c.Close()
		g.awaitIdle(t.Context())
	}
	one()
	g.apply(t, rest)
	one()
	if g.reason(t) == "" {
		t.Error("no record on standard output")
	}
	g.apply(t, "access_log { enabled = false }\n"+rest)
	one()
	g.apply(t, "access_log { types = [\"start\"] }\n"+rest)
	g.reaches(t, "x")
	if line := g.records.next(t); !strings.Contains(line, `"type":"start"`) {
		t.Errorf("after two more: %s", line)
	}
	text, err := os.ReadFile(path) // which is closed by now
	if err != nil || strings.Count(string(text), `"reason"`) != 1 {
		t.Errorf("in the file: %s (%v)", text, err)
	}
}

// TestApplyAtTheEnd: a gateway that ends takes nothing any more.
func TestApplyAtTheEnd(t *testing.T) {
	t.Parallel()
	text := chainTo("x", "", "c", "", "a") + clusterOf("a", "", named(t, "a"))
	g := startGateway(t, text)
	g.Close()
	if _, err := g.Apply(load(t, text)); err != ErrEnding {
		t.Errorf("Apply after Close: %v", err)
	}
}

// TestApplyIsTold: who asks learns what became of the last configuration.
func TestApplyIsTold(t *testing.T) {
	t.Parallel()
	text := chainTo("x", "", "c", "", "a") + clusterOf("a", "", named(t, "a"))
	g := startGateway(t, text)
	first := g.Server().Configuration
	if first.Reloads != 0 || first.LastReload != "ok" || first.Loaded.IsZero() {
		t.Errorf("at first: %+v", first)
	}
	g.apply(t, text)
	second := g.Server().Configuration
	if second.Reloads != 1 || second.LastReload != "ok" || !second.Loaded.After(first.Loaded) {
		t.Errorf("after a reload: %+v", second)
	}
	g.NotReloaded(errors.New("not valid"))
	if third := g.Server().Configuration; third.Reloads != 1 || third.LastReload != "not valid" || third.Loaded != second.Loaded {
		t.Errorf("after one that failed: %+v", third)
	}
}

// TestApplyTellsWhatWaits: the number of workers cannot change.
func TestApplyTellsWhatWaits(t *testing.T) {
	t.Parallel()
	text := chainTo("x", "", "c", "", "a") + clusterOf("a", "", named(t, "a"))
	g := startGateway(t, "runtime { workers = 1 }\n"+text)
	for range 2 { // it is still so the second time
		if a := g.apply(t, "runtime { workers = 2 }\n"+text); len(a.Unapplied) != 1 || !strings.Contains(a.Unapplied[0], "runtime.workers is 2 and stays 1") {
			t.Errorf("%+v", a)
		}
	}
	if a := g.apply(t, "runtime { workers = 1 }\n"+text); len(a.Unapplied) != 0 {
		t.Errorf("%+v", a)
	}
}

// TestApplySpreadsLeaving: with on_change = "drain" connections leave spread
// over the second half of the timeout, none at once.
func TestApplySpreadsLeaving(t *testing.T) {
	t.Parallel()
	const n, timeout = 400, 2 * time.Second
	text := func(words string) string {
		return fmt.Sprintf("runtime { drain_timeout = %q }\n", timeout) + chainTo("x", `on_change = "drain"`, "c", words, "a")
	}
	cluster := clusterOf("a", "", named(t, "a"))
	g := startGateway(t, text("")+cluster)
	for range n {
		g.reaches(t, "x")
	}
	began := time.Now()
	if a := g.apply(t, text(`access { deny = ["203.0.113.0/24"] }`)+cluster); a.Leaving != n {
		t.Fatalf("%d leave, want %d", a.Leaving, n)
	}
	var quarters [5]int
	for range n {
		var r struct {
			Time        time.Time
			Termination struct{ Reason string }
		}
		if err := json.Unmarshal([]byte(g.records.next(t)), &r); err != nil {
			t.Fatal(err)
		}
		if r.Termination.Reason != "config_changed" {
			t.Fatalf("a connection ended with %q", r.Termination.Reason)
		}
		quarters[min(int(4*r.Time.Sub(began)/timeout), 4)]++
	}
	// Half of those that are left go in each quarter of the second half.
	if quarters[0]+quarters[1] > n/50 || quarters[2] < n/4 || quarters[3]+quarters[4] < n/4 {
		t.Errorf("they left by quarters of the timeout %v: want none in the first two, half in each of the others", quarters)
	}
}
