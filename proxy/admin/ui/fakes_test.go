package ui_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"sluice/proxy/status"
)

// fakeSource is the configuration that the made-up gateways say they run.
const fakeSource = `# The edge of example.com.

listener "https" {
  address = "0.0.0.0:443"

  filter_chain "www" {
    match { server_names = ["www.example.com", "example.com"] }
    route { cluster = "web" }
  }
}
`

// describe adds a listener with chains that are written as "chain names -> cluster cluster".
func (f *fake) describe(listener, address string, line int, chains ...string) {
	l := status.Listener{Name: listener, Position: fmt.Sprintf("edge.hcl:%d", line), Addresses: []string{address}, OnNoMatch: "reset"}
	for _, text := range chains {
		left, right, _ := strings.Cut(text, " -> ")
		words := strings.Fields(left)
		line += 6
		c := status.FilterChain{Name: words[0], Position: fmt.Sprintf("edge.hcl:%d", line), TLS: "passthrough", MatchText: "ALL"}
		for _, w := range words[1:] {
			if w == "terminated" {
				c.TLS = w
			} else {
				c.Match.ServerNames = append(c.Match.ServerNames, w)
				c.MatchText = "SNI: " + strings.Join(c.Match.ServerNames, ", ")
			}
		}
		c.Default = len(c.Match.ServerNames) == 0
		clusters := strings.Fields(right)
		for _, name := range clusters {
			c.Destination = append(c.Destination, status.Destination{Cluster: name, Weight: 1, Share: 1 / float64(len(clusters))})
		}
		l.FilterChains = append(l.FilterChains, c)
	}
	f.listeners = append(f.listeners, l)
}

// cluster adds a cluster with endpoints that are written as "name address status".
func (f *fake) cluster(name string, line int, endpoints ...string) {
	c := status.Cluster{
		Name: name, Position: fmt.Sprintf("edge.hcl:%d", line), Type: "static", Discovery: []string{},
		Policy: "least_connections", Port: "8443", Endpoints: len(endpoints), HealthCheck: "tcp",
	}
	for i, text := range endpoints {
		words := strings.Fields(text)
		e := status.Endpoint{
			Cluster: name, Name: words[0], Address: words[1], Status: words[2], State: "ready", Health: words[2], Outlier: "ok", Weight: 1,
			LastCheck: &status.Check{Time: time.Now().UTC(), Passed: words[2] != "unhealthy", Took: 1.3 + float64(i)},
		}
		switch words[2] {
		case "ejected":
			e.Status, e.Health, e.Outlier, e.Ejections, e.Failures = "healthy", "healthy", "ejected", 2, 17
		case "drain", "maint":
			e.State, e.Health = words[2], "healthy"
		case "unhealthy":
			e.LastCheck.Reason, e.Failures = "connection refused", 3
		case "unchecked":
			e.LastCheck = nil
		}
		e.Serving = words[2] == "healthy" || words[2] == "unchecked"
		if e.Serving {
			c.Healthy++
		}
		f.endpoints = append(f.endpoints, e)
	}
	f.clusters = append(f.clusters, c)
}

// smallShop has the objects of most tests, and no traffic.
func smallShop(f *fake) {
	f.describe("https", "0.0.0.0:443", 3,
		"www www.example.com example.com -> web",
		"api api.example.com *.api.example.com terminated -> api api-canary",
		"rest -> web")
	f.cluster("web", 40, "web-1 10.0.0.11:8443 healthy", "web-2 10.0.0.12:8443 unhealthy")
	f.cluster("api", 50, "api-1 10.0.0.21:8443 healthy", "api-2 10.0.0.22:8443 ejected", "api-3 10.0.0.23:8443 drain")
	f.cluster("api-canary", 60, "canary 10.0.0.31:8443 unchecked")
	f.cluster("unused", 70, "old 10.0.0.41:8443 maint")
	f.ways = []way{
		{listener: "https", chain: "www", cluster: "web", endpoint: "10.0.0.11:8443", sni: "www.example.com"},
		{listener: "https", chain: "api", cluster: "api", endpoint: "10.0.0.21:8443", sni: "api.example.com"},
		{listener: "https", chain: "api", cluster: "api-canary", endpoint: "10.0.0.31:8443", sni: "api.example.com"},
	}
}

// busyEdge is the gateway of the screenshots.
func busyEdge(f *fake) {
	f.history = 10 * time.Second
	if *screenshots != "" {
		f.history = 5 * time.Minute
	}
	f.describe("https", "0.0.0.0:443", 3,
		"www www.example.com example.com -> web",
		"api api.example.com terminated -> api api-canary",
		"shop shop.example.com *.shop.example.com -> shop",
		"media media.example.com *.cdn.example.com -> media",
		"login login.example.com terminated -> identity",
		"tenants *.apps.example.com -> apps")
	f.describe("postgres", "10.0.0.5:5432", 64, "orders orders.db.internal -> orders-db", "reports reports.db.internal -> reports-db")
	f.describe("mqtt", "0.0.0.0:8883", 90, "devices -> broker")
	f.cluster("web", 110, "web-1 10.0.1.11:8443 healthy", "web-2 10.0.1.12:8443 healthy", "web-3 10.0.1.13:8443 drain")
	f.cluster("api", 120, "api-1 10.0.2.11:8443 healthy", "api-2 10.0.2.12:8443 healthy")
	f.cluster("api-canary", 130, "api-next 10.0.2.30:8443 healthy")
	f.cluster("shop", 140, "shop-1 10.0.3.11:8443 healthy", "shop-2 10.0.3.12:8443 unhealthy")
	f.cluster("media", 150, "media-1 10.0.4.11:8443 healthy", "media-2 10.0.4.12:8443 ejected")
	f.cluster("identity", 160, "id-1 10.0.5.11:8443 healthy", "id-2 10.0.5.12:8443 maint")
	f.cluster("apps", 170, "apps-1 10.0.6.11:8443 healthy")
	f.cluster("orders-db", 180, "primary 10.0.7.11:5432 healthy")
	f.cluster("reports-db", 190, "replica 10.0.7.12:5432 healthy")
	f.cluster("broker", 200, "broker-1 10.0.8.11:8883 unchecked", "broker-2 10.0.8.12:8883 unchecked")
	const kib, mib = 1 << 10, 1 << 20
	f.ways = []way{
		{"https", "www", "web", "10.0.1.11:8443", "www.example.com", 210, 24, 0.6 * mib, 7 * mib},
		{"https", "www", "web", "10.0.1.12:8443", "example.com", 205, 23, 0.6 * mib, 6.5 * mib},
		{"https", "www", "web", "10.0.1.13:8443", "www.example.com", 31, 0, 30 * kib, 0.4 * mib},
		{"https", "api", "api", "10.0.2.11:8443", "api.example.com", 160, 40, 2.2 * mib, 3.1 * mib},
		{"https", "api", "api", "10.0.2.12:8443", "api.example.com", 155, 39, 2.1 * mib, 3.0 * mib},
		{"https", "api", "api-canary", "10.0.2.30:8443", "api.example.com", 18, 4, 0.2 * mib, 0.3 * mib},
		{"https", "shop", "shop", "10.0.3.11:8443", "de.shop.example.com", 122, 11, 0.5 * mib, 4 * mib},
		{"https", "media", "media", "10.0.4.11:8443", "img.cdn.example.com", 88, 6, 0.3 * mib, 31 * mib},
		{"https", "media", "media", "10.0.4.12:8443", "img.cdn.example.com", 4, 0, 4 * kib, 0.2 * mib},
		{"https", "login", "identity", "10.0.5.11:8443", "login.example.com", 36, 15, 0.2 * mib, 0.3 * mib},
		{"https", "tenants", "apps", "10.0.6.11:8443", "acme.apps.example.com", 54, 5, 0.4 * mib, 1.4 * mib},
		{"postgres", "orders", "orders-db", "10.0.7.11:5432", "orders.db.internal", 64, 0.6, 0.9 * mib, 1.8 * mib},
		{"postgres", "reports", "reports-db", "10.0.7.12:5432", "reports.db.internal", 12, 0.2, 60 * kib, 9 * mib},
		{"mqtt", "devices", "broker", "10.0.8.11:8883", "", 190, 1.5, 80 * kib, 20 * kib},
		{"mqtt", "devices", "broker", "10.0.8.12:8883", "", 184, 1.4, 78 * kib, 19 * kib},
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 420 {
		w := f.ways[random.IntN(len(f.ways))]
		age := time.Duration(random.ExpFloat64() * float64(4*time.Minute))
		f.add(w, status.Connection{
			Source:        fmt.Sprintf("203.0.113.%d:%d", random.IntN(250)+1, 20000+random.IntN(40000)),
			Started:       time.Now().Add(-age),
			BytesReceived: uint64(random.ExpFloat64() * 40000), BytesSent: uint64(random.ExpFloat64() * 9e6),
		})
	}
}

// manyChains is more than can be drawn.
func manyChains(f *fake) {
	f.every = 4 * time.Second // telling of so many takes a while
	chains := make([]string, 10000)
	for i := range chains {
		chains[i] = fmt.Sprintf("tenant-%d t%d.example.com -> pool-%d", i, i, i%40)
	}
	f.describe("https", "0.0.0.0:443", 3, chains...)
	for i := range 40 {
		f.cluster(fmt.Sprintf("pool-%d", i), 100+i, fmt.Sprintf("a%d 10.0.%d.1:8443 healthy", i, i), fmt.Sprintf("b%d 10.0.%d.2:8443 healthy", i, i))
	}
	f.ways = []way{{listener: "https", chain: "tenant-9000", cluster: "pool-0", endpoint: "10.0.0.1:8443", sni: "t9000.example.com"}}
}
