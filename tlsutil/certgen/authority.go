package certgen

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"time"
)

const (
	// authorityLifetime outlives any demo.
	authorityLifetime = 10 * 365 * 24 * time.Hour
	// crlLifetime is how long a revocation list counts as fresh.
	crlLifetime = 7 * 24 * time.Hour
	// clockSkew is how far back validity begins, for peers whose clock is
	// behind.
	clockSkew = time.Hour
)

// Authority is a certificate authority with an ECDSA P-256 key. It may be
// used from several goroutines.
type Authority struct {
	cert   *x509.Certificate
	key    crypto.Signer
	issuer *Authority // nil for a root
}

// NewAuthority makes a root that carries name as its common name.
func NewAuthority(name string) *Authority { return newAuthority(name, nil) }

// Subordinate makes an authority whose certificate a signed. What it issues
// comes with the certificates in between, up to but without the root.
func (a *Authority) Subordinate(name string) *Authority { return newAuthority(name, a) }

func newAuthority(name string, issuer *Authority) *Authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              now.Add(authorityLifetime),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	a := &Authority{key: key, issuer: issuer}
	if issuer == nil {
		a.cert = sign(template, template, key.Public(), key)
	} else {
		a.cert = sign(template, issuer.cert, key.Public(), issuer.key)
	}
	return a
}

// CAPEM gives the authority's own certificate.
func (a *Authority) CAPEM() []byte { return certificatePEM(a.cert) }

// Pool gives a new pool that trusts this authority.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// CRL gives a PEM revocation list, good for a week, of the certificates
// given: each in PEM, as [Authority.Issue] and [Authority.CAPEM] return them.
func (a *Authority) CRL(revoked ...[]byte) []byte {
	now := time.Now()
	list := &x509.RevocationList{
		Number:     new(big.Int).SetInt64(now.UnixNano()),
		ThisUpdate: now.Add(-clockSkew),
		NextUpdate: now.Add(crlLifetime),
	}
	for _, certPEM := range revoked {
		block, _ := pem.Decode(certPEM)
		if block == nil {
			panic("BUG: not a PEM certificate")
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		must(err)
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: cert.SerialNumber, RevocationTime: now})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.cert, a.key)
	must(err)
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
}

// chainPEM gives what a server has to send after its own certificate.
func (a *Authority) chainPEM() []byte {
	var chain []byte
	for ; a.issuer != nil; a = a.issuer {
		chain = slices.Concat(chain, a.CAPEM())
	}
	return chain
}

func sign(template, issuer *x509.Certificate, pub crypto.PublicKey, key crypto.Signer) *x509.Certificate {
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, pub, key)
	must(err)
	cert, err := x509.ParseCertificate(der)
	must(err)
	return cert
}

func certificatePEM(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

// serial gives 128 random bits, so that serial numbers never meet.
func serial() *big.Int {
	var b [16]byte
	_, err := rand.Read(b[:])
	must(err)
	b[0] |= 1 // never zero, which RFC 5280 §4.1.2.2 forbids
	return new(big.Int).SetBytes(b[:])
}

// must is for operations that fail only on wrong input, which here is always
// the program's own.
func must(err error) {
	if err != nil {
		panic(fmt.Sprintf("BUG: making a certificate: %v", err))
	}
}
