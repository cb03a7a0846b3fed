package config

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"sluice/tlsutil"
)

// Lifetime is how long something is good.
type Lifetime struct {
	What       string // in words, with the name of what is not the server's own
	Begin, End time.Time
	List       bool // it is a revocation list, good until the next one is due
}

// warnedBefore is how long before its end a lifetime is worth a warning. A list
// is of a day or a week, and is fetched again well before its end.
func (l *Lifetime) warnedBefore() time.Duration {
	if third := l.End.Sub(l.Begin) / 3; l.List && third < expirySoon {
		return third
	}
	return expirySoon
}

// EndsSoon tells whether it is over, or so nearly that it should have been renewed.
func (l *Lifetime) EndsSoon(now time.Time) bool { return l.End.Sub(now) < l.warnedBefore() }

// Lifetimes gives those of everything that ends.
func (m *Material) Lifetimes() (list []Lifetime) {
	if c := m.Certificate; c != nil {
		list = append(list, Lifetime{What: "certificate", Begin: c.Leaf.NotBefore, End: c.Leaf.NotAfter})
	}
	for _, ca := range m.Authorities {
		list = append(list, Lifetime{What: fmt.Sprintf("CA %q", ca.Subject), Begin: ca.NotBefore, End: ca.NotAfter})
	}
	for _, crl := range latestLists(m.CRLs) {
		if !crl.NextUpdate.IsZero() {
			list = append(list, Lifetime{fmt.Sprintf("revocation list of %q", crl.Issuer), crl.ThisUpdate, crl.NextUpdate, true})
		}
	}
	return list
}

// BreaksOff says that m looks like the first part of what the same files had in
// them before: a certificate without those that follow it in its chain, or a list
// that ends early.
func (m *Material) BreaksOff(before *Material) error {
	if c, was := m.Certificate, before.Certificate; c != nil && chainBreaksOff(c.Certificate.Certificate, was.Certificate.Certificate) {
		return errors.New("the chain of certificates breaks off before the CA that was sent along so far")
	}
	if n := len(m.Authorities); n < len(before.Authorities) && slices.EqualFunc(m.Authorities, before.Authorities[:n], (*x509.Certificate).Equal) {
		return errors.New("the list of CAs breaks off before the end that it had so far")
	}
	if n := len(m.CRLs); n < len(before.CRLs) && slices.EqualFunc(m.CRLs, before.CRLs[:n], equalLists) {
		return errors.New("the revocation lists break off before the end that they had so far")
	}
	return nil
}

// chainBreaksOff tells whether the certificate that follows in a chain that was
// would follow in the shorter one that is, too. Both are in DER.
func chainBreaksOff(is, was [][]byte) bool {
	n := len(is)
	if n >= len(was) {
		return false
	}
	last, err := x509.ParseCertificate(is[n-1])
	if err != nil {
		return false
	}
	next, err := x509.ParseCertificate(was[n])
	return err == nil && bytes.Equal(last.RawIssuer, next.RawSubject)
}

func equalLists(a, b *tlsutil.RevocationList) bool { return bytes.Equal(a.Raw, b.Raw) }
