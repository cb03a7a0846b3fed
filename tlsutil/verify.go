package tlsutil

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"
)

// clientPolicy judges the client's certificate at the end of every handshake.
// It is built once and never changed.
type clientPolicy struct {
	ClientAuth
	revoked *revocations // nil: revocation is not checked
	allowed []san        // AllowedSANs, parsed
	now     func() time.Time
}

func newClientPolicy(a *ClientAuth, now func() time.Time) (*clientPolicy, error) {
	// A nil pool means the CAs of the machine to crypto/x509.
	if a.CAs == nil || a.CAs.Equal(x509.NewCertPool()) {
		return nil, errors.New("client authentication has no CAs; give a ca_file with the ones that sign client certificates")
	}
	p := &clientPolicy{ClientAuth: *a, now: now}
	if len(a.CRLs) > 0 {
		p.revoked = newRevocations(a.CRLs)
	}
	for _, s := range a.AllowedSANs {
		pattern, err := parseSANPattern(s)
		if err != nil {
			return nil, fmt.Errorf("allowed_sans: %w", err)
		}
		p.allowed = append(p.allowed, pattern)
	}
	return p, nil
}

// verify implements tls.Config.VerifyConnection, which crypto/tls calls
// before the connection can carry a byte of data, resumed or not. An error
// makes it send bad_certificate; the text is fit for a log.
func (p *clientPolicy) verify(cs tls.ConnectionState) error {
	if len(cs.PeerCertificates) == 0 {
		if p.Required {
			return errors.New("the client sent no certificate")
		}
		return nil
	}
	leaf := cs.PeerCertificates[0]
	chains := cs.VerifiedChains
	if cs.DidResume {
		// These chains were found when the ticket was issued. crypto/tls has
		// made sure that one of them still holds but leaves the others in,
		// and one that leads to a CA no longer trusted must not be the one
		// that passes below.
		var err error
		if chains, err = p.chains(cs.PeerCertificates); err != nil {
			return fmt.Errorf("the resumed session's client certificate %s: %w", describe(leaf), err)
		}
	}
	if len(chains) == 0 {
		panic("BUG: a client certificate was accepted without verification")
	}
	if p.revoked != nil {
		if err := p.revoked.check(chains, p.now()); err != nil {
			return fmt.Errorf("the client certificate %s: %w", describe(leaf), err)
		}
	}
	if len(p.allowed) > 0 && !allowed(p.allowed, certificateSANs(leaf)) {
		return fmt.Errorf("the client certificate %s: none of its names is in allowed_sans; it has %q",
			describe(leaf), PeerSANs(&cs))
	}
	return nil
}

// chains verifies as crypto/tls does in a full handshake.
func (p *clientPolicy) chains(certs []*x509.Certificate) ([][]*x509.Certificate, error) {
	intermediates := x509.NewCertPool()
	for _, c := range certs[1:] {
		intermediates.AddCert(c)
	}
	return certs[0].Verify(x509.VerifyOptions{
		Roots:         p.CAs,
		Intermediates: intermediates,
		CurrentTime:   p.now(),
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
}

// maxSubjectBytes bounds what a certificate's subject adds to a log line.
const maxSubjectBytes = 128

// describe names a certificate so that its CA can find it.
func describe(c *x509.Certificate) string {
	subject := c.Subject.String()
	if len(subject) > maxSubjectBytes {
		subject = strings.ToValidUTF8(subject[:maxSubjectBytes], "") + "..."
	}
	return fmt.Sprintf("%q (serial %x)", subject, c.SerialNumber)
}
