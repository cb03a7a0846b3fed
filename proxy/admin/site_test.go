package admin

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/config"
	"sluice/proxy/status"
)

// TestReads: what the gateway says comes out as it is, filtered.
func TestReads(t *testing.T) {
	t.Parallel()
	s := serve(t, socket(t))
	g := s.gateway
	page, _ := g.Connections(t.Context(), status.ConnectionFilter{})
	oneChain := g.Listeners()[0]
	oneChain.FilterChains = oneChain.FilterChains[1:]
	cases := []struct {
		path string
		want any
	}{
		{"/server_info", g.Server()},
		{"/listeners", g.Listeners()},
		{"/listeners?chain=api", []status.Listener{oneChain}},
		{"/listeners?address=127.0.0.1&port=80&type=passthrough", g.Listeners()[1:]},
		{"/listeners?port=1", []status.Listener{}},
		{"/routes", g.Routes()},
		{"/routes?name=raw", g.Routes()[1:]},
		{"/routes?sni=www.example.com", g.Routes()[:1]},
		{"/clusters", g.Clusters()},
		{"/clusters?name=b&port=80", g.Clusters()[1:]},
		{"/clusters?fqdn=none", []status.Cluster{}},
		{"/endpoints", g.Endpoints()},
		{"/endpoints?cluster=a&status=healthy&address=10.0.0.1&port=443", g.Endpoints()[:1]},
		{"/secrets", g.Secrets()},
		{"/outline", g.Outline()},
		{"/secrets?name=a", g.Secrets()[1:]},
		{"/connections", page},
		{"/dump", status.Dump{Server: g.Server(), Listeners: g.Listeners(), Routes: g.Routes(), Clusters: g.Clusters(), Endpoints: g.Endpoints(), Secrets: g.Secrets(), Connections: page}},
		{"/logging", Logging{"info"}},
		{"/config", Configuration{[]File{{"sluice.hcl", `a = env("B")`}}}},
		{"/session", json.RawMessage(`{"may_change":true,"token_configured":false,"logged_in":false}`)},
		{"/ready", map[string]string{"state": "running"}},
		{"/healthz", map[string]string{"state": "running"}},
	}
	for _, tc := range cases {
		answer := s.expect("GET", tc.path, "", 200, asJSON(tc.want))
		if got := answer.Header.Get("Content-Type"); got != "application/json" {
			t.Errorf("%s is of type %q", tc.path, got)
		}
		s.expect("HEAD", tc.path, "", 200, "")
	}
}

// TestConnectionFilter: every word of a filter reaches the gateway.
func TestConnectionFilter(t *testing.T) {
	t.Parallel()
	s := serve(t, loopback(t, ""))
	s.expect("GET", "/connections?sni=*.a.test&source=10.0.0.0/8&listener=l&chain=c&cluster=k&endpoint=e&after=5&limit=10", "", 200, "")
	want := []status.ConnectionFilter{{SNI: "*.a.test", Source: "10.0.0.0/8", Listener: "l", Chain: "c", Cluster: "k", Endpoint: "e", After: 5, Limit: 10}}
	if diff := cmp.Diff(want, s.gateway.filters); diff != "" {
		t.Errorf("the filter differs (-want +got):\n%s", diff)
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	s := serve(t, loopback(t, ""))
	q := status.Question{Listener: "https", ServerName: "a.test", ApplicationProtocols: []string{"h2", "http/1.1"}, TransportProtocol: "tls", Source: "10.0.0.1", Destination: "192.0.2.1:443", JA4: "t13d"}
	want := asJSON(status.Explanation{Question: q, Listener: "https", Outcome: "forward"})
	s.expect("GET", "/explain?listener=https&sni=a.test&alpn=h2,http/1.1&transport=tls&source=10.0.0.1&destination=192.0.2.1:443&ja4=t13d", "", 200, want)
	s.expect("POST", "/explain", asJSON(q), 200, want)
	q = status.Question{Listener: "https", Hello: make([]byte, 64<<10)}
	s.expect("POST", "/explain", asJSON(q), 200, asJSON(status.Explanation{Question: q, Listener: "https", Outcome: "forward"}))

	mute := serve(t, loopback(t, ""), func(o *Options) { o.Gateway = struct{ Gateway }{o.Gateway} })
	mute.expect("GET", "/explain?listener=https", "", 501, `{"error":"this gateway cannot explain"}`)
}

// TestChanges: what was asked for is done, told, and noted with who it was.
func TestChanges(t *testing.T) {
	t.Parallel()
	s := serve(t, loopback(t, rightToken), func(o *Options) {
		o.Reload = nil
	})
	token := withToken(rightToken)
	cases := []struct {
		path, body, result, change string
	}{
		{"/connections/7/kill", "", "connection 7 killed", "kill"},
		{"/clusters/a/endpoints/10.0.0.1:443", `{"state":"maint"}`, "10.0.0.1:443 of a: state maint", "endpoint a 10.0.0.1:443 maint"},
		{"/clusters/a/endpoints/%5B::1%5D:443", `{"state":"ready","weight":3}`, "[::1]:443 of a: state ready, weight 3", "endpoint a [::1]:443 ready3"},
		{"/clusters/a/endpoints/10.0.0.1:443", `{"weight":0}`, "10.0.0.1:443 of a: weight 0", "endpoint a 10.0.0.1:443 0"},
		{"/clusters/a/endpoints/unix:%2Frun%2Fa.sock", `{"weight":2}`, "unix:/run/a.sock of a: weight 2", "endpoint a unix:/run/a.sock 2"},
		{"/logging?level=debug", "", "level debug", "level debug"},
		{"/drain", "", "draining", "drain"},
		{"/upgrade", "", "upgraded: the new process serves, and this one drains", "upgrade"},
	}
	for _, tc := range cases {
		s.expect("POST", tc.path, tc.body, 200, asJSON(result{tc.result}), token)
		if got := s.gateway.noted(); !slices.Equal(got, []string{tc.change}) {
			t.Errorf("%s has done %q, want %q", tc.path, got, tc.change)
		}
		if want := asJSON(tc.result) + `,"message":"changed over the admin API"`; !strings.Contains(s.log.String(), `"by":"token"`) || !strings.Contains(s.log.String(), want) {
			t.Errorf("%s is not in the log:\n%s", tc.path, s.log)
		}
	}
	s.gateway.state.Store("draining")
	s.expect("POST", "/drain", "", 200, asJSON(result{"draining already"}), token)
	if got := s.gateway.noted(); len(got) > 0 {
		t.Errorf("a second drain has done %q, which cuts", got)
	}
}

func TestReload(t *testing.T) {
	t.Parallel()
	var err error
	s := serve(t, socket(t), func(o *Options) {
		o.Reload = func() (string, error) { return "reloaded: generation 2", err }
	})
	s.expect("POST", "/reload", "", 200, asJSON(result{"reloaded: generation 2"}))
	err = errors.New("Error: Unknown cluster")
	s.expect("POST", "/reload", "", 422, asJSON(map[string]string{"error": "not reloaded: the gateway goes on as it was: Error: Unknown cluster"}))
}

// TestMistakes has what clients get wrong, and what they are told.
func TestMistakes(t *testing.T) {
	t.Parallel()
	s := serve(t, socket(t))
	cases := []struct {
		method, path, body string
		code               int
		want               string // a part of the error
	}{
		{"GET", "/listener", "", 404, "Did you mean /listeners?"},
		{"GET", "/conections", "", 404, "Did you mean /connections?"},
		{"GET", "/connections/7", "", 404, "there is no /connections/7 here"},
		{"GET", "/xyzzy", "", 404, "there are /session, /login"},
		{"GET", "/" + strings.Repeat("x", 10000), "", 404, "there is no"},
		{"GET", "/../etc/passwd", "", 404, "there is no"},
		{"GET", "/assets", "", 404, "there is no"},
		{"POST", "/listeners", "", 405, "takes GET, HEAD, not POST"},
		{"GET", "/drain", "", 405, "takes POST, not GET"},
		{"GET", "/connections/7/kill", "", 405, "takes POST, not GET"},
		{"DELETE", "/connections/7/kill", "", 405, "takes POST, not DELETE"},
		{"POST", "/", "", 405, "takes GET, HEAD, not POST"},
		{"GET", "/listeners?adress=1", "", 400, `no filter "adress"`},
		{"GET", "/connections?limit=10001", "", 400, "from 1 to 10000"},
		{"GET", "/connections?limit=0", "", 400, "from 1 to 10000"},
		{"GET", "/connections?after=x", "", 400, "ID of a connection"},
		{"GET", "/connections?source=here", "", 400, "an address"},
		{"GET", "/server_info?x=1", "", 400, "takes no parameters"},
		{"GET", "/explain?server=a", "", 400, `no parameter "server": there are listener, sni, alpn`},
		{"GET", "/explain", "", 400, "no listener is named"},
		{"POST", "/explain", `{"lisener":"a"}`, 400, "lisener"},
		{"POST", "/explain", `{} {}`, 400, "more than one JSON object"},
		{"POST", "/explain", ``, 400, "not the JSON object"},
		{"POST", "/explain", `{"listener":"` + strings.Repeat("x", maxBody) + `"}`, 413, "more than 128 KiB"},
		{"POST", "/connections/abc/kill", "", 400, "is no ID"},
		{"POST", "/connections/8/kill", "", 404, "connection 8: there is no such connection"},
		{"POST", "/clusters/none/endpoints/x", `{"state":"drain"}`, 404, "there is no such cluster"},
		{"POST", "/clusters/b/endpoints/x", `{"state":"drain"}`, 404, "the cluster has no such endpoint"},
		{"POST", "/clusters/a/endpoints/x", `{"state":"asleep"}`, 400, "write a state"},
		{"POST", "/clusters/a/endpoints/x", `{}`, 400, "write a state"},
		{"POST", "/clusters/a/endpoints/x", `{"state":"drain","wieght":1}`, 400, "wieght"},
		{"POST", "/clusters/a/endpoints/x", `{"weight":"2"}`, 400, "weight"},
		{"POST", "/logging", "", 400, "no level is given"},
		{"POST", "/logging?level=loud", "", 400, `"loud" is no level`},
		{"POST", "/logging?to=debug", "", 400, `no parameter "to"`},
		{"POST", "/reload", "", 501, "restart it"},
		{"POST", "/login", `{"token":"x"}`, 403, "no token to log in with"},
		{"GET", "/events?topics=flow,weather", "", 400, `no topic "weather"`},
		{"GET", "/events?topics=", "", 400, `no topic ""`},
		{"GET", "/events?nonsense=1", "", 400, "nonsense"},
	}
	for _, tc := range cases {
		answer, text := s.ask(tc.method, tc.path, tc.body)
		var said struct{ Error string }
		if err := json.Unmarshal([]byte(text), &said); err != nil || answer.StatusCode != tc.code || !strings.Contains(said.Error, tc.want) {
			t.Errorf("%s %.80s gives %d %.300s, want %d and %q", tc.method, tc.path, answer.StatusCode, text, tc.code, tc.want)
		}
		if allow := answer.Header.Get("Allow"); (tc.code == 405) != (allow != "") {
			t.Errorf("%s %s: Allow is %q", tc.method, tc.path, allow)
		}
	}
	if got := s.gateway.noted(); len(got) > 0 {
		t.Errorf("mistakes have changed %q", got)
	}
}

// TestReadyAndHealthy: who balances load hears of a drain, and who restarts dead
// processes does not.
func TestReadyAndHealthy(t *testing.T) {
	t.Parallel()
	s := serve(t, loopback(t, ""))
	for _, base := range []string{s.base, s.metrics} {
		for state, code := range map[string]int{"running": 200, "starting": 503, "draining": 503} {
			s.gateway.state.Store(state)
			s.expect("GET", base+"/ready", "", code, "")
			s.expect("GET", base+"/healthz", "", 200, `{"state":"`+state+`"}`)
		}
	}
}

// TestMetricsAddress has nothing but what it is for.
func TestMetricsAddress(t *testing.T) {
	t.Parallel()
	s := serve(t, loopback(t, ""))
	for _, path := range []string{"/metrics", "/stats/prometheus"} {
		s.expect("GET", path, "", 200, "sluice_up 1")
		s.expect("GET", s.metrics+path, "", 200, "sluice_up 1")
		s.expect("GET", s.metrics+path, "", 421, "", withHost("evil.example"))
		s.expect("GET", s.metrics+path, "", 403, "", withHeader("Origin", "http://evil.example"))
		s.expect("POST", s.metrics+path, "", 405, "")
	}
	for _, p := range paths {
		if strings.Contains(" /metrics /stats/prometheus /ready /healthz ", " "+p.path+" ") {
			continue
		}
		s.expect(p.method, s.metrics+p.path, p.body, 404, "", withToken(rightToken))
	}
	anywhere := metricsDoor(config.Address{Dual: true})
	if r, _ := http.NewRequest("GET", "http://gateway.internal/metrics", http.NoBody); !anywhere.knowsHost(r) {
		t.Error("a metrics address that is not loopback does not know a name that leads there")
	}
	without := serve(t, loopback(t, ""), func(o *Options) { o.Metrics = nil })
	without.expect("GET", without.metrics+"/metrics", "", 501, "")
}

// TestPage: it is served with what keeps it to itself.
func TestPage(t *testing.T) {
	t.Parallel()
	s := serve(t, loopback(t, ""))
	files := map[string]struct{ name, kind string }{
		"/":               {"index.html", "text/html; charset=utf-8"},
		"/app.js":         {"app.js", "text/javascript; charset=utf-8"},
		"/assets/app.css": {"assets/app.css", "text/css; charset=utf-8"},
	}
	for path, file := range files {
		answer := s.expect("GET", path, "", 200, string(pageFiles()[file.name].Data))
		for name, want := range map[string]string{
			"Content-Type": file.kind, "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
			"Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
		} {
			if got := answer.Header.Get(name); got != want {
				t.Errorf("%s has %s: %q, want %q", path, name, got, want)
			}
		}
		policy := answer.Header.Get("Content-Security-Policy")
		for directive := range strings.SplitSeq(policy, "; ") {
			if name, sources, _ := strings.Cut(directive, " "); sources != "'self'" && sources != "'none'" {
				t.Errorf("%s lets in more than itself: %s %s", path, name, sources)
			}
		}
		if !strings.Contains(policy, "frame-ancestors 'none'") || !strings.Contains(policy, "default-src 'none'") {
			t.Errorf("%s has the policy %q", path, policy)
		}
		s.expect("GET", path, "", 304, "", withHeader("If-None-Match", answer.Header.Get("ETag")))
	}
	answer := s.expect("GET", "/listeners", "", 200, "")
	if got := answer.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("what changes is %q", got)
	}
	s.expect("GET", "/index.html", "", 404, "")

	bare := serve(t, loopback(t, ""), func(o *Options) { o.Page = nil })
	_, text := bare.ask("GET", "/", "")
	for _, want := range []string{"GET   /listeners ", "POST  /drain ", "operator\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("without a page there is no %q in\n%s", want, text)
		}
	}
}

// TestLogin follows a page through its life.
func TestLogin(t *testing.T) {
	t.Parallel()
	local, open := serve(t, loopback(t, rightToken)), serve(t, open(t))
	for _, s := range []*served{local, open} {
		none := map[string]bool{"may_change": false, "token_configured": true, "logged_in": false}
		all := map[string]bool{"may_change": true, "token_configured": true, "logged_in": true}
		s.expect("GET", "/session", "", 200, ordered(none))
		s.expect("POST", "/login", asJSON(map[string]string{"token": wrongToken}), 401, "")
		cookie := s.login()
		if cookie.Name != "sluice_token" || cookie.Path != "/" || !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode ||
			cookie.Secure != (s == open) || strings.Contains(cookie.Value, rightToken) || len(cookie.Value) < 22 {
			t.Errorf("the cookie is %v", cookie)
		}
		in := []asked{withCookie(cookie), withHeader(pageHeader, "1")}
		s.expect("GET", "/session", "", 200, ordered(all), in...)
		s.expect("POST", "/logging?level=debug", "", 200, "", in...)
		answer := s.expect("POST", "/logout", "", 200, "", in...)
		if gone := answer.Cookies(); len(gone) != 1 || gone[0].MaxAge >= 0 || gone[0].Value != "" {
			t.Errorf("after the logout the cookies are %v", gone)
		}
		s.expect("GET", "/session", "", 200, ordered(none), in...)
		s.expect("POST", "/logging?level=debug", "", 401, "", in...)
		if log := s.log.String(); strings.Contains(log, cookie.Value) || strings.Count(log, "wrong token") != 1 {
			t.Errorf("the log is\n%s", log)
		}
	}
}

// ordered is the JSON of a session, whose fields are in the order of the struct.
func ordered(m map[string]bool) string {
	return asJSON(struct {
		A bool `json:"may_change"`
		B bool `json:"token_configured"`
		C bool `json:"logged_in"`
	}{m["may_change"], m["token_configured"], m["logged_in"]})
}
