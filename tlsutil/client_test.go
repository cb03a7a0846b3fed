package tlsutil

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"sluice/tlsutil/certgen"
)

// greet performs a handshake with a client's config as the gateway uses it, and
// gives what both sides saw.
func greet(server, client *tls.Config) outcome {
	return shakeBoth(server, client, nil)
}

func mustClientConfig(t *testing.T, o ClientOptions) *tls.Config {
	t.Helper()
	cfg, err := NewClientConfig(o)
	if err != nil {
		t.Fatalf("NewClientConfig: %v", err)
	}
	return cfg
}

func TestClientDefaults(t *testing.T) {
	t.Parallel()
	cfg := mustClientConfig(t, ClientOptions{CAs: servers().Pool()})
	if cfg.MinVersion != tls.VersionTLS12 || cfg.MaxVersion != tls.VersionTLS13 {
		t.Errorf("versions %x to %x, want TLS 1.2 to 1.3", cfg.MinVersion, cfg.MaxVersion)
	}
	if cfg.InsecureSkipVerify {
		t.Error("nothing is verified")
	}
	if cfg.Renegotiation != tls.RenegotiateNever {
		t.Error("renegotiation is allowed")
	}
	if !cfg.DynamicRecordSizingDisabled {
		t.Error("dynamic record sizing is on")
	}
}

func TestClientVerifiesTheEndpoint(t *testing.T) {
	t.Parallel()
	now := time.Now()
	api := apiCertificate()
	byAddress := issue(servers(), certgen.Options{Names: []string{"192.0.2.7"}})
	expired := issue(servers(), certgen.Options{Names: []string{"api.example.com"}, NotBefore: now.Add(-2 * time.Hour), NotAfter: now.Add(-time.Hour)})
	forClients := issue(servers(), certgen.Options{Names: []string{"api.example.com"}, Client: true})
	stranger := certgen.NewAuthority("Strangers")
	unknown := issue(stranger, certgen.Options{Names: []string{"api.example.com"}})
	tests := []struct {
		name     string
		shown    *Certificate
		asked    string
		insecure bool
		want     string // part of the error; empty for success
	}{
		{name: "the right name", shown: api, asked: "api.example.com"},
		{name: "another name", shown: api, asked: "www.example.com", want: "not www.example.com"},
		{name: "an address", shown: byAddress, asked: "192.0.2.7"},
		{name: "another address", shown: byAddress, asked: "192.0.2.8", want: "not 192.0.2.8"},
		{name: "an address where there are only names", shown: api, asked: "192.0.2.7", want: "doesn't contain any IP SANs"},
		{name: "an unknown CA", shown: unknown, asked: "api.example.com", want: "unknown authority"},
		{name: "expired", shown: expired, asked: "api.example.com", want: "expired"},
		{name: "a client's certificate", shown: forClients, asked: "api.example.com", want: "incompatible key usage"},
		{name: "no name to ask for", shown: api, want: "either ServerName or InsecureSkipVerify"},
		{name: "not verified: an unknown CA", shown: unknown, asked: "other.test", insecure: true},
		{name: "not verified: expired, and no name", shown: expired, insecure: true},
	}
	for _, tt := range tests {
		for _, version := range bothVersions {
			t.Run(fmt.Sprintf("%s/%s", tt.name, tls.VersionName(version)), func(t *testing.T) {
				t.Parallel()
				o := ClientOptions{ServerName: tt.asked, InsecureSkipVerify: tt.insecure, MaxVersion: version}
				if !tt.insecure {
					o.CAs = servers().Pool()
				}
				out := greet(mustConfig(t, ServerOptions{Certificates: []*Certificate{tt.shown}}), mustClientConfig(t, o))
				if got := errText(out.clientErr); tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
					t.Errorf("the client says %q, want %q", got, tt.want)
				}
				_, isVerification := errors.AsType[*tls.CertificateVerificationError](out.clientErr)
				if want := tt.want != "" && tt.asked != ""; isVerification != want {
					t.Errorf("%T, want a CertificateVerificationError: %t", out.clientErr, want)
				}
				if tt.want == "" && out.client.Version != version {
					t.Errorf("version %x", out.client.Version)
				}
			})
		}
	}
}

func TestClientCertificateIsAlwaysSent(t *testing.T) {
	t.Parallel()
	clients, others := certgen.NewAuthority("Clients"), certgen.NewAuthority("Others")
	mine := issue(clients, certgen.Options{Client: true, URIs: []string{"spiffe://edge/gateway"}})
	tests := []struct {
		name  string
		cert  *Certificate
		cas   *x509.CertPool
		want  string // what the server says
		shown bool
	}{
		{"accepted", mine, clients.Pool(), "", true},
		{"of a CA that the server does not name", mine, others.Pool(), "unknown authority", false},
		{"none", nil, clients.Pool(), "didn't provide a certificate", false},
	}
	for _, tt := range tests {
		for _, version := range bothVersions {
			t.Run(fmt.Sprintf("%s/%s", tt.name, tls.VersionName(version)), func(t *testing.T) {
				t.Parallel()
				server := mustConfig(t, ServerOptions{ClientAuth: &ClientAuth{Required: true, CAs: tt.cas}})
				out := greet(server, mustClientConfig(t, ClientOptions{
					ServerName: "api.example.com", CAs: servers().Pool(), Certificate: tt.cert, MaxVersion: version,
				}))
				if got := errText(out.serverErr); tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
					t.Errorf("the server says %q, want %q", got, tt.want)
				}
				if (len(out.server.PeerCertificates) == 1) != tt.shown {
					t.Errorf("%d certificates accepted", len(out.server.PeerCertificates))
				}
			})
		}
	}
}

func TestClientALPN(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		offer []string
		want  string
	}{{nil, ""}, {[]string{"h2", "http/1.1"}, "http/1.1"}} {
		out := greet(mustConfig(t, ServerOptions{ALPN: []string{"http/1.1"}}),
			mustClientConfig(t, ClientOptions{ServerName: "api.example.com", CAs: servers().Pool(), ALPN: tt.offer}))
		if got := out.client.NegotiatedProtocol; got != tt.want || out.clientErr != nil {
			t.Errorf("offering %q: %q, %v", tt.offer, got, out.clientErr)
		}
	}
}

func TestClientContradictions(t *testing.T) {
	t.Parallel()
	pool := servers().Pool()
	tests := []struct {
		name string
		o    ClientOptions
		want string
	}{
		{"CAs that are not asked", ClientOptions{CAs: pool, InsecureSkipVerify: true}, "leave out one of the two"},
		{"no CAs in the pool", ClientOptions{CAs: x509.NewCertPool()}, "the list of CAs is empty"},
		{"TLS 1.1", ClientOptions{CAs: pool, MinVersion: tls.VersionTLS11}, "TLS 1.1 is not supported"},
		{"no version left", ClientOptions{CAs: pool, MinVersion: tls.VersionTLS13, MaxVersion: tls.VersionTLS12}, "min_version is above max_version"},
		{"empty ALPN", ClientOptions{CAs: pool, ALPN: []string{""}}, "a protocol has 1 to 255"},
	}
	for _, tt := range tests {
		cfg, err := NewClientConfig(tt.o)
		if err == nil || cfg != nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// The tests of this package run where the machine has CAs and where it has none.
func TestClientWithTheMachinesCAs(t *testing.T) {
	t.Parallel()
	pool, err := SystemCAs()
	if err != nil {
		if pool != nil || !strings.Contains(err.Error(), "ca_file") {
			t.Errorf("%v, and no advice", err)
		}
		_, err := NewClientConfig(ClientOptions{ServerName: "api.example.com"})
		if err == nil {
			t.Error("a config that trusts nobody")
		}
		return
	}
	cfg := mustClientConfig(t, ClientOptions{ServerName: "api.example.com"})
	if !cfg.RootCAs.Equal(pool) {
		t.Error("other CAs than the machine's")
	}
	out := greet(mustConfig(t, ServerOptions{}), cfg)
	if got := errText(out.clientErr); !strings.Contains(got, "unknown authority") {
		t.Errorf("an endpoint of an unknown CA: %q", got)
	}
}
