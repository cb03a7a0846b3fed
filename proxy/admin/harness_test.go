package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"sluice/config"
	"sluice/proxy"
	"sluice/proxy/status"
	"sluice/tlsutil/certgen"
)

// TestMain also holds that no goroutine of a server outlives it.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	rightToken = "0123456789abcdef0123456789abcdef"
	wrongToken = "fedcba9876543210fedcba9876543210"
)

// fakeGateway answers without anything behind it.
type fakeGateway struct {
	state atomic.Value // string
	asked atomic.Int64 // how often for the server, and so for an event of the flow

	mu      sync.Mutex // guards what follows
	changes []string
	filters []status.ConnectionFilter
	stuck   bool // Connections gives nothing until its context ends
}

func newFake() *fakeGateway {
	g := &fakeGateway{}
	g.state.Store("running")
	return g
}

func (g *fakeGateway) Server() status.Server {
	g.asked.Add(1)
	return status.Server{Version: "v1", State: g.state.Load().(string)}
}

func (g *fakeGateway) Listeners() []status.Listener {
	return []status.Listener{
		{Name: "https", Addresses: []string{"0.0.0.0:443"}, FilterChains: []status.FilterChain{{Name: "app", TLS: "passthrough"}, {Name: "api", TLS: "terminated"}}},
		{Name: "http", Addresses: []string{"127.0.0.1:80"}, FilterChains: []status.FilterChain{{Name: "raw", TLS: "passthrough"}}},
	}
}

func (g *fakeGateway) Routes() []status.Route {
	return []status.Route{{Name: "app", Listener: "https", Domains: []string{"*.example.com"}}, {Name: "raw", Listener: "http", Domains: []string{"raw.test"}}}
}

func (g *fakeGateway) Clusters() []status.Cluster {
	return []status.Cluster{{Name: "a", Port: "443"}, {Name: "b", Port: "80"}}
}

func (g *fakeGateway) Endpoints() []status.Endpoint {
	return []status.Endpoint{{Cluster: "a", Name: "one", Address: "10.0.0.1:443", Status: "healthy"}, {Cluster: "b", Name: "two", Address: "10.0.0.2:80", Status: "unhealthy"}}
}

func (g *fakeGateway) Outline() status.Outline {
	return status.Outline{Workers: 2, Listeners: []status.ListenerOutline{{Name: "https", Digest: "d"}}}
}

func (g *fakeGateway) Secrets() []status.Secret {
	return []status.Secret{{Name: "https/api"}, {Name: "a"}}
}

func (g *fakeGateway) Connections(ctx context.Context, f status.ConnectionFilter) (status.Connections, error) {
	g.mu.Lock()
	g.filters = append(g.filters, f)
	stuck := g.stuck
	g.mu.Unlock()
	if stuck {
		<-ctx.Done()
		return status.Connections{}, ctx.Err()
	}
	return status.Connections{Connections: []status.Connection{{ID: 7, SNI: "app.example.com"}}, Total: 1}, nil
}

func (g *fakeGateway) Kill(_ context.Context, id uint64) error {
	if id != 7 {
		return fmt.Errorf("connection %d: %w", id, proxy.ErrNoConnection)
	}
	g.note("kill")
	return nil
}

func (g *fakeGateway) SetEndpoint(cluster, address string, change proxy.EndpointChange) error {
	switch {
	case cluster == "none":
		return fmt.Errorf("%w: %q", proxy.ErrNoCluster, cluster)
	case cluster == "b":
		return fmt.Errorf("%w: %q of cluster %q", proxy.ErrNoEndpoint, address, cluster)
	case change.State == "asleep" || change.State == "" && change.Weight == nil:
		return fmt.Errorf("%w: write a state", proxy.ErrEndpointChange)
	}
	weight := ""
	if change.Weight != nil {
		weight = fmt.Sprint(*change.Weight)
	}
	g.note("endpoint " + cluster + " " + address + " " + change.State + weight)
	return nil
}

func (g *fakeGateway) Explain(q status.Question) (status.Explanation, error) {
	if q.Listener == "" {
		return status.Explanation{}, errors.New("no listener is named")
	}
	return status.Explanation{Question: q, Listener: q.Listener, Outcome: "forward"}, nil
}

func (g *fakeGateway) note(change string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.changes = append(g.changes, change)
}

// noted takes the changes that were made so far.
func (g *fakeGateway) noted() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	changes := g.changes
	g.changes = nil
	return changes
}

// served is a server, and a way to ask it.
type served struct {
	t       *testing.T
	gateway *fakeGateway
	log     *lockedBuffer
	server  *Server
	client  *http.Client
	base    string // scheme and host
	metrics string // the same of the metrics address
	level   string
}

// pageFiles is a page for tests.
func pageFiles() fstest.MapFS {
	return fstest.MapFS{
		"index.html":     {Data: []byte("<!doctype html><script src=app.js></script>")},
		"app.js":         {Data: []byte("export {}")},
		"assets/app.css": {Data: []byte("body {}")},
	}
}

// serve starts a server with a configuration; an address of its own is chosen
// for one that has port 0. The server ends with the test.
func serve(t *testing.T, cfg *config.Config, change ...func(*Options)) *served {
	t.Helper()
	s := &served{t: t, gateway: newFake(), log: &lockedBuffer{}, level: "info"}
	log := zerolog.New(s.log)
	sockets, err := Bind(cfg, nil, log)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		Gateway: s.gateway, Log: log,
		Files:    func() []config.File { return []config.File{{Name: "sluice.hcl", Text: []byte(`a = env("B")`)}} },
		LogLevel: func() string { return s.level },
		SetLogLevel: func(level string) error {
			if level == "loud" {
				return errors.New(`"loud" is no level`)
			}
			s.gateway.note("level " + level)
			return nil
		},
		Drain:   func() { s.gateway.note("drain") },
		Upgrade: func(context.Context) error { s.gateway.note("upgrade"); return nil },
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "sluice_up 1\n") }),
		Page:    pageFiles(),
	}
	for _, f := range change {
		f(&o)
	}
	s.server = sockets.Serve(o)
	t.Cleanup(s.server.Close)
	admin, metrics := sockets.Addresses()
	s.client = &http.Client{
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	transport := &http.Transport{}
	s.base, s.metrics = "http://"+admin, "http://"+metrics
	switch {
	case cfg.Admin.Address.Network == config.Unix:
		s.base = "http://sluice"
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", cfg.Admin.Address.Path)
		}
	case len(cfg.Admin.Certificates) > 0:
		_, port, _ := net.SplitHostPort(admin)
		s.base = "https://localhost:" + port
		transport.TLSClientConfig = trusting(cfg.Admin.Certificates[0].Leaf)
	}
	s.client.Transport = transport
	t.Cleanup(transport.CloseIdleConnections)
	return s
}

// asked changes a request before it is sent.
type asked func(*http.Request)

func withHeader(name, value string) asked { return func(r *http.Request) { r.Header.Set(name, value) } }
func withHost(host string) asked          { return func(r *http.Request) { r.Host = host } }
func withToken(token string) asked        { return withHeader("Authorization", "Bearer "+token) }

// ask sends a request and gives the answer with its body.
func (s *served) ask(method, path, body string, how ...asked) (*http.Response, string) {
	s.t.Helper()
	url := path
	if strings.HasPrefix(path, "/") {
		url = s.base + path
	}
	r, err := http.NewRequestWithContext(s.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range how {
		f(r)
	}
	answer, err := s.client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.Header.Get("Content-Type") == "text/event-stream" {
		return answer, "" // it has no end
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer, string(text)
}

// expect asks and checks status and body; an empty body is any.
func (s *served) expect(method, path, body string, code int, want string, how ...asked) *http.Response {
	s.t.Helper()
	answer, got := s.ask(method, path, body, how...)
	if answer.StatusCode != code || want != "" && strings.TrimSpace(got) != want {
		s.t.Errorf("%s %s gives %d %s, want %d %s", method, path, answer.StatusCode, got, code, want)
	}
	return answer
}

// login gives the cookie for the right token.
func (s *served) login() *http.Cookie {
	s.t.Helper()
	answer, text := s.ask("POST", "/login", asJSON(map[string]string{"token": rightToken}))
	if cookies := answer.Cookies(); answer.StatusCode == http.StatusOK && len(cookies) == 1 {
		return cookies[0]
	}
	s.t.Fatalf("the login gives %d %s", answer.StatusCode, text)
	return nil
}

func withCookie(c *http.Cookie) asked { return func(r *http.Request) { r.AddCookie(c) } }

func asJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// loopback is an admin server on loopback, with the token or without one.
func loopback(t *testing.T, token string) *config.Config {
	t.Helper()
	return load(t, `address = "127.0.0.1:0"`, token)
}

// load gives a configuration with such an admin block.
func load(t *testing.T, block, token string) *config.Config {
	t.Helper()
	dir := t.TempDir()
	if token != "" {
		writeFile(t, filepath.Join(dir, "admin.token"), token+"\n")
		block += "\ntoken_file = \"admin.token\""
	}
	if strings.Contains(block, "tls {") {
		ca := certgen.NewAuthority("admin")
		if _, _, err := ca.WriteFiles(dir, "admin", certgen.Options{Names: []string{"gateway.example.com", "localhost"}}); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, "ca.pem"), string(ca.CAPEM()))
	}
	const rest = "\nmetrics { address = \"127.0.0.1:0\" }\nlistener \"l\" {\n  address = \"127.0.0.1:0\"\n  filter_chain \"c\" {\n    route { cluster = \"c\" }\n  }\n}\ncluster \"c\" { endpoints = [\"127.0.0.1:1\"] }\n"
	cfg, diags := config.LoadSource(filepath.Join(dir, "sluice.hcl"), []byte("admin {\n"+block+"\n}\n"+rest), config.Options{Environ: []string{}})
	if cfg == nil {
		var text bytes.Buffer
		diags.WriteText(&text, 0, false)
		t.Fatal(text.String())
	}
	return cfg
}

const openBlock = "address = \"0.0.0.0:0\"\ntls {\n  certificate {\n    cert_file = \"admin.pem\"\n    key_file = \"admin.key\"\n  }\n}"

// open is an admin server that other machines can reach.
func open(t *testing.T) *config.Config {
	t.Helper()
	return load(t, openBlock, rightToken)
}

// socket is an admin server on a unix socket.
func socket(t *testing.T) *config.Config {
	t.Helper()
	return load(t, `address = "unix:admin.sock"`, "")
}

// lockedBuffer is a bytes.Buffer for several goroutines.
type lockedBuffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
