package tlsutil

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Names in client certificates.
//
// A subject alternative name has a type, and a pattern is compared only with
// names of its own type: "billing.example.com" as a DNS name does not match a
// certificate whose URI or mail address happens to contain the same
// characters. Matchers that forgot the type have been bypassed
// (CVE-2022-21656 in Envoy).

type sanType uint8

const (
	sanDNS sanType = iota
	sanURI
	sanIP
	sanEmail
)

// san is a name, or a pattern for names, in the form in which it is compared.
type san struct {
	typ   sanType
	value string
}

// CheckSANPattern reports what is wrong with an entry of allowed_sans. It may
// be a DNS name, "*.example.com" for names with one more label, a URI such as
// spiffe://prod/billing, an IP address or a mail address.
func CheckSANPattern(p string) error {
	_, err := parseSANPattern(p)
	return err
}

func parseSANPattern(p string) (san, error) {
	switch {
	case p == "":
		return san{}, errors.New("an allowed name is empty; remove it")
	case p == "*":
		return san{}, errors.New(`"*" would allow every name; leave allowed_sans out to allow every certificate that a CA signed`)
	case strings.Contains(p, "://") || strings.HasPrefix(strings.ToLower(p), "urn:"):
		return parseURIPattern(p)
	}
	if addr, err := netip.ParseAddr(p); err == nil {
		if addr.Zone() != "" {
			return san{}, fmt.Errorf("%q has a zone, which certificates do not know; remove it", p)
		}
		return san{sanIP, addr.Unmap().String()}, nil
	}
	if _, err := netip.ParsePrefix(p); err == nil {
		return san{}, fmt.Errorf("%q is a network; write the addresses one by one", p)
	}
	if local, domain, ok := strings.Cut(p, "@"); ok {
		if local == "" || strings.Contains(local, "*") || checkDNSName(domain) != nil {
			return san{}, fmt.Errorf("%q is not a mail address; write one in full, without wildcards", p)
		}
		return canonicalEmail(p), nil
	}
	if err := checkDNSName(strings.TrimPrefix(p, "*.")); err != nil {
		return san{}, fmt.Errorf("%q %w", p, err)
	}
	return san{sanDNS, strings.ToLower(p)}, nil
}

func parseURIPattern(p string) (san, error) {
	u, err := url.Parse(p)
	if err != nil || u.Scheme == "" || u.Host == "" && u.Opaque == "" && u.Path == "" {
		return san{}, fmt.Errorf("%q is not a URI; write one in full, such as spiffe://prod/billing", p)
	}
	if strings.Contains(p, "*") {
		return san{}, fmt.Errorf("%q has a wildcard, which is for DNS names only; write every URI in full", p)
	}
	return canonicalURI(u), nil
}

// checkDNSName gives the predicate of a sentence about the name.
func checkDNSName(name string) error {
	switch {
	case strings.Contains(name, "*"):
		return errors.New(`has a wildcard in a place where none can be; "*." may stand in front of a name, for one whole label`)
	case strings.HasSuffix(name, "."):
		return errors.New("ends in a dot, which names in certificates do not; remove it")
	case strings.ContainsAny(name, ":/"):
		return errors.New("is not a name; write a DNS name, a URI with its scheme, an IP address or a mail address")
	case len(name) > 253:
		return errors.New("is longer than a DNS name can be (253 characters)")
	}
	labels := strings.Split(name, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || strings.ContainsFunc(l, notInLabel) {
			return errors.New("is not a DNS name; write labels of letters, digits, - and _ of at most 63 characters, " +
				"and other scripts in their xn-- form")
		}
	}
	if strings.Trim(labels[len(labels)-1], "0123456789") == "" {
		return errors.New("is neither an IP address nor a DNS name, whose last label is never a number")
	}
	return nil
}

func notInLabel(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
}

// canonicalURI lowers what RFC 3986 §6.2.2.1 calls case-insensitive.
func canonicalURI(u *url.URL) san {
	c := *u
	c.Scheme = strings.ToLower(c.Scheme)
	c.Host = strings.ToLower(c.Host)
	return san{sanURI, c.String()}
}

// canonicalEmail lowers the domain; what stands before it is the business of
// the domain's own mail server (RFC 5321 §2.4).
func canonicalEmail(addr string) san {
	at := strings.LastIndexByte(addr, '@')
	return san{sanEmail, addr[:at+1] + strings.ToLower(addr[at+1:])}
}

// matches reports whether the pattern s allows the name n of a certificate.
func (s san) matches(n san) bool {
	if s == n {
		return true
	}
	if s.typ != sanDNS || n.typ != sanDNS || !strings.HasPrefix(s.value, "*.") {
		return false
	}
	wildcard, ok := wildcardFor(n.value)
	return ok && s.value == wildcard
}

// certificateSANs gives all names of a certificate, those of workloads first.
func certificateSANs(c *x509.Certificate) []san {
	var names []san
	for _, u := range c.URIs {
		names = append(names, canonicalURI(u))
	}
	for _, n := range c.DNSNames {
		names = append(names, san{sanDNS, strings.ToLower(n)})
	}
	for _, a := range c.EmailAddresses {
		names = append(names, canonicalEmail(a))
	}
	for _, ip := range c.IPAddresses {
		if addr, ok := netip.AddrFromSlice(ip); ok {
			names = append(names, san{sanIP, addr.Unmap().String()})
		}
	}
	return names
}

// allowed reports whether one of the names matches one of the patterns.
func allowed(patterns, names []san) bool {
	return slices.ContainsFunc(names, func(n san) bool {
		return slices.ContainsFunc(patterns, func(p san) bool { return p.matches(n) })
	})
}

// What one certificate may add to an access record. A CA may sign hundreds of
// names, and a record is one line of a log.
const (
	maxPeerSANs     = 8
	maxPeerSANBytes = 256
)

// PeerSANs gives the names in the client's certificate for the access record:
// URIs first, then DNS names, mail and IP addresses, in lower case where case
// has no meaning. At most 8 are given, and one of more than 256 bytes is cut
// and ends in "...". Without a client certificate there is none. The names
// are those of a client that was accepted only after the handshake.
func PeerSANs(cs *tls.ConnectionState) []string {
	if len(cs.PeerCertificates) == 0 {
		return nil
	}
	names := certificateSANs(cs.PeerCertificates[0])
	names = names[:min(len(names), maxPeerSANs)]
	out := make([]string, 0, len(names))
	for _, n := range names {
		if len(n.value) > maxPeerSANBytes {
			n.value = n.value[:maxPeerSANBytes-len("...")] + "..."
		}
		out = append(out, n.value)
	}
	return out
}
