package tlsutil

import (
	"bytes"
	"crypto/x509"
	"fmt"
)

// maxCANames is the most that the names of all CAs may take in the message that
// asks a client for its certificate: its list holds 65,535 bytes (RFC 5246
// §7.4.4), and of the extensions of TLS 1.3, which hold no more together (RFC
// 8446 §4.3.2), the others take less than the rest. crypto/tls always sends the
// list, and with a longer one no handshake can succeed.
const maxCANames = 65_000

// LoadCAs reads the CAs that may sign client certificates from a PEM file.
// Every block must be a certificate that parses, and there must be one: a
// list that is shorter than its author thinks would refuse good clients, and
// an empty one means "any CA of this machine" to crypto/tls. A certificate
// that is not a CA is taken too and trusts itself alone. Errors are
// [*LoadError].
func LoadCAs(file string) (*x509.CertPool, error) {
	cas, err := LoadCACertificates(file)
	if err != nil {
		return nil, err
	}
	return NewCAPool(file, cas)
}

// NewCAPool is [LoadCAs] for CAs that were read from the file already.
func NewCAPool(file string, cas []*x509.Certificate) (*x509.CertPool, error) {
	pool, names := x509.NewCertPool(), 0
	seen := make(map[string]bool) // as the pool has each once
	for _, ca := range cas {
		if pool.AddCert(ca); !seen[string(ca.Raw)] {
			seen[string(ca.Raw)] = true
			names += 2 + len(ca.RawSubject) // each behind its length
		}
	}
	if names > maxCANames {
		return nil, &LoadError{File: file, Problem: "too many CAs",
			Fix: fmt.Sprintf("the names of its %d CAs take %d bytes in a handshake, and there is room for %d; "+
				"leave out CAs that no client needs, or divide them among several chains", len(seen), names, maxCANames)}
	}
	return pool, nil
}

// LoadCACertificates is [LoadCAs] for who wants to look at the CAs, in the
// order of the file.
func LoadCACertificates(file string) ([]*x509.Certificate, error) {
	return loadCertificates(file, func(b pemBlock) error {
		return unexpectedBlock(file, b, "ca_file takes only CERTIFICATE blocks")
	})
}

// RevocationList is a certificate revocation list with the CA that signed it.
// It never changes.
type RevocationList struct {
	*x509.RevocationList
	signer *x509.Certificate
}

// LoadCRL reads certificate revocation lists, PEM or one in DER. Each must be
// signed by a CA of caFile, the file that [LoadCAs] reads for the same
// clients. Lists which cover only a part of what their CA issued (delta,
// indirect and partitioned ones) are refused, since what such a list does not
// mention may still be revoked. A list past its next update is loaded, so
// that it cannot keep the gateway from starting; the handshakes that need it
// are refused. Errors are [*LoadError].
func LoadCRL(file, caFile string) ([]*RevocationList, error) {
	cas, err := LoadCACertificates(caFile)
	if err != nil {
		return nil, err
	}
	data, err := readFile(file)
	if err != nil {
		return nil, err
	}
	ders, err := crlBlocks(file, data)
	if err != nil {
		return nil, err
	}
	var lists []*RevocationList
	for i, der := range ders {
		list, err := x509.ParseRevocationList(der)
		if err != nil {
			return nil, &LoadError{File: file, Problem: "invalid revocation list",
				Fix: fmt.Sprintf("list %d of the file cannot be read (%v); fetch it again from its CA", i+1, err),
				Err: err}
		}
		signer, err := checkCRL(file, caFile, list, cas)
		if err != nil {
			return nil, err
		}
		lists = append(lists, &RevocationList{list, signer})
	}
	return lists, nil
}

func crlBlocks(file string, data []byte) ([][]byte, error) {
	if looksLikeDER(data) {
		return [][]byte{data}, nil
	}
	blocks, err := pemBlocks(file, data)
	if err != nil {
		return nil, err
	}
	var ders [][]byte
	for _, b := range blocks {
		if b.Type != "X509 CRL" {
			return nil, unexpectedBlock(file, b, "crl_file takes only X509 CRL blocks")
		}
		ders = append(ders, b.Bytes)
	}
	if len(ders) == 0 {
		return nil, &LoadError{File: file, Problem: "no revocation list found",
			Fix: "give a DER list, or a file with a block that begins with -----BEGIN X509 CRL-----"}
	}
	return ders, nil
}

// checkCRL gives the CA that signed a list, which has to be a complete one.
// Whatever narrows a list is a critical extension (RFC 5280 §5.2.4, §5.2.5),
// and a list with a critical extension that is not understood must not be used
// (§5.2).
func checkCRL(file, caFile string, list *x509.RevocationList, cas []*x509.Certificate) (*x509.Certificate, error) {
	for _, ext := range list.Extensions {
		if ext.Critical {
			return nil, &LoadError{File: file, Problem: "unsupported revocation list",
				Fix: fmt.Sprintf("the list of %q has the critical extension %v, so it covers only a part of its CA's "+
					"certificates; have the CA issue a complete list", list.Issuer, ext.Id)}
		}
	}
	fix := fmt.Sprintf("no CA in %q is named %q; add that CA to the file, or remove the list", caFile, list.Issuer)
	var cause error
	for _, ca := range cas {
		if !bytes.Equal(ca.RawSubject, list.RawIssuer) {
			continue
		}
		if cause = list.CheckSignatureFrom(ca); cause == nil {
			return ca, nil
		}
		fix = fmt.Sprintf("the CA %q in %q did not sign it (%v); fetch the list again from that CA", list.Issuer, caFile, cause)
	}
	return nil, &LoadError{File: file, Problem: "revocation list not trusted", Fix: fix, Err: cause}
}

func unexpectedBlock(file string, b pemBlock, rule string) error {
	return &LoadError{
		File:    file,
		Problem: "unexpected PEM block",
		Fix:     fmt.Sprintf("line %d begins a block of type %q; %s, so remove it", b.line, b.Type, rule),
	}
}
