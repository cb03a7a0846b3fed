package config

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"io"
	"strings"
	"time"

	"sluice/config/filewatch"
	"sluice/tlsutil"
)

// MaterialKind is what files hold that are used as they are at the time, and not
// as they were when the configuration was loaded.
type MaterialKind uint8

// The kinds.
const (
	MaterialCertificate MaterialKind = iota // a certificate chain, and its key
	MaterialClientCAs                       // who signs the certificates of clients, and their revocation lists
	MaterialEndpointCAs                     // who signs the certificates of endpoints
	MaterialTicketKeys                      // the keys of session tickets
)

// String gives the kind in words.
func (k MaterialKind) String() string {
	return [...]string{"certificate", "client CAs", "endpoint CAs", "session ticket keys"}[k]
}

// MaterialFiles are files that are good only together, such as a certificate and
// its key. They can be compared.
type MaterialFiles struct {
	Kind  MaterialKind
	paths string // a NUL byte between them
}

func materialFiles(kind MaterialKind, paths ...string) MaterialFiles {
	return MaterialFiles{kind, strings.Join(paths, "\x00")}
}

func certificateFiles(c *tlsutil.Certificate) MaterialFiles {
	return materialFiles(MaterialCertificate, c.CertFile, c.KeyFile)
}

func (a *ClientAuth) files() MaterialFiles {
	if a.CRLFile == "" {
		return materialFiles(MaterialClientCAs, a.CAFile)
	}
	return materialFiles(MaterialClientCAs, a.CAFile, a.CRLFile)
}

// Paths gives the absolute paths of the files. One may be there twice.
func (f MaterialFiles) Paths() []string { return strings.Split(f.paths, "\x00") }

// Material is what files had in them. It never changes.
type Material struct {
	Certificate *tlsutil.Certificate
	CAs         *x509.CertPool
	Authorities []*x509.Certificate // those in CAs, in the order of their file
	CRLs        []*tlsutil.RevocationList
	TicketKeys  [][32]byte
	PathsHidden bool // the files' came from env() or file(), and are not to be shown

	stamps []filewatch.Stamp // of the paths, before they were read
}

// Load reads the files. Errors are [*tlsutil.LoadError].
func (f MaterialFiles) Load() (m *Material, err error) {
	paths := f.Paths()
	m = &Material{}
	for _, path := range paths {
		m.stamps = append(m.stamps, filewatch.StampOf(path))
	}
	switch f.Kind {
	case MaterialCertificate:
		m.Certificate, err = tlsutil.LoadCertificate(paths[0], paths[1])
	case MaterialClientCAs:
		if m.Authorities, err = tlsutil.LoadCACertificates(paths[0]); err != nil {
			break
		}
		if m.CAs, err = tlsutil.NewCAPool(paths[0], m.Authorities); err == nil && len(paths) > 1 {
			m.CRLs, err = tlsutil.LoadCRL(paths[1], paths[0])
		}
	case MaterialEndpointCAs:
		m.Authorities, err = tlsutil.LoadCACertificates(paths[0])
		m.CAs = poolOf(m.Authorities)
	case MaterialTicketKeys:
		m.TicketKeys, err = tlsutil.LoadTicketKeys(paths)
	}
	if err != nil {
		return nil, err
	}
	return m, nil
}

// Current tells whether the files are still those that were read. It does not read
// them, and may say that they are not when they are.
func (m *Material) Current(f MaterialFiles) bool {
	paths := f.Paths()
	for i, path := range paths {
		if i >= len(m.stamps) || !m.stamps[i].Holds(filewatch.StampOf(path)) {
			return false
		}
	}
	return true
}

// Written is when the file that was written last was.
func (m *Material) Written() (last time.Time) {
	for _, s := range m.stamps {
		if s.Written().After(last) {
			last = s.Written()
		}
	}
	return last
}

// Digest is equal when nothing was changed that connections could feel.
func (m *Material) Digest() Digest { return digest(m.write) }

func (m *Material) write(w io.Writer) {
	if m.Certificate != nil {
		// The key is the one that belongs to the first, which says which it is.
		for _, der := range m.Certificate.Certificate.Certificate {
			writeBytes(w, "certificate", der)
		}
	}
	for _, ca := range m.Authorities {
		writeBytes(w, "ca", ca.Raw)
	}
	for _, list := range m.CRLs {
		writeBytes(w, "crl", list.Raw)
	}
	for _, key := range m.TicketKeys {
		writeBytes(w, "key", key[:])
	}
}

func writeBytes(w io.Writer, what string, b []byte) {
	fmt.Fprintf(w, "%s %x\n", what, sha256.Sum256(b))
}

// Files gives the files that the block names, in a fixed order.
func (t *TLS) Files() (list []MaterialFiles) {
	for _, c := range t.Certificates {
		list = append(list, certificateFiles(c))
	}
	if t.ClientAuth != nil {
		list = append(list, t.ClientAuth.files())
	}
	if len(t.TicketKeyFiles) > 0 {
		list = append(list, materialFiles(MaterialTicketKeys, t.TicketKeyFiles...))
	}
	return list
}

// With gives a block that says the same, with what its files have in them now: in
// the order of Files.
func (t *TLS) With(material []*Material) *TLS {
	next := *t
	next.Certificates = make([]*tlsutil.Certificate, len(t.Certificates))
	for i := range next.Certificates {
		next.Certificates[i], material = material[0].Certificate, material[1:]
	}
	if t.ClientAuth != nil {
		auth, m := *t.ClientAuth, material[0]
		auth.CAs, auth.Authorities, auth.CRLs = m.CAs, m.Authorities, m.CRLs
		next.ClientAuth, material = &auth, material[1:]
	}
	if len(t.TicketKeyFiles) > 0 {
		next.TicketKeys = material[0].TicketKeys
	}
	return &next
}

// Files gives the files that the block names, in a fixed order.
func (t *UpstreamTLS) Files() (list []MaterialFiles) {
	if t.Certificate != nil {
		list = append(list, certificateFiles(t.Certificate))
	}
	if t.CAFile != "" {
		list = append(list, materialFiles(MaterialEndpointCAs, t.CAFile))
	}
	return list
}

// With is [TLS.With].
func (t *UpstreamTLS) With(material []*Material) *UpstreamTLS {
	next := *t
	if t.Certificate != nil {
		next.Certificate, material = material[0].Certificate, material[1:]
	}
	if t.CAFile != "" {
		next.CAs, next.Authorities = material[0].CAs, material[0].Authorities
	}
	return &next
}

// Material gives what the files of all blocks had in them when they were loaded.
func (c *Config) Material() map[MaterialFiles]*Material {
	all := map[MaterialFiles]*Material{}
	add := func(f MaterialFiles, m Material) {
		if all[f] == nil {
			for _, path := range f.Paths() {
				m.stamps = append(m.stamps, c.stamps[path])
			}
			all[f] = &m
		}
	}
	for _, ln := range c.Listeners {
		for _, chain := range ln.Chains {
			chain.TLS.addMaterial(add)
		}
		if ln.Default != nil {
			ln.Default.TLS.addMaterial(add)
		}
	}
	for _, cl := range c.Clusters {
		if t := cl.TLS; t != nil {
			if t.Certificate != nil {
				add(certificateFiles(t.Certificate), Material{Certificate: t.Certificate, PathsHidden: t.PathsHidden})
			}
			if t.CAFile != "" {
				add(materialFiles(MaterialEndpointCAs, t.CAFile), Material{CAs: t.CAs, Authorities: t.Authorities, PathsHidden: t.PathsHidden})
			}
		}
	}
	return all
}

func (t *TLS) addMaterial(add func(MaterialFiles, Material)) {
	if t == nil {
		return
	}
	for _, c := range t.Certificates {
		add(certificateFiles(c), Material{Certificate: c, PathsHidden: t.PathsHidden})
	}
	if a := t.ClientAuth; a != nil {
		add(a.files(), Material{CAs: a.CAs, Authorities: a.Authorities, CRLs: a.CRLs, PathsHidden: t.PathsHidden})
	}
	if len(t.TicketKeyFiles) > 0 {
		add(materialFiles(MaterialTicketKeys, t.TicketKeyFiles...), Material{TicketKeys: t.TicketKeys, PathsHidden: t.PathsHidden})
	}
}
