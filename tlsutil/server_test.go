package tlsutil

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"sluice/tlsutil/certgen"
)

func TestServerDefaults(t *testing.T) {
	t.Parallel()
	cfg := mustConfig(t, ServerOptions{})
	if cfg.MinVersion != tls.VersionTLS12 || cfg.MaxVersion != tls.VersionTLS13 {
		t.Errorf("versions %x to %x, want TLS 1.2 to 1.3", cfg.MinVersion, cfg.MaxVersion)
	}
	if !cfg.DynamicRecordSizingDisabled {
		t.Error("dynamic record sizing is on")
	}
	if cfg.ClientAuth != tls.NoClientCert {
		t.Errorf("ClientAuth = %v, want none", cfg.ClientAuth)
	}
	if cfg.SessionTicketsDisabled {
		t.Error("session tickets are off")
	}
}

func TestServerVersions(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name                string
		min, max, client    uint16
		clientErr, serverer string
	}{
		{"default takes TLS 1.2", 0, 0, tls.VersionTLS12, "", ""},
		{"default takes TLS 1.3", 0, 0, tls.VersionTLS13, "", ""},
		{"default refuses TLS 1.1", 0, 0, tls.VersionTLS11, "protocol version not supported", "unsupported versions"},
		{"min 1.3 refuses TLS 1.2", tls.VersionTLS13, 0, tls.VersionTLS12, "protocol version not supported", "unsupported versions"},
		{"max 1.2 refuses TLS 1.3", 0, tls.VersionTLS12, tls.VersionTLS13, "protocol version not supported", "unsupported versions"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := mustConfig(t, ServerOptions{MinVersion: tt.min, MaxVersion: tt.max})
			out := shake(cfg, &client{version: tt.client})
			wantOutcome(t, out, tt.clientErr, tt.serverer)
		})
	}
}

func TestServerSuitesAndCurves(t *testing.T) {
	t.Parallel()
	suite, err := ParseCipherSuite("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256")
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ParseCurve("P-384")
	if err != nil {
		t.Fatal(err)
	}
	cfg := mustConfig(t, ServerOptions{CipherSuites: []uint16{suite}, Curves: []tls.CurveID{curve}})
	for _, version := range bothVersions {
		out := shake(cfg, &client{version: version})
		wantOutcome(t, out, "", "")
		if got := out.client.CurveID; got != curve {
			t.Errorf("%s: key exchange %v, want %v", tls.VersionName(version), got, curve)
		}
		if got := out.client.CipherSuite; version == tls.VersionTLS12 && got != suite {
			t.Errorf("suite %s, want %s", tls.CipherSuiteName(got), tls.CipherSuiteName(suite))
		}
	}
	out := shake(mustConfig(t, ServerOptions{}), &client{})
	if out.client.CurveID != tls.X25519MLKEM768 {
		t.Errorf("default key exchange %v, want X25519MLKEM768", out.client.CurveID)
	}
}

func TestServerALPN(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name           string
		server, client []string
		want           string
		clientErr      string
		serverErr      string
	}{
		{name: "server's preference", server: []string{"h2", "http/1.1"}, client: []string{"http/1.1", "h2"}, want: "h2"},
		{name: "no overlap", server: []string{"h2"}, client: []string{"imap"},
			clientErr: "no application protocol", serverErr: `unsupported application protocols (["imap"])`},
		{name: "client without ALPN", server: []string{"h2"}},
		{name: "server without ALPN", client: []string{"h2"}},
		{name: "http/1.1 where only h2 is served", server: []string{"h2"}, client: []string{"http/1.1"}},
	}
	for _, tt := range tests {
		for _, version := range bothVersions {
			t.Run(fmt.Sprintf("%s/%s", tt.name, tls.VersionName(version)), func(t *testing.T) {
				t.Parallel()
				c := &client{version: version}
				c.cfg.NextProtos = tt.client
				out := shake(mustConfig(t, ServerOptions{ALPN: tt.server}), c)
				wantOutcome(t, out, tt.clientErr, tt.serverErr)
				if got := out.client.NegotiatedProtocol; tt.clientErr == "" && got != tt.want {
					t.Errorf("negotiated %q, want %q", got, tt.want)
				}
			})
		}
	}
}

func TestServerRoutedName(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		routed string
		ok     bool
		sni    string
		want   string // the server's error
	}{
		{"same name", "api.example.com", true, "api.example.com", ""},
		{"letter case", "api.example.com", true, "API.example.com", ""},
		{"trailing dot in the routed name", "api.example.com.", true, "api.example.com", ""},
		{"no name on either side", "", false, "", ""},
		{"other name", "api.example.com", true, "admin.example.com",
			`the connection was routed as "api.example.com", but its handshake asks for "admin.example.com"`},
		{"routed without the name that is there", "", false, "admin.example.com",
			`the connection was routed as "", but its handshake asks for "admin.example.com"`},
		{"routed by a name that is not there", "api.example.com", true, "",
			`the connection was routed as "api.example.com", but its handshake asks for ""`},
		{"a name that does not count", "admin.example.com", false, "admin.example.com",
			`the connection was routed as "", but its handshake asks for "admin.example.com"`},
	}
	for _, tt := range tests {
		for _, version := range bothVersions {
			t.Run(fmt.Sprintf("%s/%s", tt.name, tls.VersionName(version)), func(t *testing.T) {
				t.Parallel()
				c := &client{version: version}
				c.cfg.ServerName = tt.sni
				out := shakeOver(mustConfig(t, ServerOptions{}), c, func(conn net.Conn) net.Conn {
					return routedConn{conn, tt.routed, tt.ok}
				})
				alert := ""
				if tt.want != "" {
					alert = "internal error"
				}
				wantOutcome(t, out, alert, tt.want)
			})
		}
	}
}

// TestServerReadsNoFiles removes the files before the first handshake.
func TestServerReadsNoFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certFile, keyFile, err := servers().WriteFiles(dir, "api", certgen.Options{Names: []string{"api.example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	cert, err := LoadCertificate(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	cfg := mustConfig(t, ServerOptions{Certificates: []*Certificate{cert}})
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	wantOutcome(t, shake(cfg, &client{}), "", "")
}

func TestServerOptionErrors(t *testing.T) {
	t.Parallel()
	ecdsa := []*Certificate{apiCertificate()}
	rsa := []*Certificate{mustCertificate(rsaPair())}
	tests := []struct {
		name string
		o    ServerOptions
		want string
	}{
		{"no certificate", ServerOptions{}, "no certificate to terminate TLS with; add a certificate block"},
		{"old version", ServerOptions{Certificates: ecdsa, MinVersion: tls.VersionTLS10},
			"TLS 1.0 is not supported; use TLS 1.2 or 1.3"},
		{"versions crossed", ServerOptions{Certificates: ecdsa, MinVersion: tls.VersionTLS13, MaxVersion: tls.VersionTLS12},
			"min_version is above max_version; raise max_version or lower min_version"},
		{"curves of TLS 1.3 alone", ServerOptions{Certificates: ecdsa, MaxVersion: tls.VersionTLS12,
			Curves: []tls.CurveID{tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024}},
			"ecdh_curves has only curves of TLS 1.3 and max_version is 1.2; add X25519 or P-256, or raise max_version"},
		{"empty protocol", ServerOptions{Certificates: ecdsa, ALPN: []string{""}},
			`ALPN protocol "" has 0 bytes; a protocol has 1 to 255`},
		{"insecure suite", ServerOptions{Certificates: ecdsa, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}},
			"cipher_suites: TLS_RSA_WITH_AES_128_CBC_SHA is not secure and not supported; remove it, " +
				"or leave cipher_suites out for the secure default"},
		{"RSA suites, ECDSA certificate",
			ServerOptions{Certificates: ecdsa, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}},
			"cipher_suites has only RSA suites and no certificate has an RSA key; add a suite with ECDSA in its name"},
		{"ECDSA suites, RSA certificate",
			ServerOptions{Certificates: rsa, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}},
			"cipher_suites has only ECDSA suites and every certificate has an RSA key; add a suite with RSA in its name"},
		{"client authentication without CAs", ServerOptions{Certificates: ecdsa, ClientAuth: &ClientAuth{}},
			"client authentication has no CAs; give a ca_file with the ones that sign client certificates"},
		{"client authentication with an empty pool",
			ServerOptions{Certificates: ecdsa, ClientAuth: &ClientAuth{CAs: x509.NewCertPool()}},
			"client authentication has no CAs; give a ca_file with the ones that sign client certificates"},
		{"bad allowed name",
			ServerOptions{Certificates: ecdsa, ClientAuth: &ClientAuth{CAs: servers().Pool(), AllowedSANs: []string{"*"}}},
			`allowed_sans: "*" would allow every name; leave allowed_sans out to allow every certificate that a CA signed`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg, err := NewServerConfig(tt.o)
			if cfg != nil || errText(err) != tt.want {
				t.Errorf("got %v, error\n     %v\nwant %s", cfg, err, tt.want)
			}
		})
	}
	t.Run("suites without use are no error in TLS 1.3", func(t *testing.T) {
		t.Parallel()
		mustConfig(t, ServerOptions{Certificates: rsa, MinVersion: tls.VersionTLS13,
			CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}})
	})
}

func TestParseNames(t *testing.T) {
	t.Parallel()
	parsers := map[string]struct {
		names []string
		parse func(string) error
	}{
		"version": {VersionNames(), func(s string) error { _, err := ParseVersion(s); return err }},
		"suite":   {CipherSuiteNames(), func(s string) error { _, err := ParseCipherSuite(s); return err }},
		"curve":   {CurveNames(), func(s string) error { _, err := ParseCurve(s); return err }},
	}
	for kind, p := range parsers {
		if len(p.names) == 0 {
			t.Errorf("no names of kind %s", kind)
		}
		for _, n := range p.names {
			if err := p.parse(n); err != nil {
				t.Errorf("%s: a listed name is refused: %v", kind, err)
			}
		}
	}
	for _, s := range CipherSuiteNames() {
		if strings.Contains(s, "_CBC_") && !strings.Contains(s, "ECDHE") {
			t.Errorf("%s has no forward secrecy", s)
		}
	}
	suites, curves := strings.Join(CipherSuiteNames(), ", "), strings.Join(CurveNames(), ", ")
	tests := []struct{ kind, in, want string }{
		{"version", "1.1", `TLS 1.1 is not secure (RFC 8996) and not supported; write "1.2" or "1.3"`},
		{"version", "TLSv1.2", `"TLSv1.2" is not a TLS version; write "1.2" or "1.3"`},
		{"suite", "TLS_AES_128_GCM_SHA256",
			"TLS_AES_128_GCM_SHA256 is a suite of TLS 1.3, where all suites are secure and always on; remove it"},
		{"suite", "TLS_RSA_WITH_AES_128_GCM_SHA256", "TLS_RSA_WITH_AES_128_GCM_SHA256 is not secure and not supported; " +
			"remove it, or leave cipher_suites out for the secure default"},
		{"suite", "ECDHE-RSA-AES128-GCM-SHA256",
			`"ECDHE-RSA-AES128-GCM-SHA256" is OpenSSL's name; write the IANA name "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"`},
		{"suite", "ECDHE-ECDSA-CHACHA20-POLY1305",
			`"ECDHE-ECDSA-CHACHA20-POLY1305" is OpenSSL's name; write the IANA name "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"`},
		{"suite", "ECDHE-RSA-AES256-SHA",
			`"ECDHE-RSA-AES256-SHA" is OpenSSL's name; write the IANA name "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA"`},
		{"suite", "HIGH", `"HIGH" is not a TLS 1.2 cipher suite; write one of ` + suites},
		{"curve", "secp192r1", `"secp192r1" is not a known curve; write one of ` + curves},
	}
	for _, tt := range tests {
		if got := errText(parsers[tt.kind].parse(tt.in)); got != tt.want {
			t.Errorf("%s %q: error\n got %s\nwant %s", tt.kind, tt.in, got, tt.want)
		}
	}
}

// TestCurveForTLS12 asks crypto/tls: with each curve alone, a client of TLS 1.2
// that offers all of them can shake hands or not.
func TestCurveForTLS12(t *testing.T) {
	t.Parallel()
	var all []tls.CurveID
	for _, name := range CurveNames() {
		id, err := ParseCurve(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, id)
	}
	rsa := []*Certificate{mustCertificate(rsaPair())} // whose key has no curve of its own
	for i, id := range all {
		cfg := mustConfig(t, ServerOptions{Certificates: rsa, Curves: []tls.CurveID{id}})
		c := &client{version: tls.VersionTLS12}
		c.cfg.CurvePreferences = all
		out := shake(cfg, c)
		if got := out.clientErr == nil; got != CurveForTLS12(id) {
			t.Errorf("%s: CurveForTLS12 says %t, crypto/tls %v", CurveNames()[i], CurveForTLS12(id), out.serverErr)
		}
		c.version = tls.VersionTLS13
		wantOutcome(t, shake(cfg, c), "", "")
	}
}
