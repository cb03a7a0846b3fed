package certgen

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// KeyType is the kind of key a certificate is issued for.
type KeyType uint8

// The kinds of keys.
const (
	ECDSA   KeyType = iota // P-256
	RSA                    // 2048 bits; takes a good part of a second to make
	Ed25519                // which browsers do not take
)

// certificateLifetime is within the 398 days that clients accept.
const certificateLifetime = 90 * 24 * time.Hour

// Options says what a certificate is for. The zero value is a server
// certificate without names that is good from now for 90 days.
type Options struct {
	Names     []string // DNS names and IP addresses; the first is the common name too
	URIs      []string
	Key       KeyType
	Client    bool // for a client, not a server
	NotBefore time.Time
	NotAfter  time.Time
}

// Issue makes a key and a certificate for it, both PEM (the key in PKCS #8).
// It panics when a URI is not one.
func (a *Authority) Issue(o Options) (certPEM, keyPEM []byte) {
	key := o.Key.generate()
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	must(err)
	leaf := sign(o.template(), a.cert, key.Public(), a.key)
	return slices.Concat(certificatePEM(leaf), a.chainPEM()),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}

// WriteFiles issues a certificate into dir, as base.pem and base.key, the key
// for the owner's eyes only.
func (a *Authority) WriteFiles(dir, base string, o Options) (certFile, keyFile string, err error) {
	certPEM, keyPEM := a.Issue(o)
	certFile = filepath.Join(dir, base+".pem")
	keyFile = filepath.Join(dir, base+".key")
	if err := os.WriteFile(certFile, certPEM, 0o644); err != nil {
		return "", "", fmt.Errorf("writing certificate: %w", err)
	}
	if err := os.WriteFile(keyFile, keyPEM, 0o600); err != nil {
		return "", "", fmt.Errorf("writing private key: %w", err)
	}
	return certFile, keyFile, nil
}

func (o Options) template() *x509.Certificate {
	if o.NotBefore.IsZero() {
		o.NotBefore = time.Now().Add(-clockSkew)
	}
	if o.NotAfter.IsZero() {
		o.NotAfter = o.NotBefore.Add(certificateLifetime)
	}
	t := &x509.Certificate{
		SerialNumber: serial(),
		NotBefore:    o.NotBefore,
		NotAfter:     o.NotAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if o.Client {
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	if len(o.Names) > 0 {
		t.Subject = pkix.Name{CommonName: o.Names[0]}
	}
	for _, name := range o.Names {
		if ip := net.ParseIP(name); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, name)
		}
	}
	for _, s := range o.URIs {
		u, err := url.Parse(s)
		must(err)
		t.URIs = append(t.URIs, u)
	}
	return t
}

func (k KeyType) generate() crypto.Signer {
	switch k {
	case ECDSA:
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(err)
		return key
	case RSA:
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		must(err)
		return key
	case Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		must(err)
		return key
	}
	panic(fmt.Sprintf("BUG: unknown key type %d", k))
}
