package proxyheader_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"sluice/proxy/proxyheader"
)

// naive is the specification read a second time, without care for speed or
// partial input: what a complete header says, and ok false when it is none that
// may be taken. It shares nothing with the code under test.
func naive(b []byte) (size int, source, destination netip.AddrPort, ok bool) {
	if bytes.HasPrefix(b, []byte("PROXY ")) {
		line, _, found := strings.Cut(string(b[:min(len(b), 107)]), "\n")
		if !found || !strings.HasSuffix(line, "\r") {
			return
		}
		size = len(line) + 1
		f := strings.Split(strings.TrimSuffix(line, "\r"), " ")
		if f[1] == "UNKNOWN" {
			return size, source, destination, true
		}
		if len(f) != 6 || f[1] != "TCP4" && f[1] != "TCP6" {
			return
		}
		var ends [2]netip.AddrPort
		for i := range ends {
			addr, err := netip.ParseAddr(f[2+i])
			port, portErr := strconv.ParseUint(f[4+i], 10, 16)
			if err != nil || portErr != nil || strconv.FormatUint(port, 10) != f[4+i] ||
				addr.Is4() != (f[1] == "TCP4") || addr.Zone() != "" {
				return
			}
			ends[i] = netip.AddrPortFrom(addr.Unmap(), uint16(port))
		}
		return size, ends[0], ends[1], true
	}
	if len(b) < 16 || string(b[:12]) != "\r\n\r\n\x00\r\nQUIT\n" || b[12] != 0x20 && b[12] != 0x21 {
		return
	}
	size = 16 + int(binary.BigEndian.Uint16(b[14:]))
	if size > 4096 || len(b) < size {
		return
	}
	body := b[16:size]
	lengths := map[byte]int{0x00: 0, 0x11: 12, 0x12: 12, 0x21: 36, 0x22: 36, 0x31: 216, 0x32: 216}
	n, known := lengths[b[13]]
	if b[12] == 0x20 {
		return size, source, destination, true // but for a checksum, see below
	}
	if !known || len(body) < n {
		return
	}
	switch b[13] {
	case 0x11:
		source = netip.AddrPortFrom(netip.AddrFrom4([4]byte(body)), binary.BigEndian.Uint16(body[8:]))
		destination = netip.AddrPortFrom(netip.AddrFrom4([4]byte(body[4:])), binary.BigEndian.Uint16(body[10:]))
	case 0x21:
		source = netip.AddrPortFrom(netip.AddrFrom16([16]byte(body)).Unmap(), binary.BigEndian.Uint16(body[32:]))
		destination = netip.AddrPortFrom(netip.AddrFrom16([16]byte(body[16:])).Unmap(), binary.BigEndian.Uint16(body[34:]))
	}
	sums := 0
	for i := n; i < len(body); {
		if i+3 > len(body) {
			return
		}
		length := int(binary.BigEndian.Uint16(body[i+1:]))
		if i+3+length > len(body) {
			return
		}
		if body[i] == 3 {
			zeroed := bytes.Clone(b[:size])
			clear(zeroed[16+i+3 : 16+i+3+length])
			if sums++; sums > 1 || length != 4 || crc32c(zeroed) != binary.BigEndian.Uint32(body[i+3:]) {
				return
			}
		}
		i += 3 + length
	}
	return size, source, destination, true
}

// FuzzParse holds what is true of any bytes: no panic, no read beyond what was
// given, no answer that more bytes would change, and the same answer as the
// naive reader's.
func FuzzParse(f *testing.F) {
	for _, v := range good {
		f.Add(v.bytes(f))
		f.Add(append(v.bytes(f), "behind"...))
	}
	for _, v := range bad {
		b := []byte(v.text)
		if v.text == "" {
			b = unhex(f, v.hex)
		}
		f.Add(b)
	}
	for _, b := range absent {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var p proxyheader.Parser
		before := bytes.Clone(b)
		h, o := p.Parse(b[:len(b):len(b)])
		if !bytes.Equal(b, before) {
			t.Fatal("the bytes were changed")
		}
		checkHeader(t, b, h, o)
		for n := 0; n < len(b); n += 1 + len(b)/256 {
			part, early := p.Parse(b[:n:n])
			if early != proxyheader.NeedMore && (early != o || part.Size != h.Size || part.Source != h.Source) {
				t.Fatalf("%d of %d bytes gave %d, all of them %d", n, len(b), early, o)
			}
		}
	})
}

func checkHeader(t *testing.T, b []byte, h proxyheader.Header, o proxyheader.Outcome) {
	t.Helper()
	size, source, destination, ok := naive(b)
	local := len(b) > 12 && b[0] == '\r' && b[12] == 0x20
	switch {
	case o == proxyheader.Found && (!ok || size != h.Size || source != h.Source || destination != h.Destination):
		t.Fatalf("%+v, want size %d from %v to %v, ok %v", h, size, source, destination, ok)
	case o != proxyheader.Found && ok && !local:
		t.Fatalf("outcome %d (%s), want the header from %v to %v", o, h.Reason, source, destination)
	case o == proxyheader.NeedMore && len(b) >= proxyheader.MaxV2:
		t.Fatalf("%d bytes are not enough", len(b))
	case o == proxyheader.Malformed && h.Reason == "":
		t.Fatal("malformed for no reason")
	case len(h.TLVs) > 0 && (cap(h.TLVs) != len(h.TLVs) || h.Size > len(b)):
		t.Fatal("the TLVs reach beyond the header")
	}
}

// FuzzFormat: what is sent is read as what was meant.
func FuzzFormat(f *testing.F) {
	f.Add(uint8(2), []byte{192, 0, 2, 1}, []byte{192, 0, 2, 2}, uint16(1), uint16(443), []byte("a.test"), true)
	f.Add(uint8(1), make([]byte, 16), []byte{192, 0, 2, 2}, uint16(0), uint16(65535), []byte{}, false)
	f.Fuzz(func(t *testing.T, version uint8, from, to []byte, fromPort, toPort uint16, value []byte, checksum bool) {
		m := proxyheader.Message{Version: 1 + version%2}
		source, okFrom := netip.AddrFromSlice(from)
		destination, okTo := netip.AddrFromSlice(to)
		if okFrom && okTo {
			m.Source = netip.AddrPortFrom(source, fromPort)
			m.Destination = netip.AddrPortFrom(destination, toPort)
		}
		if m.Version == 2 {
			m.Checksum = checksum
			if len(value) > 0 {
				m.TLVs = m.TLVs.Append(0xEA, value[:min(len(value), 4000)])
			}
		}
		var p proxyheader.Parser
		h, o := p.Parse(append(m.Format(), "behind"...))
		if o != proxyheader.Found {
			t.Fatalf("outcome %d: %s", o, h.Reason)
		}
		if okFrom && okTo {
			if h.Source.Addr() != source.Unmap() || h.Destination.Addr() != destination.Unmap() ||
				h.Source.Port() != fromPort || h.Destination.Port() != toPort {
				t.Fatalf("from %v to %v, want %v:%d and %v:%d", h.Source, h.Destination, source, fromPort, destination, toPort)
			}
		}
		if got := h.TLVs.PassedOn(); !bytes.Equal(got, m.TLVs) {
			t.Fatalf("TLVs %x, want %x", got, m.TLVs)
		}
	})
}
