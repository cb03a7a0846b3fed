package proxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sluice/config"
	"sluice/proxy/poller"
	"sluice/tlsutil/clienthello/hellotest"
)

// stillCounted finds what listeners, clusters and endpoints count after all
// connections have ended.
func (g *Gateway) stillCounted() (left []string) {
	for _, ln := range g.snapshot.Load().listeners {
		a := &ln.admission
		if n := a.live.connections.Active(); n != 0 {
			left = append(left, fmt.Sprintf("listener %s still counts %d connections", ln.name, n))
		}
		if a.sources != nil {
			if live, _ := a.sources.Len(); live != 0 {
				left = append(left, fmt.Sprintf("listener %s still counts connections of %d sources", ln.name, live))
			}
		}
	}
	for name, cl := range g.snapshot.Load().clusters {
		if cl.Active() != 0 || cl.Pending() != 0 {
			left = append(left, fmt.Sprintf("cluster %s still counts %d connections, and %d that wait", name, cl.Active(), cl.Pending()))
		}
		for e := range cl.Endpoints() {
			if n := e.Active(); n != 0 {
				left = append(left, fmt.Sprintf("cluster %s: endpoint %s still counts %d connections", name, e.Name(), n))
			}
		}
	}
	return left
}

// untold finds refusals that are in no record after the gateway has closed.
func (g *Gateway) untold() (left []string) {
	for _, ln := range g.snapshot.Load().listeners {
		for i := range ln.admission.live.refusals {
			if f := ln.admission.live.refusals[i].end(); f != nil {
				left = append(left, fmt.Sprintf("listener %s has %d refusals (tally %d) in no record", ln.name, f.count, i))
			}
		}
	}
	return left
}

// refusals gives one of the gateway's counts.
func (g *gatewayUnderTest) refusals(listener, reason string) uint64 {
	for _, r := range g.Refusals() {
		if r.Listener == listener && r.Reason == reason {
			return r.Count
		}
	}
	panic("no listener " + listener + " or no reason " + reason)
}

// visit connects from an address and has something echoed. refused tells that
// the gateway reset the connection instead.
func visit(address, from string) (c net.Conn, refused bool, err error) {
	return visitAs(address, from, "")
}

// visitAs is visit with a PROXY header in front.
func visitAs(address, from, header string) (c net.Conn, refused bool, err error) {
	network, d := "tcp", net.Dialer{Timeout: 20 * time.Second}
	if address[0] == '/' {
		network = "unix"
	} else {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	c, err = d.Dial(network, address)
	if err == nil {
		c.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err = c.Write([]byte(header + "hello")); err == nil {
			_, err = io.ReadFull(c, make([]byte, 5))
		}
		if err != nil {
			c.Close()
		}
	}
	// A reset can come before connect has returned, and at any time after.
	if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ENOTCONN) {
		return nil, true, nil
	}
	if network == "unix" && errors.Is(err, io.EOF) { // which has no reset
		return nil, true, nil
	}
	return c, false, err
}

func expectRefused(t *testing.T, address, from string) {
	t.Helper()
	c, refused, err := visit(address, from)
	if err != nil {
		t.Fatalf("from %s: %v, want a reset", from, err)
	}
	if !refused {
		c.Close()
		t.Fatalf("from %s: served, want a reset", from)
	}
}

func expectServed(t *testing.T, address, from string) net.Conn {
	t.Helper()
	c, refused, err := visit(address, from)
	if err != nil || refused {
		t.Fatalf("from %s: refused %v, %v; want service", from, refused, err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// hold has something echoed, so that the connection is known to be there.
func hold(t *testing.T, c net.Conn) {
	t.Helper()
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
}

// rush has n clients come at once, from the addresses that from gives, and
// gives the connections of those that were served. All others were reset.
func rush(t *testing.T, address string, n int, from func(i int) string) (served []net.Conn) {
	t.Helper()
	var mu sync.Mutex // guards served
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			c, refused, err := visit(address, from(i))
			switch {
			case err != nil:
				t.Errorf("client %d: %v, want an echo or a reset", i, err)
			case !refused:
				mu.Lock()
				defer mu.Unlock()
				served = append(served, c)
			}
		})
	}
	wg.Wait()
	t.Cleanup(func() { closeAll(served) })
	return served
}

func closeAll(list []net.Conn) {
	for _, c := range list {
		c.Close()
	}
}

func sameAddress(int) string { return "127.0.0.1" }

// TestLimitsAreExact: of very many that come at once at four workers exactly as
// many are served as may, again and again, and each refusal is counted.
func TestLimitsAreExact(t *testing.T) {
	const most, clients = 20, 120
	for _, c := range []struct {
		name, runtime, listener string
		reason                  string
	}{
		{"listener", "", "max_connections = 20", "listener_limit"},
		{"process", "max_connections = 20", "", "process_limit"},
		{"source", "", "per_source { max_connections = 20 }", "source_connections"},
		{"both", "", "max_connections = 50\n per_source { max_connections = 20 }", "source_connections"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := startGateway(t, fmt.Sprintf(`
runtime {
  workers = 4
  %s
}
listener "tcp" {
  address = "127.0.0.1:0"
  %s
  filter_chain "echo" {
    route { cluster = "echo" }
  }
}
cluster "echo" { endpoints = [%q] }
`, c.runtime, c.listener, backend(t, echo)))
			total := uint64(0)
			for round := range 3 {
				served := rush(t, g.address("tcp"), clients, sameAddress)
				if len(served) != most {
					t.Fatalf("round %d: %d were served, want %d", round, len(served), most)
				}
				total += clients - most
				counted := g.refusals("tcp", c.reason)
				if c.name == "both" { // the listener counts those, too, that their source will not let in
					counted += g.refusals("tcp", "listener_limit")
				}
				if counted != total {
					t.Errorf("round %d: %d refusals were counted, want %d", round, counted, total)
				}
				closeAll(served)
				eventually(t, func() error {
					if n := g.Stats().Active; n != 0 {
						return fmt.Errorf("%d connections are left", n)
					}
					return nil
				})
			}
		})
	}
}

// TestRatesAreExact: a burst is served, and no more of it.
func TestRatesAreExact(t *testing.T) {
	const burst, clients = 20, 100
	for _, c := range []struct{ name, limit, reason string }{
		{"listener", "accept_limit {\n rate = 0.001\n burst = 20\n }", "accept_rate"},
		{"source", "per_source {\n rate = 0.001\n burst = 20\n }", "source_rate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := startGateway(t, fmt.Sprintf(`
runtime { workers = 4 }
listener "tcp" {
  address = "127.0.0.1:0"
  %s
  filter_chain "echo" {
    route { cluster = "echo" }
  }
}
cluster "echo" { endpoints = [%q] }
`, c.limit, backend(t, echo)))
			if n := len(rush(t, g.address("tcp"), clients, sameAddress)); n != burst {
				t.Errorf("%d of %d were served, want the burst of %d", n, clients, burst)
			}
			if n := g.refusals("tcp", c.reason); n != clients-burst {
				t.Errorf("%d refusals were counted, want %d", n, clients-burst)
			}
			if c.name == "source" { // another has a bucket of its own
				expectServed(t, g.address("tcp"), "127.0.0.2")
			} else {
				expectRefused(t, g.address("tcp"), "127.0.0.2")
			}
		})
	}
}

// TestSourcesDoNotTakeFromEachOther: while one source floods, others get what
// they are due.
func TestSourcesDoNotTakeFromEachOther(t *testing.T) {
	const most, others = 3, 20
	g := startGateway(t, fmt.Sprintf(`
runtime { workers = 4 }
listener "tcp" {
  address = "127.0.0.1:0"
  per_source { max_connections = %d }
  filter_chain "echo" {
    route { cluster = "echo" }
  }
}
cluster "echo" { endpoints = [%q] }
`, most, backend(t, echo)))
	served := rush(t, g.address("tcp"), 5*most*others, func(i int) string { return fmt.Sprintf("127.0.2.%d", 1+i%others) })
	bySource := map[string]int{}
	for _, c := range served {
		bySource[c.LocalAddr().(*net.TCPAddr).IP.String()]++
	}
	if len(bySource) != others {
		t.Errorf("%d sources were served, want %d", len(bySource), others)
	}
	for source, n := range bySource {
		if n != most {
			t.Errorf("%s has %d connections, want %d", source, n, most)
		}
	}
}

// TestHandedOverConnectionsAreCountedOnce: with worker 1 so busy that it hands
// over what it accepts, the counts are right all the same.
func TestHandedOverConnectionsAreCountedOnce(t *testing.T) {
	const most = 10
	g := startGateway(t, fmt.Sprintf(`
runtime { workers = 2 }
listener "tcp" {
  address         = "127.0.0.1:0"
  max_connections = %d
  per_source { max_connections = %d }
  filter_chain "echo" {
    route { cluster = "echo" }
  }
}
cluster "echo" { endpoints = [%q] }
`, most, most, backend(t, echo)))
	busy := g.workers[0]
	done := make(chan struct{})
	busy.Post(func() {
		for range 200 {
			busy.after(time.Hour, func() {})
		}
		close(done)
	})
	<-done
	for range 3 {
		served := rush(t, g.address("tcp"), 4*most, sameAddress)
		if len(served) != most {
			t.Errorf("%d were served, want %d", len(served), most)
		}
		closeAll(served)
		eventually(t, func() error {
			if left := g.stillCounted(); len(left) > 0 {
				return errors.New(left[0])
			}
			return nil
		})
	}
	g.Close()
	for len(g.records.lines) > 0 {
		// Connection IDs tell the worker: 1, 3, 5 are the first one's.
		if r := g.records.nextEnd(t); r.Termination.Reason == "finished" && r.ID%2 == 1 {
			t.Errorf("connection %d was not handed over", r.ID)
		}
	}
}

// TestEveryEndGivesBack: whatever ends a connection, its place is free again.
func TestEveryEndGivesBack(t *testing.T) {
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	g := startGateway(t, fmt.Sprintf(`
runtime { workers = 2 }
listener "impatient" {
  address         = "127.0.0.1:0"
  max_connections = 1
  inspect { timeout = "50ms" }
  per_source { max_connections = 1 }
  filter_chain "live" {
    match { server_names = ["live.test"] }
    route { cluster = "live" }
  }
}
listener "tls" {
  address         = "127.0.0.1:0"
  max_connections = 1
  inspect { timeout = "60s" }
  per_source { max_connections = 1 }
  filter_chain "live" {
    match { server_names = ["live.test"] }
    route { cluster = "live" }
  }
  filter_chain "reset" {
    match { server_names = ["reset.test"] }
    route { cluster = "reset" }
  }
  filter_chain "dead" {
    match { server_names = ["dead.test"] }
    route { cluster = "dead" }
    on_upstream_failure = "close"
  }
  filter_chain "denied" {
    match { server_names = ["denied.test"] }
    access { deny = ["127.0.0.0/8"] }
    route { cluster = "live" }
  }
}
cluster "live" { endpoints = [%q] }
cluster "reset" { endpoints = [%q] }
cluster "dead" { endpoints = [%q] }
`, backend(t, echo), backend(t, func(c net.Conn) {
		c.Read(make([]byte, 1))
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}), dead.Addr()))
	free := func() error {
		if left := g.stillCounted(); len(left) > 0 {
			return errors.New(left[0])
		}
		return nil
	}
	hello := func(name string) []byte { return hellotest.Builder{ServerNames: []string{name}}.Records() }
	reset := func(c net.Conn) { c.(*net.TCPConn).SetLinger(0); c.Close() }
	for _, c := range []struct {
		name, reason string
		client       func(c net.Conn)
	}{
		{"leaves at once", "closed_before_hello", func(c net.Conn) { c.Close() }},
		{"resets at once", "reset", reset},
		{"says nothing", "hello_timeout", func(c net.Conn) { io.ReadAll(c); c.Close() }},
		{"says half", "hello_timeout", func(c net.Conn) { c.Write(hello("live.test")[:20]); io.ReadAll(c); c.Close() }},
		{"says garbage", "malformed_hello", func(c net.Conn) { c.Write([]byte{22, 9, 9, 9, 9, 9, 9}); io.ReadAll(c); c.Close() }},
		{"asks for nobody", "no_filter_chain_match", func(c net.Conn) { c.Write(hello("none.test")); io.ReadAll(c); c.Close() }},
		{"is denied by the chain", "access_denied", func(c net.Conn) { c.Write(hello("denied.test")); io.ReadAll(c); c.Close() }},
		{"asks for the dead", "connect_failed", func(c net.Conn) { c.Write(hello("dead.test")); io.ReadAll(c); c.Close() }},
		{"is reset by the endpoint", "reset", func(c net.Conn) { c.Write(hello("reset.test")); io.ReadAll(c); c.Close() }},
		{"is served", "finished", func(c net.Conn) {
			c.Write(hello("live.test"))
			c.(*net.TCPConn).CloseWrite()
			io.ReadAll(c)
			c.Close()
		}},
	} {
		for range 2 {
			// A refusal would be in the records with another reason.
			listener := "tls"
			if c.reason == "hello_timeout" {
				listener = "impatient"
			}
			conn := dial(t, g.address(listener))
			c.client(conn)
			if r := g.records.nextEnd(t); r.Termination.Reason != c.reason {
				t.Errorf("a client that %s: %+v, want %s", c.name, r, c.reason)
			}
			eventually(t, free)
		}
	}
}

func TestAccess(t *testing.T) {
	path := t.TempDir() + "/x.sock"
	g := startGateway(t, fmt.Sprintf(`
listener "allow" {
  addresses = ["127.0.0.1:0", "unix:%s"]
  access {
    allow = ["127.0.0.0/24"]
    deny  = ["127.0.0.7/32"]
  }
  filter_chain "echo" {
    route { cluster = "echo" }
  }
}
listener "deny" {
  addresses = ["127.0.0.1:0", "unix:%s"]
  access { deny = ["127.0.0.7/32"] }
  filter_chain "some" {
    match { source_prefix_ranges = ["127.0.1.0/24"] }
    access { allow = ["127.0.1.1/32"] }
    route { cluster = "echo" }
  }
  default_filter_chain {
    access { deny = ["127.0.0.8/32"] }
    route { cluster = "echo" }
  }
}
listener "dual" {
  address = ":0"
  access { deny = ["127.0.0.7/32"] }
  filter_chain "echo" {
    route { cluster = "echo" }
  }
}
cluster "echo" { endpoints = [%q] }
`, path, path+"2", backend(t, echo)))
	_, dualPort, err := net.SplitHostPort(g.address("dual"))
	if err != nil {
		t.Fatal(err)
	}
	dual := "127.0.0.1:" + dualPort
	refused := uint64(0)
	for _, c := range []struct {
		address, from string
		served        bool
	}{
		{g.address("allow"), "127.0.0.1", true},
		{g.address("allow"), "127.0.0.7", false},
		{g.address("allow"), "127.0.1.1", false},
		{path, "", false}, // it has no address, so it is in no list
		{g.address("deny"), "127.0.0.1", true},
		{g.address("deny"), "127.0.0.7", false},
		{g.address("deny"), "127.0.0.8", false}, // by the chain
		{g.address("deny"), "127.0.1.1", true},
		{g.address("deny"), "127.0.1.2", false}, // by the chain
		{path + "2", "", true},
		{dual, "127.0.0.1", true},
		{dual, "127.0.0.7", false}, // although the socket gives it as IPv6
	} {
		if c.served {
			expectServed(t, c.address, c.from).Close()
		} else {
			expectRefused(t, c.address, c.from)
			refused++
		}
	}
	counted := uint64(0)
	for _, ln := range []string{"allow", "deny", "dual"} {
		counted += g.refusals(ln, "access_denied")
	}
	if counted != refused {
		t.Errorf("%d refusals were counted, want %d", counted, refused)
	}
	for chains := 0; chains < 2; { // the record names the chain that refused
		if r := g.records.nextEnd(t); r.FilterChain != "" && r.Termination.Reason == "access_denied" {
			chains++
		}
	}
}

// TestPeersOfAUnixSocketAreOneSource: they have no address to tell them apart.
func TestPeersOfAUnixSocketAreOneSource(t *testing.T) {
	path := t.TempDir() + "/x.sock"
	g := startGateway(t, fmt.Sprintf(`
listener "unix" {
  address = "unix:%s"
  per_source { max_connections = 2 }
  filter_chain "echo" {
    route { cluster = "echo" }
  }
}
cluster "echo" { endpoints = [%q] }
`, path, backend(t, echo)))
	expectServed(t, path, "")
	expectServed(t, path, "")
	expectRefused(t, path, "")
	if n := g.refusals("unix", "source_connections"); n != 1 {
		t.Errorf("%d refusals were counted, want 1", n)
	}
}

// TestTheHeaderSaysWhoTheSourceIs: access and per_source go by the PROXY
// header, whatever the peer is.
func TestTheHeaderSaysWhoTheSourceIs(t *testing.T) {
	path := t.TempDir() + "/x.sock"
	g := startGateway(t, fmt.Sprintf(`
listener "proxied" {
  addresses = ["127.0.0.1:0", "unix:%s"]
  proxy_protocol {
    mode    = "optional"
    trusted = ["127.0.0.0/8", "unix:"]
  }
  access {
    allow = ["192.0.2.0/24", "2001:db8::/32", "127.0.0.1/32"]
    deny  = ["192.0.2.66/32"]
  }
  per_source { max_connections = 2 }
  filter_chain "echo" {
    access { deny = ["192.0.2.67/32"] }
    route { cluster = "echo" }
  }
}
cluster "echo" { endpoints = [%q] }
`, path, backend(t, echo)))
	tcp := g.address("proxied")
	from := func(source string) string { return "PROXY TCP4 " + source + " 198.51.100.1 4000 443\r\n" }
	from6 := func(source string) string { return "PROXY TCP6 " + source + " 2001:db8::443 4000 443\r\n" }
	for i, c := range []struct {
		address, peer, header string
		served                bool
	}{
		{tcp, "127.0.0.2", from("192.0.2.1"), true},
		{tcp, "127.0.0.3", from("192.0.2.1"), true},
		{tcp, "127.0.0.4", from("192.0.2.1"), false}, // its third, from whatever peer
		{path, "", from("192.0.2.1"), false},
		{path, "", from("192.0.2.2"), true},
		{tcp, "127.0.0.2", from6("2001:db8:1:2::1"), true},
		{tcp, "127.0.0.2", from6("2001:db8:1:2::2"), true},
		{tcp, "127.0.0.2", from6("2001:db8:1:2::3"), false}, // of one /64
		{tcp, "127.0.0.2", from6("2001:db8:1:3::3"), true},
		{tcp, "127.0.0.1", from("192.0.2.66"), false},   // denied
		{tcp, "127.0.0.1", from("192.0.2.67"), false},   // by the chain
		{tcp, "127.0.0.1", from("198.51.100.9"), false}, // not allowed
		{tcp, "127.0.0.1", "PROXY UNKNOWN\r\n", true},   // the peer itself
		{tcp, "127.0.0.2", "PROXY UNKNOWN\r\n", false},  // is not allowed
		{tcp, "127.0.0.1", "", true},
		{tcp, "127.0.0.1", "", false},
	} {
		conn, refused, err := visitAs(c.address, c.peer, c.header)
		if err != nil || refused == c.served {
			t.Errorf("client %d, %q from %s: refused %v, %v; want served %v", i, c.header, c.peer, refused, err, c.served)
		}
		if conn != nil {
			defer conn.Close()
		}
	}
	if a, s := g.refusals("proxied", "access_denied"), g.refusals("proxied", "source_connections"); a != 4 || s != 4 {
		t.Errorf("%d were denied and %d were too many, want 4 and 4", a, s)
	}
}

// TestLimitsAreGivenBackAtClose: with every kind of limit, held connections and
// clients that still come, a gateway that closes leaves nothing counted; the
// harness looks.
func TestLimitsAreGivenBackAtClose(t *testing.T) {
	g := startGateway(t, fmt.Sprintf(`
access_log { types = ["start", "end"] }
runtime {
  workers         = 4
  max_connections = 60
}
listener "tcp" {
  address         = "127.0.0.1:0"
  max_connections = 50
  accept_limit { rate = 100000 }
  per_source {
    max_connections = 4
    rate            = 1000
    burst           = 8
  }
  filter_chain "echo" {
    route { cluster = "echo" }
  }
}
cluster "echo" { endpoints = [%q] }
`, backend(t, echo)))
	var stopped atomic.Bool
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := 0; !stopped.Load(); n++ {
				c, _, err := visit(g.address("tcp"), fmt.Sprintf("127.0.3.%d", 1+(i+n)%20))
				switch {
				case stopped.Load():
				case err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, os.ErrDeadlineExceeded):
					if errors.Is(err, syscall.ECONNREFUSED) {
						return // it is closing
					}
					t.Errorf("%v, want an echo or a reset", err)
				}
				if c != nil && n%3 > 0 {
					c.Close()
				} else if c != nil {
					defer c.Close()
				}
			}
		})
	}
	go func() { // the records must not be what stops it
		for range g.records.lines {
		}
	}()
	eventually(t, func() error {
		n := uint64(0)
		for _, r := range g.Refusals() {
			n += r.Count
		}
		if n < 100 {
			return fmt.Errorf("%d refusals so far", n)
		}
		return nil
	})
	g.Close()
	stopped.Store(true)
	wg.Wait()
	close(g.records.lines)
}

// BenchmarkAdmission is what a connection pays for being counted: both steps
// of admission, and leaving.
func BenchmarkAdmission(b *testing.B) {
	for _, c := range []struct {
		name string
		spec config.Listener
	}{
		{"no_limits", config.Listener{}},
		{"max_connections", config.Listener{MaxConnections: 1 << 20}},
		{"accept_limit", config.Listener{AcceptLimit: config.Rate{PerSecond: 1e6, Burst: 1e6}}},
		{"per_source", config.Listener{PerSource: config.PerSource{MaxConnections: 100, Rate: config.Rate{PerSecond: 1e6, Burst: 1e6}}}},
		{"access", config.Listener{Access: config.Access{Deny: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			g := &Gateway{}
			g.most.Store(&ceiling{1 << 30, reasonDescriptorLimit})
			ln := &listener{admission: newAdmission(&c.spec, nil)}
			var workers atomic.Uint32
			var clock atomic.Int64 // all have the same
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				w := &worker{Worker: &poller.Worker{}, gateway: g}
				con := &conn{w: w, listener: ln, setup: &setup{}, fds: [2]int32{-1, -1}}
				n := workers.Add(1) << 24
				for pb.Next() {
					n++
					w.clockOffset = time.Duration(clock.Add(int64(10 * time.Microsecond)))
					source := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n >> 24), 0, byte(n)}), 1)
					con.setup.source, con.record.source = source, compact(source)
					if ln.admission.accept(g, w.sharedNow()) != reasonNone {
						continue // the scheduler kept this one away for a second of its clock
					}
					if t := con.admit(); t.Ended() {
						b.Error(t.Reason)
					}
					con.leave()
				}
			})
		})
	}
}
