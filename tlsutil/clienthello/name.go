package clienthello

import "bytes"

const (
	// maxNameLen and maxLabelLen are the limits of DNS (RFC 1035 §2.3.4) for
	// a name written with dots and without the one of the root.
	maxNameLen  = 253
	maxLabelLen = 63

	// maxAddressLen is the length of the longest literal, an IPv4 address
	// mapped into IPv6 and written in full, in brackets.
	maxAddressLen = len("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]")
)

// setName takes the host_name of the hello. An IP address or nothing at all
// is no name; anything else that is no DNS name is refused rather than
// ignored, so that it cannot reach a default chain (`a.test` + NUL would, and
// a server that reads C strings would serve a.test).
//
// The underscore is allowed because names in use have it, and hyphens
// anywhere for the same reason. Internationalised names come as A-labels
// (RFC 6066 §3).
func (h *Hello) setName(raw []byte) (reason string) {
	host := raw
	if n := len(raw); n > 1 && raw[n-1] == '.' {
		host = raw[:n-1]
	}
	if len(host) == 0 || IsAddress(host) {
		return ""
	}
	if len(host) > maxNameLen {
		return "host name longer than 253 bytes"
	}
	label := 0
	for i, c := range host {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
			label++
		case c != '.':
			return "host name with a byte that no host name has"
		case label == 0:
			return "host name with an empty label"
		default:
			label = 0
		}
		if label > maxLabelLen {
			return "host name with a label longer than 63 bytes"
		}
		h.name[i] = c
	}
	if label == 0 {
		return "host name with an empty label"
	}
	h.nameLen = uint8(len(host))
	h.trailingDot = len(host) != len(raw)
	return ""
}

// IsAddress reports whether s is an IP address: IPv4 in four decimal numbers
// (without leading zeros), or IPv6 (RFC 4291 §2.2), bare or in brackets. A
// zone is not part of an address. A hello that gives such a host name has none
// ([NoSNI]); who reads the name elsewhere has to ask here whether it is one.
func IsAddress(s []byte) bool {
	if len(s) > maxAddressLen {
		return false
	}
	if n := len(s); n > 2 && s[0] == '[' && s[n-1] == ']' {
		return isIPv6(s[1 : n-1])
	}
	if bytes.IndexByte(s, ':') >= 0 {
		return isIPv6(s)
	}
	return isIPv4(s)
}

func isIPv4(s []byte) bool {
	for part := range 4 {
		n, value := 0, 0
		for n < len(s) && n < 3 && '0' <= s[n] && s[n] <= '9' {
			value = value*10 + int(s[n]-'0')
			n++
		}
		if n == 0 || value > 255 || n > 1 && s[0] == '0' {
			return false
		}
		if s = s[n:]; part == 3 {
			break
		}
		if len(s) == 0 || s[0] != '.' {
			return false
		}
		s = s[1:]
	}
	return len(s) == 0
}

// isIPv6 counts groups of up to four digits. "::" stands for one group or
// more, once; an IPv4 address at the end stands for two.
func isIPv6(s []byte) bool {
	groups, gap := 0, false
	if rest, ok := bytes.CutPrefix(s, []byte("::")); ok {
		s, gap = rest, true
		if len(s) == 0 {
			return true
		}
	}
	for {
		n := 0
		for n < len(s) && isHex(s[n]) {
			n++
		}
		if n < len(s) && s[n] == '.' {
			return isIPv4(s) && isWhole(groups+2, gap)
		}
		if n == 0 || n > 4 {
			return false
		}
		groups++
		s = s[n:]
		switch {
		case len(s) == 0:
			return isWhole(groups, gap)
		case bytes.Equal(s, []byte("::")):
			return !gap && isWhole(groups, true)
		case bytes.HasPrefix(s, []byte("::")):
			if gap {
				return false
			}
			gap, s = true, s[2:]
		case s[0] == ':':
			s = s[1:]
		default:
			return false
		}
	}
}

// isWhole reports whether groups make the eight of an address, when a gap
// stands for those that are missing.
func isWhole(groups int, gap bool) bool {
	if gap {
		return groups < 8
	}
	return groups == 8
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}
