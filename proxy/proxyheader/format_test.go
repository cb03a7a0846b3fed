package proxyheader_test

import (
	"bytes"
	"net/netip"
	"testing"

	"sluice/proxy/proxyheader"
)

// crc32c computes the checksum of RFC 4960 Appendix B bit by bit.
func crc32c(b []byte) uint32 {
	crc := ^uint32(0)
	for _, c := range b {
		crc ^= uint32(c)
		for range 8 {
			if crc&1 != 0 {
				crc = crc>>1 ^ 0x82F63B78
			} else {
				crc >>= 1
			}
		}
	}
	return ^crc
}

// TestChecksumOfRFC3720 holds the function above to the examples of RFC 3720
// B.4, which uses the same checksum.
func TestChecksumOfRFC3720(t *testing.T) {
	t.Parallel()
	rising := make([]byte, 32)
	for i := range rising {
		rising[i] = byte(i)
	}
	// The RFC prints the bytes as they are sent there, lowest first.
	for want, b := range map[uint32][]byte{
		0x8A9136AA: make([]byte, 32),
		0x62A8AB43: bytes.Repeat([]byte{0xFF}, 32),
		0x46DD794E: rising,
	} {
		if got := crc32c(b); got != want {
			t.Errorf("%08X, want %08X", got, want)
		}
	}
}

func TestFormat(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		message  proxyheader.Message
		from, to string
		text     string
		hex      string
	}{
		{name: "version 1", message: proxyheader.Message{Version: 1}, from: "192.168.0.1:56324", to: "192.168.0.11:443",
			text: "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"},
		{name: "version 1, IPv6", message: proxyheader.Message{Version: 1}, from: "[2001:db8::1]:1", to: "[2001:db8::2]:65535",
			text: "PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n"},
		{name: "version 1, mixed families", message: proxyheader.Message{Version: 1}, from: "[2001:db8::1]:1", to: "192.0.2.1:443",
			text: "PROXY TCP6 2001:db8::1 ::ffff:192.0.2.1 1 443\r\n"},
		{name: "version 1, dual-stack socket", message: proxyheader.Message{Version: 1}, from: "[::ffff:192.0.2.1]:1", to: "[::ffff:192.0.2.2]:2",
			text: "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"},
		{name: "version 1, unix socket", message: proxyheader.Message{Version: 1}, text: "PROXY UNKNOWN\r\n"},
		{name: "version 2", message: proxyheader.Message{Version: 2}, from: "192.168.0.1:56324", to: "192.168.0.11:443",
			hex: signature + "21 11 000C  C0A80001 C0A8000B DC04 01BB"},
		{name: "version 2, IPv6", message: proxyheader.Message{Version: 2}, from: "[2001:db8::1]:1", to: "[2001:db8::2]:65535",
			hex: signature + "21 21 0024 20010DB8000000000000000000000001 20010DB8000000000000000000000002 0001 FFFF"},
		{name: "version 2, mixed families", message: proxyheader.Message{Version: 2}, from: "192.0.2.1:443", to: "[2001:db8::1]:1",
			hex: signature + "21 21 0024 00000000000000000000FFFFC0000201 20010DB8000000000000000000000001 01BB 0001"},
		{name: "version 2, unix socket", message: proxyheader.Message{Version: 2, TLVs: proxyheader.TLVs("\x02\x00\x01a")},
			hex: signature + "20 00 0004  02 0001 61"},
		{name: "one address alone", message: proxyheader.Message{Version: 2}, from: "192.0.2.1:1", hex: signature + "20 00 0000"},
		{name: "TLVs", message: proxyheader.Message{Version: 2, TLVs: proxyheader.TLVs("\x01\x00\x02h2\xEA\x00\x00")}, from: "192.168.0.1:56324", to: "192.168.0.11:443",
			hex: signature + "21 11 0014  C0A80001 C0A8000B DC04 01BB  01 0002 6832  EA 0000"},
		{name: "checksum", message: proxyheader.Message{Version: 2, Checksum: true}, from: "127.0.0.1:1", to: "127.0.0.2:2",
			hex: signature + "21 11 0013  7F000001 7F000002 0001 0002  03 0004 BA841157"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := c.message
			m.Source, m.Destination = addrPortOf(t, c.from), addrPortOf(t, c.to)
			want := []byte(c.text)
			if c.text == "" {
				want = unhex(t, c.hex)
			}
			if got := m.Format(); !bytes.Equal(got, want) {
				t.Errorf("got  %x\nwant %x", got, want)
			}
		})
	}
}

// TestChecksumIsRight compares with the function that is written from the RFC.
func TestChecksumIsRight(t *testing.T) {
	t.Parallel()
	m := proxyheader.Message{
		Version: 2, Checksum: true, TLVs: proxyheader.TLVs("\x02\x00\x06a.test"),
		Source: netip.MustParseAddrPort("192.0.2.1:1"), Destination: netip.MustParseAddrPort("[2001:db8::1]:443"),
	}
	b := m.Format()
	at := len(b) - 4
	sent := [4]byte(b[at:])
	zeroed := append(bytes.Clone(b[:at]), 0, 0, 0, 0)
	want := crc32c(zeroed)
	if got := uint32(sent[0])<<24 | uint32(sent[1])<<16 | uint32(sent[2])<<8 | uint32(sent[3]); got != want {
		t.Errorf("checksum %08X, want %08X", got, want)
	}
	if string(m.TLVs) != "\x02\x00\x06a.test" {
		t.Error("the message's own TLVs were changed")
	}
}

func TestLocal(t *testing.T) {
	t.Parallel()
	own, peer := netip.MustParseAddrPort("192.0.2.1:1000"), netip.MustParseAddrPort("192.0.2.2:443")
	if got, want := proxyheader.Local(2, own, peer), unhex(t, signature+"20 00 0000"); !bytes.Equal(got, want) {
		t.Errorf("version 2: %x, want %x", got, want)
	}
	if got, want := string(proxyheader.Local(1, own, peer)), "PROXY TCP4 192.0.2.1 192.0.2.2 1000 443\r\n"; got != want {
		t.Errorf("version 1: %q, want %q", got, want)
	}
	if got, want := string(proxyheader.Local(1, netip.AddrPort{}, netip.AddrPort{})), "PROXY UNKNOWN\r\n"; got != want {
		t.Errorf("version 1 to a unix socket: %q, want %q", got, want)
	}
}

func TestFormatRefusesWhatCannotBe(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]proxyheader.Message{
		"version 0":                 {},
		"TLVs with version 1":       {Version: 1, TLVs: proxyheader.TLVs("\x02\x00\x01a")},
		"a checksum with version 1": {Version: 1, Checksum: true},
		"half a TLV":                {Version: 2, TLVs: proxyheader.TLVs("\x02\x00")},
		"too many TLVs":             {Version: 2, TLVs: proxyheader.TLVs(nil).Append(0xEA, make([]byte, 65533))},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			m.Format()
		})
	}
}
