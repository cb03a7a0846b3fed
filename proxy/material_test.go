package proxy

import (
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"sluice/config"
	"sluice/tlsutil/certgen"
)

// pki is a directory with what a chain terminates TLS with.
type pki struct {
	t          *testing.T
	dir        string
	ca, others *certgen.Authority
}

func newPKI(t *testing.T) *pki {
	t.Helper()
	p := &pki{t, t.TempDir(), certgen.NewAuthority("servers"), certgen.NewAuthority("clients")}
	p.issue("a", certgen.Options{Names: []string{"a.test"}})
	p.write("clients.pem", p.others.CAPEM())
	return p
}

func (p *pki) path(name string) string { return filepath.Join(p.dir, name) }

// write replaces a file as a whole.
func (p *pki) write(name string, content []byte) {
	p.t.Helper()
	next := p.path(name + ".next")
	if err := errors.Join(os.WriteFile(next, content, 0o600), os.Rename(next, p.path(name))); err != nil {
		p.t.Fatal(err)
	}
}

// issue replaces a certificate and its key, and gives the certificate.
func (p *pki) issue(base string, o certgen.Options) []byte {
	p.t.Helper()
	certPEM, keyPEM := p.ca.Issue(o)
	p.write(base+".key", keyPEM)
	p.write(base+".pem", certPEM)
	return certPEM
}

// tls is a tls block of a chain.
func (p *pki) tls(more string) string {
	return fmt.Sprintf("tls {\n certificate {\n cert_file = %q\n key_file = %q\n }\n %s\n }", p.path("a.pem"), p.path("a.key"), more)
}

// shown is the certificate that a client of the listener gets.
func (p *pki) shown(g *gatewayUnderTest, client *tls.Config) (der []byte, resumed bool, err error) {
	p.t.Helper()
	client = client.Clone()
	client.RootCAs, client.ServerName = p.ca.Pool(), "a.test"
	c := tls.Client(dial(p.t, g.address("x")), client)
	defer c.Close()
	if err := roundTrip(c, "hello"); err != nil {
		return nil, false, err
	}
	cs := c.ConnectionState()
	return cs.PeerCertificates[0].Raw, cs.DidResume, nil
}

func (p *pki) shows(g *gatewayUnderTest, certPEM []byte) {
	p.t.Helper()
	der, _, err := p.shown(g, &tls.Config{})
	if err != nil {
		p.t.Fatal(err)
	}
	if got := string(leafOf(p.t, certPEM)); got != string(der) {
		p.t.Error("another certificate is shown than the one that was issued last")
	}
}

func leafOf(t *testing.T, certPEM []byte) []byte {
	t.Helper()
	block, _ := pem.Decode(certPEM)
	if block == nil {
		t.Fatal("not a certificate")
	}
	return block.Bytes
}

// held gives why files are held, by the names of the files.
func (p *pki) held(g *gatewayUnderTest, name string) (held string, there bool) {
	for _, s := range g.SecretFiles() {
		for _, file := range s.Files {
			if file == p.path(name) {
				return s.Held, true
			}
		}
	}
	return "", false
}

// TestAnOlderConfigurationBringsNothingBack: the files were replaced after a
// configuration was read and before it is applied.
func TestAnOlderConfigurationBringsNothingBack(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	backend := echoes(t)
	text := func(idle string) string {
		return chainTo("x", "", "c", p.tls("")+"\n"+idle, "a") + clusterOf("a", "", backend)
	}
	g := startKept(t, text(""))
	same, other := load(t, text("")), load(t, text("on_upstream_failure = \"close\""))
	more := load(t, text("")+chainTo("y", "", "c", p.tls(`alpn_protocols = ["h2"]`), "a"))
	certPEM := p.issue("a", certgen.Options{Names: []string{"a.test"}})
	g.said(t, "files replaced", p.path("a.pem"))
	tlsOf := func() *tls.Config { return g.snapshot.Load().listeners[0].chains[0].tls.Config() }
	begun := tlsOf()
	for i, cfg := range []*config.Config{same, other, more} {
		if _, err := g.Apply(cfg); err != nil {
			t.Fatal(err)
		}
		p.shows(g.gatewayUnderTest, certPEM)
		if tlsOf() != begun {
			t.Errorf("configuration %d: the chain has another tls.Config, and other ticket keys", i)
		}
	}
	y := g.snapshot.Load().listener("y").chains[0].tls.inUse().Certificates[0].Leaf.Raw
	if string(y) != string(leafOf(t, certPEM)) {
		t.Error("a new chain begins with the old certificate")
	}
}

// TestApplyTakesNewMaterial: a reload is as good as a notice.
func TestApplyTakesNewMaterial(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	text := chainTo("x", `on_change = "close"`, "c", p.tls(""), "a") + clusterOf("a", "", echoes(t))
	g := startKept(t, text)
	live := tls.Client(dial(t, g.address("x")), &tls.Config{RootCAs: p.ca.Pool(), ServerName: "a.test"})
	if err := roundTrip(live, "before"); err != nil {
		t.Fatal(err)
	}
	certPEM := p.issue("a", certgen.Options{Names: []string{"a.test"}})
	if applied, err := g.Apply(load(t, text)); err != nil || applied.Leaving != 0 {
		t.Fatalf("%+v, %v", applied, err)
	}
	p.shows(g.gatewayUnderTest, certPEM)
	if err := roundTrip(live, "after"); err != nil {
		t.Errorf("a connection of a chain whose certificate was renewed: %v", err)
	}
	for _, s := range g.Secrets() {
		if s.Serial == "" || s.NotAfter.Before(time.Now()) {
			t.Errorf("%+v", s)
		}
	}
}

// TestFilesThatCannotBeUsed: what is in use stays, it is said once, and is told
// until it is over.
func TestFilesThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	suites := p.tls(`cipher_suites = ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]` + "\nmax_version = \"1.2\"")
	g := startKept(t, chainTo("x", "", "c", "match { server_names = [\"a.test\"] }\n"+suites, "a")+clusterOf("a", "", echoes(t)))
	if held, there := p.held(g.gatewayUnderTest, "a.pem"); held != "" || !there {
		t.Fatalf("held %q, there: %t", held, there)
	}
	isHeld := func(why string) {
		t.Helper()
		until(t, why, func() bool {
			held, _ := p.held(g.gatewayUnderTest, "a.pem")
			return strings.Contains(held, why)
		})
		if _, _, err := p.shown(g.gatewayUnderTest, &tls.Config{}); err != nil {
			t.Errorf("%s: %v", why, err)
		}
	}
	_, keyPEM := p.ca.Issue(certgen.Options{Names: []string{"a.test"}})
	p.write("a.key", keyPEM)
	g.said(t, "files cannot be used", "key does not match certificate")
	isHeld("key does not match certificate")
	p.issue("a", certgen.Options{Names: []string{"a.test"}, Key: certgen.RSA})
	g.said(t, "files cannot be used", `filter_chain \"c\" of listener \"x\"`, "has an RSA key")
	isHeld("has an RSA key")

	certPEM := p.issue("a", certgen.Options{Names: []string{"b.test", "a.test"}})
	g.said(t, "files replaced", `"used_by":1`)
	p.shows(g.gatewayUnderTest, certPEM)
	isHeld("")
	p.issue("a", certgen.Options{Names: []string{"b.test"}})
	g.said(t, "covers the name any more", `"server_name":"a.test"`)
}

// TestWhatEndsIsWarnedOf: from 14 days before, daily, and again when it was
// replaced by one that ends as soon.
func TestWhatEndsIsWarnedOf(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	start := time.Now()
	end := start.Add(20 * 24 * time.Hour)
	p.issue("a", certgen.Options{Names: []string{"a.test"}, NotAfter: end})
	p.write("crl.pem", p.others.CRL()) // good for a week
	g := startKept(t, chainTo("x", "", "c", p.tls(fmt.Sprintf("client_auth {\n mode = \"optional\"\n ca_file = %q\n crl_file = %q\n }", p.path("clients.pem"), p.path("crl.pem"))), "a")+
		clusterOf("a", "", echoes(t)))
	warnings := func(at time.Duration) (list []string) {
		t.Helper()
		for len(g.log.lines) > 0 {
			<-g.log.lines
		}
		g.applying.Lock()
		g.warnOfEnds(start.Add(at))
		g.applying.Unlock()
		for len(g.log.lines) > 0 {
			if line := <-g.log.lines; strings.Contains(line, "expire") {
				list = append(list, line)
			}
		}
		return list
	}
	const day = 24 * time.Hour
	for _, tt := range []struct {
		at   time.Duration
		want []string
	}{
		{4 * day, nil},
		{5 * day, []string{"revocation list"}},
		{5*day + time.Hour, nil},
		{6*day + time.Hour, []string{"certificate", "revocation list"}},
		{7 * day, nil},
		{20*day + time.Hour, []string{"certificate", "revocation list"}},
	} {
		got := warnings(tt.at)
		found := 0
		for _, line := range got {
			for _, what := range tt.want {
				if strings.Contains(line, `"what":"`+what) {
					found++
				}
			}
		}
		if len(got) != len(tt.want) || found != len(tt.want) {
			t.Errorf("after %v: %q, want one of each: %q", tt.at, got, tt.want)
		}
	}
	found := false
	for _, s := range g.SecretFiles() {
		found = found || s.Kind == "certificate" && s.NotAfter.Equal(end.Truncate(time.Second))
	}
	if !found {
		t.Errorf("no certificate that ends at %v: %+v", end, g.SecretFiles())
	}
	// A renewal that ends as soon is warned of at once.
	p.issue("a", certgen.Options{Names: []string{"a.test"}, NotAfter: start.Add(day)})
	g.said(t, "expires soon", "a.pem")
}

// TestClustersUseNewMaterial: endpoints see the new client certificate and are
// verified by the new CAs, in checks, too.
func TestClustersUseNewMaterial(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	endpoints := certgen.NewAuthority("endpoints")
	next := certgen.NewAuthority("endpoints, next")
	certificate := func(a *certgen.Authority) *tls.Certificate {
		pair, err := tls.X509KeyPair(a.Issue(certgen.Options{Names: []string{"good.test"}}))
		if err != nil {
			t.Fatal(err)
		}
		return &pair
	}
	var serving atomic.Pointer[tls.Certificate]
	serving.Store(certificate(endpoints))
	p.write("endpoints.pem", endpoints.CAPEM())
	clientPEM := p.issue("client", certgen.Options{Names: []string{"gateway"}, Client: true})
	seen := make(chan []byte, 100)
	address := backend(t, func(c net.Conn) {
		defer c.Close()
		s := tls.Server(c, &tls.Config{
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return serving.Load(), nil },
			ClientAuth:     tls.RequireAnyClientCert,
		})
		if s.Handshake() == nil {
			select {
			case seen <- s.ConnectionState().PeerCertificates[0].Raw:
			default:
			}
		}
		io.Copy(s, s)
		s.CloseWrite()
	})
	words := fmt.Sprintf("health_check {\n type = \"tls\"\n interval = \"50ms\"\n unhealthy_threshold = 1\n healthy_threshold = 1\n }\n tls {\n server_name = \"good.test\"\n ca_file = %q\n certificate {\n cert_file = %q\n key_file = %q\n }\n }",
		p.path("endpoints.pem"), p.path("client.pem"), p.path("client.key"))
	g := startKept(t, chainTo("x", "", "c", "", "a")+clusterOf("a", words, address))
	cluster := g.snapshot.Load().clusters["a"]
	sees := func(certPEM []byte) {
		t.Helper()
		want := string(leafOf(t, certPEM))
		until(t, "the certificate", func() bool {
			for len(seen) > 0 {
				<-seen
			}
			return string(awaitEvent(t, "a handshake", seen)) == want
		})
		if err := roundTrip(dial(t, g.address("x")), "hello"); err != nil {
			t.Error(err)
		}
	}
	health := func(want string) {
		t.Helper()
		until(t, want, func() bool {
			for e := range cluster.Endpoints() {
				return e.Health().String() == want
			}
			return false
		})
	}
	health("healthy")
	sees(clientPEM)
	clientPEM = p.issue("client", certgen.Options{Names: []string{"gateway"}, Client: true})
	sees(clientPEM)
	serving.Store(certificate(next))
	health("unhealthy")
	p.write("endpoints.pem", next.CAPEM())
	health("healthy")
	sees(clientPEM)
	if g.snapshot.Load().clusters["a"] != cluster {
		t.Error("there is another cluster")
	}
}

// TestMaterialLeavesNothingBehind: nor does a gateway that is closed while files
// change. It is not parallel: others would come and go meanwhile.
func TestMaterialLeavesNothingBehind(t *testing.T) {
	p := newPKI(t)
	cfg := load(t, chainTo("x", "", "c", p.tls(""), "a")+clusterOf("a", "", "127.0.0.1:1"))
	before, ignore := descriptors(t), goleak.IgnoreCurrent()
	for range 5 {
		log := &recordSink{lines: make(chan string, 1000)}
		g, err := New(cfg, Options{Log: zerolog.New(log), Stdout: io.Discard})
		if err != nil {
			t.Fatal(err)
		}
		p.issue("a", certgen.Options{Names: []string{"a.test"}})
		(&keptGateway{&gatewayUnderTest{Gateway: g}, log}).said(t, "files replaced")
		p.issue("a", certgen.Options{Names: []string{"a.test"}})
		g.Close()
	}
	goleak.VerifyNone(t, ignore)
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}
