package tlsutil

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
)

// VersionNames gives the names that [ParseVersion] takes.
func VersionNames() []string { return []string{"1.2", "1.3"} }

// ParseVersion gives the TLS version of that name.
func ParseVersion(name string) (uint16, error) {
	switch name {
	case "1.2":
		return tls.VersionTLS12, nil
	case "1.3":
		return tls.VersionTLS13, nil
	case "1.0", "1.1":
		return 0, fmt.Errorf("TLS %s is not secure (RFC 8996) and not supported; write \"1.2\" or \"1.3\"", name)
	}
	return 0, fmt.Errorf("%q is not a TLS version; write \"1.2\" or \"1.3\"", name)
}

// CipherSuiteNames gives the names that [ParseCipherSuite] takes: the TLS 1.2
// suites of crypto/tls with forward secrecy, by their IANA names.
func CipherSuiteNames() []string {
	var names []string
	for _, s := range tls.CipherSuites() {
		if forTLS12(s) {
			names = append(names, s.Name)
		}
	}
	return names
}

// ParseCipherSuite gives the TLS 1.2 suite of that name. The error for any
// other suite says why it cannot be chosen.
func ParseCipherSuite(name string) (uint16, error) {
	for _, s := range tls.CipherSuites() {
		switch {
		case s.Name == name && forTLS12(s):
			return s.ID, nil
		case s.Name == name:
			return 0, fmt.Errorf("%s is a suite of TLS 1.3, where all suites are secure and always on; remove it", name)
		case forTLS12(s) && opensslName(s.Name) == strings.ToUpper(name):
			return 0, fmt.Errorf("%q is OpenSSL's name; write the IANA name %q", name, s.Name)
		}
	}
	for _, s := range tls.InsecureCipherSuites() {
		if s.Name == name {
			return 0, fmt.Errorf("%s is not secure and not supported; remove it, or leave cipher_suites out for the secure default", name)
		}
	}
	return 0, fmt.Errorf("%q is not a TLS 1.2 cipher suite; write one of %s", name, strings.Join(CipherSuiteNames(), ", "))
}

func forTLS12(s *tls.CipherSuite) bool {
	return slices.Contains(s.SupportedVersions, tls.VersionTLS12)
}

// opensslName gives the name which most other servers' configurations have
// for a suite: TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 is
// ECDHE-RSA-AES128-GCM-SHA256 there.
func opensslName(iana string) string {
	return strings.NewReplacer(
		"TLS_", "", "_WITH", "", "_CBC", "", "POLY1305_SHA256", "POLY1305",
		"AES_", "AES", "_", "-",
	).Replace(iana)
}

// curves are the key exchanges by the names of the IANA registry, or NIST's
// where those are the ones in use.
var curves = []struct {
	name string
	id   tls.CurveID
}{
	{"X25519MLKEM768", tls.X25519MLKEM768},
	{"SecP256r1MLKEM768", tls.SecP256r1MLKEM768},
	{"SecP384r1MLKEM1024", tls.SecP384r1MLKEM1024},
	{"X25519", tls.X25519},
	{"P-256", tls.CurveP256},
	{"P-384", tls.CurveP384},
	{"P-521", tls.CurveP521},
}

// CurveNames gives the names that [ParseCurve] takes.
func CurveNames() []string {
	names := make([]string, len(curves))
	for i, c := range curves {
		names[i] = c.name
	}
	return names
}

// ParseCurve gives the key exchange of that name. The order in which curves
// are listed has no meaning to crypto/tls, which has its own.
func ParseCurve(name string) (tls.CurveID, error) {
	for _, c := range curves {
		if c.name == name {
			return c.id, nil
		}
	}
	return 0, fmt.Errorf("%q is not a known curve; write one of %s", name, strings.Join(CurveNames(), ", "))
}

// CurveForTLS12 reports whether a client of TLS 1.2 can use the key exchange:
// the ones with a post-quantum part are for TLS 1.3 alone.
func CurveForTLS12(id tls.CurveID) bool {
	switch id {
	case tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024:
		return false
	}
	return true
}

// suiteForRSA reports whether a TLS 1.2 suite goes with RSA certificates; the
// others go with ECDSA and Ed25519 ones (RFC 8422 §5.10).
func suiteForRSA(name string) bool { return strings.Contains(name, "_RSA_") }
