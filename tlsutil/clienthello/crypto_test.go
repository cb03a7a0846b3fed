package clienthello_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"sluice/tlsutil/clienthello"
	"sluice/tlsutil/clienthello/hellotest"
)

// The oracle of this file is a crypto/tls server that is stopped as soon as
// it has read the hello.

// stricter are the reasons for which we refuse what crypto/tls accepts.
var stricter = map[string]string{
	"data after the hello in its record":          "crypto/tls refuses later, before it changes keys",
	"alert before the hello":                      "crypto/tls skips some warnings",
	"TLS record of another major version than 3":  "crypto/tls takes any version below 16.0; to us it is not_tls and suspect",
	"another record type within the hello":        "the same",
	"another protocol version within the hello":   "crypto/tls takes any version below 16.0",
	"hello spread over more than 64 records":      "crypto/tls has no limit",
	"hello larger than inspect.max_bytes":         "crypto/tls does not count record headers",
	"legacy_session_id longer than 32 bytes":      "RFC 8446 §4.1.2",
	"malformed cipher_suites":                     "an empty list; RFC 8446 §4.1.2",
	"empty legacy_compression_methods":            "RFC 8446 §4.1.2",
	"malformed encrypted_client_hello extension":  "RFC 9849 §5; crypto/tls takes it empty, and data after it",
	"host name longer than 253 bytes":             "crypto/tls does not look into names",
	"host name with a byte that no host name has": "the same",
	"host name with an empty label":               "the same",
	"host name with a label longer than 63 bytes": "the same",
}

// serverReads gives what a crypto/tls server reads out of b, nil if it
// refuses or waits for more.
func serverReads(b []byte) (info *tls.ClientHelloInfo) {
	stop := errors.New("stop")
	server := tls.Server(silentConn{Reader: bytes.NewReader(b)}, &tls.Config{
		GetConfigForClient: func(i *tls.ClientHelloInfo) (*tls.Config, error) {
			info = i
			return nil, stop
		},
	})
	server.Handshake()
	return info
}

// silentConn has sent all of its Reader and swallows what it is sent. What
// else a Conn has is not used in a handshake without deadline.
type silentConn struct {
	net.Conn
	io.Reader
}

func (c silentConn) Read(b []byte) (int, error)  { return c.Reader.Read(b) }
func (c silentConn) Write(b []byte) (int, error) { return len(b), nil }
func (c silentConn) Close() error                { return nil }

// checkAgainstCryptoTLS holds that we read what crypto/tls reads, or refuse
// for a known reason; and that we do not take what it refuses on account of
// what we look into.
func checkAgainstCryptoTLS(t *testing.T, b []byte) {
	t.Helper()
	ours := parse(b, maxHello)
	if theirs := serverReads(b); theirs != nil {
		switch {
		case ours.Outcome.Complete():
			compare(t, ours, theirs)
		case stricter[ours.Reason] == "":
			t.Errorf("crypto/tls reads name %q, protocols %q; we say %v (%s)", theirs.ServerName, theirs.SupportedProtos, ours.Outcome, ours.Reason)
		}
	}
	if !ours.Outcome.Complete() {
		return
	}
	// crypto/tls may have refused an extension that is nothing to us, or the
	// name for one of the reasons that doc.go gives.
	theirs := serverReads(essential(b[:ours.Size], ours.Outcome != clienthello.NoSNI))
	switch {
	case ours.TrailingDot:
		if theirs != nil {
			t.Error("crypto/tls accepts a trailing dot")
		}
	case theirs == nil:
		t.Errorf("crypto/tls refuses what we read as %+v", ours)
	default:
		compare(t, ours, theirs)
	}
}

func compare(t *testing.T, ours result, theirs *tls.ClientHelloInfo) {
	t.Helper()
	name := strings.ToLower(theirs.ServerName)
	_, err := netip.ParseAddr(strings.Trim(name, "[]"))
	if name != ours.Name && !(ours.Name == "" && err == nil) {
		t.Errorf("our name is %q, that of crypto/tls %q", ours.Name, theirs.ServerName)
	}
	if !slices.Equal(ours.ALPN, theirs.SupportedProtos) {
		t.Errorf("our protocols are %q, those of crypto/tls %q", ours.ALPN, theirs.SupportedProtos)
	}
	// Without supported_versions crypto/tls lists all that it knows up to
	// legacy_version, and we give that alone.
	var upTo []uint16
	for v := uint16(tls.VersionTLS13); v >= tls.VersionTLS10; v-- {
		if v <= ours.Versions[0] {
			upTo = append(upTo, v)
		}
	}
	if !slices.Equal(ours.Versions, theirs.SupportedVersions) &&
		!(len(ours.Versions) == 1 && slices.Equal(upTo, theirs.SupportedVersions)) {
		t.Errorf("our versions are %x, those of crypto/tls %x", ours.Versions, theirs.SupportedVersions)
	}
}

// essential makes a hello out of the records of one, with only those
// extensions that we look into. The hello is known to be well-formed.
func essential(records []byte, named bool) []byte {
	var message []byte
	for len(records) > 0 {
		end := 5 + int(binary.BigEndian.Uint16(records[3:]))
		message = append(message, records[5:end]...)
		records = records[end:]
	}
	at := 4 + 2 + 32                                     // header, version, random
	at += 1 + int(message[at])                           // session id
	at += 2 + int(binary.BigEndian.Uint16(message[at:])) // cipher suites
	at += 1 + int(message[at])                           // compression methods
	if at == len(message) {
		return hellotest.Records(message)
	}
	var kept []byte
	for rest := message[at+2:]; len(rest) > 0; {
		end := 4 + int(binary.BigEndian.Uint16(rest[2:]))
		switch binary.BigEndian.Uint16(rest) {
		case hellotest.ExtServerName:
			if named {
				kept = append(kept, rest[:end]...)
			}
		case hellotest.ExtALPN, hellotest.ExtSupportedVersions, hellotest.ExtEarlyData, hellotest.ExtECH:
			kept = append(kept, rest[:end]...)
		}
		rest = rest[end:]
	}
	return hellotest.Records(hellotest.Handshake(1, append(message[4:at:at], prefixed(kept)...)))
}

func TestAgainstCryptoTLS(t *testing.T) {
	for _, v := range slices.Concat(hellotest.Vectors(), hellotest.Cuts()) {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			checkAgainstCryptoTLS(t, v.Bytes)
		})
	}
}

// The vectors that are to be routed must be hellos that a server takes, or
// they would prove nothing about a gateway in front of one.
func TestRoutedVectorsAreRealHellos(t *testing.T) {
	for _, v := range hellotest.Vectors() {
		if !v.Want.Complete() || v.Name == "trailing_dot" || v.Name == "empty_name" || v.Name == "ipv4_literal_trailing_dot" {
			continue // crypto/tls refuses these
		}
		if serverReads(v.Bytes) == nil {
			t.Errorf("crypto/tls refuses %s", v.Name)
		}
	}
}

// Why bytes of another version must not go where nobody asked for them: there
// are servers that read a name in them. The vectors whose version is below 16
// and that are not led by a change_cipher_spec are hellos to crypto/tls.
func TestSuspectVectorsAreHellosToSomebody(t *testing.T) {
	taken := 0
	for _, v := range hellotest.Vectors() {
		if !v.Suspect {
			continue
		}
		info := serverReads(v.Bytes)
		if want := v.Bytes[0] != hellotest.RecordChangeCipherSpec && v.Bytes[1] < 16; want != (info != nil) {
			t.Errorf("%s: crypto/tls reads it: %v, want %v", v.Name, info != nil, want)
		}
		if info != nil && info.ServerName != "a.test" {
			t.Errorf("%s: crypto/tls reads the name %q", v.Name, info.ServerName)
		}
		if info != nil {
			taken++
		}
	}
	if taken == 0 {
		t.Error("crypto/tls takes none of them: their treatment may be relaxed")
	}
}

func FuzzAgainstCryptoTLS(f *testing.F) {
	addSeeds(f)
	f.Fuzz(checkAgainstCryptoTLS)
}

// FuzzExtensionsAgainstCryptoTLS has lengths made right around what it
// varies, which bare bytes seldom survive: a name in a server_name extension,
// any two extensions after it, and a cut into records.
func FuzzExtensionsAgainstCryptoTLS(f *testing.F) {
	server, protocols := hellotest.ServerName("b.test").Data, hellotest.ALPN("h2").Data
	f.Add("a.test", uint16(hellotest.ExtALPN), protocols, uint16(hellotest.ExtSupportedVersions), []byte{2, 3, 4}, uint16(9))
	f.Add("A.test.", uint16(hellotest.ExtServerName), server, uint16(hellotest.ExtEarlyData), []byte{}, uint16(90))
	f.Add("", uint16(hellotest.ExtServerName), server, uint16(hellotest.ExtPreSharedKey), []byte{0}, uint16(70))
	f.Add("::1", uint16(hellotest.ExtECH), hellotest.ECHOuter().Data, uint16(0x7a7a), []byte{}, uint16(1))
	f.Fuzz(func(t *testing.T, name string, type1 uint16, data1 []byte, type2 uint16, data2 []byte, cut uint16) {
		if len(name)+len(data1)+len(data2) > 16_000 {
			return
		}
		b := hellotest.Builder{OnlyExtensions: true, Extensions: []hellotest.Extension{{Type: type1, Data: data1}, {Type: type2, Data: data2}}}
		if name != "" { // without one, a server_name extension may be among the two
			b.Extensions = append([]hellotest.Extension{hellotest.ServerName(name)}, b.Extensions...)
		}
		message := b.Message()
		records := hellotest.Records(message, 1+int(cut)%(len(message)-1))
		checkAgainstCryptoTLS(t, records)
		checkPrefixes(t, records, maxHello, 1+len(records)/64)
	})
}
