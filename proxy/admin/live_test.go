package admin

import (
	"crypto/tls"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sluice/config"
)

// TestTokenIsReplaced: the old one is of no use from then on, and neither are
// logins with it.
func TestTokenIsReplaced(t *testing.T) {
	t.Parallel()
	s := serve(t, loopback(t, rightToken))
	in := []asked{withCookie(s.login()), withHeader(pageHeader, "1")}
	same := loopback(t, rightToken)
	if later := s.server.Apply(same); len(later) > 0 {
		t.Errorf("with the same it says %q", later)
	}
	s.expect("POST", "/logging?level=debug", "", 200, "", in...)

	if later := s.server.Apply(loopback(t, wrongToken)); len(later) > 0 {
		t.Errorf("with another token it says %q", later)
	}
	s.expect("POST", "/logging?level=debug", "", 401, "", in...)
	s.expect("GET", "/config", "", 401, "", withToken(rightToken))
	s.expect("GET", "/config", "", 200, "", withToken(wrongToken))

	s.server.Apply(loopback(t, ""))
	s.expect("GET", "/config", "", 403, "", withToken(wrongToken))
	s.expect("GET", "/listeners", "", 200, "")
}

// TestCertificateIsReplaced: new handshakes get the new one, which may be for
// other names.
func TestCertificateIsReplaced(t *testing.T) {
	t.Parallel()
	s := serve(t, open(t))
	serial := func() string {
		t.Helper()
		conn, err := tls.Dial("tcp", strings.TrimPrefix(s.base, "https://"), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	before, next := serial(), open(t)
	s.server.Apply(next)
	if after := serial(); after == before || after != next.Admin.Certificates[0].Leaf.SerialNumber.String() {
		t.Errorf("the certificate was %s and is %s", before, after)
	}
	// One that speaks TLS goes on with it, and what asks for the token does too.
	later := s.server.Apply(loopback(t, ""))
	if after := serial(); after != next.Admin.Certificates[0].Leaf.SerialNumber.String() {
		t.Errorf("without certificates it is %s", after)
	}
	s.client.CloseIdleConnections()
	transport := &http.Transport{TLSClientConfig: trusting(next.Admin.Certificates[0].Leaf)}
	defer transport.CloseIdleConnections()
	s.client.Transport = transport
	s.expect("GET", "/listeners", "", 403, "")
	if !slices.ContainsFunc(later, func(text string) bool { return strings.HasPrefix(text, "admin.tls: ") }) {
		t.Errorf("it says %q", later)
	}
}

// TestUnapplied: what a reload cannot change is told.
func TestUnapplied(t *testing.T) {
	t.Parallel()
	base := socket(t)
	s := serve(t, base)
	cases := []struct {
		name   string
		change func(*config.Config)
		want   []string // how the texts begin
	}{
		{"nothing", func(*config.Config) {}, nil},
		{"off", func(c *config.Config) { c.Admin.Enabled = false }, []string{"admin.enabled"}},
		{"address", func(c *config.Config) { c.Admin.Address.Path = filepath.Join(t.TempDir(), "x") }, []string{"admin.address"}},
		{"mode", func(c *config.Config) { c.Admin.Mode = 0o600 }, []string{"admin.mode"}},
		{"group", func(c *config.Config) { c.Admin.GID = 1 }, []string{"admin.mode"}},
		{"no metrics", func(c *config.Config) { c.Metrics.Address = nil }, []string{"metrics.address"}},
		{"metrics elsewhere", func(c *config.Config) { c.Metrics.Address = &config.Address{Dual: true} }, []string{"metrics.address"}},
	}
	for _, tc := range cases {
		next := *base
		tc.change(&next)
		var got []string
		for _, text := range s.server.Apply(&next) {
			word, _, _ := strings.Cut(text, ":")
			word, _, _ = strings.Cut(word, ",")
			got = append(got, word)
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: it says %q, want %q", tc.name, got, tc.want)
		}
	}
}
