package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/proxy/status"
	"sluice/tlsutil/clienthello/hellotest"
)

// run runs sluice and gives what it prints.
func explained(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	root := newRoot()
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetContext(t.Context())
	err := execute(root, args)
	return out.String(), err
}

func TestExplainTakesACapturedHello(t *testing.T) {
	t.Parallel()
	hello := filepath.Join(t.TempDir(), "hello.bin")
	browser := hellotest.Browser("api.example.com")
	if err := os.WriteFile(hello, browser.Records(), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := explained(t, "explain", "-c", "../../config/examples/weighted.hcl", "--hello", hello, "--source", "198.51.100.7")
	for _, want := range []string{"a ClientHello for api.example.com, offering h2, http/1.1 (", "✓ api-office", "outcome: forward"} {
		if err != nil || !strings.Contains(got, want) {
			t.Errorf("error %v, and no %q in\n%s", err, want, got)
		}
	}
}

// TestExplainAsksAGateway: the question goes to the admin address, over TCP and
// over a unix socket, and what the gateway says is what is printed.
func TestExplainAsksAGateway(t *testing.T) {
	t.Setenv("SLUICE_ADMIN_TOKEN", "secret")
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q status.Question
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			t.Error(err)
		}
		if r.Method != http.MethodPost || r.URL.Path != "/explain" || r.Header.Get("Authorization") != "Bearer secret" {
			t.Errorf("it is asked %s %s with %v", r.Method, r.URL, r.Header)
		}
		if q.Listener == "htps" {
			w.WriteHeader(http.StatusBadRequest)
			w.Write([]byte(`{"error": "no listener is named \"htps\""}`))
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(status.Explanation{Question: q, Listener: "https", Outcome: "reset", Reason: "no_filter_chain_match"})
	})
	overTCP := httptest.NewServer(handler)
	defer overTCP.Close()
	path := filepath.Join(t.TempDir(), "admin.sock")
	var lc net.ListenConfig
	ln, err := lc.Listen(context.Background(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	overUnix := &httptest.Server{Listener: ln, Config: &http.Server{Handler: handler}}
	overUnix.Start()
	defer overUnix.Close()
	for _, admin := range []string{overTCP.Listener.Addr().String(), "unix:" + path} {
		got, err := explained(t, "explain", "--admin", admin, "--sni", "a.test")
		if want := "outcome: reset (no_filter_chain_match)"; err != nil || !strings.Contains(got, want) {
			t.Errorf("%s: error %v, and no %q in\n%s", admin, err, want, got)
		}
		if _, err := explained(t, "explain", "--admin", admin, "--listener", "htps"); err == nil || err.Error() != `no listener is named "htps"` {
			t.Errorf("%s: error %v", admin, err)
		}
	}
	if _, err := explained(t, "explain", "--admin", "127.0.0.1:1", "--sni", "a.test"); err == nil || !strings.Contains(err.Error(), "nothing listens") {
		t.Errorf("nobody is there: error %v", err)
	}
}

// TestExplainShowsTheNearestChains: of a thousand chains the few that say
// something are shown.
func TestExplainShowsTheNearestChains(t *testing.T) {
	t.Parallel()
	x := status.Explanation{Outcome: "forward", FilterChain: "winner"}
	for range 1000 {
		x.Chains = append(x.Chains, status.Verdict{FilterChain: "far", Failed: make([]status.Mismatch, 2)})
	}
	x.Chains[500] = status.Verdict{FilterChain: "winner", Won: true}
	x.Chains[600] = status.Verdict{FilterChain: "near", Failed: make([]status.Mismatch, 1)}
	x.Chains[999] = status.Verdict{FilterChain: "beaten", LostBy: &status.Defeat{Criterion: "server_names"}}
	var b bytes.Buffer
	if err := printExplanation(&b, false, &x); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"✓ winner", "✗ near", "✗ beaten", "and 979 others that do not match"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if n := strings.Count(b.String(), "✗ far"); n != mostVerdicts-2 {
		t.Errorf("%d of the others are shown", n)
	}
}

// TestNothingOfAClientReachesTheTerminal as it is.
func TestNothingOfAClientReachesTheTerminal(t *testing.T) {
	t.Parallel()
	x := status.Explanation{Outcome: "forward"}
	x.Question.TransportProtocol, x.Question.ApplicationProtocols = "tls", []string{"\x1b[2J"}
	var b bytes.Buffer
	if err := printExplanation(&b, false, &x); err != nil || strings.ContainsRune(b.String(), '\x1b') {
		t.Errorf("%v, %q", err, b.String())
	}
}

// TestReadmeShowsAnExplanation as it is printed.
func TestReadmeShowsAnExplanation(t *testing.T) {
	t.Chdir("../..")
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "\n$ sluice explain")
	line, want, _ := strings.Cut(rest, "\n")
	want, _, found := strings.Cut(want, "```")
	got, err := explained(t, append([]string{"explain"}, strings.Fields(line)...)...)
	if !found || err != nil || got != want {
		t.Errorf("README.md does not show what \"sluice explain%s\" prints (%v):\n%s", line, err, got)
	}
}
