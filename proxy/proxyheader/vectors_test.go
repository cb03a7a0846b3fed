package proxyheader_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

// The vectors are written by hand from the specification, and none of them was
// made with the code under test or the library behind it.

// signature is the first 12 bytes of version 2 (PROXY 2.2).
const signature = "0D0A0D0A 000D0A51 5549540A"

// unhex reads hex digits with spaces anywhere between the bytes.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// vector is a header and what it has to be read as.
type vector struct {
	name string
	text string // of version 1, or
	hex  string // of version 2
	// What it says; both empty: the addresses of the connection hold.
	source, destination string
	tlvs                string // hex
}

func (v vector) bytes(t testing.TB) []byte {
	if v.text != "" {
		return []byte(v.text)
	}
	return unhex(t, v.hex)
}

// good are headers that have to be taken.
var good = []vector{
	{name: "the example of 2.1", text: "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n",
		source: "192.168.0.1:56324", destination: "192.168.0.11:443"},
	{name: "longest TCP4 line", text: "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
		source: "255.255.255.255:65535", destination: "255.255.255.255:65535"},
	{name: "TCP6", text: "PROXY TCP6 2001:db8::1 2001:DB8:0:0:0:0:0:2 1 0\r\n",
		source: "[2001:db8::1]:1", destination: "[2001:db8::2]:0"},
	{name: "longest TCP6 line", text: "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
		source: "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", destination: "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
	{name: "mixed families in version 1", text: "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 1000 443\r\n",
		source: "192.0.2.1:1000", destination: "[2001:db8::2]:443"},
	{name: "UNKNOWN", text: "PROXY UNKNOWN\r\n"},
	{name: "UNKNOWN with addresses", text: "PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n"},
	{name: "UNKNOWN with anything", text: "PROXY UNKNOWN \x00\xff\rwhat ever\r\n"},
	{name: "UNKNOWN, longest line", text: "PROXY UNKNOWN " + strings.Repeat("f", 107-16) + "\r\n"},

	{name: "TCP over IPv4", hex: signature + "21 11 000C  C0A80001 C0A8000B DC04 01BB",
		source: "192.168.0.1:56324", destination: "192.168.0.11:443"},
	{name: "TCP over IPv6", hex: signature + "21 21 0024" +
		"20010DB8000000000000000000000001 20010DB8000000000000000000000002 0001 FFFF",
		source: "[2001:db8::1]:1", destination: "[2001:db8::2]:65535"},
	{name: "mixed families in version 2", hex: signature + "21 21 0024" +
		"20010DB8000000000000000000000001 00000000000000000000FFFFC0000201 0001 01BB",
		source: "[2001:db8::1]:1", destination: "192.0.2.1:443"},
	{name: "TLVs", hex: signature + "21 11 0020  C0A80001 C0A8000B DC04 01BB" +
		"01 0002 6832  02 0001 61  04 0002 0000  EA 0000  05 0000",
		source: "192.168.0.1:56324", destination: "192.168.0.11:443",
		tlvs: "01 0002 6832  02 0001 61  04 0002 0000  EA 0000  05 0000"},
	{name: "LOCAL without anything", hex: signature + "20 00 0000"},
	{name: "LOCAL with addresses", hex: signature + "20 11 000C  C0A80001 C0A8000B DC04 01BB"},
	{name: "LOCAL with a family and no addresses", hex: signature + "20 21 0000"},
	{name: "LOCAL with a family that is none", hex: signature + "20 FF 0000"},
	{name: "LOCAL with a block that is nothing", hex: signature + "20 00 0005  FFFFFFFFFF"},
	{name: "LOCAL with a TLV, as HAProxy sends it", hex: signature + "20 00 0004  02 0001 61", tlvs: "02 0001 61"},
	{name: "UNSPEC", hex: signature + "21 00 0000"},
	{name: "UNSPEC with a TLV", hex: signature + "21 00 0004  02 0001 61", tlvs: "02 0001 61"},
	{name: "UDP over IPv4, which is as UNSPEC", hex: signature + "21 12 000C  C0A80001 C0A8000B DC04 01BB"},
	{name: "UDP over IPv6, with a TLV", hex: signature + "21 22 0028" + strings.Repeat("01", 36) + "02 0001 61", tlvs: "02 0001 61"},
	{name: "UNIX stream", hex: signature + "21 31 00D8" + strings.Repeat("2F", 216)},
	{name: "UNIX datagram", hex: signature + "21 32 00D8" + strings.Repeat("00", 216)},
	// The checksum was computed in Python, bit by bit, with the polynomial of
	// RFC 4960 Appendix B.
	{name: "checksum", hex: signature + "21 11 0013  7F000001 7F000002 0001 0002  03 0004 BA841157",
		source: "127.0.0.1:1", destination: "127.0.0.2:2", tlvs: "03 0004 BA841157"},
	{name: "as long as allowed", hex: signature + "21 11 0FF0  C0A80001 C0A8000B DC04 01BB  EA 0FE1" + strings.Repeat("00", 0xFE1),
		source: "192.168.0.1:56324", destination: "192.168.0.11:443", tlvs: "EA 0FE1" + strings.Repeat("00", 0xFE1)},
}

// bad are headers that must be refused, each with a part of the reason.
var bad = []struct {
	name, text, hex, reason string
}{
	{name: "line end without CR", text: "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n", reason: `must end with \r\n`},
	{name: "UNKNOWN ended by LF", text: "PROXY UNKNOWN\n\r\n", reason: `must end with \r\n`},
	{name: "no line end", text: "PROXY TCP4 " + strings.Repeat("1", 96), reason: "107 bytes"},
	{name: "line end too late", text: "PROXY UNKNOWN " + strings.Repeat("f", 107-15) + "\r\n", reason: "107 bytes"},
	{name: "no protocol", text: "PROXY \r\n", reason: "address family"},
	{name: "unknown protocol", text: "PROXY TCP5 1.1.1.1 2.2.2.2 1 2\r\n", reason: "address family"},
	{name: "protocol in lower case", text: "PROXY tcp4 1.1.1.1 2.2.2.2 1 2\r\n", reason: "address family"},
	{name: "UDP4", text: "PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n", reason: "address family"},
	{name: "two spaces", text: "PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n", reason: "address family"},
	{name: "space at the end", text: "PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n", reason: "address family"},
	{name: "tab", text: "PROXY TCP4\t1.1.1.1 2.2.2.2 1 2\r\n", reason: "address family"},
	{name: "no ports", text: "PROXY TCP4 1.1.1.1 2.2.2.2\r\n", reason: "address family"},
	{name: "IPv6 in TCP4", text: "PROXY TCP4 ::1 ::2 1 2\r\n", reason: "invalid address"},
	{name: "IPv4 in TCP6", text: "PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n", reason: "invalid address"},
	{name: "zone", text: "PROXY TCP6 fe80::1%eth0 ::2 1 2\r\n", reason: "invalid address"},
	{name: "three numbers", text: "PROXY TCP4 1.1.1 2.2.2.2 1 2\r\n", reason: "invalid address"},
	{name: "leading zero in an address", text: "PROXY TCP4 01.1.1.1 2.2.2.2 1 2\r\n", reason: "invalid address"},
	{name: "number above 255", text: "PROXY TCP4 256.1.1.1 2.2.2.2 1 2\r\n", reason: "invalid address"},
	{name: "leading zero in a port", text: "PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n", reason: "port"},
	{name: "port above 65535", text: "PROXY TCP4 1.1.1.1 2.2.2.2 1 65536\r\n", reason: "port"},
	{name: "negative port", text: "PROXY TCP4 1.1.1.1 2.2.2.2 -1 2\r\n", reason: "port"},
	{name: "port with a sign", text: "PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n", reason: "port"},
	{name: "second line inside", text: "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\rX\r\n", reason: "port"},

	{name: "version 1 in binary", hex: signature + "11 11 000C  C0A80001 C0A8000B DC04 01BB", reason: "not of version 2"},
	{name: "version 3", hex: signature + "31", reason: "not of version 2"},
	{name: "unknown command", hex: signature + "22 11 000C  C0A80001 C0A8000B DC04 01BB", reason: "command"},
	{name: "unknown family", hex: signature + "21 41 000C  C0A80001 C0A8000B DC04 01BB", reason: "address family"},
	{name: "unknown transport", hex: signature + "21 13 000C  C0A80001 C0A8000B DC04 01BB", reason: "address family"},
	{name: "addresses cut short", hex: signature + "21 11 000B  C0A80001 C0A8000B DC04 01", reason: "length"},
	{name: "IPv6 addresses cut short", hex: signature + "21 21 000C  C0A80001 C0A8000B DC04 01BB", reason: "length"},
	{name: "too long", hex: signature + "21 11 0FF1", reason: "4096 bytes"},
	{name: "as long as can be said", hex: signature + "20 00 FFFF", reason: "4096 bytes"},
	{name: "TLV without length", hex: signature + "21 11 000E  C0A80001 C0A8000B DC04 01BB  EA 00", reason: "TLV"},
	{name: "TLV that goes beyond the end", hex: signature + "21 11 0010  C0A80001 C0A8000B DC04 01BB  EA 0002 00", reason: "TLV"},
	{name: "TLV of UNSPEC that goes beyond the end", hex: signature + "21 00 0004  EA 0002 00", reason: "TLV"},
	{name: "wrong checksum", hex: signature + "21 11 0013  7F000001 7F000002 0001 0002  03 0004 BA841158", reason: "checksum does not fit"},
	{name: "wrong checksum of LOCAL", hex: signature + "20 00 0007  03 0004 00000000", reason: "checksum does not fit"},
	{name: "short checksum", hex: signature + "21 11 0012  7F000001 7F000002 0001 0002  03 0003 BA8411", reason: "4 bytes"},
	{name: "two checksums", hex: signature + "21 11 001A  7F000001 7F000002 0001 0002  03 0004 00000000  03 0004 00000000", reason: "checksum"},
}

// absent are first bytes that are none of a header.
var absent = map[string][]byte{
	"TLS":                         {22, 3, 1, 2, 0, 1},
	"HTTP":                        []byte("GET / HTTP/1.1\r\n"),
	"POST, which begins with a P": []byte("POST / HTTP/1.1\r\n"),
	"PROXY without a space":       []byte("PROXYjunk TCP4 1.1.1.1 2.2.2.2 1 2\r\n"),
	"lower case":                  []byte("proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n"),
	"blank line":                  []byte("\r\n\r\nGET"),
	"signature with one bit off":  {0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0B},
	"zeros":                       bytes.Repeat([]byte{0}, 20),
}
