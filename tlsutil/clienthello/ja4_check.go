package clienthello

import (
	"errors"
	"fmt"
	"strings"
)

const exampleJA4 = `such as "t13d1516h2_8daaf6152771_e5627efa2ab1"`

// CheckJA4 tells whether some client that uses TCP could have this fingerprint.
// The error continues a sentence that begins with the text, and says what to
// write instead.
func CheckJA4(text string) error {
	if text == "" {
		return errors.New("is empty: write a fingerprint " + exampleJA4)
	}
	if strings.Contains(text, "*") {
		return errors.New("has a wildcard, and fingerprints are compared whole: write each that is meant")
	}
	parts := strings.Split(text, "_")
	switch {
	case isJA4(parts) && text[0] == 'q':
		return errors.New(`is the fingerprint of a QUIC client: those of TCP connections begin with "t"`)
	case isJA4(parts) && text[0] == 'd':
		return errors.New(`is the fingerprint of a DTLS client: those of TCP connections begin with "t"`)
	case isJA4(parts):
		return nil
	case isJA4(lowerHashes(parts)):
		return fmt.Errorf("has a hash in upper case: write %q", strings.Join(lowerHashes(parts), "_"))
	}
	if kind := otherKind(parts); kind != "" {
		return fmt.Errorf("is %s: write a JA4 of TLS clients, %s", kind, exampleJA4)
	}
	return errors.New("is no JA4 fingerprint: write one " + exampleJA4 + ", as the access record has it in its field ja4")
}

// isJA4 tells whether these are the three parts of a fingerprint.
func isJA4(parts []string) bool {
	return len(parts) == 3 && isFirstPart(parts[0]) && isHash(parts[1]) && isHash(parts[2])
}

// isFirstPart: protocol, version, server name, two counts, ALPN.
func isFirstPart(s string) bool {
	if len(s) != len("t13d1516h2") || !strings.ContainsRune("tqd", rune(s[0])) || s[3] != 'd' && s[3] != 'i' {
		return false
	}
	switch s[1:3] {
	case "13", "12", "11", "10", "s3", "s2", "d1", "d2", "d3", "00":
	default:
		return false
	}
	return isDigits(s[4:8]) && isAlphanumeric(s[8]) && isAlphanumeric(s[9])
}

func isHash(s string) bool { return len(s) == len("8daaf6152771") && isLowerHex(s) }

func isLowerHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" && s != "" }

func isDigits(s string) bool { return strings.Trim(s, "0123456789") == "" && s != "" }

func lowerHashes(parts []string) []string {
	if len(parts) != 3 {
		return nil
	}
	return []string{parts[0], strings.ToLower(parts[1]), strings.ToLower(parts[2])}
}

// otherKind says what else it is, if it looks like something that goes by a
// similar name.
func otherKind(parts []string) string {
	first := parts[0]
	switch n := len(parts); {
	case n == 1 && len(first) == 32 && isLowerHex(strings.ToLower(first)):
		return "a JA3 fingerprint (an MD5 hash)"
	case n == 1 && strings.Count(first, ",") == 4:
		return "a JA3 before it is hashed"
	case isFirstPart(first) && n > 1 && strings.Contains(parts[1], ","):
		return "the raw form of a JA4 (JA4_r)"
	case isFirstPart(first) && n < 3:
		return "a part of a fingerprint"
	case n == 3 && len(first) == len("t130200") && len(parts[1]) == 4 && isLowerHex(parts[1]) && isHash(parts[2]):
		return "a JA4S fingerprint, which is of a server's answer"
	case n == 3 && isHash(first) && isHash(parts[1]) && isHash(parts[2]):
		return "a JA4X fingerprint, which is of a certificate"
	case n == 4 && len(first) == len("ge11nn05enus") && isHash(parts[1]):
		return "a JA4H fingerprint, which is of an HTTP request"
	case n == 4 && isDigits(first):
		return "a JA4T fingerprint, which is of a TCP connection"
	}
	return ""
}
