package proxy

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/tlsutil/certgen"
	"sluice/tlsutil/clienthello/hellotest"
)

// sentHeader is a header as an endpoint reads it, by hand.
type sentHeader struct {
	command, family     byte
	source, destination netip.AddrPort
	tlvs                map[byte]string
	order               []byte
}

// readSent reads a header of version 2 off a connection.
func readSent(t *testing.T, c io.Reader) sentHeader {
	t.Helper()
	fixed := make([]byte, 16)
	if _, err := io.ReadFull(c, fixed); err != nil {
		t.Fatal(err)
	}
	if string(fixed[:12]) != "\r\n\r\n\x00\r\nQUIT\n" {
		t.Fatalf("no header but %q", fixed)
	}
	body := make([]byte, binary.BigEndian.Uint16(fixed[14:]))
	if _, err := io.ReadFull(c, body); err != nil {
		t.Fatal(err)
	}
	h := sentHeader{command: fixed[12], family: fixed[13], tlvs: make(map[byte]string)}
	rest := body
	if h.family == 0x11 {
		h.source = netip.AddrPortFrom(netip.AddrFrom4([4]byte(body)), binary.BigEndian.Uint16(body[8:]))
		h.destination = netip.AddrPortFrom(netip.AddrFrom4([4]byte(body[4:])), binary.BigEndian.Uint16(body[10:]))
		rest = body[12:]
	}
	whole := append(fixed, body...)
	h.tlvs, h.order = splitTLVs(t, rest)
	if sum, there := h.tlvs[3]; there {
		at := bytes.Index(whole, []byte("\x03\x00\x04"+sum)) + 3
		zeroed := bytes.Clone(whole)
		clear(zeroed[at : at+4])
		if got := crc32.Checksum(zeroed, crc32.MakeTable(crc32.Castagnoli)); got != binary.BigEndian.Uint32([]byte(sum)) {
			t.Errorf("the checksum is %x, want %x", sum, got)
		}
	}
	return h
}

func splitTLVs(t *testing.T, b []byte) (values map[byte]string, order []byte) {
	t.Helper()
	values = make(map[byte]string)
	for len(b) > 0 {
		if len(b) < 3 || len(b) < 3+int(binary.BigEndian.Uint16(b[1:])) {
			t.Fatalf("a TLV that ends too early: %x", b)
		}
		end := 3 + int(binary.BigEndian.Uint16(b[1:]))
		values[b[0]], order = string(b[3:end]), append(order, b[0])
		b = b[end:]
	}
	return values, order
}

// sendingGateway has a plain listener, a passed through one, a terminated one
// and one with headers of its own, all in front of one cluster.
func sendingGateway(t *testing.T, proxyProtocol, endpoint string) (g *gatewayUnderTest, ca, clients *certgen.Authority) {
	t.Helper()
	ca, clients = certgen.NewAuthority("ca"), certgen.NewAuthority("clients")
	dir := t.TempDir()
	certFile, keyFile, err := ca.WriteFiles(dir, "a", certgen.Options{Names: []string{"a.test"}})
	if err != nil {
		t.Fatal(err)
	}
	caFile := filepath.Join(dir, "clients.pem")
	if err := os.WriteFile(caFile, clients.CAPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	return startGateway(t, fmt.Sprintf(`
listener "plain" {
  address = "127.0.0.1:0"
  filter_chain "all" {
    route { cluster = "one" }
  }
}
listener "passed" {
  address = "127.0.0.1:0"
  filter_chain "all" {
    match { transport_protocol = "tls" }
    route { cluster = "one" }
  }
}
listener "terminated" {
  address = "127.0.0.1:0"
  filter_chain "all" {
    tls {
      certificate {
        cert_file = %q
        key_file  = %q
      }
      alpn_protocols = ["h2", "ours/1"]
      client_auth {
        mode    = "optional"
        ca_file = %q
      }
    }
    route { cluster = "one" }
  }
}
listener "unix" {
  address = "unix:%s/s"
  filter_chain "all" {
    route { cluster = "one" }
  }
}
listener "behind" {
  address = "127.0.0.1:0"
  proxy_protocol { trusted = ["127.0.0.0/8"] }
  filter_chain "all" {
    route { cluster = "one" }
  }
}
cluster "one" {
  endpoints = [%q]
  proxy_protocol {
    %s
  }
}
`, certFile, keyFile, caFile, dir, endpoint, proxyProtocol)), ca, clients
}

// headerBackend hands over what it got first, before anything is sent to it.
func headerBackend(t *testing.T) (address string, conns chan net.Conn) {
	conns = make(chan net.Conn, 1)
	return backend(t, func(c net.Conn) { conns <- c }), conns
}

// next waits for a connection to the endpoint.
func next(t *testing.T, conns chan net.Conn) net.Conn {
	t.Helper()
	select {
	case c := <-conns:
		c.SetDeadline(time.Now().Add(20 * time.Second))
		return c
	case <-time.After(10 * time.Second):
		t.Fatal("no connection to the endpoint after 10 s")
		return nil
	}
}

const allTLVs = `tlvs = ["authority", "alpn", "unique_id", "ssl", "crc32c"]`

// TestHeaderGoesOutAtOnce, for an endpoint that speaks first.
func TestHeaderGoesOutAtOnce(t *testing.T) {
	t.Parallel()
	endpoint, conns := headerBackend(t)
	g, _, _ := sendingGateway(t, `tlvs = ["unique_id", "crc32c"]`, endpoint)
	c := dial(t, g.address("plain"))
	up := next(t, conns)
	defer up.Close()
	h := readSent(t, up)
	if h.command != 0x21 || h.source.String() != c.LocalAddr().String() || h.destination.String() != c.RemoteAddr().String() {
		t.Errorf("the header says %+v", h)
	}
	sendString(t, up, "220 ready")
	b := make([]byte, 9)
	if _, err := io.ReadFull(c, b); err != nil {
		t.Fatal(err)
	}
	sendString(t, c, "EHLO")
	if _, err := io.ReadFull(up, b[:4]); err != nil || string(b[:4]) != "EHLO" {
		t.Fatalf("%q, %v", b, err)
	}
	c.Close()
	up.Close()
	f := g.records.fields(t)
	if want := fmt.Sprintf("%016x-%v", g.instance, f["id"]); h.tlvs[5] != want {
		t.Errorf("the unique ID is %q, want %q", h.tlvs[5], want)
	}
	// What the client sent, without the header.
	if fmt.Sprint(f["bytes_received"]) != "4" || fmt.Sprint(f["bytes_sent"]) != "9" {
		t.Errorf("bytes are %v and %v, want 4 and 9", f["bytes_received"], f["bytes_sent"])
	}
}

func TestHeaderOfVersion1(t *testing.T) {
	t.Parallel()
	endpoint, conns := headerBackend(t)
	g, _, _ := sendingGateway(t, `version = 1`, endpoint)
	c := dial(t, g.address("plain"))
	sendString(t, c, "hello")
	c.(*net.TCPConn).CloseWrite()
	own, at := netip.MustParseAddrPort(c.LocalAddr().String()), netip.MustParseAddrPort(c.RemoteAddr().String())
	up := next(t, conns)
	got, _ := io.ReadAll(up)
	if want := fmt.Sprintf("PROXY TCP4 127.0.0.1 127.0.0.1 %d %d\r\nhello", own.Port(), at.Port()); string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
	up.Close()

	unix, err := net.Dial("unix", g.address("unix")[len("unix:"):])
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close()
	sendString(t, unix, "hello")
	unix.(*net.UnixConn).CloseWrite()
	up = next(t, conns)
	defer up.Close()
	if got, _ := io.ReadAll(up); string(got) != "PROXY UNKNOWN\r\nhello" {
		t.Errorf("got %q of a unix socket", got)
	}
}

func TestHeaderOfUnixClient(t *testing.T) {
	t.Parallel()
	endpoint, conns := headerBackend(t)
	g, _, _ := sendingGateway(t, `tlvs = ["unique_id"]`, endpoint)
	c, err := net.Dial("unix", g.address("unix")[len("unix:"):])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	up := next(t, conns)
	defer up.Close()
	if h := readSent(t, up); h.command != 0x20 || h.family != 0 || h.tlvs[5] == "" {
		t.Errorf("the header says %+v", h)
	}
}

// TestHeaderInFrontOfHello: the TLVs of a passed through connection, and one
// write for both.
func TestHeaderInFrontOfHello(t *testing.T) {
	t.Parallel()
	endpoint, conns := headerBackend(t)
	g, _, _ := sendingGateway(t, allTLVs, endpoint)
	for _, c := range []struct {
		name      string
		protocols []string
		alpn      string
	}{
		{"one protocol", []string{"h2"}, "h2"},
		{"the endpoint chooses", []string{"h2", "http/1.1"}, ""},
		{"no protocols", nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			hello := hellotest.Builder{ServerNames: []string{"A.test"}, ALPN: c.protocols}.Records()
			conn := dial(t, g.address("passed"))
			sendString(t, conn, string(hello))
			up := next(t, conns)
			defer up.Close()
			h := readSent(t, up)
			if h.tlvs[2] != "a.test" || h.tlvs[1] != c.alpn {
				t.Errorf("authority %q, alpn %q, want a.test and %q", h.tlvs[2], h.tlvs[1], c.alpn)
			}
			if _, there := h.tlvs[0x20]; there {
				t.Error("an SSL TLV for TLS that is not terminated")
			}
			got := make([]byte, len(hello))
			if _, err := io.ReadFull(up, got); err != nil || !bytes.Equal(got, hello) {
				t.Errorf("the hello is %x", got)
			}
		})
	}
}

// TestHeaderOfTerminated: what was agreed on, and whom the client showed itself
// to be.
func TestHeaderOfTerminated(t *testing.T) {
	t.Parallel()
	endpoint, conns := headerBackend(t)
	g, ca, clients := sendingGateway(t, allTLVs, endpoint)
	cert, err := tls.X509KeyPair(clients.Issue(certgen.Options{Client: true, Names: []string{"alice.test"}}))
	if err != nil {
		t.Fatal(err)
	}
	sessions := tls.NewLRUClientSessionCache(1)
	for _, c := range []struct {
		name     string
		cfg      *tls.Config
		flags    byte
		verified bool
		version  string
		cn       string
	}{
		{name: "no certificate", cfg: &tls.Config{}, flags: 1, version: "TLSv1.3"},
		{name: "a certificate", cfg: &tls.Config{Certificates: []tls.Certificate{cert}, ClientSessionCache: sessions}, flags: 7, verified: true, version: "TLSv1.3", cn: "alice.test"},
		{name: "one from the session", cfg: &tls.Config{Certificates: []tls.Certificate{cert}, ClientSessionCache: sessions}, flags: 5, verified: true, version: "TLSv1.3", cn: "alice.test"},
		{name: "TLS 1.2", cfg: &tls.Config{MaxVersion: tls.VersionTLS12}, flags: 1, version: "TLSv1.2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.cfg.RootCAs, c.cfg.ServerName, c.cfg.NextProtos = ca.Pool(), "a.test", []string{"http/1.1", "ours/1"}
			raw := dial(t, g.address("terminated"))
			conn := tls.Client(raw, c.cfg)
			if err := conn.Handshake(); err != nil {
				t.Fatal(err)
			}
			up := next(t, conns)
			defer up.Close()
			h := readSent(t, up)
			if h.tlvs[1] != "ours/1" || h.tlvs[2] != "a.test" {
				t.Errorf("alpn %q, authority %q", h.tlvs[1], h.tlvs[2])
			}
			ssl := h.tlvs[0x20]
			if len(ssl) < 5 || ssl[0] != c.flags || (ssl[1:5] == "\x00\x00\x00\x00") != c.verified {
				t.Fatalf("the SSL TLV is %x, want the flags %d, verified %v", ssl, c.flags, c.verified)
			}
			sub, _ := splitTLVs(t, []byte(ssl[5:]))
			cs := conn.ConnectionState()
			if sub[0x21] != c.version || sub[0x22] != c.cn || sub[0x23] != opensslCipher(cs.CipherSuite) || cs.DidResume != (c.flags == 5) {
				t.Errorf("sub-TLVs %q, resumed %v", sub, cs.DidResume)
			}
			// It relays, and the session ticket gets to the client.
			sendString(t, up, "hello")
			b := make([]byte, 5)
			if _, err := io.ReadFull(conn, b); err != nil || string(b) != "hello" {
				t.Errorf("%q, %v", b, err)
			}
			sendString(t, conn, "world")
			if _, err := io.ReadFull(up, b); err != nil || string(b) != "world" {
				t.Errorf("%q, %v", b, err)
			}
		})
	}
}

// TestHeaderPassesTLVsThrough: those of the header that came, but for what is
// about that header and what the gateway says itself.
func TestHeaderPassesTLVsThrough(t *testing.T) {
	t.Parallel()
	endpoint, conns := headerBackend(t)
	in := v2(t, "21 11 0023  C0000201 C6336401 DC04 01BB  02 0003 612E62  04 0001 00  05 0003 414243  EA 0001 07  EA 0000")
	for _, c := range []struct {
		name, config, order string
		authority           string
	}{
		{"not asked for", ``, "", ""},
		{"asked for", `pass_through_tlvs = true`, "\x02\x05\xEA\xEA", "a.b"},
		{"beside own ones", "pass_through_tlvs = true\n" + `tlvs = ["unique_id", "crc32c"]`, "\x05\x02\xEA\xEA\x03", "a.b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, _, _ := sendingGateway(t, c.config, endpoint)
			conn := dial(t, g.address("behind"))
			sendString(t, conn, in)
			up := next(t, conns)
			defer up.Close()
			h := readSent(t, up)
			if string(h.order) != c.order || h.tlvs[2] != c.authority {
				t.Errorf("TLVs %x, authority %q, want %x and %q", h.order, h.tlvs[2], c.order, c.authority)
			}
			if h.source.String() != "192.0.2.1:56324" || h.destination.String() != "198.51.100.1:443" {
				t.Errorf("the header says %+v", h)
			}
			if own := strings.Contains(c.config, "unique_id"); own == (h.tlvs[5] == "ABC") && c.config != "" {
				t.Errorf("the unique ID is %q", h.tlvs[5])
			}
		})
	}
}

// TestHeaderWithEveryAttempt: an endpoint that is tried after another gets the
// same.
func TestHeaderWithEveryAttempt(t *testing.T) {
	t.Parallel()
	endpoint, conns := headerBackend(t)
	g, _, _ := sendingGateway(t, fmt.Sprintf(`}
  lb_policy = "first"
  endpoint %q {`, endpoint), refusing(t))
	c := dial(t, g.address("plain"))
	up := next(t, conns)
	if h := readSent(t, up); h.source.String() != c.LocalAddr().String() {
		t.Errorf("the header says %+v", h)
	}
	sendString(t, c, "hello")
	expectWritten(t, up, "hello") // and not another header
	c.Close()
	up.Close()
	if r := g.records.decoded(t); r.results() != "refused connected" {
		t.Errorf("%+v", r)
	}
}

// TestSpecificationNames: every cipher suite that a chain may use has OpenSSL's
// name.
func TestSpecificationNames(t *testing.T) {
	t.Parallel()
	for _, s := range tls.CipherSuites() {
		if name := opensslCipher(s.ID); strings.Contains(name, "_WITH_") {
			t.Errorf("%s has the name %s", s.Name, name)
		}
	}
	for v, want := range map[uint16]string{tls.VersionTLS12: "TLSv1.2", tls.VersionTLS13: "TLSv1.3"} {
		if got := opensslVersion(v); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if got := string(appendHex(nil, 0x0123456789abcdef)); got != "0123456789abcdef" {
		t.Errorf("hex digits %s", got)
	}
}

// TestHeaderIsReplayedWithHello: the endpoint that gets the hello of one that
// reset early gets the header in front of it, too.
func TestHeaderIsReplayedWithHello(t *testing.T) {
	t.Parallel()
	resets, resetConns := headerBackend(t)
	endpoint, conns := headerBackend(t)
	g := startGateway(t, fmt.Sprintf(`
listener "passed" {
  address = "127.0.0.1:0"
  filter_chain "all" {
    match { transport_protocol = "tls" }
    route { cluster = "one" }
  }
}
cluster "one" {
  lb_policy = "first"
  endpoints = [%q, %q]
  proxy_protocol { tlvs = ["authority", "unique_id", "crc32c"] }
}
`, resets, endpoint))
	hello := hellotest.Builder{ServerNames: []string{"a.test"}}.Records()
	c := dial(t, g.address("passed"))
	sendString(t, c, string(hello))
	gone := next(t, resetConns)
	before := readSent(t, gone)
	gone.(*net.TCPConn).SetLinger(0)
	gone.Close()
	up := next(t, conns)
	again := readSent(t, up)
	if again.source != before.source || again.tlvs[2] != "a.test" || again.tlvs[5] != before.tlvs[5] {
		t.Errorf("the first endpoint was told %+v, the second %+v", before, again)
	}
	got := make([]byte, len(hello))
	if _, err := io.ReadFull(up, got); err != nil || !bytes.Equal(got, hello) {
		t.Errorf("the hello is %x, %v", got, err)
	}
	c.Close()
	up.Close()
	expectRecord(t, g, map[string]string{"bytes_received": fmt.Sprint(len(hello)), "endpoint": endpoint})
}
