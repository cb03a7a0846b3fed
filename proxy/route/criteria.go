package route

import (
	"iter"
	"net/netip"
)

// Transport is what the first bytes of a connection look like.
type Transport uint8

// The transports. As a criterion AnyTransport means that it is omitted; in
// an [Input] it means that nothing is known yet, which satisfies no chain
// that asks for a transport.
const (
	AnyTransport Transport = iota
	TLS
	RawBuffer
)

// String gives the word that stands in the configuration, "" for AnyTransport.
func (t Transport) String() string {
	return [...]string{"", "tls", "raw_buffer"}[t]
}

// Criteria is the match of one chain. A zero field is an omitted criterion.
type Criteria struct {
	DestinationPort      uint16
	DestinationPrefixes  []netip.Prefix
	ServerNames          []string // lower case, no trailing dot; "*.x" is any depth below x, not x
	Transport            Transport
	ApplicationProtocols []string // ALPN names, 1 to 255 bytes each
	DirectSourcePrefixes []netip.Prefix
	SourcePrefixes       []netip.Prefix
	SourcePorts          []uint16
	JA4                  []string // fingerprints, compared byte for byte

	// UsesHello says that the chain needs the ClientHello for another
	// reason than matching: it terminates TLS, or its cluster uses the hello.
	UsesHello bool
}

// Input is what is known of a connection.
//
// An IPv4-mapped IPv6 address counts as the IPv4 address and a zone is
// ignored, so addresses can be given as a dual-stack socket reports them. An
// invalid AddrPort (a unix socket has none) satisfies no criterion on that
// address or its port.
type Input struct {
	Destination  netip.AddrPort
	DirectSource netip.AddrPort // the peer
	Source       netip.AddrPort // the peer, or who the PROXY protocol says it is
	Transport    Transport
	ServerName   []byte // as the parser gives it: lower case, no trailing dot; empty without SNI
	ALPN         Protocols
	JA4          string // of the hello; "" when there is none
}

// Protocols is a client's list of application protocols in the order of its
// preference, in the form it has on the wire: the contents of a
// ProtocolNameList (RFC 7301 §3.1), each name after one byte with its length.
// A parser can hand it on without building a slice per name. The zero value
// is the empty list.
type Protocols []byte

// Append gives p with the name added at its end, as append does. The name
// has 1 to 255 bytes.
func (p Protocols) Append(name string) Protocols {
	if len(name) == 0 || len(name) > 255 {
		panic("BUG: an application protocol has 1 to 255 bytes")
	}
	return append(append(p, byte(len(name))), name...)
}

// All gives the position and the name of each protocol. The names are views
// of p. A name that is cut off at the end is left out.
func (p Protocols) All() iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		rest := []byte(p)
		for i := 0; len(rest) > 0 && len(rest) > int(rest[0]); i++ {
			end := 1 + int(rest[0])
			if !yield(i, rest[1:end]) {
				return
			}
			rest = rest[end:]
		}
	}
}
