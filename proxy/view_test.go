package proxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"sluice/config"
	"sluice/proxy/status"
	"sluice/tlsutil"
	"sluice/tlsutil/certgen"
)

const viewConfig = `
listener "edge" {
  addresses   = ["127.0.0.1:0", "127.0.0.2:0"]
  on_no_match = "tls_alert"
  proxy_protocol {
    mode    = "optional"
    trusted = ["192.0.2.0/24"]
  }
  filter_chain "wild" {
    match { server_names = ["*.a.test"] }
    route { cluster = "static" }
  }
  filter_chain "raw" {
    match { transport_protocol = "raw_buffer" }
    route {
      idle_timeout       = "90s"
      half_close_timeout = "0s"
      cluster            = "static"
    }
  }
  filter_chain "exact" {
    match {
      server_names                = ["a.test", "b.test"]
      transport_protocol          = "tls"
      application_protocols       = ["h2", "http/1.1"]
      destination_port            = 443
      destination_prefix_ranges   = ["192.0.2.0/24", "198.51.100.0/24"]
      source_prefix_ranges        = ["10.0.0.0/8"]
      direct_source_prefix_ranges = ["172.16.0.0/12"]
      source_ports                = [1, 2]
    }
    tls {
      certificate {
        cert_file = CERT
        key_file  = KEY
      }
      client_auth { ca_file = CA }
    }
    route {
      hash_on = "source_ip"
      weighted_cluster "sealed" { weight = 3 }
      weighted_cluster "found"  { weight = 1 }
    }
  }
  default_filter_chain {
    route { cluster = "found" }
  }
}
listener "unix" {
  address = "unix:SOCKET"
  filter_chain "all" {
    route { cluster = "static" }
  }
}
cluster "static" {
  endpoint "127.0.0.1:1001" {
    name            = "first"
    weight          = 2
    max_connections = 7
  }
  endpoint "127.0.0.1:1002" { priority = 1 }
  health_check {}
  limits {
    max_connections = 5
    max_pending     = 4
  }
}
cluster "sealed" {
  endpoints = ["127.0.0.1:1003"]
  tls {
    server_name = "sealed.test"
    ca_file     = CA
    certificate {
      cert_file = CERT
      key_file  = env("SLUICE_VIEW_KEY", KEY)
    }
  }
}
cluster "found" {
  endpoints = ["127.0.0.1:1001"]
  lb_policy = "maglev"
  hash_on   = "source_ip"
  discovery "file" { path = FILE }
}
`

// viewed is a gateway with something of everything in it.
func viewed(t *testing.T) (*gatewayUnderTest, string) {
	t.Helper()
	dir := t.TempDir()
	ca := certgen.NewAuthority("view")
	cert, key, err := ca.WriteFiles(dir, "a", certgen.Options{Names: []string{"a.test", "b.test"}})
	if err != nil {
		t.Fatal(err)
	}
	caFile := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(caFile, ca.CAPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "endpoints.json")
	if err := os.WriteFile(file, []byte(`{"endpoints":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	quoted := func(s string) string { return fmt.Sprintf("%q", s) }
	quiet := zerolog.Nop()
	return startGatewayWith(t, strings.NewReplacer("CERT", quoted(cert), `env("SLUICE_VIEW_KEY", KEY)`, `env("SLUICE_VIEW_KEY", `+quoted(key)+`)`,
		"KEY", quoted(key), "CA", quoted(caFile), "FILE", quoted(file), "SOCKET", filepath.Join(dir, "s")).Replace(viewConfig), quiet), dir
}

func TestListenersView(t *testing.T) {
	g, dir := viewed(t)
	var got []string
	for _, l := range g.Listeners() {
		got = append(got, fmt.Sprintf("%s at %s on_no_match=%s proxy=%s %d addresses", l.Name, l.Position, l.OnNoMatch, l.ProxyProtocol, len(l.Addresses)))
		for i, a := range l.Addresses {
			if want := g.Addresses(); a != want[i].Address && a != "unix:"+filepath.Join(dir, "s") {
				t.Errorf("address %s", a)
			}
		}
		for _, c := range l.FilterChains {
			line := fmt.Sprintf("  %s at %s default=%v %s tls=%s ->", c.Name, c.Position, c.Default, c.MatchText, c.TLS)
			for _, d := range c.Destination {
				line += fmt.Sprintf(" %s/%d/%v", d.Cluster, d.Weight, d.Share)
			}
			got = append(got, line)
		}
	}
	want := []string{
		"edge at test.hcl:2 on_no_match=tls_alert proxy=optional 2 addresses",
		"  exact at test.hcl:21 default=false SNI: a.test,b.test; Trans: tls; App: h2,http/1.1; Addr: 192.0.2.0/24,198.51.100.0/24:443; Source: 10.0.0.0/8:1|2; Direct Source: 172.16.0.0/12 tls=terminated -> sealed/3/0.75 found/1/0.25",
		"  wild at test.hcl:9 default=false SNI: *.a.test tls=passthrough -> static/1/1",
		"  raw at test.hcl:13 default=false Trans: raw_buffer tls=passthrough -> static/1/1",
		"  default at test.hcl:45 default=true ALL tls=passthrough -> found/1/1",
		"unix at test.hcl:49 on_no_match=reset proxy= 1 addresses",
		"  all at test.hcl:51 default=false ALL tls=passthrough -> static/1/1",
	}
	sameLines(t, got, want)
	exact := g.Listeners()[0].FilterChains[0].Match
	b, err := json.Marshal(exact)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"server_names":["a.test","b.test"],"transport_protocol":"tls","application_protocols":["h2","http/1.1"],"destination_port":443,"destination_prefix_ranges":["192.0.2.0/24","198.51.100.0/24"],"source_prefix_ranges":["10.0.0.0/8"],"direct_source_prefix_ranges":["172.16.0.0/12"],"source_ports":[1,2]}`; string(b) != want {
		t.Errorf("match %s", b)
	}
}

func TestRoutesView(t *testing.T) {
	g, _ := viewed(t)
	var got []string
	for _, r := range g.Routes() {
		got = append(got, fmt.Sprintf("%s of %s at %s %v hash=%s idle=%s half=%s max=%s", r.Name, r.Listener, r.Position, r.Domains, r.HashOn, r.IdleTimeout, r.HalfCloseTimeout, r.MaxDuration))
	}
	sameLines(t, got, []string{
		"exact of edge at test.hcl:21 [a.test b.test] hash=source_ip idle=1h half=5m max=0s",
		"wild of edge at test.hcl:9 [*.a.test] hash= idle=1h half=5m max=0s",
		"raw of edge at test.hcl:13 [*] hash= idle=1m30s half=0s max=0s",
		"default of edge at test.hcl:45 [*] hash= idle=1h half=5m max=0s",
		"all of unix at test.hcl:51 [*] hash= idle=1h half=5m max=0s",
	})
}

func TestClustersView(t *testing.T) {
	g, dir := viewed(t)
	var got []string
	for _, c := range g.Clusters() {
		got = append(got, fmt.Sprintf("%s at %s %s %v %s port=%s %d endpoints max=%d/%d tls=%q check=%q",
			c.Name, c.Position, c.Type, c.Discovery, c.Policy, c.Port, c.Endpoints, c.MaxConnections, c.MaxPending, c.TLS, c.HealthCheck))
	}
	sameLines(t, got, []string{
		`static at test.hcl:55 static [] least_connections port=mixed 2 endpoints max=5/4 tls="" check="tcp"`,
		`sealed at test.hcl:68 static [] least_connections port=1003 1 endpoints max=0/0 tls="sealed.test" check=""`,
		`found at test.hcl:79 static+file [file ` + dir + `/endpoints.json] maglev port=1001 1 endpoints max=0/0 tls="" check=""`,
	})
}

// TestEndpointsView follows an endpoint through what an operator does and what
// checks find.
func TestEndpointsView(t *testing.T) {
	g, _ := viewed(t)
	var first status.Endpoint
	eventually(t, func() error { // nobody listens there
		first = g.Endpoints()[0]
		if first.LastCheck == nil || first.Health != "unhealthy" {
			return fmt.Errorf("not checked yet: %+v", first)
		}
		return nil
	})
	if c := first.LastCheck; c.Passed || c.Reason != "the connection was refused" || c.Took <= 0 || time.Since(c.Time) > time.Minute {
		t.Errorf("last check %+v", c)
	}
	show := func() (lines []string) {
		for _, e := range g.Endpoints() {
			lines = append(lines, fmt.Sprintf("%s %s %s: %s state=%s outlier=%s serving=%v weight=%d set=%v priority=%d max=%d checked=%v",
				e.Cluster, e.Name, e.Address, e.Status, e.State, e.Outlier, e.Serving, e.Weight, e.WeightSet, e.Priority, e.MaxConnections, e.LastCheck != nil))
		}
		return lines
	}
	if healthy := g.Clusters()[2].Healthy; healthy != 1 {
		t.Errorf("%d of cluster found are healthy", healthy)
	}
	nine, none := 9, 0
	change := func(cluster, address string, c EndpointChange) {
		t.Helper()
		if err := g.SetEndpoint(cluster, address, c); err != nil {
			t.Error(err)
		}
	}
	change("static", "127.0.0.1:1001", EndpointChange{State: "drain", Weight: &nine})
	change("found", "127.0.0.1:1001", EndpointChange{State: "maint"})
	lines := show()
	sameLines(t, []string{lines[0], lines[3]}, []string{
		"static first 127.0.0.1:1001: drain state=drain outlier=ok serving=false weight=9 set=true priority=0 max=7 checked=true",
		"found 127.0.0.1:1001 127.0.0.1:1001: maint state=maint outlier=ok serving=false weight=1 set=false priority=0 max=0 checked=false",
	})
	if healthy := g.Clusters()[2].Healthy; healthy != 0 {
		t.Errorf("%d of cluster found are healthy", healthy)
	}
	change("static", "127.0.0.1:1001", EndpointChange{State: "ready"})
	change("static", "127.0.0.1:1001", EndpointChange{Weight: &none})
	sameLines(t, show()[:1], []string{
		"static first 127.0.0.1:1001: unhealthy state=ready outlier=ok serving=false weight=2 set=false priority=0 max=7 checked=true",
	})
}

func TestSetEndpointRefuses(t *testing.T) {
	g, _ := viewed(t)
	before := fmt.Sprint(g.Endpoints()[3])
	f := func(name, cluster, address string, c EndpointChange, want error) {
		t.Helper()
		if err := g.SetEndpoint(cluster, address, c); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	low, high, good := -1, 1<<20+1, 5
	f("no cluster", "nowhere", "127.0.0.1:1001", EndpointChange{State: "drain"}, ErrNoCluster)
	f("no endpoint", "found", "127.0.0.1:1002", EndpointChange{State: "drain"}, ErrNoEndpoint)
	f("a name for an address", "static", "first", EndpointChange{State: "drain"}, ErrNoEndpoint)
	f("a wrong state", "found", "127.0.0.1:1001", EndpointChange{State: "down", Weight: &good}, ErrEndpointChange)
	f("too low a weight", "found", "127.0.0.1:1001", EndpointChange{State: "drain", Weight: &low}, ErrEndpointChange)
	f("too high a weight", "found", "127.0.0.1:1001", EndpointChange{Weight: &high}, ErrEndpointChange)
	f("nothing", "found", "127.0.0.1:1001", EndpointChange{}, ErrEndpointChange)
	if after := fmt.Sprint(g.Endpoints()[3]); after != before {
		t.Errorf("it has changed: %s, before %s", after, before)
	}
}

func TestSecretsView(t *testing.T) {
	g, _ := viewed(t)
	if err := os.Remove(g.Secrets()[0].File); err != nil { // what is in use is told, not what is on disk
		t.Fatal(err)
	}
	var got []string
	for _, s := range g.Secrets() {
		got = append(got, fmt.Sprintf("%s %s %s %v %v %s", s.Name, s.Type, s.Status, s.Valid, s.SANs, filepath.Base(s.File)))
		if len(s.Fingerprint) != 64 || s.Serial == "" || s.NotBefore.After(s.NotAfter) {
			t.Errorf("%+v", s)
		}
	}
	sameLines(t, got, []string{
		"edge/exact Cert Chain ACTIVE true [a.test b.test] " + filepath.Base(g.Secrets()[0].File),
		"edge/exact CA ACTIVE true [] ca.pem",
		"sealed Cert Chain ACTIVE true [a.test b.test] .", // the key's path is from env(), so none is shown
		"sealed CA ACTIVE true [] .",
	})
	if g.Secrets()[0].File == "" {
		t.Error("the file of the first is not named")
	}
}

func TestSecretStatus(t *testing.T) {
	t.Parallel()
	cert, key, err := certgen.NewAuthority("dates").WriteFiles(t.TempDir(), "a", certgen.Options{Names: []string{"a.test"}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := tlsutil.LoadCertificate(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	loaded := c.Leaf
	f := func(now time.Time, word string, valid bool) {
		t.Helper()
		s := secrets{now: now}
		s.add("x", "CA", loaded, "", false)
		if got := s.list[0]; got.Status != word || got.Valid != valid {
			t.Errorf("at %v: %s, %v; want %s", now, got.Status, got.Valid, word)
		}
	}
	f(time.Now(), "ACTIVE", true)
	f(loaded.NotAfter.Add(time.Second), "EXPIRED", false)
	f(loaded.NotBefore.Add(-time.Second), "NOT YET VALID", false)
}

func TestServerView(t *testing.T) {
	cfg, _ := config.LoadSource("test.hcl", []byte(loadConfig(t, "127.0.0.1:1")), config.Options{})
	g, err := New(cfg, Options{Version: "v1.2.3", Path: "edge.hcl", Generation: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	s := g.Server()
	if s.Version != "v1.2.3" || s.Go != runtime.Version() || s.PID != os.Getpid() || s.State != "running" || s.Generation != 4 ||
		s.Workers != 2 || s.Splice != "auto" || s.Connections != 0 || s.MaxConnections < 16 || s.Uptime <= 0 {
		t.Errorf("%+v", s)
	}
	if c := s.Configuration; c.Path != "edge.hcl" || c.LastReload != "ok" || c.Reloads != 0 || c.Loaded.Before(s.Started) {
		t.Errorf("%+v", c)
	}
	if err := g.Drain(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if got := g.State(); got != Draining {
		t.Errorf("after the drain it is %v", got)
	}
}

// TestStateWhileDraining: who asks whether to send clients must hear no as soon as
// none is accepted.
func TestStateWhileDraining(t *testing.T) {
	g := startGateway(t, loadConfig(t, backend(t, echo)))
	c := dial(t, g.address("tls"))
	hello := string(helloFor("passed.test"))
	if err := roundTrip(c, hello); err != nil {
		t.Fatal(err)
	}
	drained := make(chan error, 1)
	go func() { drained <- g.Drain(t.Context(), 0) }()
	eventually(t, func() error {
		if s := g.Server(); s.State != "draining" || s.Connections != 1 {
			return fmt.Errorf("it is %s with %d connections", s.State, s.Connections)
		}
		return nil
	})
	c.Close()
	if err := awaitEvent(t, "the end of the drain", drained); err != nil {
		t.Error(err)
	}
}

func TestDurationText(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0s", 5 * time.Second: "5s", time.Minute: "1m", time.Hour: "1h", 10 * time.Hour: "10h",
		90 * time.Second: "1m30s", 61 * time.Minute: "1h1m", time.Hour + time.Second: "1h0m1s", 100 * time.Millisecond: "100ms", 10 * time.Minute: "10m",
	} {
		if got := durationText(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
		if back, err := time.ParseDuration(durationText(d)); err != nil || back != d {
			t.Errorf("%v is read back as %v, %v", d, back, err)
		}
	}
}

func sameLines(t *testing.T, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		var g, w string
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Errorf("line %d:\n got %s\nwant %s", i, g, w)
		}
	}
}
