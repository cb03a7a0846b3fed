package tlsutil

import (
	"crypto/tls"
	"slices"
	"strings"
	"time"
)

// Certificate is a certificate chain with its private key, as it was loaded:
// Leaf is always set. It is never changed afterwards and may be shared
// between chains, configurations and goroutines.
type Certificate struct {
	tls.Certificate
	CertFile, KeyFile string // as the user named them
}

// Covers reports whether a client that asks for name, in any letter case and
// with or without a trailing dot, finds that name in the certificate. Only
// subject alternative names count, and "*.example.com" in a certificate
// stands for exactly one label (RFC 6125 §6.4.3).
//
// The name may be a server_names wildcard. Those match at any depth, which no
// certificate can, so "*.example.com" counts as covered when the certificate
// says "*.example.com": at the depth at which such names are used.
func (c *Certificate) Covers(name string) bool {
	name = canonicalName(name)
	names := c.names()
	if slices.Contains(names, name) {
		return true
	}
	wildcard, ok := wildcardFor(name)
	return ok && slices.Contains(names, wildcard)
}

// NotAfter gives the end of the leaf's validity.
func (c *Certificate) NotAfter() time.Time { return c.Leaf.NotAfter }

// Expired reports whether a client would call the certificate expired.
func (c *Certificate) Expired(now time.Time) bool { return now.After(c.Leaf.NotAfter) }

// names gives the DNS names of the leaf in their canonical form.
func (c *Certificate) names() []string {
	names := make([]string, len(c.Leaf.DNSNames))
	for i, n := range c.Leaf.DNSNames {
		names[i] = canonicalName(n)
	}
	return names
}

// canonicalName gives the one form in which host names are compared: lower
// case, without the dot that marks a name as absolute.
func canonicalName(name string) string {
	return strings.ToLower(strings.TrimSuffix(name, "."))
}

// wildcardFor gives the only wildcard that can stand for a name, which is the
// name with its first label replaced; a name of one label has none.
func wildcardFor(name string) (wildcard string, ok bool) {
	first, rest, ok := strings.Cut(name, ".")
	if !ok || first == "" || rest == "" {
		return "", false
	}
	return "*." + rest, true
}
