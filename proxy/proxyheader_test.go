package proxy

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sluice/tlsutil/clienthello/hellotest"
)

// fields reads a record.
func (s *recordSink) fields(t *testing.T) map[string]any {
	t.Helper()
	var f map[string]any
	if err := json.Unmarshal([]byte(s.next(t)), &f); err != nil {
		t.Fatal(err)
	}
	return f
}

// expectRecord waits for a record and compares fields of it; "object.field" goes
// one deeper, and the empty text stands for a field that is not there.
func expectRecord(t *testing.T, g *gatewayUnderTest, want map[string]string) map[string]any {
	t.Helper()
	f := g.records.fields(t)
	for name, value := range want {
		at := f
		outer, inner, nested := strings.Cut(name, ".")
		if nested {
			at, _ = f[outer].(map[string]any)
		} else {
			inner = name
		}
		got := ""
		if v, there := at[inner]; there {
			got = fmt.Sprint(v)
		}
		if got != value {
			t.Errorf("%s is %q, want %q in %v", name, got, value, f)
		}
	}
	return f
}

// v2 is a header of version 2 from hex digits behind the signature.
func v2(t *testing.T, digits string) string {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(digits), ""))
	if err != nil {
		t.Fatal(err)
	}
	return "\r\n\r\n\x00\r\nQUIT\n" + string(b)
}

const exampleV1 = "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"

// exampleV2 says the same, with the TLVs authority and unique_id.
const exampleV2 = "21 11 0018  C0000201 C6336401 DC04 01BB  02 0003 612E62  05 0003 414243"

// headerGateway has listeners that differ in their proxy_protocol, which send
// everything to an echo.
func headerGateway(t *testing.T, timeout, proxyProtocol string) *gatewayUnderTest {
	t.Helper()
	return startGateway(t, fmt.Sprintf(`
listener "tcp" {
  address = "127.0.0.1:0"
  inspect { timeout = %q }
  proxy_protocol {
 %s
 }
  filter_chain "all" {
    route { cluster = "echo" }
  }
}
cluster "echo" { endpoints = [%q] }
`, timeout, proxyProtocol, backend(t, echo)))
}

const (
	trustedPeer   = `trusted = ["127.0.0.0/8"]`
	untrustedPeer = `trusted = ["192.0.2.0/24", "::/0"]`
)

func sendString(t *testing.T, c net.Conn, s string) {
	t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		t.Fatal(err)
	}
}

// expectEcho finishes and expects exactly this, and then an end.
func expectEcho(t *testing.T, c net.Conn, want string) {
	t.Helper()
	c.(interface{ CloseWrite() error }).CloseWrite()
	b, err := io.ReadAll(c)
	if err != nil || string(b) != want {
		t.Fatalf("got %q and %v, want %q", b, err, want)
	}
}

func expectReset(t *testing.T, c net.Conn) {
	t.Helper()
	b, err := io.ReadAll(c)
	if len(b) > 0 || !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("got %q and %v, want a reset", b, err)
	}
}

// expectResetAtOnce connects to what resets every client, perhaps before
// net.Dial has looked, or before anything is sent.
func expectResetAtOnce(t *testing.T, address, sent string) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err == nil {
		defer c.Close()
		if _, err = io.WriteString(c, sent); err == nil {
			_, err = io.ReadAll(c)
		}
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("got %v, want a reset", err)
	}
}

// TestProxyHeaderAddresses: whose addresses a connection has, in routing and in
// the record, for each kind of header.
func TestProxyHeaderAddresses(t *testing.T) {
	t.Parallel()
	g := startGateway(t, fmt.Sprintf(`
listener "tcp" {
  address = "127.0.0.1:0"
  proxy_protocol { trusted = ["127.0.0.0/8"] }
  filter_chain "v4" {
    match {
      source_prefix_ranges        = ["192.0.2.0/24"]
      source_ports                = [56324]
      destination_port            = 443
      destination_prefix_ranges   = ["198.51.100.0/24"]
      direct_source_prefix_ranges = ["127.0.0.0/8"]
    }
    route { cluster = "echo" }
  }
  filter_chain "v6" {
    match {
      source_prefix_ranges      = ["2001:db8::/32"]
      destination_prefix_ranges = ["198.51.100.1/32", "2001:db8::2/128"]
    }
    route { cluster = "echo" }
  }
  filter_chain "peer" {
    match {
      source_prefix_ranges      = ["127.0.0.0/8"]
      destination_prefix_ranges = ["127.0.0.0/8"]
    }
    route { cluster = "echo" }
  }
}
cluster "echo" { endpoints = [%q] }
`, backend(t, echo)))
	for _, c := range []struct {
		name, header, chain, source, destination, version string
		more                                              map[string]string
	}{
		{name: "version 1", header: exampleV1, chain: "v4", version: "1",
			source: "192.0.2.1:56324", destination: "198.51.100.1:443"},
		{name: "version 2 with TLVs", header: v2(t, exampleV2), chain: "v4", version: "2",
			source: "192.0.2.1:56324", destination: "198.51.100.1:443",
			more: map[string]string{"proxy_protocol.authority": "a.b", "proxy_protocol.unique_id": "ABC"}},
		{name: "IPv6", header: "PROXY TCP6 2001:db8::1 2001:db8::2 1 443\r\n", chain: "v6", version: "1",
			source: "[2001:db8::1]:1", destination: "[2001:db8::2]:443"},
		{name: "mixed families", header: v2(t, "21 21 0024 20010DB8000000000000000000000001 00000000000000000000FFFFC6336401 0001 01BB"),
			chain: "v6", version: "2", source: "[2001:db8::1]:1", destination: "198.51.100.1:443"},
		{name: "UNKNOWN", header: "PROXY UNKNOWN\r\n", chain: "peer", version: "1"},
		{name: "LOCAL", header: v2(t, "20 11 000C  C0000201 C6336401 DC04 01BB"), chain: "peer", version: "2"},
		{name: "UNSPEC", header: v2(t, "21 00 0000"), chain: "peer", version: "2"},
		{name: "UDP", header: v2(t, "21 12 000C  C0000201 C6336401 DC04 01BB"), chain: "peer", version: "2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := dial(t, g.address("tcp"))
			sendString(t, conn, c.header+"hello")
			expectEcho(t, conn, "hello")
			peer, own := conn.LocalAddr().String(), conn.RemoteAddr().String()
			if c.source == "" {
				c.source, c.destination = peer, own
			}
			expectRecord(t, g, map[string]string{
				"filter_chain": c.chain, "source": c.source, "destination": c.destination,
				"direct_source": peer, "proxy_protocol.version": c.version,
				"bytes_received": "5", "bytes_sent": "5", "termination.reason": "finished",
			})
		})
	}
}

// TestProxyHeaderInPieces: a header may be cut anywhere, and what is behind it
// in the same segment gets through whole.
func TestProxyHeaderInPieces(t *testing.T) {
	t.Parallel()
	g := headerGateway(t, "20s", trustedPeer)
	for name, header := range map[string]string{"version 1": exampleV1, "version 2": v2(t, exampleV2)} {
		t.Run(name, func(t *testing.T) {
			for cut := range len(header) + 1 {
				c := dial(t, g.address("tcp"))
				sendString(t, c, header[:cut])
				sendString(t, c, header[cut:]+"behind it")
				expectEcho(t, c, "behind it")
				c.Close()
				expectRecord(t, g, map[string]string{"source": "192.0.2.1:56324", "bytes_received": "9"})
			}
			c := dial(t, g.address("tcp"))
			whole := header + "behind it"
			for i := range len(whole) {
				sendString(t, c, whole[i:i+1])
			}
			expectEcho(t, c, "behind it")
			expectRecord(t, g, map[string]string{"source": "192.0.2.1:56324"})
		})
	}
}

// TestProxyHeaderAndMuchBehindIt: more than a buffer holds.
func TestProxyHeaderAndMuchBehindIt(t *testing.T) {
	t.Parallel()
	g := headerGateway(t, "20s", trustedPeer)
	c := dial(t, g.address("tcp"))
	much := strings.Repeat("0123456789abcdef", 32<<10)
	go func() {
		io.WriteString(c, v2(t, exampleV2)+much)
		c.(*net.TCPConn).CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if err != nil || string(got) != much {
		t.Fatalf("got %d bytes and %v, want %d", len(got), err, len(much))
	}
	expectRecord(t, g, map[string]string{"bytes_received": fmt.Sprint(float64(len(much)))})
}

// TestProxyHeaderModes: what is taken from whom.
func TestProxyHeaderModes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, config, sent string
		reason, detail     string // none: it is served
	}{
		{"require, trusted, header", trustedPeer, exampleV1 + "hello", "", ""},
		{"require, trusted, none", trustedPeer, "hello", "proxy_header_required", "first bytes"},
		{"require, trusted, cut short", trustedPeer, exampleV1[:20], "proxy_header_timeout", "not complete"},
		{"require, trusted, nothing", trustedPeer, "", "proxy_header_timeout", "sent nothing"},
		{"require, trusted, malformed", trustedPeer, "PROXY TCP4 192.0.2.256 198.51.100.1 1 443\r\n", "proxy_header_malformed", "invalid address"},
		{"require, trusted, too long", trustedPeer, v2(t, "21 11 1000"), "proxy_header_malformed", "4096 bytes"},
		{"require, trusted, wrong checksum", trustedPeer, v2(t, "20 00 0007 03 0004 00000000"), "proxy_header_malformed", "checksum"},
		{"require, untrusted, header", untrustedPeer, exampleV1 + "hello", "proxy_header_untrusted", "nobody else"},
		{"require, untrusted, none", untrustedPeer, "hello", "proxy_header_untrusted", "nobody else"},
		{"require, untrusted, nothing", untrustedPeer, "", "proxy_header_untrusted", "nobody else"},
		{"optional, trusted, header", `mode = "optional"` + "\n" + trustedPeer, exampleV1 + "hello", "", ""},
		{"optional, trusted, none", `mode = "optional"` + "\n" + trustedPeer, "hello", "", ""},
		{"optional, trusted, malformed", `mode = "optional"` + "\n" + trustedPeer, "PROXY TCP4\r\n", "proxy_header_malformed", "address family"},
		{"optional, trusted, nothing", `mode = "optional"` + "\n" + trustedPeer, "", "proxy_header_timeout", "sent nothing"},
		{"optional, untrusted, header", `mode = "optional"` + "\n" + untrustedPeer, v2(t, exampleV2) + "hello", "proxy_header_untrusted", "not trusted"},
		{"optional, untrusted, malformed", `mode = "optional"` + "\n" + untrustedPeer, "PROXY TCP4\r\n", "proxy_header_untrusted", "not trusted"},
		{"optional, untrusted, none", `mode = "optional"` + "\n" + untrustedPeer, "hello", "", ""},
		{"optional, untrusted, nearly one", `mode = "optional"` + "\n" + untrustedPeer, "PROXYhello", "", ""},
		{"optional, untrusted, nothing", `mode = "optional"` + "\n" + untrustedPeer, "", "proxy_header_timeout", "sent nothing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			timeout := "20s"
			if c.reason == "proxy_header_timeout" {
				timeout = "300ms"
			}
			g := headerGateway(t, timeout, c.config)
			if c.reason == "proxy_header_untrusted" && strings.HasPrefix(c.name, "require") {
				expectResetAtOnce(t, g.address("tcp"), c.sent)
				f := expectRecord(t, g, map[string]string{"termination.reason": c.reason, "bytes_received": "0"})
				if detail, _ := f["error"].(string); !strings.Contains(detail, c.detail) {
					t.Errorf("error is %q, want %q in it", detail, c.detail)
				}
				return
			}
			conn := dial(t, g.address("tcp"))
			if c.reason == "" {
				sendString(t, conn, c.sent)
				expectEcho(t, conn, strings.TrimPrefix(strings.TrimPrefix(c.sent, exampleV1), v2(t, exampleV2)))
				expectRecord(t, g, map[string]string{"termination.reason": "finished"})
				return
			}
			sendString(t, conn, c.sent)
			expectReset(t, conn)
			f := expectRecord(t, g, map[string]string{
				"termination.reason": c.reason, "termination.side": "gateway", "flags": "LR",
				"source": conn.LocalAddr().String(), "direct_source": "", "cluster": "", "hello": "",
			})
			if detail, _ := f["error"].(string); !strings.Contains(detail, c.detail) {
				t.Errorf("error is %q, want %q in it", detail, c.detail)
			}
		})
	}
}

// TestProxyHeaderOfClientThatLeaves is what a health check by connecting does.
func TestProxyHeaderOfClientThatLeaves(t *testing.T) {
	t.Parallel()
	g := headerGateway(t, "20s", trustedPeer)
	for sent, detail := range map[string]string{"": "", "PROXY ": "the client finished inside its PROXY header"} {
		c := dial(t, g.address("tcp"))
		sendString(t, c, sent)
		expectEcho(t, c, "")
		expectRecord(t, g, map[string]string{"termination.reason": "closed_before_hello", "error": detail, "hello": ""})
	}
}

// TestServerFirstBehindProxyHeader: behind the header nothing more is waited for.
func TestServerFirstBehindProxyHeader(t *testing.T) {
	t.Parallel()
	g := startGateway(t, fmt.Sprintf(`
listener "tcp" {
  address = "127.0.0.1:0"
  inspect { timeout = "0s" }
  proxy_protocol { trusted = ["127.0.0.0/8"] }
  filter_chain "all" {
    route { cluster = "mail" }
  }
}
cluster "mail" { endpoints = [%q] }
`, backend(t, func(c net.Conn) {
		io.WriteString(c, "220 ready\r\n")
		echo(c)
	})))
	c := dial(t, g.address("tcp"))
	sendString(t, c, exampleV1)
	b := make([]byte, len("220 ready\r\n"))
	if _, err := io.ReadFull(c, b); err != nil {
		t.Fatal(err)
	}
	sendString(t, c, "EHLO")
	expectEcho(t, c, "EHLO")
	expectRecord(t, g, map[string]string{"source": "192.0.2.1:56324", "bytes_received": "4", "peek_ms": ""})
}

// TestHelloBehindProxyHeader: in the same segment, cut anywhere around the
// border, and later; and whether it is needed depends on the header's addresses.
func TestHelloBehindProxyHeader(t *testing.T) {
	t.Parallel()
	g := startGateway(t, fmt.Sprintf(`
listener "tcp" {
  address = "127.0.0.1:0"
  proxy_protocol { trusted = ["127.0.0.0/8"] }
  filter_chain "named" {
    match {
      server_names         = ["a.test"]
      source_prefix_ranges = ["192.0.2.0/24"]
    }
    route { cluster = "echo" }
  }
  filter_chain "others" {
    match { source_prefix_ranges = ["203.0.113.0/24", "127.0.0.0/8"] }
    route { cluster = "echo" }
  }
}
cluster "echo" { endpoints = [%q] }
`, backend(t, echo)))
	hello := string(hellotest.Builder{ServerNames: []string{"a.test"}}.Records())
	for _, header := range []string{exampleV1, v2(t, exampleV2)} {
		whole := header + hello
		for _, cut := range []int{0, 1, len(header) - 1, len(header), len(header) + 1, len(header) + 5, len(whole) - 1} {
			c := dial(t, g.address("tcp"))
			sendString(t, c, whole[:cut])
			sendString(t, c, whole[cut:])
			expectEcho(t, c, hello)
			c.Close()
			expectRecord(t, g, map[string]string{
				"filter_chain": "named", "sni": "a.test", "hello": "tls",
				"bytes_received": fmt.Sprint(len(hello)),
			})
		}
	}
	c := dial(t, g.address("tcp"))
	sendString(t, c, "PROXY TCP4 203.0.113.1 198.51.100.1 1 443\r\n"+hello)
	expectEcho(t, c, hello)
	expectRecord(t, g, map[string]string{"filter_chain": "others", "hello": ""})
}

// TestHelloTimeoutBehindProxyHeader: one deadline over both, and the right one
// of the two is blamed.
func TestHelloTimeoutBehindProxyHeader(t *testing.T) {
	t.Parallel()
	g := startGateway(t, fmt.Sprintf(`
listener "tcp" {
  address = "127.0.0.1:0"
  inspect { timeout = "300ms" }
  proxy_protocol { trusted = ["127.0.0.0/8"] }
  filter_chain "named" {
    match { server_names = ["a.test"] }
    route { cluster = "echo" }
  }
}
cluster "echo" { endpoints = [%q] }
`, backend(t, echo)))
	for _, behind := range []string{"", "\x16\x03\x01"} {
		c := dial(t, g.address("tcp"))
		sendString(t, c, exampleV1+behind)
		expectReset(t, c)
		expectRecord(t, g, map[string]string{"termination.reason": "hello_timeout", "hello": "timeout", "source": "192.0.2.1:56324"})
	}
}

// TestProxyHeaderOnUnixSocket: its peers are trusted when that is said.
func TestProxyHeaderOnUnixSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	g := startGateway(t, fmt.Sprintf(`
listener "unix" {
  address = "unix:%s"
  proxy_protocol { trusted = ["unix:"] }
  filter_chain "all" {
    match { source_prefix_ranges = ["192.0.2.0/24"] }
    route { cluster = "echo" }
  }
}
cluster "echo" { endpoints = [%q] }
`, path, backend(t, echo)))
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	sendString(t, c, exampleV1+"hello")
	expectEcho(t, c, "hello")
	expectRecord(t, g, map[string]string{"source": "192.0.2.1:56324", "direct_source": "", "proxy_protocol.version": "1"})
}

// TestSilentClientBehindProxyHeaderHoldsNoBuffer: a load balancer that keeps
// connections ready costs little.
func TestSilentClientBehindProxyHeaderHoldsNoBuffer(t *testing.T) {
	c := &conn{w: &worker{}, setup: &setup{}}
	header := v2(t, exampleV2)
	c.setup.buf = append(c.w.newHelloBuffer(), header...)
	c.record.received = uint32(len(header))
	h, _ := c.w.headers.Parse(c.setup.buf)
	c.takeHeader(&h)
	if c.setup.buf != nil || len(c.w.helloBuffers) != 1 {
		t.Errorf("a buffer of %d bytes is held, and %d are free", cap(c.setup.buf), len(c.w.helloBuffers))
	}
	if !bytes.Equal(c.setup.tlvs, []byte(header[28:])) {
		t.Errorf("TLVs %x", c.setup.tlvs)
	}
}

// TestProxyHeaderDecidesOnTheEndpoint: hash_on = "source_ip" goes by the client of
// the header, not by the proxy that all of them come through.
func TestProxyHeaderDecidesOnTheEndpoint(t *testing.T) {
	t.Parallel()
	var endpoints []string
	for range 4 {
		endpoints = append(endpoints, fmt.Sprintf("%q", backend(t, echo)))
	}
	g := startGateway(t, fmt.Sprintf(`
listener "tcp" {
  address = "127.0.0.1:0"
  proxy_protocol { trusted = ["127.0.0.0/8"] }
  filter_chain "all" {
    route { cluster = "echo" }
  }
}
cluster "echo" {
  lb_policy = "maglev"
  hash_on   = "source_ip"
  endpoints = [%s]
}
`, strings.Join(endpoints, ", ")))
	for i := range 32 { // each client twice
		c := dial(t, g.address("tcp"))
		sendString(t, c, fmt.Sprintf("PROXY TCP4 192.0.2.%d 198.51.100.1 %d 443\r\n", i/2, 1000+i))
		expectEcho(t, c, "")
	}
	of, chosen := make(map[string]any), make(map[any]bool)
	for range 32 {
		r := g.records.fields(t)
		client, _, _ := strings.Cut(fmt.Sprint(r["source"]), ":")
		if before, there := of[client]; there && before != r["endpoint"] {
			t.Errorf("%s has %v and %v", client, before, r["endpoint"])
		}
		of[client], chosen[r["endpoint"]] = r["endpoint"], true
	}
	if len(of) != 16 || len(chosen) < 2 {
		t.Errorf("the clients are sent to %v", of)
	}
}
