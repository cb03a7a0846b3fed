package proxyheader

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"strings"

	"github.com/pires/go-proxyproto"
)

const (
	// MaxV1 is the longest line of version 1, with its CRLF (PROXY 2.1).
	MaxV1 = 107
	// MaxV2 is the most that a header of version 2 may take, TLVs included.
	// The specification allows 64 KiB; addresses, names and a client's
	// certificate together take less than 3 KiB, and a receiver has to hold
	// all of it before it knows anything.
	MaxV2 = 4 << 10
)

const (
	v1Signature = "PROXY "
	v2Signature = "\r\n\r\n\x00\r\nQUIT\n"
	v2FixedLen  = 16 // signature, version and command, family, length

	commandLocal = 0x20
	commandProxy = 0x21
)

// Outcome says what the first bytes of a connection are. All but [NeedMore]
// are final: more bytes do not change them.
type Outcome uint8

const (
	// NeedMore means that the bytes so far are the beginning of a header, or
	// may be.
	NeedMore Outcome = iota
	// Found is a complete header.
	Found
	// Absent means that the bytes do not begin with a header.
	Absent
	// Malformed means that they do, and that it is wrong. [Header.Reason]
	// says how.
	Malformed
)

// Header is what a header says.
type Header struct {
	// Size is how many bytes it takes.
	Size int
	// Version is 1 or 2.
	Version uint8
	// Source and Destination are the addresses of the connection that the
	// sender passes on, IPv4 addresses always as such. They are invalid
	// when the header names no TCP addresses: then those of the connection
	// that brought it hold.
	Source, Destination netip.AddrPort
	// TLVs is the vector of version 2, well-formed, nil when there is none.
	// It is a view of the bytes that were parsed.
	TLVs TLVs
	// Reason says in words, for the access record, why the outcome was
	// Malformed. It may quote what the sender wrote, at most a line.
	Reason string
}

// Parser reads headers, any number of them one after the other. Its zero value
// is ready. It must not be used by two goroutines at once.
type Parser struct {
	bytes  bytes.Reader
	reader *bufio.Reader
}

// Parse looks at b, everything a connection has sent so far from its first byte
// on. b is only read. Each call starts from the beginning of b and keeps
// nothing from the call before.
//
// After [NeedMore], b is shorter than [MaxV2]: a buffer of that size always has
// room for the next read.
func (p *Parser) Parse(b []byte) (Header, Outcome) {
	size, o, reason := frame(b)
	if o != Found {
		return Header{Reason: reason}, o
	}
	h, reason := p.parse(b[:size:size])
	if reason != "" {
		return Header{Reason: reason}, Malformed
	}
	return h, Found
}

// frame finds where the header ends, and refuses what cannot become one as soon
// as that is known.
func frame(b []byte) (size int, o Outcome, reason string) {
	switch {
	case begins(b, v1Signature):
		return frameV1(b)
	case begins(b, v2Signature):
		return frameV2(b)
	}
	return 0, Absent, ""
}

// begins tells whether b starts with the signature, or is the start of it.
func begins(b []byte, signature string) bool {
	n := min(len(b), len(signature))
	return string(b[:n]) == signature[:n]
}

func frameV1(b []byte) (int, Outcome, string) {
	line := b[:min(len(b), MaxV1)]
	switch i := bytes.IndexByte(line, '\n'); {
	case i >= 0:
		return i + 1, Found, ""
	case len(line) == MaxV1:
		return 0, Malformed, "no line end within 107 bytes"
	}
	return 0, NeedMore, ""
}

func frameV2(b []byte) (int, Outcome, string) {
	if len(b) > len(v2Signature) && b[len(v2Signature)]>>4 != 2 {
		return 0, Malformed, "the binary header is not of version 2"
	}
	if len(b) < v2FixedLen {
		return 0, NeedMore, ""
	}
	size := v2FixedLen + int(binary.BigEndian.Uint16(b[v2FixedLen-2:]))
	switch {
	case size > MaxV2:
		return 0, Malformed, "longer than 4096 bytes"
	case len(b) < size:
		return 0, NeedMore, ""
	}
	return size, Found, ""
}

// parse reads a header that takes all of b.
func (p *Parser) parse(b []byte) (Header, string) {
	if b[0] == v1Signature[0] {
		h, reason := p.read(b)
		h.Size = len(b)
		return h, reason
	}
	family := proxyproto.AddressFamilyAndProtocol(b[13])
	rest := TLVs(b[v2FixedLen:])
	rest = rest[min(addressLength(family), len(rest)):]
	switch {
	case b[12] == commandLocal:
		// PROXY 2.2: "discard the protocol block including the family". Some
		// send TLVs in it all the same, and HAProxy takes them.
		if !rest.wellFormed() {
			rest = nil
		}
		return withTLVs(Header{Version: 2}, b, rest)
	case b[12] == commandProxy && family == proxyproto.UNSPEC:
		// PROXY 2.2 leaves it to the receiver whether to take these, and the
		// library does not. There is nothing in them but TLVs.
		return withTLVs(Header{Version: 2}, b, rest)
	}
	h, reason := p.read(b)
	if reason != "" {
		return Header{}, reason
	}
	return withTLVs(h, b, rest)
}

// read has the library read version and addresses.
func (p *Parser) read(b []byte) (Header, string) {
	p.bytes.Reset(b)
	if p.reader == nil {
		// The library wants the line of version 1 in one read.
		p.reader = bufio.NewReaderSize(&p.bytes, 128)
	}
	p.reader.Reset(&p.bytes)
	parsed, err := proxyproto.Read(p.reader)
	p.bytes.Reset(nil)
	if err != nil {
		return Header{}, strings.TrimPrefix(err.Error(), "proxyproto: ")
	}
	h := Header{Version: parsed.Version}
	if source, destination, ok := parsed.TCPAddrs(); ok {
		h.Source, h.Destination = addrPort(source), addrPort(destination)
	}
	return h, ""
}

// withTLVs adds the TLVs, when they can be believed.
func withTLVs(h Header, b []byte, tlvs TLVs) (Header, string) {
	if !tlvs.wellFormed() {
		return Header{}, "a TLV goes beyond the end"
	}
	if reason := tlvs.checkSum(b); reason != "" {
		return Header{}, reason
	}
	if len(tlvs) > 0 {
		h.TLVs = tlvs
	}
	h.Size = len(b)
	return h, ""
}

// addressLength is how long the addresses of a family are (PROXY 2.2).
func addressLength(f proxyproto.AddressFamilyAndProtocol) int {
	switch {
	case f.IsIPv4():
		return 2*4 + 2*2
	case f.IsIPv6():
		return 2*16 + 2*2
	case f.IsUnix():
		return 2 * 108
	}
	return 0
}

// addrPort gives an address in the form in which addresses are compared.
func addrPort(a *net.TCPAddr) netip.AddrPort {
	ap := a.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
