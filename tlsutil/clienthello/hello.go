package clienthello

import "iter"

// Hello is what a ClientHello says. The zero value is ready for
// [Hello.Parse], and one Hello can parse any number of connections, one after
// the other. It owns no memory beyond itself. It must not be used by two
// goroutines at once.
//
// The accessors describe the hello after an [Outcome.Complete] outcome. After
// any other they give zero values, but for [Hello.Reason].
type Hello struct {
	name        [maxNameLen]byte
	nameLen     uint8
	trailingDot bool
	echOuter    bool
	earlyData   bool

	legacyVersion uint16
	versions      []byte // the list in supported_versions; aliases b or scratch
	alpn          []byte // the list in ALPN, length prefixes included; same
	suites        []byte // cipher_suites; same
	extensions    reader // all of them; same
	signatures    []byte // the list in signature_algorithms; same
	size          int
	reason        string
}

// Parse looks at b, everything a connection has sent so far from its first
// byte on, and says what it is. b is only read.
//
// Each call starts from the beginning of b and keeps nothing from the call
// before, so there is no state to reset between connections.
//
// max is the most bytes that a hello may take, record headers included. A
// hello that needs more is [TooLarge] as soon as a header tells. After
// [NeedMore], b is therefore shorter than max (which must be at least the
// length of a record header, 5): a buffer of max bytes always has room for
// the next read.
//
// scratch is written to only when the handshake message spans TLS records;
// it is then put together there. It must hold at least max bytes and must not
// overlap b. What [Hello.ALPN] and [Hello.Versions] give are views into b or
// scratch: they are valid until one of these is changed. The name is a copy.
func (h *Hello) Parse(b, scratch []byte, max int) Outcome {
	if max < recordHeaderLen || len(scratch) < max {
		panic("BUG: clienthello: max is below 5 or beyond the scratch buffer")
	}
	h.clear()
	f, v := readFrame(b, max)
	if v.outcome != proceed {
		h.reason = v.reason
		return v.outcome
	}
	if reason := h.parseMessage(f.message(b, scratch)); reason != "" {
		h.clear()
		h.reason = reason
		return Malformed
	}
	h.size = f.size
	switch {
	case h.nameLen == 0:
		return NoSNI
	case h.echOuter:
		return ECHOuter
	}
	return TLS
}

// clear forgets the hello before. The bytes of the name may stay: nameLen
// says that there are none.
func (h *Hello) clear() {
	h.nameLen = 0
	h.trailingDot, h.echOuter, h.earlyData = false, false, false
	h.legacyVersion, h.versions, h.alpn = 0, nil, nil
	h.suites, h.extensions, h.signatures = nil, nil, nil
	h.size, h.reason = 0, ""
}

// ServerName is the host name in lower case and without a trailing dot, as
// routing uses it; empty when the hello has none that is usable. It is at
// most 253 bytes of a-z, 0-9, '-', '_' and '.', without empty labels. The
// slice is memory of h and valid until its next Parse.
func (h *Hello) ServerName() []byte { return h.name[:h.nameLen] }

// TrailingDot reports whether the name came with a trailing dot, which is not
// part of [Hello.ServerName]. RFC 6066 §3 forbids it, and crypto/tls answers
// such a hello with a decode_error.
func (h *Hello) TrailingDot() bool { return h.trailingDot }

// ALPN yields the protocol names the client offers, in its order of
// preference (RFC 7301 §3.1). Each has 1 to 255 bytes, which may be any.
// They are views; see [Hello.Parse] for how long they are valid.
func (h *Hello) ALPN() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for list := h.alpn; len(list) > 0; {
			end := 1 + int(list[0])
			if !yield(list[1:end:end]) {
				return
			}
			list = list[end:]
		}
	}
}

// ALPNList is the same list as it is on the wire, each name behind a byte with
// its length, for code that compares or keeps it whole. It is a view too.
func (h *Hello) ALPNList() []byte { return h.alpn }

// Versions yields the TLS versions the client offers, in its order of
// preference and with values that mean nothing to us (GREASE, RFC 8701): the
// list in supported_versions (RFC 8446 §4.2.1), or, without that extension,
// legacy_version alone, which then is the highest the client speaks.
func (h *Hello) Versions() iter.Seq[uint16] {
	return func(yield func(uint16) bool) {
		if h.versions == nil {
			if h.size > 0 {
				yield(h.legacyVersion)
			}
			return
		}
		for list := h.versions; len(list) > 0; list = list[2:] {
			if !yield(uint16(list[0])<<8 | uint16(list[1])) {
				return
			}
		}
	}
}

// EarlyData reports whether the client says that 0-RTT data follows its hello
// (RFC 8446 §4.2.10).
func (h *Hello) EarlyData() bool { return h.earlyData }

// Size is how many bytes the records of the hello take up at the front of the
// bytes parsed. What comes after them is not looked at.
func (h *Hello) Size() int { return h.size }

// Reason says, in words for the access record, why the outcome was
// [Malformed] or [TooLarge], or that bytes which are [NotTLS] may be TLS to a
// server that takes any version; it is empty otherwise. The text is one of a
// fixed set and holds nothing that the client sent.
func (h *Hello) Reason() string { return h.reason }
