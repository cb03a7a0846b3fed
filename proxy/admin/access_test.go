package admin

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// paths has every path with who may ask for it, by hand: a route that is added
// needs a line here, and somebody who thinks about it.
var paths = []struct {
	method, path, body string
	who                string // anyone reader operator
	changes            bool
}{
	{"GET", "/", "", "anyone", false},
	{"GET", "/app.js", "", "anyone", false},
	{"GET", "/session", "", "anyone", false},
	{"POST", "/login", `{"token":"` + rightToken + `"}`, "anyone", false},
	{"POST", "/logout", "", "anyone", false},
	{"GET", "/ready", "", "anyone", false},
	{"GET", "/healthz", "", "anyone", false},

	{"GET", "/server_info", "", "reader", false},
	{"GET", "/listeners", "", "reader", false},
	{"GET", "/routes", "", "reader", false},
	{"GET", "/clusters", "", "reader", false},
	{"GET", "/endpoints", "", "reader", false},
	{"GET", "/secrets", "", "reader", false},
	{"GET", "/connections", "", "reader", false},
	{"GET", "/dump", "", "reader", false},
	{"GET", "/outline", "", "reader", false},
	{"GET", "/explain?listener=https", "", "reader", false},
	{"POST", "/explain", `{"listener":"https"}`, "reader", false},
	{"GET", "/logging", "", "reader", false},
	{"GET", "/stats/prometheus", "", "reader", false},
	{"GET", "/metrics", "", "reader", false},
	{"GET", "/events", "", "reader", false},

	{"GET", "/config", "", "operator", false},
	{"GET", "/debug/pprof/", "", "operator", false},
	{"GET", "/debug/pprof/heap", "", "operator", false},
	{"GET", "/debug/pprof/cmdline", "", "operator", false},
	{"GET", "/debug/pprof/profile?seconds=1", "", "operator", false},
	{"GET", "/debug/pprof/symbol", "", "operator", false},
	{"GET", "/debug/pprof/trace?seconds=0.01", "", "operator", false},

	{"POST", "/connections/7/kill", "", "operator", true},
	{"POST", "/clusters/a/endpoints/10.0.0.1:443", `{"state":"drain"}`, "operator", true},
	{"POST", "/logging?level=debug", "", "operator", true},
	{"POST", "/reload", "", "operator", true},
	{"POST", "/drain", "", "operator", true},
	{"POST", "/upgrade", "", "operator", true},
}

// TestEveryRouteIsInTheTable holds that paths is complete.
func TestEveryRouteIsInTheTable(t *testing.T) {
	t.Parallel()
	s := newSite(&Server{}, door{})
	s.list(s.adminRoutes())
	for _, p := range paths {
		r, err := http.NewRequest(p.method, "http://localhost"+p.path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		_, pattern := s.mux.Handler(r)
		i := slices.IndexFunc(s.routes, func(rt route) bool { return rt.method+" "+rt.path == pattern })
		switch {
		case p.path == "/app.js": // of the page
		case i < 0:
			t.Errorf("%s %s is no route", p.method, p.path)
		case s.routes[i].who.String() != p.who:
			t.Errorf("%s %s is for %v, want %s", p.method, p.path, s.routes[i].who, p.who)
		}
	}
	for _, rt := range s.routes {
		if !slices.ContainsFunc(paths, func(p struct {
			method, path, body string
			who                string
			changes            bool
		}) bool {
			r, err := http.NewRequest(p.method, "http://localhost"+p.path, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			_, pattern := s.mux.Handler(r)
			return pattern == rt.method+" "+rt.path
		}) {
			t.Errorf("%s %s is not in the table of this test", rt.method, rt.path)
		}
	}
}

// TestWhoMayAskForWhat asks for every path as everybody who may come.
func TestWhoMayAskForWhat(t *testing.T) {
	t.Parallel()
	local := serve(t, loopback(t, ""))
	guarded := serve(t, loopback(t, rightToken))
	socket := serve(t, socket(t))
	open := serve(t, open(t))
	cookie := withCookie(guarded.login())
	openCookie := withCookie(open.login())
	page := withHeader(pageHeader, "1")

	// What each gets: for anyone's, readers' and operators' paths, and for
	// those that change something.
	const ok = 200
	callers := []struct {
		name                              string
		server                            *served
		how                               []asked
		anyone, reader, operator, changes int
	}{
		{"loopback where there is no token", local, nil, ok, ok, 403, 403},
		{"loopback with a token where there is none", local, []asked{withToken(rightToken)}, ok, ok, 403, 403},
		{"loopback without the token", guarded, nil, ok, ok, 401, 401},
		{"loopback with the token", guarded, []asked{withToken(rightToken)}, ok, ok, ok, ok},
		{"loopback with a wrong token", guarded, []asked{withToken(wrongToken)}, 401, 401, 401, 401},
		{"loopback with the token as a password", guarded, []asked{withHeader("Authorization", "Basic "+rightToken)}, 401, 401, 401, 401},
		{"unix socket", socket, nil, ok, ok, ok, ok},
		{"page with cookie", guarded, []asked{cookie, page}, ok, ok, ok, ok},
		{"cookie alone", guarded, []asked{cookie}, ok, ok, ok, 403},
		{"page without cookie", guarded, []asked{page}, ok, ok, 401, 401},
		{"cookie that nobody was given", guarded, []asked{withHeader("Cookie", cookieName+"="+rightToken), page}, ok, ok, 401, 401},
		{"cookie of another gateway", open, []asked{cookie, page}, ok, 401, 401, 401},
		{"network without the token", open, nil, ok, 401, 401, 401},
		{"network with the token", open, []asked{withToken(rightToken)}, ok, ok, ok, ok},
		{"network with a wrong token", open, []asked{withToken(wrongToken)}, 401, 401, 401, 401},
		{"network with cookie", open, []asked{openCookie, page}, ok, ok, ok, ok},
		{"network, another page with the cookie", open, []asked{openCookie, page, withHeader("Origin", "https://evil.example")}, 403, 403, 403, 403},
		{"another page with the cookie", guarded, []asked{cookie, page, withHeader("Origin", "http://evil.example")}, 403, 403, 403, 403},
		{"another page", local, []asked{withHeader("Origin", "http://evil.example")}, 403, 403, 403, 403},
		{"another page over a unix socket", socket, []asked{withHeader("Origin", "http://evil.example")}, 403, 403, 403, 403},
		{"a page of another port", local, []asked{withHeader("Origin", "http://127.0.0.1:1"), withHeader("Sec-Fetch-Site", "same-site")}, 403, 403, 403, 403},
		{"another page's image", local, []asked{withHeader("Sec-Fetch-Site", "cross-site"), withHeader("Sec-Fetch-Mode", "no-cors")}, 403, 403, 403, 403},
		{"a page in a sandbox", local, []asked{withHeader("Origin", "null")}, 403, 403, 403, 403},
		{"a rebound name", local, []asked{withHost("evil.example")}, 421, 421, 421, 421},
		{"a rebound name with the token", guarded, []asked{withHost("evil.example"), withToken(rightToken)}, 421, 421, 421, 421},
		{"a rebound name over a unix socket", socket, []asked{withHost("evil.example")}, 421, 421, 421, 421},
		{"a rebound name from the network", open, []asked{withHost("evil.example"), withToken(rightToken)}, 421, 421, 421, 421},
	}
	for _, c := range callers {
		t.Run(c.name, func(t *testing.T) {
			server := *c.server
			server.t = t
			for _, p := range paths {
				if p.path == "/logout" && slices.Contains([]string{"page with cookie", "cookie alone", "network with cookie"}, c.name) {
					continue // the next ones would miss it
				}
				if strings.HasPrefix(p.path, "/debug/pprof/profile") && c.operator == ok && c.name != "unix socket" {
					continue // it takes a second
				}
				want := map[string]int{"anyone": c.anyone, "reader": c.reader, "operator": c.operator}[p.who]
				if p.changes {
					want = c.changes
				}
				c.server.gateway.noted()
				answer, text := server.ask(p.method, p.path, p.body, c.how...)
				got := answer.StatusCode
				switch {
				case p.path == "/reload" && got == 501:
					got = ok // it is let through, and is not built
				case p.path == "/login" && (c.server == local || c.server == socket) && got == 403 && strings.Contains(text, "no token to log in with"):
					got = ok
				}
				if got != want {
					t.Errorf("%s %s gives %d %s, want %d", p.method, p.path, answer.StatusCode, text, want)
				}
				changed := c.server.gateway.noted()
				if wanted := p.changes && want == ok && p.path != "/reload"; (len(changed) > 0) != wanted {
					t.Errorf("%s %s has changed %v", p.method, p.path, changed)
				}
				if got == 401 && answer.Header.Get("WWW-Authenticate") != "Bearer" {
					t.Errorf("%s %s does not ask for the token", p.method, p.path)
				}
				if got != ok && !strings.HasPrefix(text, `{"error":"`) {
					t.Errorf("%s %s does not say what is wrong: %s", p.method, p.path, text)
				}
			}
		})
	}
	for _, s := range []*served{local, guarded, socket, open} {
		for _, token := range []string{rightToken, wrongToken} {
			if strings.Contains(s.log.String(), token) {
				t.Errorf("the log has a token in it:\n%s", s.log)
			}
		}
	}
}

// TestHost has the names by which a server may be called.
func TestHost(t *testing.T) {
	t.Parallel()
	local, open, socket := serve(t, loopback(t, "")), serve(t, open(t)), serve(t, socket(t))
	cases := []struct {
		host                string
		local, open, socket bool
	}{
		{"localhost", true, true, true},
		{"localhost:9901", true, true, true},
		{"LOCALHOST.:1", true, true, true},
		{"sluice.localhost", true, true, true},
		{"127.0.0.1", true, true, true},
		{"127.9.9.9:80", true, true, true},
		{"[::1]:9901", true, true, true},
		{"[::ffff:127.0.0.1]", true, true, true},
		{"gateway.example.com", false, true, false},
		{"GATEWAY.example.com:9901", false, true, false},
		{"other.example.com", false, false, false},
		{"evil.example", false, false, false},
		{"localhost.evil.example", false, false, false},
		{"notlocalhost", false, false, true},
		{"sluice", false, false, true},
		{"10.0.0.1", false, false, false},
		{"169.254.169.254", false, false, false},
		{"0.0.0.0", false, true, false}, // as it was configured
		{"127.0.0.1.evil.example", false, false, false},
	}
	for _, tc := range cases {
		for server, want := range map[*served]bool{local: tc.local, open: tc.open, socket: tc.socket} {
			answer, text := server.ask("GET", "/healthz", "", withHost(tc.host))
			if got := answer.StatusCode == 200; got != want || !got && answer.StatusCode != http.StatusMisdirectedRequest {
				t.Errorf("Host %q at %s gives %d %s, want taken %v", tc.host, server.base, answer.StatusCode, text, want)
			}
		}
	}
}

// TestNoHost: HTTP/1.0 has none, and health checks of load balancers speak it.
func TestNoHost(t *testing.T) {
	t.Parallel()
	s := serve(t, loopback(t, ""))
	text := s.raw(t, "GET /ready HTTP/1.0\r\n\r\n")
	if !strings.HasPrefix(text, "HTTP/1.0 200 OK\r\n") {
		t.Errorf("without a Host it is\n%s", text)
	}
}

// TestOrigin has what browsers say about where a request comes from.
func TestOrigin(t *testing.T) {
	t.Parallel()
	s := serve(t, loopback(t, ""))
	host := strings.TrimPrefix(s.base, "http://")
	_, port, _ := strings.Cut(host, ":")
	navigation := []asked{withHeader("Sec-Fetch-Mode", "navigate"), withHeader("Sec-Fetch-Dest", "document")}
	cases := []struct {
		name string
		path string
		how  []asked
		want int
	}{
		{"no browser", "/listeners", nil, 200},
		{"the page", "/listeners", []asked{withHeader("Origin", "http://"+host), withHeader("Sec-Fetch-Site", "same-origin")}, 200},
		{"the page in an old browser", "/listeners", []asked{withHeader("Origin", "http://"+host)}, 200},
		{"an address that was typed", "/listeners", append(navigation, withHeader("Sec-Fetch-Site", "none")), 200},
		{"the page by another name", "/listeners", []asked{withHost("localhost:" + port), withHeader("Origin", "http://localhost:"+port)}, 200},
		{"a link to the page", "/", append(navigation, withHeader("Sec-Fetch-Site", "cross-site")), 200},
		{"a link to something else", "/listeners", append(navigation, withHeader("Sec-Fetch-Site", "cross-site")), 403},
		{"a frame", "/", []asked{withHeader("Sec-Fetch-Mode", "navigate"), withHeader("Sec-Fetch-Dest", "iframe"), withHeader("Sec-Fetch-Site", "cross-site")}, 403},
		{"a script", "/app.js", []asked{withHeader("Sec-Fetch-Mode", "no-cors"), withHeader("Sec-Fetch-Dest", "script"), withHeader("Sec-Fetch-Site", "cross-site")}, 403},
		{"another scheme", "/listeners", []asked{withHeader("Origin", "https://"+host)}, 403},
		{"another port", "/listeners", []asked{withHeader("Origin", "http://127.0.0.1:1")}, 403},
		{"no port", "/listeners", []asked{withHeader("Origin", "http://127.0.0.1")}, 403},
		{"a name of this machine that was not asked", "/listeners", []asked{withHeader("Origin", "http://localhost:"+port)}, 403},
		{"no origin to speak of", "/listeners", []asked{withHeader("Origin", "null")}, 403},
		{"two origins", "/listeners", []asked{func(r *http.Request) { r.Header["Origin"] = []string{"http://" + host, "http://evil.example"} }}, 403},
		{"an empty one", "/listeners", []asked{withHeader("Origin", "")}, 403},
		{"another host, not to be had", "/none", []asked{withHeader("Origin", "http://evil.example")}, 403},
		{"same-site", "/listeners", []asked{withHeader("Sec-Fetch-Site", "same-site")}, 403},
		{"a word of tomorrow", "/listeners", []asked{withHeader("Sec-Fetch-Site", "same-party")}, 403},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			if answer, text := s.ask("GET", tc.path, "", tc.how...); answer.StatusCode != tc.want {
				t.Errorf("%d %s, want %d", answer.StatusCode, text, tc.want)
			}
		})
	}
	if answer, _ := s.ask("OPTIONS", "/drain", "", withHeader("Origin", "http://evil.example"), withHeader("Access-Control-Request-Method", "POST")); answer.StatusCode != 403 || answer.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a preflight gives %d %v", answer.StatusCode, answer.Header)
	}
}

// raw sends bytes and gives all that comes back.
func (s *served) raw(t *testing.T, request string) string {
	t.Helper()
	conn := dial(t, strings.TrimPrefix(s.base, "http://"))
	fmt.Fprint(conn, request)
	text, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
