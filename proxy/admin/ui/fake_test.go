package ui_test

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/proxy/admin/ui"
	"sluice/proxy/status"
)

// pagePolicy is at least as strict as that of the admin server.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

const fakeToken = "a-token-for-tests"

// way is where connections go, and how many.
type way struct {
	listener, chain, cluster, endpoint string
	sni                                string

	// What is made up: connections and bytes a second, each way.
	active, fresh, received, sent float64
}

// fake is a gateway that is made up: it answers as the admin server does.
type fake struct {
	*httptest.Server
	history time.Duration // of which events are told at once
	every   time.Duration // between events

	mu          sync.Mutex // guards what is below
	listeners   []status.Listener
	clusters    []status.Cluster
	endpoints   []status.Endpoint
	ways        []way
	connections []status.Connection
	opened      map[way]uint64
	nextID      uint64
	killed      []uint64
	away        bool
	mayChange   bool
	changed     chan struct{} // closed when something has
	started     time.Time
}

// newFake starts a gateway, which the end of the test stops.
func newFake(t *testing.T, build func(f *fake)) *fake {
	t.Helper()
	f := &fake{every: time.Second, opened: map[way]uint64{}, nextID: 1000, changed: make(chan struct{}), started: time.Now().Add(-53 * time.Hour)}
	build(f)
	f.Server = httptest.NewServer(f.handler())
	t.Cleanup(func() {
		f.CloseClientConnections()
		f.Close()
	})
	return f
}

// change changes something, and tells those who watch.
func (f *fake) change(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
	close(f.changed)
	f.changed = make(chan struct{})
}

// open makes a connection on a way, and gives its ID.
func (f *fake) open(w way, c status.Connection) uint64 {
	var id uint64
	f.change(func() { id = f.add(w, c) })
	return id
}

func (f *fake) add(w way, c status.Connection) uint64 {
	f.nextID++
	c.ID = f.nextID
	c.Phase, c.TLS, c.Generation = "relay", "passthrough", 1
	c.Listener, c.FilterChain, c.Cluster, c.EndpointAddress, c.Endpoint = w.listener, w.chain, w.cluster, w.endpoint, w.endpoint
	for _, e := range f.endpoints {
		if e.Cluster == w.cluster && e.Address == w.endpoint {
			c.Endpoint = e.Name
		}
	}
	if c.SNI == "" {
		c.SNI = w.sni
	}
	if c.Source == "" {
		c.Source = "192.0.2.7:50000"
	}
	if c.Started.IsZero() {
		c.Started = time.Now()
	}
	f.connections = append(f.connections, c)
	f.opened[way{listener: w.listener, chain: w.chain, cluster: w.cluster, endpoint: w.endpoint}]++
	return c.ID
}

func (f *fake) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(ui.Files))
	mux.HandleFunc("GET /session", func(w http.ResponseWriter, _ *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		answer(w, 200, map[string]bool{"may_change": f.mayChange, "token_configured": true, "logged_in": f.mayChange})
	})
	mux.HandleFunc("GET /routes", func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, f.routes()) })
	mux.HandleFunc("GET /config", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 200, map[string]any{"files": []map[string]string{{"name": "edge.hcl", "text": fakeSource}}})
	})
	mux.HandleFunc("GET /connections", f.serveConnections)
	mux.HandleFunc("GET /explain", func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		answer(w, 200, f.explain(r.FormValue("listener"), r.FormValue("sni")))
	})
	mux.HandleFunc("GET /events", f.serveEvents)
	mux.HandleFunc("POST /login", f.login)
	mux.HandleFunc("POST /logout", f.guard(func(w http.ResponseWriter, _ *http.Request) {
		f.change(func() { f.mayChange = false })
		answer(w, 200, map[string]string{"result": "logged out"})
	}))
	mux.HandleFunc("POST /connections/{id}/kill", f.guard(f.kill))
	mux.HandleFunc("POST /clusters/{cluster}/endpoints/{address}", f.guard(f.setEndpoint))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		away := f.away
		f.mu.Unlock()
		if away {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Security-Policy", pagePolicy)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		mux.ServeHTTP(w, r)
	})
}

func answer(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // the page may be gone
}

// guard lets pass what the page posts once it is logged in.
func (f *fake) guard(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		may := f.mayChange
		f.mu.Unlock()
		if !may || r.Header.Get("X-Sluice-Request") == "" {
			answer(w, 401, map[string]string{"error": "needs the token"})
			return
		}
		next(w, r)
	}
}

func (f *fake) login(w http.ResponseWriter, r *http.Request) {
	var body struct{ Token string }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.Token != fakeToken {
		answer(w, 401, map[string]string{"error": "the token is wrong"})
		return
	}
	f.change(func() { f.mayChange = true })
	answer(w, 200, map[string]string{"result": "logged in"})
}

func (f *fake) kill(w http.ResponseWriter, r *http.Request) {
	id, _ := strconv.ParseUint(r.PathValue("id"), 10, 64)
	found := false
	f.change(func() {
		f.connections = slices.DeleteFunc(f.connections, func(c status.Connection) bool {
			found = found || c.ID == id
			return c.ID == id
		})
		f.killed = append(f.killed, id)
	})
	if !found {
		answer(w, 404, map[string]string{"error": "no such connection"})
		return
	}
	answer(w, 200, map[string]string{"result": fmt.Sprintf("connection %d killed", id)})
}

func (f *fake) setEndpoint(w http.ResponseWriter, r *http.Request) {
	var body struct{ State string }
	_ = json.NewDecoder(r.Body).Decode(&body)
	f.change(func() {
		for i, e := range f.endpoints {
			if e.Cluster == r.PathValue("cluster") && e.Address == r.PathValue("address") {
				f.endpoints[i].State = body.State
				f.endpoints[i].Status = map[string]string{"ready": e.Health}[body.State]
				if f.endpoints[i].Status == "" {
					f.endpoints[i].Status = body.State
				}
			}
		}
	})
	answer(w, 200, map[string]string{"result": "set to " + body.State})
}

func (f *fake) serveConnections(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	after, _ := strconv.ParseUint(r.FormValue("after"), 10, 64)
	limit, _ := strconv.Atoi(r.FormValue("limit"))
	page := status.Connections{Connections: []status.Connection{}, Total: len(f.connections)}
	has := func(is, param string) bool { p := r.FormValue(param); return p == "" || is == p }
	for _, c := range f.connections {
		if c.ID <= after || !has(c.SNI, "sni") || !has(c.Listener, "listener") || !has(c.FilterChain, "chain") ||
			!has(c.Cluster, "cluster") || !has(c.EndpointAddress, "endpoint") && !has(c.Endpoint, "endpoint") {
			continue
		}
		if len(page.Connections) == limit {
			page.Next = page.Connections[limit-1].ID
			break
		}
		c.Age = float64(time.Since(c.Started).Milliseconds())
		c.Idle = math.Mod(c.Age, 4000)
		page.Connections = append(page.Connections, c)
	}
	answer(w, 200, page)
}

func (f *fake) serveEvents(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	tell := func(at time.Time) bool {
		text, err := json.Marshal(f.flow(at))
		if err != nil {
			panic(err)
		}
		if _, err := fmt.Fprintf(w, "event: flow\ndata: %s\n\n", text); err != nil {
			return false
		}
		w.(http.Flusher).Flush()
		return true
	}
	for at := time.Now().Add(-f.history); at.Before(time.Now().Add(-time.Second)); at = at.Add(time.Second) {
		tell(at)
	}
	tick := time.NewTicker(f.every)
	defer tick.Stop()
	for tell(time.Now()) {
		f.mu.Lock()
		changed := f.changed
		f.mu.Unlock()
		select {
		case <-changed:
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
}

// flow is the state at a time.
func (f *fake) flow(at time.Time) map[string]any {
	f.mu.Lock()
	defer f.mu.Unlock()
	traffic := map[string]*status.Traffic{}
	sum := func(key string, t status.Traffic) {
		s := traffic[key]
		if s == nil {
			s = &status.Traffic{}
			traffic[key] = s
		}
		s.Active += t.Active
		s.Connections += t.Connections
		s.BytesReceived += t.BytesReceived
		s.BytesSent += t.BytesSent
	}
	for i, w := range f.ways {
		t := w.at(at.Sub(f.started).Seconds(), float64(i))
		for _, c := range f.connections {
			if w.active == 0 && c.Listener == w.listener && c.FilterChain == w.chain && c.Cluster == w.cluster && c.EndpointAddress == w.endpoint {
				t.Active++
				t.BytesReceived += c.BytesReceived
				t.BytesSent += c.BytesSent
			}
		}
		t.Connections += f.opened[way{listener: w.listener, chain: w.chain, cluster: w.cluster, endpoint: w.endpoint}]
		for _, key := range []string{w.listener, w.listener + "/" + w.chain, w.listener + "/" + w.chain + ">" + w.cluster, "c " + w.cluster, "e " + w.cluster + w.endpoint} {
			sum(key, t)
		}
	}
	get := func(key string) status.Traffic {
		if t := traffic[key]; t != nil {
			return *t
		}
		return status.Traffic{}
	}
	listeners := slices.Clone(f.listeners)
	total := 0
	for i := range listeners {
		l := &listeners[i]
		l.Traffic = get(l.Name)
		total += int(l.Traffic.Active)
		l.FilterChains = slices.Clone(l.FilterChains)
		for j := range l.FilterChains {
			c := &l.FilterChains[j]
			c.Traffic = get(l.Name + "/" + c.Name)
			c.Destination = slices.Clone(c.Destination)
			for k := range c.Destination {
				c.Destination[k].Traffic = get(l.Name + "/" + c.Name + ">" + c.Destination[k].Cluster)
			}
		}
	}
	clusters := slices.Clone(f.clusters)
	for i := range clusters {
		clusters[i].Traffic = get("c " + clusters[i].Name)
	}
	endpoints := slices.Clone(f.endpoints)
	for i, e := range endpoints {
		endpoints[i].Traffic = get("e " + e.Cluster + e.Address)
		endpoints[i].Attempts = endpoints[i].Traffic.Connections + e.Failures
	}
	return map[string]any{
		"time": at.UTC(), "listeners": listeners, "clusters": clusters, "endpoints": endpoints,
		"server": status.Server{
			Version: "1.0.0", Go: "go1.26", PID: 4711, State: "running", Started: f.started.UTC(),
			Uptime: float64(at.Sub(f.started).Milliseconds()), Generation: 1, Workers: 8, Splice: "auto",
			Connections: total, MaxConnections: 1_048_576 - 1024,
			Configuration: status.Configuration{Path: "/etc/sluice/edge.hcl", Loaded: f.started.Add(51 * time.Hour).UTC(), Reloads: 3, LastReload: "ok"},
		},
	}
}

// at is what has been carried after so many seconds. It goes up and down, as
// what people do, each way in its own time.
func (w way) at(s, phase float64) status.Traffic {
	if w.active == 0 {
		return status.Traffic{}
	}
	// The integral of rate*(1 + a*sin(2πs/p + phase)), twice.
	carried := func(rate, a, p, shift float64) uint64 {
		k := 2 * math.Pi / p
		return uint64(rate * (s - a/k*math.Cos(k*s+shift) - a/(5*2.7*k)*2*math.Cos(2.7*k*s+5*shift) - a/3/(k*7.3)*math.Cos(7.3*k*s+3*shift) - a/5/(k*19)*math.Cos(19*k*s+9*shift) + 2*a/k))
	}
	wave := 1 + 0.12*math.Sin(2*math.Pi*s/140+phase) + 0.03*math.Sin(2*math.Pi*s/17+2*phase)
	return status.Traffic{
		Active:        int64(math.Round(w.active * wave)),
		Connections:   carried(w.fresh, 0.35, 95, phase),
		BytesReceived: carried(w.received, 0.3, 120, phase),
		BytesSent:     carried(w.sent, 0.4, 110, phase+1),
	}
}

func (f *fake) routes() []status.Route {
	f.mu.Lock()
	defer f.mu.Unlock()
	routes := []status.Route{}
	for _, l := range f.listeners {
		for _, c := range l.FilterChains {
			domains := c.Match.ServerNames
			if len(domains) == 0 {
				domains = []string{"*"}
			}
			routes = append(routes, status.Route{
				Name: c.Name, Listener: l.Name, Position: c.Position, Domains: domains, MatchText: c.MatchText,
				Destination: c.Destination, IdleTimeout: "1h", HalfCloseTimeout: "5m", MaxDuration: "0s",
			})
		}
	}
	return routes
}

// explain finds the chain by names alone: an exact one, a wildcard, the rest.
func (f *fake) explain(listener, sni string) status.Explanation {
	a := status.Explanation{
		Question: status.Question{Listener: listener, ServerName: sni}, Listener: listener, Hello: "tls", HelloNeeded: true,
		Admission: "allowed", Outcome: "reset", Reason: "no_filter_chain_match",
		Chains: []status.Verdict{}, Clusters: []status.Alternative{}, Sent: []string{},
	}
	i := slices.IndexFunc(f.listeners, func(l status.Listener) bool { return l.Name == listener })
	a.Position = f.listeners[i].Position
	won, best := -1, -1
	for j, c := range f.listeners[i].FilterChains {
		if _, score := bestName(c, sni); score > best {
			won, best = j, score
		}
	}
	for j, c := range f.listeners[i].FilterChains {
		v := status.Verdict{FilterChain: c.Name, Position: c.Position, Default: c.Default}
		name, score := bestName(c, sni)
		switch {
		case j == won:
			v.Won = true
			a.FilterChain, a.TLS, a.Outcome, a.Reason = c.Name, c.TLS, "forward", ""
			for _, d := range c.Destination {
				a.Clusters = append(a.Clusters, f.alternative(d))
			}
			a.Sent = []string{"the ClientHello as it came, 517 bytes", "then all that the client sends"}
		case score >= 0:
			winner, _ := bestName(f.listeners[i].FilterChains[won], sni)
			v.LostBy = &status.Defeat{Criterion: "server_names", Own: name, Winners: winner}
		default:
			v.Failed = []status.Mismatch{{Criterion: "server_names", Got: sni, Want: strings.Join(c.Match.ServerNames, ", ")}}
		}
		a.Chains = append(a.Chains, v)
	}
	return a
}

// bestName is the pattern of a chain that fits a name best, and how well.
func bestName(c status.FilterChain, sni string) (string, int) {
	if len(c.Match.ServerNames) == 0 {
		return "", 0
	}
	best, score := "", -1
	for _, n := range c.Match.ServerNames {
		s := -1
		if n == sni {
			s = 1000
		} else if strings.HasPrefix(n, "*.") && strings.HasSuffix(sni, n[1:]) {
			s = len(n)
		}
		if s > score {
			best, score = n, s
		}
	}
	return best, score
}

func (f *fake) alternative(d status.Destination) status.Alternative {
	alt := status.Alternative{Cluster: d.Cluster, Weight: d.Weight, Share: d.Share, Policy: "least_connections", Endpoints: []status.Candidate{}}
	for _, c := range f.clusters {
		if c.Name == d.Cluster {
			alt.Position = c.Position
		}
	}
	rank := 1
	for _, e := range f.endpoints {
		if e.Cluster != d.Cluster {
			continue
		}
		c := status.Candidate{Endpoint: e.Name, Address: e.Address, Weight: e.Weight, Priority: e.Priority, Status: e.Status, Outlier: e.Outlier}
		for _, w := range f.ways {
			if w.cluster == e.Cluster && w.endpoint == e.Address {
				c.Active += int64(w.active)
			}
		}
		if e.Serving {
			c.Rank = rank
			rank++
		} else {
			c.Why = "it is " + e.Status
		}
		alt.Endpoints = append(alt.Endpoints, c)
	}
	return alt
}
