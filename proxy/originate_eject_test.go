package proxy

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"
)

// from is a TLS client at an address of 127.0.0.0/8 that asks for a name and
// verifies nothing. It gives whether its connection was served.
func (o *originating) from(t *testing.T, g *gatewayUnderTest, source, name string) bool {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
	raw, err := d.Dial("tcp", g.address("https"))
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	return roundTrip(tls.Client(raw, &tls.Config{ServerName: name, InsecureSkipVerify: true}), "hello") == nil
}

// ejected lists the endpoints of the cluster that are.
func (g *gatewayUnderTest) ejected(cluster string) (list []string) {
	for e := range g.live(cluster).Endpoints() {
		if e.Ejected() {
			list = append(list, e.Name())
		}
	}
	return list
}

// TestNamesOfOneSourceEjectNobody: whom the endpoints are asked for is the
// client's choice where the cluster has no server_name. So a client can make
// every handshake fail, and that says nothing about the endpoints, however they
// refuse, unless three sources meet with it.
func TestNamesOfOneSourceEjectNobody(t *testing.T) {
	o := newOriginating(t)
	resets := func(c net.Conn) {
		defer c.Close()
		conn := tls.Server(c, &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if hello.ServerName != "good.test" {
				c.(*net.TCPConn).SetLinger(0)
				c.Close()
			}
			return &o.good, nil
		}})
		io.Copy(conn, conn)
		conn.CloseWrite()
	}
	for name, endpoint := range map[string]func() string{
		"shows another certificate": func() string { return o.echo(t) },
		"resets":                    func() string { return backend(t, resets) },
	} {
		t.Run(name, func(t *testing.T) {
			f := func(inTLS string, sources int, want int) {
				t.Helper()
				endpoints := []string{endpoint(), endpoint()}
				g := startGateway(t, fmt.Sprintf(`
listener "https" {
  address = "127.0.0.1:0"
  filter_chain "https" {
    %s
    route { cluster = "one" }
  }
}
cluster "one" {
  lb_policy            = "first"
  endpoints            = [%q, %q]
  max_connect_attempts = 1
  outlier_detection { consecutive_failures = 4 }
  tls {
    ca_file = %q
    %s
  }
}
`, o.cert, endpoints[0], endpoints[1], o.caFile, inTLS))
				for i := range 12 {
					source := fmt.Sprintf("127.0.67.%d", 1+i%sources)
					if o.from(t, g, source, "bogus.test") {
						t.Fatal("an endpoint was taken for one that it is not")
					}
				}
				if got := g.ejected("one"); len(got) != want || want > 0 && !slices.Contains(got, endpoints[0]) {
					t.Errorf("of %d sources: %v are ejected, want %d", sources, got, want)
				}
				if inTLS == "" && !o.from(t, g, "127.0.67.1", "good.test") {
					t.Error("a client with a good name was not served")
				}
			}
			f("", 2, 0)
			f("", 3, 1)
			f(`server_name = "other.test"`, 1, 1)
		})
	}
}

// TestWhatAClientMayHaveBroughtAbout: a failure that depends on the client does
// not count against the endpoint as others do.
func TestWhatAClientMayHaveBroughtAbout(t *testing.T) {
	terminates, passes, name := &chain{tls: &tls.Config{}}, &chain{}, "a.test"
	over := &tls.CertificateVerificationError{}
	for _, tt := range []struct {
		name   string
		chain  *chain
		fixed  string // server_name
		sni    *string
		failed error // of TLS
		from   *source
		want   bool
	}{
		{name: "the client's name", chain: terminates, sni: &name, failed: over, want: true},
		{name: "the client's name, but no TLS yet", chain: terminates, sni: &name},
		{name: "the cluster's name", chain: terminates, fixed: "b.test", sni: &name, failed: over},
		{name: "the endpoint's name", chain: passes, sni: &name, failed: over},
		{name: "the client's address", chain: passes, from: &source{transparent: true}, want: true},
		{name: "the gateway's address", chain: passes, from: &source{address: netip.IPv4Unspecified()}},
	} {
		c := &conn{chain: tt.chain, setup: &setup{attemptError: tt.failed}}
		c.cluster = &cluster{tls: &upstreamTLS{serverName: tt.fixed}, source: tt.from}
		c.record.sni = tt.sni
		if got := c.maybeForClient(); got != tt.want {
			t.Errorf("%s: %t, want %t", tt.name, got, tt.want)
		}
	}
}
