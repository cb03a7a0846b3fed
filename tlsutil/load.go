package tlsutil

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
)

// minRSABits is the shortest RSA key that is served. Shorter ones have been
// refused by browsers and public CAs since 2014, and crypto/rsa itself will
// not sign below 1024.
const minRSABits = 2048

// LoadCertificate reads a PEM certificate chain, leaf first, and its PEM
// private key; both may stand in one file. It checks that they belong
// together and that a TLS client could use them, but not the dates: an
// expired certificate is the caller's to judge. Errors are [*LoadError], with
// File set to the file that is to blame.
func LoadCertificate(certFile, keyFile string) (*Certificate, error) {
	chain, err := loadChain(certFile)
	if err != nil {
		return nil, err
	}
	key, err := loadKey(keyFile)
	if err != nil {
		return nil, err
	}
	c := &Certificate{CertFile: certFile, KeyFile: keyFile}
	c.PrivateKey = key
	c.Leaf = chain[0]
	for _, cert := range chain {
		c.Certificate.Certificate = append(c.Certificate.Certificate, cert.Raw)
	}
	if i := certificateOf(key, chain); i > 0 {
		return nil, &LoadError{
			File:    certFile,
			Problem: "certificates in wrong order",
			Fix: fmt.Sprintf("the key in %q belongs to certificate %d of the file; "+
				"put the server's own certificate first, then the ones that signed it", keyFile, i+1),
		}
	} else if i < 0 {
		return nil, &LoadError{
			File:    keyFile,
			Problem: "key does not match certificate",
			Fix:     fmt.Sprintf("the certificate in %q was issued for another key; give the key it was requested with", certFile),
		}
	}
	return c, nil
}

// certificateOf gives the index of the certificate that holds the key's
// public half, or -1.
func certificateOf(key crypto.Signer, chain []*x509.Certificate) int {
	pub, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok {
		panic(fmt.Sprintf("BUG: public key of type %T cannot be compared", key.Public()))
	}
	for i, cert := range chain {
		if pub.Equal(cert.PublicKey) {
			return i
		}
	}
	return -1
}

// loadChain gives the certificates of a file, at least one. Blocks of other
// kinds are passed over, because a file may hold the key too.
func loadChain(file string) ([]*x509.Certificate, error) {
	return loadCertificates(file, func(pemBlock) error { return nil })
}

// loadCertificates gives the certificates of a file, at least one. other decides
// about blocks of another kind.
func loadCertificates(file string, other func(pemBlock) error) ([]*x509.Certificate, error) {
	data, err := readFile(file)
	if err != nil {
		return nil, err
	}
	blocks, err := pemBlocks(file, data)
	if err != nil {
		return nil, err
	}
	var certs []*x509.Certificate
	for _, b := range blocks {
		if b.Type != "CERTIFICATE" {
			if err := other(b); err != nil {
				return nil, err
			}
			continue
		}
		cert, err := parseCertificate(file, b)
		if err != nil {
			return nil, err
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, noCertificate(file, data)
	}
	return certs, nil
}

func parseCertificate(file string, b pemBlock) (*x509.Certificate, error) {
	cert, err := x509.ParseCertificate(b.Bytes)
	if err != nil {
		return nil, &LoadError{
			File:    file,
			Problem: "invalid certificate",
			Fix:     fmt.Sprintf("the block that begins in line %d is not a certificate (%v); have it issued again", b.line, err),
			Err:     err,
		}
	}
	return cert, nil
}

func noCertificate(file string, data []byte) error {
	fix := "give a file with a block that begins with -----BEGIN CERTIFICATE-----"
	if looksLikeDER(data) {
		fix = fmt.Sprintf("it seems to be DER; convert it: openssl x509 -inform der -in %s -out new.pem", file)
	}
	return &LoadError{File: file, Problem: "no PEM certificate found", Fix: fix}
}

// loadKey gives the one private key of a file. Parameters and certificates
// beside it are passed over.
func loadKey(file string) (crypto.Signer, error) {
	data, err := readFile(file)
	if err != nil {
		return nil, err
	}
	blocks, err := pemBlocks(file, data)
	if err != nil {
		return nil, err
	}
	var keys []pemBlock
	for _, b := range blocks {
		if strings.HasSuffix(b.Type, "PRIVATE KEY") {
			keys = append(keys, b)
		}
	}
	switch {
	case len(keys) == 0 && looksLikeDER(data):
		return nil, &LoadError{File: file, Problem: "no PEM private key found",
			Fix: fmt.Sprintf("it seems to be DER; convert it: openssl pkey -inform der -in %s -out new.key", file)}
	case len(keys) == 0:
		return nil, &LoadError{File: file, Problem: "no PEM private key found",
			Fix: "give a file with a block that begins with -----BEGIN PRIVATE KEY-----"}
	case len(keys) > 1:
		return nil, &LoadError{File: file, Problem: "several private keys found",
			Fix: fmt.Sprintf("the file holds %d; keep only the one which the certificate was issued for", len(keys))}
	}
	return parseKey(file, keys[0])
}

func parseKey(file string, b pemBlock) (crypto.Signer, error) {
	if b.Type == "ENCRYPTED PRIVATE KEY" || b.Headers["DEK-Info"] != "" {
		return nil, &LoadError{File: file, Problem: "encrypted private key",
			Fix: fmt.Sprintf("nobody is there to type a passphrase; decrypt it: openssl pkey -in %s -out new.key, "+
				"and let only the gateway's user read it", file)}
	}
	var key any
	var err error
	switch b.Type {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(b.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(b.Bytes)
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(b.Bytes)
	default:
		return nil, unsupportedKey(file, fmt.Sprintf("the block type is %q", b.Type))
	}
	if err != nil {
		return nil, &LoadError{File: file, Problem: "invalid private key",
			Fix: fmt.Sprintf("the block that begins in line %d cannot be read (%v); "+
				"copy the file again from where it came", b.line, err),
			Err: err}
	}
	return usableKey(file, key)
}

// usableKey refuses keys with which every handshake would fail.
func usableKey(file string, key any) (crypto.Signer, error) {
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		if k.Curve == elliptic.P224() {
			return nil, unsupportedKey(file, "TLS has no signatures on the curve P-224")
		}
		return k, nil
	case ed25519.PrivateKey:
		return k, nil
	case *rsa.PrivateKey:
		if bits := k.N.BitLen(); bits < minRSABits {
			return nil, unsupportedKey(file, fmt.Sprintf("an RSA key of %d bits is too short", bits))
		}
		return k, nil
	}
	return nil, unsupportedKey(file, fmt.Sprintf("a key of type %T cannot sign", key))
}

func unsupportedKey(file, why string) error {
	return &LoadError{
		File:    file,
		Problem: "unsupported private key",
		Fix: fmt.Sprintf("%s; use ECDSA (P-256, P-384, P-521), Ed25519, or RSA of at least %d bits",
			why, minRSABits),
	}
}

// isRSA reports whether a certificate goes with RSA suites.
func isRSA(c *tls.Certificate) bool {
	_, ok := c.PrivateKey.(*rsa.PrivateKey)
	return ok
}
