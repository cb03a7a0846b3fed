package integration

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sluice/tlsutil/certgen"
)

// sendingListeners are three listeners, plain, passed and terminated, in front of
// clusters of their own names.
func sendingListeners(certFile, keyFile string) string {
	return fmt.Sprintf(`
listener "plain" {
  address = "127.0.0.1:0"
  filter_chain "all" {
    route { cluster = "plain" }
  }
}
listener "passed" {
  address = "127.0.0.1:0"
  filter_chain "all" {
    match { server_names = ["a.test"] }
    route { cluster = "passed" }
  }
}
listener "terminated" {
  address = "127.0.0.1:0"
  filter_chain "all" {
    match { server_names = ["a.test"] }
    tls {
      certificate {
        cert_file = %q
        key_file  = %q
      }
      alpn_protocols = ["http/1.1"]
    }
    route { cluster = "terminated" }
  }
}
`, certFile, keyFile)
}

// askOver sends a request to a listener of the gateway, over TLS where it has
// that, and gives the answer and the client's address.
func askOver(t *testing.T, p *process, ca *authority, listener, request string) (answer string, client net.Addr) {
	t.Helper()
	raw := dial(t, p.address(listener))
	defer raw.Close()
	if listener == "plain" {
		return ask(t, raw, request), raw.LocalAddr()
	}
	conn := tls.Client(raw, &tls.Config{ServerName: "a.test", RootCAs: ca.Pool(), NextProtos: []string{"http/1.1"}})
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	return ask(t, conn, request), raw.LocalAddr()
}

// TestHAProxyBehind: HAProxy says what our headers told it. It checks the
// checksum, too (conn_recv_proxy in its connection.c).
func TestHAProxyBehind(t *testing.T) {
	t.Parallel()
	needHAProxy(t)
	ca := newAuthority(t, "ca")
	certPEM, keyPEM := ca.Issue(certgen.Options{Names: []string{"a.test"}})
	both := filepath.Join(ca.dir, "both.pem")
	if err := os.WriteFile(both, append(certPEM, keyPEM...), 0o600); err != nil {
		t.Fatal(err)
	}
	sockets, addresses := inherited(t, 2)
	startHAProxy(t, fmt.Sprintf(`
frontend all
  mode http
  bind fd@3 accept-proxy
  bind fd@4 accept-proxy ssl crt %s
  http-request return status 200 content-type text/plain lf-string "src=%%[src]:%%[src_port] dst=%%[dst]:%%[dst_port] authority=%%[fc_pp_authority] id=%%[fc_pp_unique_id] proxied=%%[fc_rcvd_proxy]\n"
`, both), sockets)

	certFile, keyFile := ca.files("term", certgen.Options{Names: []string{"a.test"}})
	for _, c := range []struct {
		name, proxyProtocol string
		authority, id       bool
	}{
		{name: "version 1", proxyProtocol: "version = 1"},
		{name: "version 2", proxyProtocol: "version = 2"},
		{name: "all TLVs", proxyProtocol: `tlvs = ["authority", "alpn", "unique_id", "ssl", "crc32c"]`, authority: true, id: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			cluster := func(name, endpoint string) string {
				return fmt.Sprintf("cluster %q {\n endpoints = [%q]\n proxy_protocol {\n %s\n }\n}\n", name, endpoint, c.proxyProtocol)
			}
			p := startSluice(t, sendingListeners(certFile, keyFile)+
				cluster("plain", addresses[0])+cluster("passed", addresses[1])+cluster("terminated", addresses[0]))
			for _, listener := range []string{"plain", "passed", "terminated"} {
				t.Run(listener, func(t *testing.T) {
					p := p.on(t)
					answer, client := askOver(t, p, ca, listener, "GET / HTTP/1.0\r\n\r\n")
					authority, id := "", ""
					if c.authority && listener != "plain" {
						authority = "a.test"
					}
					if c.id {
						id = fmt.Sprintf("[0-9a-f]{16}-%.0f", number(p.waitEnd(client), "id"))
					}
					want := fmt.Sprintf("src=%s dst=%s authority=%s id=%s proxied=1\n$", regexp.QuoteMeta(client.String()), regexp.QuoteMeta(p.address(listener)), authority, id)
					if !regexp.MustCompile(want).MatchString(answer) {
						t.Errorf("HAProxy says %q, want %q", answer, want)
					}
				})
			}
		})
	}
}

// TestNginxBehind: its stream module reads both versions, and speaks first.
func TestNginxBehind(t *testing.T) {
	t.Parallel()
	needNginx(t)
	sockets, addresses := inherited(t, 1)
	startNginx(t, fmt.Sprintf(`
  server {
    listen %s proxy_protocol;
    return "$proxy_protocol_addr:$proxy_protocol_port $proxy_protocol_server_addr:$proxy_protocol_server_port\n";
  }
`, addresses[0]), sockets)
	for _, version := range []string{"1", "2"} {
		t.Run("version "+version, func(t *testing.T) {
			p := startSluice(t, fmt.Sprintf(`
listener "plain" {
  address = "127.0.0.1:0"
  inspect { timeout = "0s" }
  filter_chain "all" {
    route { cluster = "nginx" }
  }
}
cluster "nginx" {
  endpoints = [%q]
  proxy_protocol { version = %s }
}
`, addresses[0], version))
			c := dial(t, p.address("plain"))
			answer, end := readToEnd(c)
			if want := c.LocalAddr().String() + " " + p.address("plain") + "\n"; string(answer) != want || end != fin {
				t.Errorf("nginx says %q and then %s, want %q", answer, end, want)
			}
		})
	}
}

// TestHAProxyOnBothSides: a client's address and name get from one HAProxy
// through us to another.
func TestHAProxyOnBothSides(t *testing.T) {
	t.Parallel()
	needHAProxy(t)
	ca := newAuthority(t, "ca")
	certPEM, keyPEM := ca.Issue(certgen.Options{Names: []string{"a.test"}})
	both := filepath.Join(ca.dir, "both.pem")
	if err := os.WriteFile(both, append(certPEM, keyPEM...), 0o600); err != nil {
		t.Fatal(err)
	}
	front, frontAddress := inherited(t, 1)
	back, backAddress := inherited(t, 1)
	startHAProxy(t, `
frontend back
  mode http
  bind fd@3 accept-proxy
  http-request return status 200 content-type text/plain lf-string "src=%[src]:%[src_port] dst=%[dst]:%[dst_port] authority=%[fc_pp_authority] id=%[fc_pp_unique_id]\n"
`, back)
	p := startSluice(t, fmt.Sprintf(`
listener "middle" {
  address = "127.0.0.1:0"
  proxy_protocol { trusted = ["127.0.0.0/8"] }
  filter_chain "all" {
    route { cluster = "back" }
  }
}
cluster "back" {
  endpoints = [%q]
  proxy_protocol {
    tlvs              = ["crc32c"]
    pass_through_tlvs = true
  }
}
`, backAddress[0]))
	startHAProxy(t, fmt.Sprintf(`
listen front
  bind fd@3 ssl crt %s
  unique-id-format from-%%ci-%%cp
  server gateway %s send-proxy-v2-ssl proxy-v2-options crc32c,unique-id,authority
`, both, p.address("middle")), front)

	raw := dial(t, frontAddress[0])
	conn := handshake(t, raw, "a.test", ca)
	answer := ask(t, conn, "GET / HTTP/1.0\r\n\r\n")
	client := raw.LocalAddr().(*net.TCPAddr)
	want := fmt.Sprintf("src=%s dst=%s authority=a.test id=from-%v-%d\n", client, frontAddress[0], client.IP, client.Port)
	if !strings.HasSuffix(answer, want) {
		t.Errorf("the HAProxy at the end says %q, want %q", answer, want)
	}
}
