package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/tlsutil/certgen"
)

// serveHTTP answers on a free port of the loopback interface.
func serveHTTP(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// serveTLS answers with a certificate for a name, and gives the authority's file.
func serveTLS(t *testing.T, h http.Handler, name string) (address, caFile string) {
	t.Helper()
	ca := certgen.NewAuthority("test CA")
	cert, err := tls.X509KeyPair(ca.Issue(certgen.Options{Names: []string{name}}))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(h)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that are to fail
	s.StartTLS()
	t.Cleanup(s.Close)
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(caFile, ca.CAPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(s.URL, "https://"), caFile
}

// serveBytes answers every connection with the same bytes.
func serveBytes(t *testing.T, text string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			// The request is read first: closing with bytes unread is a reset.
			_, _ = c.Read(make([]byte, 4096))
			_, _ = io.WriteString(c, text)
			c.Close()
		}
	}()
	return ln.Addr().String()
}

// freeAddress is one that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func textHandler(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

// Whoever gets no answer reads what to do, in one line.
func TestAdminErrors(t *testing.T) {
	t.Parallel()
	tlsAddress, caFile := serveTLS(t, newFakeAdmin(t), "localhost")
	_, otherCA := serveTLS(t, newFakeAdmin(t), "localhost")
	otherName, otherNameCA := serveTLS(t, newFakeAdmin(t), "edge.example.com")
	_, tlsPort, _ := net.SplitHostPort(tlsAddress)
	cases := []struct{ name, args, says string }{
		{"nobody there", "--admin " + freeAddress(t), "nothing listens on 127.0.0.1:"},
		{"no socket", "--admin unix:/nonexistent/admin.sock", "there is no socket unix:/nonexistent/admin.sock: is the gateway running there?"},
		{"a web page", "--admin " + serveHTTP(t, textHandler(200, "text/html", "<html>")), "is no sluice, or one of another version: it sent text/html"},
		{"Envoy", "--admin " + serveHTTP(t, textHandler(200, "application/json", `{"version":"1.36.0/Clean/RELEASE/BoringSSL","state":"LIVE"}`)), "is no sluice"},
		{"nothing at that path", "--admin " + serveHTTP(t, textHandler(404, "text/plain", "404 page not found")), "its answer is 404 Not Found"},
		{"a redirect", "--admin " + serveHTTP(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) }), "its answer is 302 Found"},
		{"no JSON", "--admin " + serveHTTP(t, textHandler(200, "application/json", "oops")), "its JSON cannot be read"},
		{"another version", "--admin " + serveHTTP(t, textHandler(200, "application/json", `[{"name":"l","addresses":"x"}]`)), "answers in a form that this sluice ((devel)) does not know (addresses is a string): use the sluice that runs there"},
		{"no HTTP", "--admin " + serveBytes(t, "220 mail.example.com ESMTP\r\n"), "it speaks no HTTP"},
		{"words of the gateway", "--admin " + serveHTTP(t, textHandler(503, "application/json", `{"error": "the gateway is starting: try again"}`)), "sluice: the gateway is starting: try again\n"},
		{"token wanted", "--admin " + serveHTTP(t, textHandler(401, "application/json", `{"error": "send it in a header"}`)), "wants a token for this: give the file that has it with --token-file, or the token in SLUICE_ADMIN_TOKEN"},
		{"token wrong", "--token-file testdata/token --admin " + serveHTTP(t, textHandler(401, "application/json", `{"error": "wrong"}`)), "does not take this token: the right one stands in the token_file"},
		{"token missing", "--token-file nonexistent", "reading the admin token: open nonexistent"},
		{"token in the clear", "--token-file testdata/token --admin 192.0.2.1:9901", "the token would go to 192.0.2.1:9901 in the clear: write --admin https://192.0.2.1:9901"},
		{"TLS there", "--admin " + tlsAddress, "speaks TLS: write --admin https://" + tlsAddress},
		{"no TLS there", "--admin https://" + startFakeAdmin(t).address, "speaks no TLS: write --admin 127.0.0.1:"},
		{"nothing like TLS there", "--admin https://" + serveBytes(t, "220 mail.example.com ESMTP\r\n"), "speaks no TLS"},
		{"unknown authority", "--admin https://localhost:" + tlsPort + " --ca-file " + otherCA, "of an authority that is not trusted: give the authority with --ca-file"},
		{"another name", "--admin " + otherName + " --ca-file " + otherNameCA, "is for another name"},
		{"no authority", "--ca-file pc.go", "there is no certificate in pc.go: it is to be PEM"},
		{"configuration that is not valid", "-c testdata/dump.json", "testdata/dump.json is not valid (\"sluice validate\" says why)"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			command := "listener"
			if tc.name == "Envoy" {
				command = "bootstrap"
			}
			code, stdout, stderr := runSluice(append([]string{"pc", command}, strings.Fields(tc.args)...)...)
			if code != exitFailed || stdout != "" || !strings.Contains(stderr, tc.says) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("exit code %d, stdout %q, stderr\n%swant %q", code, stdout, stderr, tc.says)
			}
		})
	}

	// What is right goes through.
	got := pc(t, "listener", "--admin", "localhost:"+tlsPort, "--ca-file", caFile)
	if got != pc(t, "listener", "--admin", "https://localhost:"+tlsPort, "--ca-file", caFile) || !strings.Contains(got, "app.example.com") {
		t.Errorf("over TLS it prints\n%s", got)
	}
}

func TestAdminOverSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "admin.sock")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: ln, Config: &http.Server{Handler: newFakeAdmin(t)}}
	s.Start()
	defer s.Close()
	if got := pc(t, "listener", "--admin", "unix:"+path); got != pc(t, "listener", "-f", dumpFile) {
		t.Errorf("over a unix socket it prints\n%s", got)
	}
}

func TestAdminAddress(t *testing.T) {
	t.Parallel()
	cases := []struct{ in, scheme, address string }{
		{"127.0.0.1:9901", "", "127.0.0.1:9901"},
		{":9901", "", "127.0.0.1:9901"},
		{"[::1]:9901", "", "[::1]:9901"},
		{"edge.example.com:9901", "", "edge.example.com:9901"},
		{"http://localhost:9901/", "http", "localhost:9901"},
		{"https://edge.example.com:9901", "https", "edge.example.com:9901"},
		{"unix:/run/a.sock", "unix", "/run/a.sock"},
		{"unix:///run/a.sock", "unix", "/run/a.sock"},
		{"unix:", "error", ""},
		{"", "error", ""},
		{"9901", "error", ""},
		{"localhost", "error", ""},
		{"localhost:", "error", ""},
		{"ftp://localhost:21", "error", ""},
		{"https://localhost:9901/listeners", "error", ""},
		{"https://me:secret@localhost:9901", "error", ""},
	}
	for _, tc := range cases {
		scheme, address, err := splitAdmin(tc.in)
		if err != nil {
			scheme = "error"
		}
		if scheme != tc.scheme || address != tc.address {
			t.Errorf("%q: %s %s, want %s %s", tc.in, scheme, address, tc.scheme, tc.address)
		}
	}
}

// -c names the gateway by its configuration.
func TestAdminFromConfiguration(t *testing.T) {
	t.Parallel()
	const rest = `
listener "l" {
  address = "127.0.0.1:1"
  filter_chain "c" {
    route { cluster = "x" }
  }
}
cluster "x" { endpoints = ["127.0.0.1:2"] }
`
	admin := startFakeAdmin(t)
	cases := []struct{ name, source, address, says string }{
		{"default", "", "127.0.0.1:9901", ""},
		{"address", `admin { address = "127.0.0.1:1234" }`, "127.0.0.1:1234", ""},
		{"IPv6", `admin { address = "[::1]:1234" }`, "[::1]:1234", ""},
		{"socket", `admin { address = "unix:/run/a.sock" }`, "unix:/run/a.sock", ""},
		{"every address", `
admin {
  address    = ":1234"
  token_file = "token"
  tls {
    certificate {
      cert_file = "a.pem"
      key_file  = "a.key"
    }
  }
}`, "https://127.0.0.1:1234", ""},
		{"no admin server", `admin { enabled = false }`, "", "its admin block says enabled = false"},
		{"any port", `admin { address = "127.0.0.1:0" }`, "", "the gateway's log says which"},
		{"a running gateway", `admin { address = "` + admin.address + `" }`, admin.address, ""},
	}
	for _, tc := range cases {
		dir := t.TempDir()
		if _, _, err := certgen.NewAuthority("test").WriteFiles(dir, "a", certgen.Options{Names: []string{"127.0.0.1"}}); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "token"), []byte("0123456789abcdef"), 0o600); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "gateway.hcl")
		if err := os.WriteFile(path, []byte(tc.source+rest), 0o600); err != nil {
			t.Fatal(err)
		}
		f := adminFlags{config: configFlags{path: path}}
		address, _, err := f.fromConfig()
		if address != tc.address || !strings.Contains(errorText(err), tc.says) || (err == nil) != (tc.says == "") {
			t.Errorf("%s: %s, %v, want %s%s", tc.name, address, err, tc.address, tc.says)
		}
		if address == admin.address && !strings.Contains(pc(t, "listener", "-c", path), "app.example.com") {
			t.Error("the gateway that -c names was not asked")
		}
	}
}

// An address from the environment is not told to everybody.
func TestAdminAddressHidden(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gateway.hcl")
	address := freeAddress(t)
	t.Setenv("SLUICE_TEST_ADMIN", address)
	source := `
admin { address = env("SLUICE_TEST_ADMIN") }
listener "l" {
  address = "127.0.0.1:1"
  filter_chain "c" {
    route { cluster = "x" }
  }
}
cluster "x" { endpoints = ["127.0.0.1:2"] }
`
	if err := os.WriteFile(path, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := runSluice("drain", "-c", path)
	if code != exitFailed || strings.Contains(stderr, address) || !strings.Contains(stderr, "nothing listens on the admin address of "+path) {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

func TestControl(t *testing.T) {
	t.Setenv(tokenVariable, "secret") // so this is not parallel
	admin := newFakeAdmin(t)
	admin.token = "secret"
	admin.address = serveHTTP(t, admin.ServeHTTP)
	cases := []struct {
		args, stdout, stderr string
		posted               string
	}{
		{"kill 17", "done: /connections/17/kill\n", "", "/connections/17/kill"},
		{"kill 404 17", "done: /connections/17/kill\n", "sluice: there is no connection 404\n", "/connections/17/kill"},
		{"drain", "done: /drain\n", "", "/drain"},
		{"reload", "", "sluice: this version does not reload: restart it\n", ""},
		{"pc log --level debug", "done: /logging\n", "", "/logging?level=debug"},
		{"pc log", "LOG         LEVEL\nservice     warn\n", "", ""},
		{"pc log -o json", "{\n  \"level\": \"warn\"\n}\n", "", ""},
	}
	for _, tc := range cases {
		code, stdout, stderr := runSluice(append(strings.Fields(tc.args), "--admin", admin.address)...)
		posted := ""
		if len(admin.posts) > 0 {
			posted = <-admin.posts
		}
		if (code == exitFailed) != (tc.stderr != "") || stdout != tc.stdout || stderr != tc.stderr || posted != tc.posted {
			t.Errorf("%s: exit code %d\n%s%sposted %q, want %q", tc.args, code, stdout, stderr, posted, tc.posted)
		}
	}

	t.Setenv(tokenVariable, "another")
	if code, _, stderr := runSluice("drain", "--admin", admin.address); code != exitFailed || !strings.Contains(stderr, "does not take this token") {
		t.Errorf("with a wrong token: %d, %s", code, stderr)
	}
	t.Setenv(tokenVariable, "")
	if code, _, stderr := runSluice("drain", "--admin", admin.address); code != exitFailed || !strings.Contains(stderr, "wants a token") {
		t.Errorf("without a token: %d, %s", code, stderr)
	}
	if len(admin.posts) > 0 {
		t.Errorf("%s was done all the same", <-admin.posts)
	}
}
