package integration

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/tlsutil/certgen"
)

// TestTLVsAreHAProxys: of the same client, terminated here and there, an endpoint
// is told the same. HAProxy and nginx as Debian has them show none but authority
// and unique_id of what they receive; this holds the others to what HAProxy sends.
func TestTLVsAreHAProxys(t *testing.T) {
	t.Parallel()
	needHAProxy(t)
	ca := newAuthority(t, "ca")
	certFile, keyFile := ca.files("a", certgen.Options{Names: []string{"a.test"}})
	both := filepath.Join(ca.dir, "both.pem")
	var pem []byte
	for _, file := range []string{certFile, keyFile} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		pem = append(pem, b...)
	}
	if err := os.WriteFile(both, pem, 0o600); err != nil {
		t.Fatal(err)
	}
	headers := make(chan ppHeader, 1)
	endpoint := backend(t, func(c net.Conn) {
		h, err := readPPHeader(c)
		if err != nil {
			t.Error(err)
		}
		headers <- h
		echo(c)
	})
	p := startSluice(t, fmt.Sprintf(`
listener "tls" {
  address = "127.0.0.1:0"
  filter_chain "all" {
    tls {
      certificate {
        cert_file = %q
        key_file  = %q
      }
      alpn_protocols = ["ours/1"]
      client_auth {
        mode    = "optional"
        ca_file = %q
      }
    }
    route { cluster = "one" }
  }
}
cluster "one" {
  endpoints = [%q]
  proxy_protocol { tlvs = ["authority", "alpn", "ssl", "crc32c"] }
}
`, certFile, keyFile, ca.caFile(), endpoint))
	sockets, addresses := inherited(t, 1)
	startHAProxy(t, fmt.Sprintf(`
listen tls
  bind fd@3 ssl crt %s alpn ours/1 ca-file %s verify optional
  server endpoint %s send-proxy-v2-ssl-cn proxy-v2-options ssl,cert-cn,ssl-cipher,crc32c,authority
`, both, ca.caFile(), endpoint), sockets)

	alice := ca.pair(certgen.Options{Client: true, Names: []string{"alice.test"}})
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for name, certificates := range map[string][]tls.Certificate{"a certificate": {alice}, "none": nil} {
			t.Run(tls.VersionName(version)+", "+name, func(t *testing.T) {
				ours := tlvsOf(t, p.address("tls"), version, certificates, ca, headers)
				theirs := tlvsOf(t, addresses[0], version, certificates, ca, headers)
				if ours != theirs {
					t.Errorf("an endpoint is told\n%s by us, and\n%s by HAProxy", ours, theirs)
				}
			})
		}
	}
}

// tlvsOf has a client shake hands and gives the TLVs that the endpoint gets then.
func tlvsOf(t *testing.T, address string, version uint16, certificates []tls.Certificate, ca *authority, headers <-chan ppHeader) string {
	t.Helper()
	raw := dial(t, address)
	defer raw.Close()
	conn := tls.Client(raw, &tls.Config{
		ServerName: "a.test", RootCAs: ca.Pool(), NextProtos: []string{"ours/1"}, Certificates: certificates, MaxVersion: version,
		CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}, // of TLS 1.2
	})
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	exchange(t, conn, "hello")
	h := <-headers
	if h.source != raw.LocalAddr().String() || h.destination != address || len(h.tlvs[3]) != 4 {
		t.Errorf("the header of %s to %s is %+v", raw.LocalAddr(), address, h)
	}
	ssl := h.tlvs[0x20]
	if len(ssl) < 5 {
		t.Fatalf("the SSL TLV is %x", ssl)
	}
	sub, err := readTLVs([]byte(ssl[5:]))
	if err != nil {
		t.Error(err)
	}
	if version == tls.VersionTLS13 { // which of them is agreed on is the server's affair
		sub[0x23] = strings.Replace(sub[0x23], tls.CipherSuiteName(conn.ConnectionState().CipherSuite), "as agreed", 1)
	}
	verified := "not verified" // HAProxy has 0 there, which is for a good one (PROXY 2.2.6)
	if ssl[0]&2 != 0 {
		verified = fmt.Sprintf("verified %x", ssl[1:5])
	}
	return fmt.Sprintf("alpn %q, authority %q, flags %x, %s, sub-TLVs %q", h.tlvs[1], h.tlvs[2], ssl[0], verified, sub)
}
