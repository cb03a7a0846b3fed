package proxyheader

import (
	"encoding/binary"
	"hash/crc32"
	"iter"
	"slices"

	"github.com/pires/go-proxyproto"
)

// Type is the type of a TLV.
type Type = proxyproto.PP2Type

// The types that are used here (PROXY 2.2).
const (
	ALPN      = proxyproto.PP2_TYPE_ALPN
	Authority = proxyproto.PP2_TYPE_AUTHORITY
	CRC32C    = proxyproto.PP2_TYPE_CRC32C
	NoOp      = proxyproto.PP2_TYPE_NOOP
	UniqueID  = proxyproto.PP2_TYPE_UNIQUE_ID
	SSL       = proxyproto.PP2_TYPE_SSL

	SSLVersion = proxyproto.PP2_SUBTYPE_SSL_VERSION
	SSLCN      = proxyproto.PP2_SUBTYPE_SSL_CN
	SSLCipher  = proxyproto.PP2_SUBTYPE_SSL_CIPHER
)

// tlvHeaderLen is type and length.
const tlvHeaderLen = 3

// TLVs is a vector of TLVs as it is on the wire.
type TLVs []byte

// All yields the TLVs in their order. The values are views of v. What does not
// have its full length is left out.
func (v TLVs) All() iter.Seq2[Type, []byte] {
	return func(yield func(Type, []byte) bool) {
		for rest := []byte(v); len(rest) >= tlvHeaderLen; {
			end := tlvHeaderLen + int(binary.BigEndian.Uint16(rest[1:]))
			if end > len(rest) || !yield(Type(rest[0]), rest[tlvHeaderLen:end:end]) {
				return
			}
			rest = rest[end:]
		}
	}
}

// Get gives the value of the first TLV of a type, a view of v.
func (v TLVs) Get(t Type) (value []byte, ok bool) {
	for typ, value := range v.All() {
		if typ == t {
			return value, true
		}
	}
	return nil, false
}

// Append adds a TLV at the end of v, as append does. A value that has more
// than 65535 bytes is a mistake of the caller's.
func (v TLVs) Append(t Type, value []byte) TLVs {
	if len(value) > 1<<16-1 {
		panic("BUG: proxyheader: a TLV that is too long")
	}
	v = append(v, byte(t))
	v = binary.BigEndian.AppendUint16(v, uint16(len(value)))
	return append(v, value...)
}

// wellFormed tells whether the last TLV ends where the vector does.
func (v TLVs) wellFormed() bool {
	n := 0
	for _, value := range v.All() {
		n += tlvHeaderLen + len(value)
	}
	return n == len(v)
}

// castagnoli is the polynomial of CRC32c (RFC 4960 Appendix B).
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

const checksumLen = 4

// checkSum compares the checksum of the header, when v, the TLVs at its end,
// holds one (PROXY 2.2.3). It gives what is wrong.
func (v TLVs) checkSum(header []byte) string {
	at := len(header) - len(v)
	found := false
	for t, value := range v.All() {
		at += tlvHeaderLen
		if t == CRC32C {
			switch {
			case len(value) != checksumLen:
				return "a checksum that does not have 4 bytes"
			case found:
				return "two checksums"
			case sum(header, at) != binary.BigEndian.Uint32(value):
				return "the checksum does not fit"
			}
			found = true
		}
		at += len(value)
	}
	return ""
}

// sum is the checksum of a header whose own place, at, counts as zeros.
func sum(header []byte, at int) uint32 {
	table := castagnoli()
	s := crc32.Update(0, table, header[:at])
	s = crc32.Update(s, table, make([]byte, checksumLen))
	return crc32.Update(s, table, header[at+checksumLen:])
}

// PassedOn gives a copy of the TLVs that a next proxy may be told of, but for
// those of the types in except: all but padding and the checksum, which are
// about the header that brought them.
func (v TLVs) PassedOn(except ...Type) TLVs {
	var out TLVs
	for t, value := range v.All() {
		if t != CRC32C && t != NoOp && !slices.Contains(except, t) {
			out = out.Append(t, value)
		}
	}
	return out
}
