package proxy

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/proxy/status"
)

// pages goes through all pages of a list and gives the connections of all.
func (g *gatewayUnderTest) pages(t *testing.T, filter status.ConnectionFilter) (all []status.Connection) {
	t.Helper()
	for {
		page, err := g.Connections(t.Context(), filter)
		if err != nil {
			t.Fatal(err)
		}
		if filter.Limit > 0 && len(page.Connections) > filter.Limit {
			t.Fatalf("a page of %d has %d connections", filter.Limit, len(page.Connections))
		}
		all = append(all, page.Connections...)
		if page.Next == 0 {
			return all
		}
		if last := page.Connections[len(page.Connections)-1].ID; page.Next != last || last <= filter.After {
			t.Fatalf("the page after %d ends with %d, and the next is said to be after %d", filter.After, last, page.Next)
		}
		filter.After = page.Next
	}
}

// TestListWhileConnectionsChurn: whoever lives while all pages are made is on
// exactly one of them, whatever comes and goes in its place.
func TestListWhileConnectionsChurn(t *testing.T) {
	g := startGateway(t, strings.Replace(loadConfig(t, backend(t, echo)), "workers = 2", "workers = 3", 1))
	open := func() net.Conn {
		c, err := net.Dial("tcp", g.address("tls"))
		if err != nil {
			t.Error(err)
			return nil
		}
		c.Write(helloFor("passed.test"))
		return c
	}
	var stop atomic.Bool
	var churning sync.WaitGroup
	defer churning.Wait()
	defer stop.Store(true)
	for range 8 {
		churning.Go(func() {
			for !stop.Load() {
				if c := open(); c != nil {
					c.SetDeadline(time.Now().Add(10 * time.Second))
					c.Read(make([]byte, 1))
					c.(*net.TCPConn).SetLinger(0)
					c.Close()
				}
			}
		})
	}
	const stable = 300
	stays := make(map[string]bool)
	for range stable {
		c := open()
		defer c.Close()
		c.SetDeadline(time.Now().Add(30 * time.Second))
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		stays[c.LocalAddr().String()] = true
	}
	rounds, others := 30, 0
	if raceEnabled {
		rounds = 5
	}
	for _, limit := range []int{1, 7, 100, 299, 10000} {
		for range rounds {
			seen := make(map[string]int)
			last := uint64(0)
			for _, c := range g.pages(t, status.ConnectionFilter{Limit: limit}) {
				if c.ID <= last {
					t.Fatalf("%d comes after %d", c.ID, last)
				}
				last = c.ID
				seen[c.Source]++
			}
			for source := range stays {
				if n := seen[source]; n != 1 {
					t.Fatalf("pages of %d: %s is listed %d times", limit, source, n)
				}
			}
			others += len(seen) - stable
			if limit == 1 {
				break // three hundred pages are enough
			}
		}
	}
	if others == 0 {
		t.Error("nothing churned")
	}
}

func TestConnectionFields(t *testing.T) {
	g := startGateway(t, loadConfig(t, backend(t, echo)))
	began := time.Now()
	c := dial(t, g.address("tls"))
	hello := helloFor("passed.test")
	if err := roundTrip(c, string(hello)); err != nil {
		t.Fatal(err)
	}
	one := g.theOne(t, status.ConnectionFilter{}, func(c status.Connection) bool { return c.BytesSent > 0 })
	if one.Started.Before(began.Add(-time.Second)) || one.Started.After(time.Now()) || one.Age <= 0 || one.Idle < 0 || one.Idle > one.Age || one.ID == 0 {
		t.Errorf("%+v", one)
	}
	endpoint := g.live("echo")
	address := ""
	for e := range endpoint.Endpoints() {
		address = e.Address.String()
	}
	want := status.Connection{
		ID: one.ID, Started: one.Started, Age: one.Age, Idle: one.Idle,
		Phase: "relay", Listener: "tls", Source: c.LocalAddr().String(), Destination: g.address("tls"),
		SNI: "passed.test", FilterChain: "passed", TLS: "passthrough",
		Cluster: "echo", Endpoint: address, EndpointAddress: address,
		BytesReceived: uint64(len(hello)), BytesSent: uint64(len(hello)),
		ModeReceived: "copy", ModeSent: "copy", Generation: 1,
	}
	if one != want {
		t.Errorf("got  %+v\nwant %+v", one, want)
	}
}

func TestConnectionFilters(t *testing.T) {
	t.Parallel()
	first, second := backend(t, echo), backend(t, echo)
	g := startGateway(t, fmt.Sprintf(`
listener "one" {
  address = "127.0.0.1:0"
  filter_chain "a" {
    match { server_names = ["a.test", "*.a.test"] }
    route { cluster = "a" }
  }
  filter_chain "b" {
    match { server_names = ["b.test"] }
    route { cluster = "b" }
  }
}
listener "two" {
  address = "127.0.0.1:0"
  filter_chain "a" {
    match { transport_protocol = "tls" }
    route { cluster = "a" }
  }
}
cluster "a" {
  endpoint %q { name = "first" }
}
cluster "b" { endpoints = [%q] }
`, first, second))
	open := func(listener, from, name string) {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c, err := d.Dial("tcp", g.address(listener))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if err := roundTrip(c, string(helloFor(name))); err != nil {
			t.Fatal(err)
		}
	}
	open("one", "127.0.0.1", "a.test")
	open("one", "127.0.1.2", "x.a.test")
	open("one", "127.0.0.3", "b.test")
	open("two", "127.0.0.1", "y.x.a.test")
	dial(t, g.address("one")) // says nothing
	g.theOne(t, status.ConnectionFilter{}, func(c status.Connection) bool { return c.Phase == "setup" })

	f := func(name string, filter status.ConnectionFilter, want string) {
		t.Helper()
		var names []string
		seen := make(map[string]bool)
		for _, c := range g.pages(t, filter) {
			seen[c.SNI] = true
		}
		for _, n := range []string{"", "a.test", "x.a.test", "b.test", "y.x.a.test"} {
			if seen[n] {
				names = append(names, strings.TrimSuffix(n, ".test")+";")
			}
		}
		if got := strings.Join(names, ""); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	f("all", status.ConnectionFilter{}, ";a;x.a;b;y.x.a;")
	f("pages of one", status.ConnectionFilter{Limit: 1}, ";a;x.a;b;y.x.a;")
	f("a name", status.ConnectionFilter{SNI: "A.test."}, "a;")
	f("names below", status.ConnectionFilter{SNI: "*.a.test"}, "x.a;y.x.a;")
	f("a source", status.ConnectionFilter{Source: "127.0.0.3"}, "b;")
	f("a source in IPv6 form", status.ConnectionFilter{Source: "::ffff:127.0.0.3"}, "b;")
	f("sources", status.ConnectionFilter{Source: "127.0.1.7/24"}, "x.a;")
	f("a listener", status.ConnectionFilter{Listener: "one"}, ";a;x.a;b;")
	f("a chain", status.ConnectionFilter{Chain: "a"}, "a;x.a;y.x.a;")
	f("a chain of a listener", status.ConnectionFilter{Listener: "two", Chain: "a"}, "y.x.a;")
	f("a cluster", status.ConnectionFilter{Cluster: "b"}, "b;")
	f("an endpoint", status.ConnectionFilter{Endpoint: "first"}, "a;x.a;y.x.a;")
	f("an address", status.ConnectionFilter{Endpoint: first}, "a;x.a;y.x.a;")
	f("an address that is its name", status.ConnectionFilter{Endpoint: second}, "b;")
	f("several", status.ConnectionFilter{Cluster: "a", SNI: "*.test", Source: "127.0.0.0/24"}, "a;y.x.a;")
	f("nobody", status.ConnectionFilter{SNI: "c.test"}, "")
	f("nothing", status.ConnectionFilter{Endpoint: "unix:/nowhere"}, "")

	for name, bad := range map[string]status.ConnectionFilter{
		"a name for a source": {Source: "localhost"},
		"too long a prefix":   {Source: "10.0.0.0/33"},
		"a negative limit":    {Limit: -1},
		"too high a limit":    {Limit: status.MaxLimit + 1},
	} {
		if _, err := g.Connections(t.Context(), bad); !errors.Is(err, ErrFilter) || !strings.Contains(err.Error(), "write") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestListOfThousands: what the issue promises, while others come and go.
func TestListOfThousands(t *testing.T) {
	peer := startPeer(t)
	g := startGateway(t, loadConfig(t, peer.endpoint(t)))
	v := Visit{Address: g.address("tls"), N: loadSize(5000)}
	peer.do(t, "Open", v)
	loaded := make(chan error, 1)
	go func() {
		var ok bool
		loaded <- peer.Call("Peer.Visits", Visit{Address: v.Address, N: v.N}, &ok)
	}()
	for range 3 {
		began := time.Now()
		page, err := g.Connections(t.Context(), status.ConnectionFilter{Limit: status.MaxLimit})
		took := time.Since(began)
		if err != nil || len(page.Connections) < v.N {
			t.Fatalf("%d of %d are listed: %v", len(page.Connections), v.N, err)
		}
		t.Logf("%d connections listed in %v", len(page.Connections), took)
		if took > time.Second {
			t.Errorf("listing %d connections took %v, want at most 1 s", len(page.Connections), took)
		}
	}
	if err := <-loaded; err != nil {
		t.Error(err)
	}
	peer.do(t, "Leave", true)
}
