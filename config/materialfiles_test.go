package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/tlsutil/certgen"
)

// secrets is a directory with files of every kind, and a configuration of them.
type secrets struct {
	t           *testing.T
	dir         string
	ca, clients *certgen.Authority
}

func newSecrets(t *testing.T) *secrets {
	t.Helper()
	root := certgen.NewAuthority("root")
	s := &secrets{t, t.TempDir(), root.Subordinate("servers"), certgen.NewAuthority("clients")}
	s.issue("a")
	s.issue("gateway")
	s.write("clients.pem", s.clients.CAPEM())
	s.write("crl.pem", s.clients.CRL())
	s.write("endpoints.pem", slices.Concat(root.CAPEM(), s.ca.CAPEM()))
	s.write("ticket1", []byte(strings.Repeat("1", 32)))
	s.write("ticket2", []byte(strings.Repeat("2", 32)))
	return s
}

func (s *secrets) write(name string, content []byte) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), content, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *secrets) issue(base string) (certPEM []byte) {
	certPEM, keyPEM := s.ca.Issue(certgen.Options{Names: []string{"a.test", "b.test"}})
	s.write(base+".pem", certPEM)
	s.write(base+".key", keyPEM)
	return certPEM
}

// load loads a configuration with two chains of the same files.
func (s *secrets) load() *Config {
	s.t.Helper()
	chain := func(name string) string {
		return fmt.Sprintf(`
  filter_chain %q {
    match { server_names = ["%s.test"] }
    tls {
      certificate {
        cert_file = "a.pem"
        key_file  = "a.key"
      }
      client_auth {
        ca_file  = "clients.pem"
        crl_file = "crl.pem"
      }
      session_tickets { key_files = ["ticket1", "ticket2"] }
    }
    route { cluster = "c" }
  }`, name, name)
	}
	c, diags := LoadSource(filepath.Join(s.dir, "x.hcl"), []byte("listener \"l\" {\n address = \":443\""+chain("a")+chain("b")+`
}
cluster "c" {
  endpoints = ["10.0.0.1:1"]
  tls {
    server_name = "a.test"
    ca_file     = "endpoints.pem"
    certificate {
      cert_file = "gateway.pem"
      key_file  = "gateway.key"
    }
  }
}`), Options{})
	if c == nil {
		s.t.Fatal(textOf(s.t, diags))
	}
	return c
}

// TestMaterial: what a configuration has of each set of files is what can be read
// again by itself, and put in its place.
func TestMaterial(t *testing.T) {
	t.Parallel()
	s := newSecrets(t)
	cfg := s.load()
	material := cfg.Material()
	var kinds []string
	for files, m := range material {
		kinds = append(kinds, files.Kind.String())
		again, err := files.Load()
		if err != nil {
			t.Fatalf("%v: %v", files.Paths(), err)
		}
		if again.Digest() != m.Digest() {
			t.Errorf("%v is another one when it is read again", files.Paths())
		}
		for _, l := range m.Lifetimes() {
			if l.EndsSoon(time.Now()) || !l.EndsSoon(l.End.Add(-time.Hour)) || l.Begin.After(time.Now()) {
				t.Errorf("%v: %+v", files.Paths(), l)
			}
		}
	}
	slices.Sort(kinds)
	if want := []string{"certificate", "certificate", "client CAs", "endpoint CAs", "session ticket keys"}; !slices.Equal(kinds, want) {
		t.Fatalf("%q, want %q", kinds, want)
	}
	for _, chain := range cfg.Listeners[0].Chains {
		tls := chain.TLS
		if tls.With(pickMaterial(material, tls.Files())).Material() != tls.Material() {
			t.Errorf("chain %s is another one with its own material", chain.Name)
		}
	}

	before := cfg.Listeners[0].Chains[0].TLS
	up := cfg.Clusters[0].TLS
	renewed := map[MaterialFiles]*Material{}
	s.issue("a")
	s.issue("gateway")
	s.write("crl.pem", s.clients.CRL(s.clients.CAPEM()))
	s.write("ticket1", []byte(strings.Repeat("3", 32)))
	s.write("endpoints.pem", s.clients.CAPEM())
	for files, m := range material {
		var err error
		if renewed[files], err = files.Load(); err != nil {
			t.Fatal(err)
		}
		if renewed[files].Digest() == m.Digest() || m.Current(files) {
			t.Errorf("%v was replaced, and nobody notices", files.Paths())
		}
	}
	next := before.With(pickMaterial(renewed, before.Files()))
	switch {
	case next.Options() != before.Options():
		t.Error("the block says something else with other material")
	case next.Certificates[0] == before.Certificates[0], next.ClientAuth.CRLs[0] == before.ClientAuth.CRLs[0], next.TicketKeys[0] == before.TicketKeys[0]:
		t.Error("the material is the old one")
	case before.TicketKeys[0][0] != '1':
		t.Error("the block itself was changed")
	}
	nextUp := up.With(pickMaterial(renewed, up.Files()))
	if nextUp.Options() != up.Options() || nextUp.Certificate == up.Certificate || nextUp.CAs.Equal(up.CAs) {
		t.Error("the cluster's block has the old material")
	}
	if s.load().Clusters[0].Digest() != cfg.Clusters[0].Digest() {
		t.Error("a cluster is another one with other material")
	}
}

func pickMaterial(from map[MaterialFiles]*Material, files []MaterialFiles) (list []*Material) {
	for _, f := range files {
		list = append(list, from[f])
	}
	return list
}

// TestMaterialIsCurrent: files that nobody has touched are not read again.
func TestMaterialIsCurrent(t *testing.T) {
	t.Parallel()
	s := newSecrets(t)
	old := time.Now().Add(-time.Hour)
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.Chtimes(filepath.Join(s.dir, e.Name()), old, old); err != nil {
			t.Fatal(err)
		}
	}
	for files, m := range s.load().Material() {
		if !m.Current(files) {
			t.Errorf("%v is to be read again", files.Paths())
		}
		again, err := files.Load()
		if err != nil || !again.Current(files) || !again.Written().Equal(old.Round(0)) {
			t.Errorf("%v: written at %v, want %v (%v)", files.Paths(), again.Written(), old, err)
		}
	}
}

// TestBreaksOff: the first part of a file may be a good file.
func TestBreaksOff(t *testing.T) {
	t.Parallel()
	s := newSecrets(t)
	certificate := materialFiles(MaterialCertificate, filepath.Join(s.dir, "a.pem"), filepath.Join(s.dir, "a.key"))
	cas := materialFiles(MaterialEndpointCAs, filepath.Join(s.dir, "endpoints.pem"))
	read := func(files MaterialFiles) *Material {
		t.Helper()
		m, err := files.Load()
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	wholeCert, wholeCAs := read(certificate), read(cas)
	f := func(name string, files MaterialFiles, whole *Material, breaks bool) {
		t.Helper()
		if err := read(files).BreaksOff(whole); (err != nil) != breaks {
			t.Errorf("%s: %v", name, err)
		}
	}
	f("the same", certificate, wholeCert, false)
	const end = "-----END CERTIFICATE-----\n"
	certPEM := s.issue("a")
	f("renewed", certificate, wholeCert, false)
	leaf, _, _ := strings.Cut(string(certPEM), end)
	s.write("a.pem", []byte(leaf+end))
	f("renewed, without the CA that was sent along", certificate, wholeCert, true)
	other := certgen.NewAuthority("another")
	certPEM, keyPEM := other.Issue(certgen.Options{Names: []string{"a.test"}})
	s.write("a.pem", certPEM)
	s.write("a.key", keyPEM)
	f("of another CA, without any", certificate, wholeCert, false)

	f("the same CAs", cas, wholeCAs, false)
	s.write("endpoints.pem", s.ca.CAPEM())
	f("the first is gone", cas, wholeCAs, false)
	s.write("endpoints.pem", slices.Concat(other.CAPEM(), s.ca.CAPEM()))
	f("others", cas, wholeCAs, false)
	first := wholeCAs.Authorities[0]
	s.write("endpoints.pem", pemOf(first.Raw))
	f("the last is gone", cas, wholeCAs, true)
}
