package integration

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sluice/tlsutil/certgen"
)

const adminToken = "0123456789abcdef0123456789abcdef"

// administrator asks an admin server.
type administrator struct {
	t      *testing.T
	client *http.Client
	base   string
	token  string
}

// administer gives a client of the address that the gateway's log names.
func administer(t *testing.T, p *process, token string) *administrator {
	t.Helper()
	address := text(p.waitLog(`"the admin server listens"`), "address")
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	a := &administrator{t: t, client: &http.Client{Transport: transport, Timeout: patience}, base: "http://" + address, token: token}
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		a.base = "http://localhost"
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}
	}
	t.Cleanup(transport.CloseIdleConnections)
	return a
}

// ask gives status and body of an answer.
func (a *administrator) ask(method, path string, how ...func(*http.Request)) (int, string) {
	a.t.Helper()
	r, err := http.NewRequestWithContext(a.t.Context(), method, a.base+path, http.NoBody)
	if err != nil {
		a.t.Fatal(err)
	}
	if a.token != "" {
		r.Header.Set("Authorization", "Bearer "+a.token)
	}
	for _, f := range how {
		f(r)
	}
	answer, err := a.client.Do(r)
	if err != nil {
		a.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

// must asks for what is to be had.
func (a *administrator) must(method, path string, into any) {
	a.t.Helper()
	code, body := a.ask(method, path)
	if code != http.StatusOK {
		a.t.Fatalf("%s %s gives %d %s", method, path, code, body)
	}
	if err := json.Unmarshal([]byte(body), into); err != nil {
		a.t.Fatalf("%s %s gives %s: %v", method, path, body, err)
	}
}

// TestAdminSeesAndKills follows a live connection, and ends it and no other.
func TestAdminSeesAndKills(t *testing.T) {
	t.Parallel()
	p := startSluice(t, "admin { address = \"unix:admin.sock\" }\n"+plainGateway("127.0.0.1:0", echoBackend(t)), withAdmin())
	a := administer(t, p, "")
	doomed, other := dial(t, p.address("tcp")), dial(t, p.address("tcp"))
	exchange(t, doomed, "one")
	exchange(t, other, "another")

	var page struct {
		Connections []struct {
			ID            int    `json:"id"`
			Source        string `json:"source"`
			BytesReceived int    `json:"bytes_received"`
		} `json:"connections"`
		Total int `json:"total"`
	}
	a.must("GET", "/connections?chain=all", &page)
	id := 0
	for _, c := range page.Connections {
		if c.Source == doomed.LocalAddr().String() && c.BytesReceived == len("one") {
			id = c.ID
		}
	}
	if id == 0 || len(page.Connections) != 2 || page.Total != 2 {
		t.Fatalf("the connections are shown as %+v", page)
	}
	kill := fmt.Sprintf("/connections/%d/kill", id)
	a.must("POST", kill, &map[string]string{})
	expectEnd(t, doomed, rst)
	expectFields(t, p.waitEnd(doomed.LocalAddr()), map[string]string{"termination.reason": "killed"})
	exchange(t, other, "still here")

	if code, body := a.ask("POST", kill); code != http.StatusNotFound {
		t.Errorf("killed twice, it gives %d %s", code, body)
	}
	p.waitLog(`"by":"unix socket"`)
}

// TestAdminSetsEndpoints takes an endpoint out of service and back.
func TestAdminSetsEndpoints(t *testing.T) {
	t.Parallel()
	endpoint := echoBackend(t)
	p := startSluice(t, "admin { address = \"unix:admin.sock\" }\n"+plainGateway("127.0.0.1:0", endpoint), withAdmin())
	a := administer(t, p, "")
	set := func(body string) func(*http.Request) {
		return func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		}
	}
	path := "/clusters/one/endpoints/" + endpoint
	if code, body := a.ask("POST", path, set(`{"state":"maint"}`)); code != http.StatusOK {
		t.Fatalf("it gives %d %s", code, body)
	}
	expectRefusal(t, p.address("tcp"))
	if code, body := a.ask("POST", path, set(`{"state":"ready","weight":3}`)); code != http.StatusOK {
		t.Fatalf("it gives %d %s", code, body)
	}
	exchange(t, dial(t, p.address("tcp")), "back again")
	var endpoints []struct {
		State  string `json:"state"`
		Weight int    `json:"weight"`
	}
	a.must("GET", "/endpoints?cluster=one", &endpoints)
	if len(endpoints) != 1 || endpoints[0].State != "ready" || endpoints[0].Weight != 3 {
		t.Errorf("the endpoint is %+v", endpoints)
	}
}

// TestAdminDrains: over the admin API as by TERM. Until the end it can be asked,
// and who watches does not keep the gateway up.
func TestAdminDrains(t *testing.T) {
	t.Parallel()
	p := startSluice(t, "admin { address = \"unix:admin.sock\" }\nmetrics { address = \"127.0.0.1:0\" }\n"+plainGateway("127.0.0.1:0", echoBackend(t)), withAdmin())
	a := administer(t, p, "")
	metrics := "http://" + text(p.waitLog(`"the metrics server listens"`), "address")
	c := dial(t, p.address("tcp"))
	exchange(t, c, "before")
	watch, err := a.client.Get(a.base + "/events?topics=flow,connections")
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Body.Close()
	events := bufio.NewReader(watch.Body)
	if line, err := events.ReadString('\n'); err != nil || !strings.HasPrefix(line, "event: ") {
		t.Fatalf("the stream begins with %q, %v", line, err)
	}
	ready := func(base string) int {
		t.Helper()
		answer, err := a.client.Get(base + "/ready")
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	if here, there := ready(a.base), ready(metrics); here != 200 || there != 200 {
		t.Errorf("before the drain it is %d and %d ready", here, there)
	}
	for range 3 { // which must not cut, as a second signal does
		a.must("POST", "/drain", &map[string]string{})
	}
	p.waitLog(`"draining"`)
	expectRefused(t, p.address("tcp"))
	if here, there := ready(a.base), ready(metrics); here != 503 || there != 503 {
		t.Errorf("while it drains it is %d and %d ready", here, there)
	}
	exchange(t, c, "while draining")
	c.Close()
	if code := p.wait(); code != 0 {
		t.Errorf("the gateway exits with %d, want 0", code)
	}
	if _, err := io.Copy(io.Discard, events); err != nil {
		t.Errorf("the stream ends with %v", err)
	}
	if _, err := os.Stat(filepath.Join(p.dir, "admin.sock")); !os.IsNotExist(err) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

// TestAdminSignals: those who watch keep no signal from ending the gateway.
func TestAdminSignals(t *testing.T) {
	t.Parallel()
	for name, signals := range map[string][]syscall.Signal{"QUIT": {syscall.SIGQUIT}, "TERM twice": {syscall.SIGTERM, syscall.SIGTERM}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startSluice(t, "admin { address = \"127.0.0.1:0\" }\n"+plainGateway("127.0.0.1:0", echoBackend(t)), withAdmin())
			a := administer(t, p, "")
			exchange(t, dial(t, p.address("tcp")), "alive")
			watch, err := a.client.Get(a.base + "/events")
			if err != nil {
				t.Fatal(err)
			}
			defer watch.Body.Close()
			for i, sig := range signals {
				if i > 0 {
					p.waitLog(`"draining"`)
				}
				p.signal(sig)
			}
			p.wait()
		})
	}
}

// TestAdminLogLevel changes what the running gateway says.
func TestAdminLogLevel(t *testing.T) {
	t.Parallel()
	p := startSluice(t, "admin { address = \"unix:admin.sock\" }\naccess_log { path = \"access.log\" }\n"+
		plainGateway("127.0.0.1:0", echoBackend(t)), withAdmin())
	a := administer(t, p, "")
	var is, done map[string]string
	a.must("GET", "/logging", &is)
	a.must("POST", "/logging?level=error", &done)
	file := filepath.Join(p.dir, "access.log")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGUSR1) // which is noted with info, before it is done
	awaitFile(t, file)
	a.must("POST", "/logging?level=info", &done)
	p.waitLog(`"result":"level info"`)
	if is["level"] != "info" || strings.Contains(p.stderr.String(), "opening the log files again") {
		t.Errorf("the level was %v, and the log is\n%s", is, p.stderr)
	}
}

// TestAdminConfigHasNoSecrets: it shows the files, and nothing of what they get
// from elsewhere.
func TestAdminConfigHasNoSecrets(t *testing.T) {
	t.Parallel()
	backend := echoBackend(t)
	hcl := "admin { address = \"unix:admin.sock\" }\nlocals { backend = env(\"HUNTER\") }\n" +
		strings.Replace(plainGateway("127.0.0.1:0", "x"), `"x"`, "local.backend", 1)
	p := startSluice(t, hcl, withAdmin(), withCommand(func(cmd *exec.Cmd) { cmd.Env = append(os.Environ(), "HUNTER="+backend) }))
	a := administer(t, p, "")
	var got struct {
		Files []struct{ Name, Text string }
	}
	a.must("GET", "/config", &got)
	if len(got.Files) != 1 || got.Files[0].Text != hcl || strings.Contains(asJSON(map[string]any{"x": got}), backend) {
		t.Errorf("the configuration is shown as %+v", got)
	}
}

// TestAdminReloads: over the admin API as by HUP, with the answer at hand; what is
// shown and asked for is that of the new configuration. Another token needs no
// reload.
func TestAdminReloads(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	token := filepath.Join(dir, "token")
	setToken := func(text string) {
		t.Helper()
		if err := os.WriteFile(token, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	setToken(adminToken)
	block := fmt.Sprintf("admin {\n  address = \"127.0.0.1:0\"\n  token_file = %q\n}\n", token)
	p := startSluice(t, block+plainGateway("127.0.0.1:0", "127.0.0.1:1"), withAdmin())
	a := administer(t, p, adminToken)
	file := filepath.Join(p.dir, "sluice.hcl")
	write := func(hcl string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(hcl), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	write(block + "log { level = \"loud\" }\n" + plainGateway("127.0.0.1:0", "127.0.0.1:1"))
	if code, body := a.ask("POST", "/reload"); code != http.StatusUnprocessableEntity || !strings.Contains(body, "Invalid level") {
		t.Errorf("a configuration with a mistake gives %d %s", code, body)
	}

	const newToken = "another token would have spaces"
	setToken(strings.ReplaceAll(newToken, " ", "-"))
	p.waitLog("the admin server uses what its files have in them now") // without a reload
	if code, body := a.ask("GET", "/config"); code != http.StatusUnauthorized {
		t.Errorf("with the old token it gives %d %s", code, body)
	}
	a.token = strings.ReplaceAll(newToken, " ", "-")
	good := strings.Replace(block, "127.0.0.1:0", "127.0.0.1:1", 1) + "log { level = \"debug\" }\n" + plainGateway("127.0.0.1:0", echoBackend(t))
	write(good)
	var result, level map[string]string
	a.must("POST", "/reload", &result)
	if !strings.HasPrefix(result["result"], "reloaded: generation 2") || !strings.Contains(result["result"], "admin.address: ") {
		t.Errorf("the reload gives %q", result["result"])
	}
	a.must("GET", "/logging", &level)
	var shown struct{ Files []struct{ Text string } }
	a.must("GET", "/config", &shown)
	if level["level"] != "debug" || len(shown.Files) != 1 || shown.Files[0].Text != good {
		t.Errorf("the level is %q, and the configuration\n%+v", level["level"], shown)
	}
}

// TestAdminRefuses shows on the whole program who gets nothing: from another
// origin, with a forged Host, and over the network without the token.
func TestAdminRefuses(t *testing.T) {
	t.Parallel()
	local := startSluice(t, "admin { address = \"127.0.0.1:0\" }\n"+plainGateway("127.0.0.1:0", "127.0.0.1:1"), withAdmin())
	atLocal := administer(t, local, "")
	remote := startSluice(t, openAdmin(t)+plainGateway("127.0.0.1:0", "127.0.0.1:1"), withAdmin())
	atRemote := administer(t, remote, "")
	_, port, err := net.SplitHostPort(strings.TrimPrefix(atRemote.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	atRemote.base = "https://127.0.0.1:" + port
	withToken := *atRemote
	withToken.token = adminToken

	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	host := func(name string) func(*http.Request) { return func(r *http.Request) { r.Host = name } }
	cases := []struct {
		name         string
		who          *administrator
		method, path string
		how          []func(*http.Request)
		want         int
	}{
		{"loopback reads", atLocal, "GET", "/listeners", nil, 200},
		{"loopback does not change", atLocal, "POST", "/drain", nil, 403},
		{"loopback does not profile", atLocal, "GET", "/debug/pprof/heap", nil, 403},
		{"another origin", atLocal, "GET", "/listeners", []func(*http.Request){header("Origin", "https://evil.example")}, 403},
		{"another origin posts", atLocal, "POST", "/drain", []func(*http.Request){header("Origin", "https://evil.example")}, 403},
		{"another origin with the token", &withToken, "GET", "/listeners", []func(*http.Request){header("Origin", "https://evil.example")}, 403},
		{"forged host", atLocal, "GET", "/listeners", []func(*http.Request){host("evil.example")}, 421},
		{"forged host with the token", &withToken, "GET", "/listeners", []func(*http.Request){host("evil.example")}, 421},
		{"network without token", atRemote, "GET", "/listeners", nil, 401},
		{"network without token posts", atRemote, "POST", "/drain", nil, 401},
		{"network with the token", &withToken, "GET", "/listeners", nil, 200},
		{"a path that there is none of", atRemote, "GET", "/listener", nil, 404},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			who := *tc.who
			who.t = t
			if code, body := who.ask(tc.method, tc.path, tc.how...); code != tc.want {
				t.Errorf("it gives %d %s, want %d", code, body, tc.want)
			}
		})
	}

	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "sluice.hcl"), []byte("admin { address = \"0.0.0.0:0\" }\n"+plainGateway("127.0.0.1:0", "127.0.0.1:1")), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := runSluice(t, dir, "run"); code != 1 || !strings.Contains(stderr, "Error: Admin open to network") {
		t.Errorf("open to the network, without a token, it exits with %d and says\n%s", code, stderr)
	}
}

// openAdmin is an admin block for other machines, with what it needs.
func openAdmin(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if _, _, err := certgen.NewAuthority("admin").WriteFiles(dir, "admin", certgen.Options{Names: []string{"gateway.example.com"}}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte(adminToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("admin {\n  address    = \":0\"\n  token_file = %q\n  tls {\n    certificate {\n      cert_file = %q\n      key_file  = %q\n    }\n  }\n}\n",
		filepath.Join(dir, "token"), filepath.Join(dir, "admin.pem"), filepath.Join(dir, "admin.key"))
}

// TestAdminByDefault: without a word in the configuration there is an admin
// server that only reads, and a second gateway does without.
func TestAdminByDefault(t *testing.T) {
	needTool(t, "ip")
	ns := fmt.Sprintf("sluicetest%dadmin", os.Getpid())
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", ns).Run() }) // one that was never made is no loss
	need(t, "network namespaces", ip("netns add "+ns))
	if err := ip("-n " + ns + " link set lo up"); err != nil {
		t.Fatal(err)
	}
	first := startSluice(t, plainGateway("127.0.0.1:0", "127.0.0.1:1"), withAdmin(), inNamespace(ns))
	second := startSluice(t, plainGateway("127.0.0.1:0", "127.0.0.1:1"), withAdmin(), inNamespace(ns))
	if got := text(first.waitLog(`"the admin server listens"`), "address"); got != "127.0.0.1:9901" {
		t.Errorf("it is on %s", got)
	}
	for path, want := range map[string]string{"GET /server_info": "200 OK", "POST /drain": "403 Forbidden"} {
		c := dialIn(t, ns, "127.0.0.1:9901")
		fmt.Fprintf(c, "%s HTTP/1.0\r\n\r\n", path)
		if answer, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.0 "+want) {
			t.Errorf("%s gives %s, %v", path, answer, err)
		}
	}
	warning := second.waitLog(`there is no admin server`)
	if text(warning, "level") != "warn" || strings.Contains(second.stderr.String(), "the admin server listens") {
		t.Errorf("the second gateway says\n%s", second.stderr)
	}
	if code := second.stop(); code != 0 {
		t.Errorf("the second gateway exits with %d", code)
	}
}
