package config

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

const kindServerName = `a server name such as "app.example.com" or "*.example.com"`

// Lengths of names (RFC 1035 §2.3.4), without the trailing dot.
const (
	maxServerName = 253
	maxLabelDNS   = 63
)

// parseServerName brings a server name into the form in which names are
// compared: lower case, without a trailing dot. "*.x" matches every name
// below x at any depth. The errors continue a sentence that begins with the
// name. What is not a name that a client can send is refused, because a chain
// for it would wait forever.
func parseServerName(s string) (string, error) {
	name := strings.TrimSuffix(s, ".")
	base, wildcard := strings.CutPrefix(name, "*.")
	switch {
	case name == "":
		return "", errors.New("is empty: write a name, or leave out server_names to match every connection")
	case name == "*":
		return "", errors.New("would match every name: leave out server_names instead, which also matches connections without one")
	case strings.Contains(s, "://"):
		return "", fmt.Errorf("has a scheme in it: write the name alone, %q", bareHost(s))
	case isLiteral(name):
		return "", errors.New("is an IP address, which clients never send as a server name (RFC 6066 §3): match on destination_prefix_ranges")
	case strings.ContainsAny(s, "/"):
		return "", fmt.Errorf("has a path in it: write the name alone, %q", bareHost(s))
	case strings.Contains(s, ":"):
		return "", fmt.Errorf("has a port in it: write the name alone, %q, and the port as destination_port", bareHost(s))
	case strings.Contains(base, "*"):
		return "", errors.New(`has a wildcard that is not its whole first label: write "*.example.com", which matches every name below example.com`)
	case len(name) > maxServerName:
		return "", fmt.Errorf("has %d bytes: a name has at most %d", len(name), maxServerName)
	}
	for label := range strings.SplitSeq(base, ".") {
		if err := checkLabel(label); err != nil {
			return "", err
		}
	}
	if wildcard && isLiteral(base) {
		return "", errors.New("is a wildcard below an IP address: no name matches it")
	}
	return strings.ToLower(name), nil
}

// checkLabel checks one label of a name. Underscores are not for host names,
// but clients send them.
func checkLabel(label string) error {
	switch {
	case label == "":
		return errors.New("has two dots in a row or one at its beginning: write every label between the dots")
	case len(label) > maxLabelDNS:
		return fmt.Errorf("has a label of %d bytes: a label has at most %d", len(label), maxLabelDNS)
	}
	for _, c := range label {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		case c > 0x7f:
			return errors.New(`is not ASCII: write the name in punycode as clients send it, with labels that begin with "xn--"`)
		default:
			return fmt.Errorf("has the character %q in it: a name consists of letters, digits, hyphens and underscores between dots", c)
		}
	}
	return nil
}

func isLiteral(name string) bool {
	if _, err := netip.ParseAddrPort(name); err == nil {
		return true
	}
	_, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return err == nil
}

// bareHost is what is left of a URL or of host:port.
func bareHost(s string) string {
	if _, rest, ok := strings.Cut(s, "://"); ok {
		s = rest
	}
	s, _, _ = strings.Cut(s, "/")
	s, _, _ = strings.Cut(s, ":")
	return s
}

const kindALPN = `a protocol name such as "h2"`

// parseALPN checks the name of an application protocol (RFC 7301 §3.1).
func parseALPN(s string) (string, error) {
	switch {
	case s == "":
		return "", errors.New(`is empty: write a protocol name such as "h2" or "http/1.1"`)
	case len(s) > 255:
		return "", fmt.Errorf("has %d bytes: a protocol name has at most 255", len(s))
	}
	return s, nil
}
