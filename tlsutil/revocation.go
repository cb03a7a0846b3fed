package tlsutil

import (
	"crypto/x509"
	"fmt"
	"time"
)

// Revocation is all or nothing. Once a chain has lists, each certificate below
// the CA that is trusted needs one from its issuer that is not out of date
// (the rule of OpenSSL's CRL_CHECK_ALL, which HAProxy, nginx and Envoy apply):
// a list that was forgotten or not refreshed must not look like "nothing is
// revoked". Of several lists by one issuer every entry counts, and one of
// them must be current.
//
// An issuer is a name and a key. CAs that change their key and keep their name
// have a list for each, and that of one key says nothing about certificates
// which the other signed (RFC 5280 §6.3.3 (f)).

// revocations is an index over revocation lists, never changed once built.
// The lists' signatures were checked when they were loaded.
type revocations struct {
	byIssuer map[issuer]*issuerRevocations
	byName   map[string][]*issuerRevocations // the same, by the name alone
}

// issuer is who signs certificates and their revocation lists, in DER.
type issuer struct {
	name string
	key  string // SubjectPublicKeyInfo
}

type issuerRevocations struct {
	nextUpdate time.Time            // of the latest list; zero: a list without an end
	serials    map[string]time.Time // big-endian serial number -> since when
}

func newRevocations(lists []*RevocationList) *revocations {
	r := &revocations{byIssuer: make(map[issuer]*issuerRevocations), byName: make(map[string][]*issuerRevocations)}
	for _, l := range lists {
		by := issuer{string(l.RawIssuer), string(l.signer.RawSubjectPublicKeyInfo)}
		of := r.byIssuer[by]
		if of == nil {
			of = &issuerRevocations{nextUpdate: l.NextUpdate, serials: make(map[string]time.Time)}
			r.byIssuer[by] = of
			r.byName[by.name] = append(r.byName[by.name], of)
		}
		if l.NextUpdate.IsZero() || !of.nextUpdate.IsZero() && l.NextUpdate.After(of.nextUpdate) {
			of.nextUpdate = l.NextUpdate
		}
		for _, e := range l.RevokedCertificateEntries {
			of.serials[string(e.SerialNumber.Bytes())] = e.RevocationTime
		}
	}
	return r
}

// check gives nil when one of the chains is free of revoked certificates,
// else what is wrong with the first.
func (r *revocations) check(chains [][]*x509.Certificate, now time.Time) error {
	var first error
	for _, chain := range chains {
		err := r.checkChain(chain, now)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}

func (r *revocations) checkChain(chain []*x509.Certificate, now time.Time) error {
	for i, c := range chain {
		if i == len(chain)-1 {
			return r.checkTrusted(c, i)
		}
		of := r.byIssuer[issuer{string(c.RawIssuer), string(chain[i+1].RawSubjectPublicKeyInfo)}]
		if of == nil {
			return fmt.Errorf("no revocation list of its issuer %q%s; add one to crl_file", c.Issuer, r.otherKeys(c))
		}
		if err := of.check(c, i); err != nil {
			return err
		}
		if !of.nextUpdate.IsZero() && now.After(of.nextUpdate) {
			return fmt.Errorf("the revocation list of its issuer %q is out of date since %s; refresh crl_file",
				c.Issuer, of.nextUpdate.UTC().Format(time.RFC3339))
		}
	}
	return nil
}

// checkTrusted checks the end of a chain. It is trusted because the operator
// says so, and nobody above it has to vouch for it; but a list that names it
// counts, whichever key of its issuer signed it: which one signed the
// certificate is not known here.
func (r *revocations) checkTrusted(c *x509.Certificate, i int) error {
	for _, of := range r.byName[string(c.RawIssuer)] {
		if err := of.check(c, i); err != nil {
			return err
		}
	}
	return nil
}

// otherKeys explains why the lists of an issuer's name do not count.
func (r *revocations) otherKeys(c *x509.Certificate) string {
	if len(r.byName[string(c.RawIssuer)]) == 0 {
		return ""
	}
	return " by the key that signed it"
}

// check reports the certificate that is at index i of its chain if it is
// revoked.
func (of *issuerRevocations) check(c *x509.Certificate, i int) error {
	since, revoked := of.serials[string(c.SerialNumber.Bytes())]
	if !revoked {
		return nil
	}
	at := since.UTC().Format(time.RFC3339)
	if i == 0 {
		return fmt.Errorf("revoked since %s", at)
	}
	return fmt.Errorf("its CA %s is revoked since %s", describe(c), at)
}
