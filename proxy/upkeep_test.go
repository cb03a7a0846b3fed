package proxy

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"sluice/config"
	"sluice/proxy/upstream"
	"sluice/proxy/upstream/discovery"
)

// keptGateway is a gateway whose service log can be waited for.
type keptGateway struct {
	*gatewayUnderTest
	log *recordSink
}

// startKept is startGateway for tests of what a gateway finds out by itself.
func startKept(t *testing.T, hcl string) *keptGateway {
	t.Helper()
	log := &recordSink{lines: make(chan string, 20000)}
	return &keptGateway{startGatewayWith(t, hcl, zerolog.New(log).Level(zerolog.DebugLevel)), log}
}

// said waits for a line of the service log that has the parts in it.
func (g *keptGateway) said(t *testing.T, parts ...string) {
	t.Helper()
search:
	for {
		line := g.log.next(t)
		for _, p := range parts {
			if !strings.Contains(line, p) {
				continue search
			}
		}
		return
	}
}

// ended waits for the next record and gives its reason and the endpoint.
func (g *keptGateway) ended(t *testing.T) (reason, endpoint string) {
	t.Helper()
	var rec struct {
		Endpoint    string
		Termination struct{ Reason, Side string }
	}
	if err := json.Unmarshal([]byte(g.records.next(t)), &rec); err != nil {
		t.Fatal(err)
	}
	return rec.Termination.Reason, rec.Endpoint
}

// endpointsFile is a discovery file of a test.
type endpointsFile struct {
	t    *testing.T
	path string
}

func newEndpointsFile(t *testing.T, addresses ...string) *endpointsFile {
	f := &endpointsFile{t, filepath.Join(t.TempDir(), "endpoints.json")}
	if len(addresses) > 0 {
		f.write(addresses...)
	}
	return f
}

// write replaces the file.
func (f *endpointsFile) write(addresses ...string) {
	f.t.Helper()
	var list []string
	for _, a := range addresses {
		list = append(list, fmt.Sprintf(`{"address":%q}`, a))
	}
	next := f.path + ".next"
	if err := os.WriteFile(next, []byte(`{"endpoints":[`+strings.Join(list, ",")+`]}`), 0o600); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Rename(next, f.path); err != nil {
		f.t.Fatal(err)
	}
}

// plainTo is a listener that passes everything on to a cluster with the given
// words in it.
func plainTo(cluster string) string {
	return `
listener "plain" {
  address = "127.0.0.1:0"
  filter_chain "all" {
    match { transport_protocol = "raw_buffer" } # so that a refusal comes after the dial
    route { cluster = "one" }
  }
}
cluster "one" {
` + cluster + "\n}\n"
}

// echoes is a backend that echoes.
func echoes(t *testing.T) string {
	return backend(t, func(c net.Conn) { io.Copy(c, c); c.Close() })
}

// echoed tells whether the connection still works, both ways.
func echoed(t *testing.T, c net.Conn) bool {
	t.Helper()
	if _, err := io.WriteString(c, "x"); err != nil {
		return false
	}
	_, err := io.ReadFull(c, make([]byte, 1))
	return err == nil
}

// switchable is a listener beside an endpoint, for checks, that is there or not.
type switchable struct {
	t  *testing.T
	ln net.Listener
}

func newSwitchable(t *testing.T) *switchable {
	s := &switchable{t: t}
	s.listen("127.0.0.1:0")
	t.Cleanup(func() { s.ln.Close() })
	return s
}

func (s *switchable) listen(address string) {
	s.t.Helper()
	var err error
	if s.ln, err = net.Listen("tcp", address); err != nil {
		s.t.Fatal(err)
	}
	go func(ln net.Listener) {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}(s.ln)
}

func (s *switchable) off()      { s.ln.Close() }
func (s *switchable) on()       { s.listen(s.ln.Addr().String()) }
func (s *switchable) port() int { return s.ln.Addr().(*net.TCPAddr).Port }

// What becomes of live connections of an endpoint that checks find unhealthy;
// and new ones go elsewhere whatever that is.
func TestConnectionsOfAnUnhealthyEndpoint(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T, words, drainTimeout string) (*keptGateway, *switchable, net.Conn) {
		checked := newSwitchable(t)
		g := startKept(t, fmt.Sprintf("runtime { drain_timeout = %q }\n", drainTimeout)+plainTo(fmt.Sprintf(`
  endpoints = [%q]
  endpoint %q { priority = 1 }
  health_check {
    interval = "10ms"
    port     = %d
  }
  %s`, echoes(t), "127.0.0.2:1", checked.port(), words)))
		c := dial(t, g.address("plain"))
		if !echoed(t, c) {
			t.Fatal("the connection does not work to begin with")
		}
		g.said(t, "the first check passed")
		checked.off()
		g.said(t, `"endpoint":"127.0.0.1:`, `"reason":"3 checks in a row failed: the connection was refused"`, "endpoint unhealthy")
		return g, checked, c
	}
	t.Run("keep", func(t *testing.T) {
		t.Parallel()
		g, _, c := start(t, "", "1s")
		if !echoed(t, c) {
			t.Error("the connection has ended")
		}
		c.Close()
		if reason, _ := g.ended(t); reason != "finished" {
			t.Errorf("it ended for %s", reason)
		}
		if g.Stats().HealthChanges == 0 {
			t.Error("the change was not counted")
		}
	})
	t.Run("close", func(t *testing.T) {
		t.Parallel()
		g, _, c := start(t, `on_endpoint_unhealthy = "close"`, "1h")
		if n, err := c.Read(make([]byte, 1)); err == nil {
			t.Errorf("read %d bytes", n)
		}
		if reason, _ := g.ended(t); reason != "endpoint_unhealthy" {
			t.Errorf("it ended for %s", reason)
		}
	})
	t.Run("drain", func(t *testing.T) {
		t.Parallel()
		began := time.Now()
		g, _, c := start(t, `on_endpoint_unhealthy = "drain"`, "1s")
		if n, err := c.Read(make([]byte, 1)); err == nil {
			t.Errorf("read %d bytes", n)
		}
		if took := time.Since(began); took < 500*time.Millisecond {
			t.Errorf("it ended after %v, within the first half of the drain timeout", took)
		}
		if reason, _ := g.ended(t); reason != "endpoint_unhealthy" {
			t.Errorf("it ended for %s", reason)
		}
	})
	t.Run("drain, and well again", func(t *testing.T) {
		t.Parallel()
		g, checked, c := start(t, `on_endpoint_unhealthy = "drain"`, "1h")
		leaving := func() (n int) {
			g.onEach(func(_ int, w *worker) error { return nil }) // whatever was posted is done
			for _, w := range g.workers {
				count := make(chan int)
				w.Post(func() {
					n := 0
					w.each(func(c *conn) {
						if c.leaving() == reasonEndpointUnhealthy {
							n++
						}
					})
					count <- n
				})
				n += <-count
			}
			return n
		}
		until(t, "the connection to be leaving", func() bool { return leaving() == 1 })
		checked.on()
		g.said(t, "2 checks in a row passed", "endpoint healthy")
		until(t, "the connection to stay", func() bool { return leaving() == 0 })
		if !echoed(t, c) {
			t.Error("the connection has ended")
		}
	})
}

// Where so few are healthy that health is ignored, connections of endpoints that
// are not are as good as any: old ones stay, and new ones are not ended as soon as
// they are connected.
func TestPanicKeepsConnections(t *testing.T) {
	t.Parallel()
	checked := newSwitchable(t)
	g := startKept(t, plainTo(fmt.Sprintf(`
  endpoints             = [%q]
  panic_threshold       = 10
  on_endpoint_unhealthy = "close"
  health_check {
    interval = "10ms"
    port     = %d
  }`, echoes(t), checked.port())))
	old := dial(t, g.address("plain"))
	if !echoed(t, old) {
		t.Fatal("the connection does not work to begin with")
	}
	checked.off()
	g.said(t, "endpoint unhealthy")
	fresh := dial(t, g.address("plain"))
	if !echoed(t, fresh) {
		t.Error("a new connection does not work")
	}
	checked.on()
	g.said(t, "endpoint healthy") // by now whatever followed from the other change is done
	for what, c := range map[string]net.Conn{"old": old, "new": fresh} {
		if !echoed(t, c) {
			t.Errorf("the %s connection has ended", what)
		}
	}
}

// until waits for what no event tells of.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	eventually(t, func() error {
		if !holds() {
			return errors.New("still waiting for " + what)
		}
		return nil
	})
}

// What becomes of live connections of an endpoint that discovery has removed.
func TestConnectionsOfARemovedEndpoint(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		words, reason string
		stays         bool
	}{
		{`on_endpoint_removed = "keep"`, "finished", true},
		{`on_endpoint_removed = "close"`, "endpoint_removed", false},
		{`on_endpoint_removed = "drain"`, "endpoint_removed", false},
		{"", "endpoint_removed", false},
	} {
		t.Run(c.words, func(t *testing.T) {
			t.Parallel()
			first, second := echoes(t), echoes(t)
			file := newEndpointsFile(t, first)
			g := startKept(t, `runtime { drain_timeout = "200ms" }`+plainTo(fmt.Sprintf("discovery \"file\" { path = %q }\n%s", file.path, c.words)))
			g.said(t, `"added":["`+first, "endpoints changed")
			old := dial(t, g.address("plain"))
			if !echoed(t, old) {
				t.Fatal("the connection does not work to begin with")
			}
			file.write(second)
			g.said(t, `"removed":["`+first, "endpoints changed")
			fresh := dial(t, g.address("plain"))
			if !echoed(t, fresh) {
				t.Error("a new connection does not work")
			}
			if c.stays {
				if !echoed(t, old) {
					t.Error("the old connection has ended")
				}
				old.Close()
			} else if _, err := old.Read(make([]byte, 1)); err == nil {
				t.Error("the old connection says something")
			}
			if reason, endpoint := g.ended(t); reason != c.reason || endpoint != first {
				t.Errorf("ended for %s at %s, want %s at %s", reason, endpoint, c.reason, first)
			}
			if !echoed(t, fresh) {
				t.Error("the new connection has ended")
			}
		})
	}
}

// Connections of one endpoint that drains leave one by one, over the second half
// of the timeout.
func TestDrainedConnectionsAreSpread(t *testing.T) {
	t.Parallel()
	const n, timeout = 40, 2 * time.Second
	file := newEndpointsFile(t, echoes(t))
	g := startKept(t, fmt.Sprintf("runtime { drain_timeout = %q }", timeout)+plainTo(fmt.Sprintf("discovery \"file\" { path = %q }", file.path)))
	g.said(t, "endpoints changed")
	for range n {
		if !echoed(t, dial(t, g.address("plain"))) {
			t.Fatal("a connection does not work to begin with")
		}
	}
	file.write(echoes(t))
	g.said(t, `"removed":["`)
	removed := time.Now()
	var first, last time.Duration
	for i := range n {
		if reason, _ := g.ended(t); reason != "endpoint_removed" {
			t.Fatalf("ended for %s", reason)
		}
		if last = time.Since(removed); i == 0 {
			first = last
		}
	}
	// 40 uniform values over one second: that they lie within half of it has a
	// chance below 10^-10.
	if first < timeout/2-100*time.Millisecond || last-first < timeout/4 {
		t.Errorf("they left from %v to %v after it was removed", first, last)
	}
}

// A connection whose endpoint is removed while it is being connected does not
// escape: it ends as soon as it would relay.
func TestEndpointRemovedDuringSetup(t *testing.T) {
	t.Parallel()
	o := newOriginating(t)
	arrived, proceed := make(chan struct{}), make(chan struct{})
	slow := backend(t, func(c net.Conn) {
		arrived <- struct{}{}
		<-proceed
		tls.Server(c, &tls.Config{Certificates: []tls.Certificate{o.good}}).Handshake()
		io.Copy(io.Discard, c)
		c.Close()
	})
	file := newEndpointsFile(t, slow)
	g := startKept(t, plainTo(fmt.Sprintf(`
  discovery "file" { path = %q }
  on_endpoint_removed = "close"
  tls {
    server_name = "good.test"
    ca_file     = %q
  }`, file.path, o.caFile)))
	g.said(t, "endpoints changed")
	c := dial(t, g.address("plain"))
	io.WriteString(c, "hello")
	<-arrived
	file.write()
	g.said(t, `"removed":["`+slow)
	close(proceed)
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the endpoint says something")
	}
	if reason, _ := g.ended(t); reason != "endpoint_removed" {
		t.Errorf("it ended for %s", reason)
	}
}

// A gateway starts without knowing its endpoints; until then connections are
// refused for that reason.
func TestNoEndpointUntilDiscovery(t *testing.T) {
	t.Parallel()
	file := newEndpointsFile(t)
	g := startKept(t, plainTo(fmt.Sprintf("discovery \"file\" { path = %q }", file.path)))
	g.said(t, "no such file", "discovery failed")
	c := dial(t, g.address("plain"))
	io.WriteString(c, "hello")
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("somebody says something")
	}
	if reason, _ := g.ended(t); reason != "no_endpoint" {
		t.Errorf("it ended for %s", reason)
	}
	file.write(echoes(t))
	g.said(t, "endpoints changed")
	if !echoed(t, dial(t, g.address("plain"))) {
		t.Error("the connection does not work")
	}
	if err := os.WriteFile(file.path, []byte("{\n\"endpoints\": [}"), 0o600); err != nil {
		t.Fatal(err)
	}
	g.said(t, file.path+`:2:15: invalid character`, "the last good answer stays")
	if !echoed(t, dial(t, g.address("plain"))) {
		t.Error("the connection does not work with a broken file")
	}
}

// Endpoints of all kinds in one cluster are one set, and what the configuration
// says of one given by name holds for its addresses.
func TestSourcesAreOneSet(t *testing.T) {
	t.Parallel()
	file := newEndpointsFile(t, "127.0.0.9:9", "127.0.0.1:1")
	g := startKept(t, plainTo(fmt.Sprintf(`
  endpoints = ["127.0.0.1:1"]
  endpoint "localhost:2" {
    name            = "here"
    weight          = 7
    priority        = 2
    max_connections = 3
  }
  discovery "file" { path = %q }`, file.path)))
	cluster := g.snapshot.Load().clusters["one"]
	var found string
	until(t, "all sources", func() bool {
		found = ""
		for e, s := range cluster.Endpoints() {
			if e.Address.AddrPort.Addr().Is6() {
				continue // ::1 is in /etc/hosts of some machines
			}
			found += fmt.Sprintf("%s %s %d %d %d %q; ", e.Name(), e.Address, s.Weight, s.Priority, s.MaxConnections, e.Host())
		}
		return strings.Count(found, ";") == 3
	})
	if want := `127.0.0.1:1 127.0.0.1:1 1 0 0 ""; here/127.0.0.1:2 127.0.0.1:2 7 2 3 "localhost"; 127.0.0.9:9 127.0.0.9:9 1 0 0 ""; `; found != want {
		t.Errorf("the set is\n%s, want\n%s", found, want)
	}
}

// The name by which TLS verifies an endpoint is one that the configuration has,
// never one out of an answer of DNS.
func TestHostsOfDiscoveredEndpoints(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		like config.DNSDiscovery
		want string
	}{
		"by host name": {config.DNSDiscovery{Host: "api.internal", Weight: 1}, "api.internal"},
		"SRV":          {config.DNSDiscovery{Host: "_api._tcp.internal", SRV: true}, ""},
		"a file":       {config.DNSDiscovery{}, ""},
	} {
		found := discovery.Found{Address: upstream.Address{Path: "/run/x"}, Weight: 1}
		if tt.like.Host != "" {
			found.Host = tt.like.Host
		}
		if tt.like.SRV {
			found.Host = "evil.example.com" // the target
		}
		f := finder{like: tt.like}
		if got := f.spec(found).Host; got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// Checks go the way that connections go: from the cluster's source address, with
// a PROXY header that says LOCAL, over its TLS.
func TestChecksGoTheWayOfConnections(t *testing.T) {
	t.Parallel()
	expect := func(words, want string) {
		t.Helper()
		seen := make(chan string, 1)
		endpoint := backend(t, func(c net.Conn) {
			defer c.Close()
			host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
			first, _ := bufio.NewReader(c).Peek(16)
			seen <- fmt.Sprintf("%s %q", host, first)
		})
		startKept(t, plainTo(fmt.Sprintf("endpoints = [%q]\nhealth_check {\n interval = \"1h\"\n jitter = \"0%%\"\n}\n%s", endpoint, words)))
		if got := <-seen; !strings.HasPrefix(got, want) {
			t.Errorf("%s: the endpoint sees %s, want %s", words, got, want)
		}
	}
	expect("", `127.0.0.1 ""`)
	expect(`source_address = "127.0.0.5"`, `127.0.0.5 ""`)
	expect("proxy_protocol { version = 2 }", `127.0.0.1 "\r\n\r\n\x00\r\nQUIT\n \x00\x00\x00"`)
	expect("proxy_protocol { version = 1 }", `127.0.0.1 "PROXY TCP4 127.0`)
}

// A check over the cluster's TLS sees what its connections would see.
func TestChecksVerifyCertificates(t *testing.T) {
	t.Parallel()
	o := newOriginating(t)
	endpoint := backend(t, func(c net.Conn) {
		tls.Server(c, &tls.Config{Certificates: []tls.Certificate{o.good}}).Handshake()
		c.Close()
	})
	f := func(words, health string, log ...string) {
		t.Helper()
		g := startKept(t, plainTo(fmt.Sprintf("endpoints = [%q]\n%s", endpoint, words)))
		if len(log) > 0 {
			g.said(t, log...)
		}
		cluster := g.snapshot.Load().clusters["one"]
		until(t, "the first check", func() bool {
			for e := range cluster.Endpoints() {
				return e.Health() != upstream.Unchecked
			}
			return false
		})
		for e := range cluster.Endpoints() {
			if got := e.Health().String(); got != health {
				t.Errorf("%s: the endpoint is %s, want %s", words, got, health)
			}
		}
	}
	check := "health_check {\n type = \"tls\"\n interval = \"1h\"\n jitter = \"0%\"\n"
	f(check+"}\n tls {\n server_name = \"good.test\"\n ca_file = \""+o.caFile+"\"\n}", "healthy")
	f(check+"}\n tls {\n server_name = \"other.test\"\n ca_file = \""+o.caFile+"\"\n}", "unhealthy",
		"the first check failed: the certificate is not good: certificate is valid for good.test, not other.test", "endpoint unhealthy")
	f(check+"}", "healthy") // passed through: no certificate of ours to verify
	f("health_check {\n type = \"http\"\n interval = \"1h\"\n jitter = \"0%\"\n}\n tls {\n server_name = \"good.test\"\n ca_file = \""+o.caFile+"\"\n}",
		"unhealthy", "waiting for the answer: the endpoint closed the connection")
}

// A gateway that is closed leaves no goroutine and no descriptor of discovery
// and checks behind, whatever they were doing. It is not parallel: others would
// come and go meanwhile.
func TestUpkeepLeavesNothingBehind(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // in whose backlog checks wait
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	resolver, err := net.ListenPacket("udp", "127.0.0.1:0") // that never answers
	if err != nil {
		t.Fatal(err)
	}
	defer resolver.Close()
	file := newEndpointsFile(t, silent.Addr().String(), "127.0.0.1:1")
	cfg, diags := config.LoadSource("test.hcl", []byte(plainTo(fmt.Sprintf(`
  discovery "file" { path = %q }
  discovery "dns" {
    host      = "b.invalid"
    port      = 80
    resolvers = [%q]
  }
  health_check {
    interval = "2s"
    expect   = "never"
  }`, file.path, resolver.LocalAddr()))), config.Options{})
	if cfg == nil {
		var b bytes.Buffer
		diags.WriteText(&b, 100, false)
		t.Fatal(b.String())
	}
	before, ignore := descriptors(t), goleak.IgnoreCurrent()
	for range 5 {
		log := &recordSink{lines: make(chan string, 1000)}
		g, err := New(cfg, Options{Log: zerolog.New(log), Stdout: io.Discard})
		if err != nil {
			t.Fatal(err)
		}
		kept := &keptGateway{&gatewayUnderTest{Gateway: g}, log}
		kept.said(t, "endpoints changed")
		kept.said(t, "the first check failed: the connection was refused")
		var closing sync.WaitGroup
		for range 2 {
			closing.Go(g.Close)
		}
		closing.Wait()
	}
	goleak.VerifyNone(t, ignore)
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}

// descriptors counts those of the process.
func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// Descriptors for checks and discovery are taken from what connections may have.
func TestUpkeepHasItsShareOfDescriptors(t *testing.T) {
	t.Parallel()
	f := func(limit, discoveries int, checked bool, want int) {
		t.Helper()
		cl := &config.Cluster{Discoveries: make([]config.Discovery, discoveries)}
		if checked {
			cl.HealthCheck = &config.HealthCheck{}
		}
		if got := upkeepDescriptors(&config.Config{Clusters: []*config.Cluster{cl, {}}}, limit); got != want {
			t.Errorf("of %d, with %d discoveries and checks %v: %d, want %d", limit, discoveries, checked, got, want)
		}
	}
	f(1<<20, 0, false, 0)
	f(1<<20, 0, true, 64)
	f(1<<20, 10, true, 104)
	f(1024, 3, true, 44)
	f(64, 3, true, 16)
	f(1024, 1000, false, 256)
}
