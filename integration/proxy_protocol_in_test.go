package integration

import (
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/tlsutil/certgen"
)

// ppHeader is a header of version 2 as the specification lays it out, read by
// hand.
type ppHeader struct {
	source, destination string
	tlvs                map[byte]string
}

// readPPHeader reads one with IPv4 addresses.
func readPPHeader(c io.Reader) (h ppHeader, err error) {
	fixed := make([]byte, 16)
	if _, err = io.ReadFull(c, fixed); err != nil {
		return h, err
	}
	body := make([]byte, binary.BigEndian.Uint16(fixed[14:]))
	if _, err = io.ReadFull(c, body); err != nil {
		return h, err
	}
	if string(fixed[:14]) != "\r\n\r\n\x00\r\nQUIT\n\x21\x11" || len(body) < 12 {
		return h, fmt.Errorf("no header but %q", fixed)
	}
	h.source = fmt.Sprintf("%v:%d", net.IP(body[:4]), binary.BigEndian.Uint16(body[8:]))
	h.destination = fmt.Sprintf("%v:%d", net.IP(body[4:8]), binary.BigEndian.Uint16(body[10:]))
	h.tlvs, err = readTLVs(body[12:])
	return h, err
}

func readTLVs(b []byte) (map[byte]string, error) {
	values := make(map[byte]string)
	for len(b) > 0 {
		if len(b) < 3 || len(b) < 3+int(binary.BigEndian.Uint16(b[1:])) {
			return values, fmt.Errorf("a TLV that ends too early: %x", b)
		}
		end := 3 + int(binary.BigEndian.Uint16(b[1:]))
		values[b[0]], b = string(b[3:end]), b[end:]
	}
	return values, nil
}

// TestHAProxyInFront has HAProxy send its headers of both versions to each kind
// of chain.
func TestHAProxyInFront(t *testing.T) {
	t.Parallel()
	needHAProxy(t)
	g := startTLSGatewayBehind(t)
	sockets, addresses := inherited(t, 4)
	startHAProxy(t, fmt.Sprintf(`
listen plain1
  bind fd@3
  server gateway %[1]s send-proxy
listen plain2
  bind fd@4
  server gateway %[1]s send-proxy-v2 proxy-v2-options crc32c
listen tls1
  bind fd@5
  server gateway %[2]s send-proxy
listen tls2
  bind fd@6
  server gateway %[2]s send-proxy-v2 proxy-v2-options crc32c
`, g.address("plain"), g.address("tls")), sockets)

	for i, version := range []string{"1", "2"} {
		t.Run("plain, version "+version, func(t *testing.T) {
			c := dial(t, addresses[i])
			exchange(t, c, "hello")
			c.Close()
			rec := g.on(t).waitEnd(c.LocalAddr())
			expectFields(t, rec, map[string]string{
				"destination": addresses[i], "filter_chain": "plain", "tls": "none", "termination.reason": "finished"})
			expectDirect(t, rec, c, version)
			if n := number(rec, "bytes_received"); n != 5 {
				t.Errorf("%v bytes are counted as received, want 5", n)
			}
		})
		for chain, name := range map[string]string{"passed": "pass.test", "terminated": "term.test"} {
			t.Run(chain+", version "+version, func(t *testing.T) {
				raw := dial(t, addresses[2+i])
				conn := handshake(t, raw, name, g.ca)
				exchange(t, conn, "hello")
				conn.Close()
				rec := g.on(t).waitEnd(raw.LocalAddr())
				expectFields(t, rec, map[string]string{
					"destination": addresses[2+i], "filter_chain": chain, "sni": name})
				expectDirect(t, rec, raw, version)
			})
		}
	}
}

// expectDirect checks who sent the header: HAProxy, not the client.
func expectDirect(t *testing.T, rec event, client net.Conn, version string) {
	t.Helper()
	direct := text(rec, "direct_source")
	if !strings.HasPrefix(direct, "127.0.0.1:") || direct == client.LocalAddr().String() {
		t.Errorf("direct_source is %q, and the client %s", direct, client.LocalAddr())
	}
	proxied, _ := rec["proxy_protocol"].(event)
	if got := fmt.Sprint(number(proxied, "version")); got != version {
		t.Errorf("the header was of version %s, want %s", got, version)
	}
}

// behindGateway is a gateway whose listeners take headers from this machine:
// plain to an echo; tls with a passed through and a terminated chain.
type behindGateway struct {
	*process
	ca *authority
}

func startTLSGatewayBehind(t *testing.T) *behindGateway {
	t.Helper()
	ca := newAuthority(t, "ca")
	certFile, keyFile := ca.files("term", certgen.Options{Names: []string{"term.test"}})
	passed := tlsBackend(t, &tls.Config{Certificates: []tls.Certificate{ca.pair(certgen.Options{Names: []string{"pass.test"}})}}, echo)
	plain := echoBackend(t)
	return &behindGateway{ca: ca, process: startSluice(t, fmt.Sprintf(`
listener "plain" {
  address = "127.0.0.1:0"
  proxy_protocol { trusted = ["127.0.0.1/32"] }
  filter_chain "plain" {
    match { direct_source_prefix_ranges = ["127.0.0.1/32"] }
    route { cluster = "plain" }
  }
}
listener "tls" {
  address = "127.0.0.1:0"
  proxy_protocol { trusted = ["127.0.0.1/32"] }
  filter_chain "passed" {
    match { server_names = ["pass.test"] }
    route { cluster = "passed" }
  }
  filter_chain "terminated" {
    match { server_names = ["term.test"] }
    tls {
      certificate {
        cert_file = %q
        key_file  = %q
      }
    }
    route { cluster = "plain" }
  }
}
cluster "plain" { endpoints = [%q] }
cluster "passed" { endpoints = [%q] }
`, certFile, keyFile, plain, passed))}
}

// TestHAProxysTLVsGetThrough: HAProxy terminates TLS, tells us all about it, and
// we tell the endpoint.
func TestHAProxysTLVsGetThrough(t *testing.T) {
	t.Parallel()
	needHAProxy(t)
	ca := newAuthority(t, "ca")
	headers := make(chan ppHeader, 1)
	p := startSluice(t, fmt.Sprintf(`
listener "tcp" {
  address = "127.0.0.1:0"
  proxy_protocol { trusted = ["127.0.0.1/32"] }
  filter_chain "all" {
    route { cluster = "one" }
  }
}
cluster "one" {
  endpoints = [%q]
  proxy_protocol {
    tlvs              = ["authority", "alpn", "ssl", "crc32c"]
    pass_through_tlvs = true
  }
}
`, backend(t, func(c net.Conn) {
		h, err := readPPHeader(c)
		if err != nil {
			t.Error(err)
		}
		headers <- h
		echo(c)
	})))
	certPEM, keyPEM := ca.Issue(certgen.Options{Names: []string{"a.test"}})
	both := filepath.Join(ca.dir, "both.pem")
	if err := os.WriteFile(both, append(certPEM, keyPEM...), 0o600); err != nil {
		t.Fatal(err)
	}
	sockets, addresses := inherited(t, 1)
	startHAProxy(t, fmt.Sprintf(`
listen tls
  bind fd@3 ssl crt %s alpn ours/1 ca-file %s verify optional
  unique-id-format id-%%ci-%%cp
  server gateway %s send-proxy-v2-ssl-cn proxy-v2-options ssl,cert-cn,ssl-cipher,crc32c,unique-id,authority
`, both, ca.caFile(), p.address("tcp")), sockets)

	raw := dial(t, addresses[0])
	conn := tls.Client(raw, &tls.Config{
		ServerName: "a.test", RootCAs: ca.Pool(), NextProtos: []string{"ours/1"},
		Certificates: []tls.Certificate{ca.pair(certgen.Options{Client: true, Names: []string{"alice.test"}})},
	})
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	exchange(t, conn, "hello")
	h := <-headers
	if h.source != raw.LocalAddr().String() || h.destination != addresses[0] {
		t.Errorf("the header says from %s to %s, want %s and %s", h.source, h.destination, raw.LocalAddr(), addresses[0])
	}
	client := raw.LocalAddr().(*net.TCPAddr)
	id := fmt.Sprintf("id-%v-%d", client.IP, client.Port)
	if h.tlvs[1] != "ours/1" || h.tlvs[2] != "a.test" || h.tlvs[5] != id || len(h.tlvs[3]) != 4 {
		t.Errorf("the TLVs are %q", h.tlvs)
	}
	ssl := h.tlvs[0x20]
	if len(ssl) < 5 || ssl[0] != 7 || ssl[1:5] != "\x00\x00\x00\x00" {
		t.Fatalf("the SSL TLV is %x", ssl)
	}
	sub, err := readTLVs([]byte(ssl[5:]))
	if err != nil || sub[0x21] != "TLSv1.3" || sub[0x22] != "alice.test" || !strings.HasPrefix(sub[0x23], "TLS_") {
		t.Errorf("the sub-TLVs are %q, %v", sub, err)
	}
	conn.Close()
	expectFields(t, p.waitEnd(raw.LocalAddr()), map[string]string{
		"destination": addresses[0], "proxy_protocol.authority": "a.test", "proxy_protocol.unique_id": id})
}

// TestNginxInFront: its stream module sends version 1.
func TestNginxInFront(t *testing.T) {
	t.Parallel()
	needNginx(t)
	g := startTLSGatewayBehind(t)
	sockets, addresses := inherited(t, 2)
	startNginx(t, fmt.Sprintf(`
  server {
    listen %s;
    proxy_pass %s;
    proxy_protocol on;
  }
  server {
    listen %s;
    proxy_pass %s;
    proxy_protocol on;
  }
`, addresses[0], g.address("plain"), addresses[1], g.address("tls")), sockets)
	c := dial(t, addresses[0])
	exchange(t, c, "hello")
	c.Close()
	rec := g.waitEnd(c.LocalAddr())
	expectFields(t, rec, map[string]string{"destination": addresses[0], "filter_chain": "plain"})
	expectDirect(t, rec, c, "1")

	raw := dial(t, addresses[1])
	conn := handshake(t, raw, "term.test", g.ca)
	exchange(t, conn, "hello")
	conn.Close()
	rec = g.waitEnd(raw.LocalAddr())
	expectFields(t, rec, map[string]string{"destination": addresses[1], "filter_chain": "terminated", "sni": "term.test"})
	expectDirect(t, rec, raw, "1")
}
