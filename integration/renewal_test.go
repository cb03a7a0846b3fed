package integration

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/tlsutil/certgen"
)

// renewed is a certificate with its key in two files that are replaced under
// steady handshakes. Its chain has a CA in it that clients do not know, so that one
// which was sent without it is noticed.
type renewed struct {
	t                 *testing.T
	p                 *process
	name              string
	issuer            *certgen.Authority
	roots             *x509.CertPool
	certFile, keyFile string

	mu       sync.Mutex // guards what follows
	versions [][]byte   // leafs, in DER, in the order in which they were issued
	told     int        // lines of the log that are about it, of what was awaited
}

func newRenewed(t *testing.T, name string) *renewed {
	t.Helper()
	root := certgen.NewAuthority("root of " + name)
	return &renewed{t: t, name: name, issuer: root.Subordinate("issuer of " + name), roots: root.Pool()}
}

// issue makes the next version.
func (r *renewed) issue() (certPEM, keyPEM []byte) {
	certPEM, keyPEM = r.issuer.Issue(certgen.Options{Names: []string{r.name}})
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		r.t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.versions = append(r.versions, pair.Certificate[0])
	return certPEM, keyPEM
}

// version gives the number of a certificate; -1: it never was.
func (r *renewed) version(leaf *x509.Certificate) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, der := range r.versions {
		if string(der) == string(leaf.Raw) {
			return i
		}
	}
	return -1
}

// await waits for the next line of the log with the message that is about the
// files.
func (r *renewed) await(message string) event {
	r.t.Helper()
	seen := 0
	ev := r.p.log.wait(func(ev event) bool {
		if strings.HasPrefix(text(ev, "message"), "files ") && strings.Contains(asJSON(ev["files"]), r.certFile) {
			seen++
			return seen > r.told && strings.Contains(text(ev, "message"), message)
		}
		return false
	})
	if ev == nil {
		r.t.Fatalf("%s: no %q after %d lines about it:\n%s", r.name, message, r.told, r.p.stderr)
	}
	r.told = seen
	return ev
}

func (r *renewed) heldBack() { r.t.Helper(); r.await("cannot be used") }

// heldBackFor waits until the log gives the reason.
func (r *renewed) heldBackFor(reason string) {
	r.t.Helper()
	for !strings.Contains(text(r.await("cannot be used"), "error"), reason) {
	}
}

func (r *renewed) taken() { r.t.Helper(); r.await("replaced") }

// shake makes a handshake and gives the version that it showed.
func (r *renewed) shake(cfg *tls.Config) (int, tls.ConnectionState, error) {
	cfg = cfg.Clone()
	cfg.RootCAs, cfg.ServerName = r.roots, r.name
	raw, err := tryDial(r.p.address("tls"))
	if err != nil {
		return 0, tls.ConnectionState{}, err
	}
	defer raw.Close()
	c := tls.Client(raw, cfg)
	if err := echoes(c, []byte("hello")); err != nil {
		return 0, tls.ConnectionState{}, err
	}
	cs := c.ConnectionState()
	return r.version(cs.PeerCertificates[0]), cs, nil
}

// visit makes handshakes until stop is closed: each has to show a whole chain that
// is good for the name, with its key, and never an earlier one than before.
func (r *renewed) visit(stop <-chan struct{}, shaken *atomic.Int64) error {
	last := 0
	pace := time.NewTicker(steadyPause)
	defer pace.Stop()
	for i := 0; ; i++ {
		select {
		case <-stop:
			return nil
		case <-pace.C:
		}
		v, _, err := r.shake(&tls.Config{MaxVersion: []uint16{tls.VersionTLS12, tls.VersionTLS13}[i%2]})
		switch {
		case err != nil:
			return fmt.Errorf("%s, handshake %d: %w", r.name, i, err)
		case v < last:
			return fmt.Errorf("%s, handshake %d: certificate %d after %d", r.name, i, v, last)
		}
		last = v
		shaken.Add(1)
	}
}

// isNew makes sure that what is shown is what was issued last.
func (r *renewed) isNew(step string) {
	r.t.Helper()
	v, _, err := r.shake(&tls.Config{})
	if err != nil || v != len(r.versions)-1 {
		r.t.Fatalf("%s: certificate %d of %d is shown (%v)", step, v, len(r.versions), err)
	}
}

func (r *renewed) chain() string {
	return fmt.Sprintf(`
  filter_chain %q {
    match { server_names = [%q] }
    tls {
      certificate {
        cert_file = %q
        key_file  = %q
      }
    }
    route { cluster = "echo" }
  }`, r.name, r.name, r.certFile, r.keyFile)
}

func overwrite(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// mount lays out a directory as Kubernetes does a Secret, or swaps what is in it.
func mount(t *testing.T, dir string, version int, certPEM, keyPEM []byte) {
	t.Helper()
	name := fmt.Sprintf("..version%d", version)
	if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
		t.Fatal(err)
	}
	overwrite(t, filepath.Join(dir, name, "tls.crt"), certPEM)
	overwrite(t, filepath.Join(dir, name, "tls.key"), keyPEM)
	next := filepath.Join(dir, "..data.next")
	if err := errors.Join(os.Symlink(name, next), os.Rename(next, filepath.Join(dir, "..data"))); err != nil {
		t.Fatal(err)
	}
}

// TestRenewalUnderLoad: certificates are replaced in every way in which that is
// done, while clients shake hands. Each handshake gets a whole chain with its key,
// the old one or the new one, and in the end the new one.
func TestRenewalUnderLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plain, mounted := newRenewed(t, "plain.test"), newRenewed(t, "mounted.test")
	plain.certFile, plain.keyFile = filepath.Join(dir, "plain.pem"), filepath.Join(dir, "plain.key")
	certPEM, keyPEM := plain.issue()
	overwrite(t, plain.certFile, certPEM)
	overwrite(t, plain.keyFile, keyPEM)
	mounted.certFile, mounted.keyFile = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	certPEM, keyPEM = mounted.issue()
	mount(t, dir, 0, certPEM, keyPEM)
	for _, name := range []string{"tls.crt", "tls.key"} {
		if err := os.Symlink("..data/"+name, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	p := startSluice(t, fmt.Sprintf(`
access_log { enabled = false }
listener "tls" {
  address = "127.0.0.1:0"
  %s
  %s
}
cluster "echo" { endpoints = [%q] }
`, plain.chain(), mounted.chain(), echoBackend(t)))
	plain.p, mounted.p = p, p

	// A session from before all of it, and a connection.
	cache := &anyName{}
	if _, _, err := plain.shake(&tls.Config{ClientSessionCache: cache}); err != nil || cache.last == nil {
		t.Fatalf("no ticket: %v", err)
	}
	long := tls.Client(dial(t, p.address("tls")), &tls.Config{RootCAs: plain.roots, ServerName: plain.name})
	if err := echoes(long, []byte("before")); err != nil {
		t.Fatal(err)
	}

	stop, results := make(chan struct{}), make(chan error, 4)
	var shaken atomic.Int64
	for i := range cap(results) {
		go func() { results <- []*renewed{plain, mounted}[i%2].visit(stop, &shaken) }()
	}
	ended := false
	end := func() {
		if !ended {
			ended = true
			close(stop)
			for range cap(results) {
				if err := <-results; err != nil {
					t.Error(err)
				}
			}
		}
	}
	defer end()

	renewInEveryWay(t, plain)
	for version := 1; version <= 3; version++ {
		certPEM, keyPEM := mounted.issue()
		mount(t, dir, version, certPEM, keyPEM)
		mounted.taken()
		mounted.isNew("a symlink swap")
	}
	v, cs, err := plain.shake(&tls.Config{ClientSessionCache: cache})
	if err != nil || !cs.DidResume || v != 0 {
		t.Errorf("the session from before the renewals: resumed %t, certificate %d, %v", cs.DidResume, v, err)
	}
	if err := echoes(long, []byte("after")); err != nil {
		t.Errorf("the connection from before the renewals: %v", err)
	}
	end()
	t.Logf("%d handshakes", shaken.Load())
}

// renewInEveryWay replaces the files of a certificate.
func renewInEveryWay(t *testing.T, r *renewed) {
	for _, way := range []struct {
		name    string
		replace func(certPEM, keyPEM []byte)
	}{
		{"renamed", func(certPEM, keyPEM []byte) {
			replaceFile(t, r.certFile, string(certPEM))
			replaceFile(t, r.keyFile, string(keyPEM))
		}},
		{"key first", func(certPEM, keyPEM []byte) {
			replaceFile(t, r.keyFile, string(keyPEM))
			r.heldBack()
			replaceFile(t, r.certFile, string(certPEM))
		}},
		{"certificate first", func(certPEM, keyPEM []byte) {
			replaceFile(t, r.certFile, string(certPEM))
			r.heldBack()
			replaceFile(t, r.keyFile, string(keyPEM))
		}},
		{"half written", func(certPEM, keyPEM []byte) {
			overwrite(t, r.keyFile, keyPEM)
			overwrite(t, r.certFile, certPEM[:len(certPEM)/3])
			r.heldBackFor("damaged PEM block")
			overwrite(t, r.certFile, certPEM)
		}},
		{"written up to the CA", func(certPEM, keyPEM []byte) {
			const end = "-----END CERTIFICATE-----\n"
			leaf, _, _ := strings.Cut(string(certPEM), end)
			overwrite(t, r.keyFile, keyPEM)
			overwrite(t, r.certFile, []byte(leaf+end))
			r.heldBackFor("breaks off")
			overwrite(t, r.certFile, certPEM)
		}},
		{"deleted and made again", func(certPEM, keyPEM []byte) {
			os.Remove(r.certFile)
			os.Remove(r.keyFile)
			r.heldBack()
			overwrite(t, r.certFile, certPEM)
			overwrite(t, r.keyFile, keyPEM)
		}},
	} {
		way.replace(r.issue())
		r.taken()
		r.isNew(way.name)
	}
}

// TestRevocationListIsReplaced: the next handshakes go by the new list, resumed
// ones too, and connections go on.
func TestRevocationListIsReplaced(t *testing.T) {
	t.Parallel()
	server, clients := newAuthority(t, "server"), newAuthority(t, "clients")
	certFile, keyFile := server.files("s", certgen.Options{Names: []string{"a.test"}})
	crl := filepath.Join(t.TempDir(), "crl.pem")
	overwrite(t, crl, clients.CRL())
	p := startSluice(t, fmt.Sprintf(`
listener "tls" {
  address = "127.0.0.1:0"
  filter_chain "a" {
    tls {
      certificate {
        cert_file = %q
        key_file  = %q
      }
      client_auth {
        ca_file  = %q
        crl_file = %q
      }
    }
    route { cluster = "echo" }
  }
}
cluster "echo" { endpoints = [%q] }
`, certFile, keyFile, clients.caFile(), crl, echoBackend(t)))
	certPEM, keyPEM := clients.Issue(certgen.Options{Client: true, Names: []string{"c.test"}})
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	cfg := &tls.Config{RootCAs: server.Pool(), ServerName: "a.test", Certificates: []tls.Certificate{pair}, ClientSessionCache: &anyName{}}
	talk := func() (net.Conn, bool, error) {
		c := tls.Client(dial(t, p.address("tls")), cfg)
		err := echoes(c, []byte("hello"))
		return c, c.ConnectionState().DidResume, err
	}
	long, _, err := talk()
	if err != nil {
		t.Fatal(err)
	}
	// A list without news keeps sessions.
	replaceFile(t, crl, string(clients.CRL()))
	waitReplaced(p, crl, 1)
	if _, resumed, err := talk(); err != nil || !resumed {
		t.Errorf("after a list without news: resumed %t, %v", resumed, err)
	}
	replaceFile(t, crl, string(clients.CRL(certPEM)))
	waitReplaced(p, crl, 2)
	for _, session := range []tls.ClientSessionCache{cfg.ClientSessionCache, nil} {
		cfg.ClientSessionCache = session
		if _, _, err := talk(); err == nil || !strings.Contains(err.Error(), "bad certificate") {
			t.Errorf("a revoked client, with a session: %t: %v", session != nil, err)
		}
	}
	if err := echoes(long, []byte("still here")); err != nil {
		t.Errorf("the connection from before: %v", err)
	}
	// Half a list leaves in use what is, and says so.
	overwrite(t, crl, clients.CRL()[:100])
	p.waitLog("files cannot be used")
	if _, _, err := talk(); err == nil {
		t.Error("half a list lets a revoked client in")
	}
	replaceFile(t, crl, string(clients.CRL()))
	waitReplaced(p, crl, 3)
	if _, _, err := talk(); err != nil {
		t.Errorf("taken off the list: %v", err)
	}
}

// waitReplaced waits until a file was replaced so many times.
func waitReplaced(p *process, path string, times int) event {
	p.t.Helper()
	seen := 0
	ev := p.log.wait(func(ev event) bool {
		if strings.HasPrefix(text(ev, "message"), "files replaced") && strings.Contains(asJSON(ev["files"]), path) {
			seen++
		}
		return seen >= times
	})
	if ev == nil {
		p.t.Fatalf("%s was replaced %d times, want %d:\n%s", path, seen, times, p.stderr)
	}
	return ev
}

// TestManyChainsShareACertificate: it is read once for all of them.
func TestManyChainsShareACertificate(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "many")
	certFile, keyFile := ca.files("many", certgen.Options{Names: []string{"*.many.test"}})
	chains := loadSize(10_000)
	var b strings.Builder
	b.WriteString("access_log { enabled = false }\nlistener \"tls\" {\n  address = \"127.0.0.1:0\"\n")
	for i := range chains {
		fmt.Fprintf(&b, "  filter_chain \"c%d\" {\n    match { server_names = [\"n%d.many.test\"] }\n    tls {\n      certificate {\n        cert_file = %q\n        key_file = %q\n      }\n    }\n    route { cluster = \"echo\" }\n  }\n", i, i, certFile, keyFile)
	}
	fmt.Fprintf(&b, "}\ncluster \"echo\" { endpoints = [%q] }\n", echoBackend(t))
	p := startSluice(t, b.String())
	leaf := func(n int) string {
		c := tls.Client(dial(t, p.address("tls")), &tls.Config{RootCAs: ca.Pool(), ServerName: fmt.Sprintf("n%d.many.test", n)})
		if err := echoes(c, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		return string(c.ConnectionState().PeerCertificates[0].Raw)
	}
	before := leaf(chains / 2)
	certPEM, keyPEM := ca.Issue(certgen.Options{Names: []string{"*.many.test"}})
	replaceFile(t, keyFile, string(keyPEM))
	p.waitLog("files cannot be used")
	replaceFile(t, certFile, string(certPEM))
	if ev := waitReplaced(p, certFile, 1); int(number(ev, "used_by")) != chains {
		t.Errorf("used by %v chains, want %d", ev["used_by"], chains)
	}
	for _, n := range []int{0, chains / 2, chains - 1} {
		if leaf(n) == before {
			t.Errorf("chain %d shows the old certificate", n)
		}
	}
	lines := 0
	for _, ev := range p.log.all() {
		if strings.HasPrefix(text(ev, "message"), "files ") {
			lines++
		}
	}
	if lines != 2 {
		t.Errorf("%d lines about the files, want one when they did not go together and one when they did", lines)
	}
}
