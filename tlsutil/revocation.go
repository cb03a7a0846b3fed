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

// revocations is an index over revocation lists, never changed once built.
// The lists' signatures were checked when they were loaded.
type revocations struct {
	byIssuer map[string]*issuerRevocations // by the issuer's name in DER
}

type issuerRevocations struct {
	nextUpdate time.Time            // of the latest list; zero: a list without an end
	serials    map[string]time.Time // big-endian serial number -> since when
}

func newRevocations(lists []*x509.RevocationList) *revocations {
	r := &revocations{byIssuer: make(map[string]*issuerRevocations)}
	for _, l := range lists {
		of := r.byIssuer[string(l.RawIssuer)]
		if of == nil {
			of = &issuerRevocations{nextUpdate: l.NextUpdate, serials: make(map[string]time.Time)}
			r.byIssuer[string(l.RawIssuer)] = of
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
		of := r.byIssuer[string(c.RawIssuer)]
		if of != nil {
			if since, ok := of.serials[string(c.SerialNumber.Bytes())]; ok {
				at := since.UTC().Format(time.RFC3339)
				if i == 0 {
					return fmt.Errorf("revoked since %s", at)
				}
				return fmt.Errorf("its CA %s is revoked since %s", describe(c), at)
			}
		}
		// The end of a chain is trusted because the operator says so; nobody
		// above it has to vouch for it.
		if i == len(chain)-1 {
			return nil
		}
		if of == nil {
			return fmt.Errorf("no revocation list of its issuer %q; add one to crl_file", c.Issuer)
		}
		if !of.nextUpdate.IsZero() && now.After(of.nextUpdate) {
			return fmt.Errorf("the revocation list of its issuer %q is out of date since %s; refresh crl_file",
				c.Issuer, of.nextUpdate.UTC().Format(time.RFC3339))
		}
	}
	return nil
}
