package proxy

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"time"

	"sluice/proxy/status"
	"sluice/tlsutil"
)

// Secrets tells of every certificate and every CA that is in use, by the chain or
// cluster that uses it: what was loaded, and not what may be on disk by now. The
// CAs of the machine, which a cluster goes by that names none, are not listed.
func (g *Gateway) Secrets() []status.Secret {
	snap := g.snapshot.Load()
	s := secrets{now: time.Now(), list: []status.Secret{}}
	for _, ln := range snap.listeners {
		for _, ch := range ln.asTheyWin() {
			t := ch.spec.TLS
			if t == nil {
				continue
			}
			name := ln.name + "/" + ch.name
			for _, c := range t.Certificates {
				s.certificate(name, c, t.PathsHidden)
			}
			if a := t.ClientAuth; a != nil {
				s.authorities(name, a.Authorities, a.CAFile, t.PathsHidden)
			}
		}
	}
	for _, cl := range snap.inOrder {
		t := cl.spec.TLS
		if t == nil {
			continue
		}
		if t.Certificate != nil {
			s.certificate(cl.Name, t.Certificate, t.PathsHidden)
		}
		s.authorities(cl.Name, t.Authorities, t.CAFile, t.PathsHidden)
	}
	return s.list
}

type secrets struct {
	now  time.Time
	list []status.Secret
}

func (s *secrets) certificate(name string, c *tlsutil.Certificate, hidden bool) {
	s.add(name, "Cert Chain", c.Leaf, c.CertFile, hidden)
}

func (s *secrets) authorities(name string, cas []*x509.Certificate, file string, hidden bool) {
	for _, ca := range cas {
		s.add(name, "CA", ca, file, hidden)
	}
}

func (s *secrets) add(name, kind string, c *x509.Certificate, file string, hidden bool) {
	if hidden {
		file = ""
	}
	word, valid := "ACTIVE", true
	switch {
	case s.now.After(c.NotAfter):
		word, valid = "EXPIRED", false
	case s.now.Before(c.NotBefore):
		word, valid = "NOT YET VALID", false
	}
	fingerprint := sha256.Sum256(c.Raw)
	s.list = append(s.list, status.Secret{
		Name:        name,
		Type:        kind,
		Status:      word,
		Valid:       valid,
		Serial:      c.SerialNumber.Text(16),
		NotAfter:    c.NotAfter.UTC(),
		NotBefore:   c.NotBefore.UTC(),
		SANs:        subjectNames(c),
		Fingerprint: hex.EncodeToString(fingerprint[:]),
		File:        file,
	})
}

// subjectNames are the names that a certificate is for.
func subjectNames(c *x509.Certificate) []string {
	names := append([]string{}, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	for _, u := range c.URIs {
		names = append(names, u.String())
	}
	return append(names, c.EmailAddresses...)
}
