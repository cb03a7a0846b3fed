package clienthello

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
)

// JA4 says by what a client offers which program it probably is. It is
// specified in FoxIO's technical_details/JA4.md
// (https://github.com/FoxIO-LLC/ja4); the names of sections below are of that
// text. It is a fingerprint and no proof: whoever wants to looks like another.
//
// It is made in two steps. Traits are the values that it depends on and no
// others, cheap to gather: who sees the same few programs over and over keeps
// fingerprints by traits and hardly ever takes the second step, which sorts,
// formats and hashes twice.

// JA4Length is the length in bytes of every fingerprint.
const JA4Length = len("t13d1516h2_8daaf6152771_e5627efa2ab1")

// traitsHeader is what stands in traits before their lists: the version, two
// characters of ALPN, and how many cipher suites and extensions follow, each
// in two bytes. What follows those are signature algorithms.
const traitsHeader = 2 + 2 + 2 + 2

// AppendTraits appends to b what the JA4 fingerprint of a complete hello is
// made of, for [JA4], and nothing for any other. Hellos with different
// fingerprints have different traits. Those of one program are the same, with
// whatever GREASE (RFC 8701) and in whatever order it sends its extensions.
//
// It reads what Parse was given, as [Hello.ALPN] does, and does not allocate if
// b has room: usually 150 bytes are enough, and never are more than the hello
// has.
func (h *Hello) AppendTraits(b []byte) []byte {
	if h.size == 0 {
		return b
	}
	version := h.highestVersion()
	first, last := h.alpnEnds()
	header := len(b)
	b = append(b, byte(version>>8), byte(version), first, last, 0, 0, 0, 0)
	start := len(b)
	b = appendWithoutGREASE(b, h.suites)
	binary.BigEndian.PutUint16(b[header+4:], uint16((len(b)-start)/2))
	start = len(b)
	b = appendTypes(b, h.extensions)
	binary.BigEndian.PutUint16(b[header+6:], uint16((len(b)-start)/2))
	return appendWithoutGREASE(b, h.signatures)
}

// highestVersion is the version of "TLS and DTLS Version"; 0 when
// supported_versions holds nothing but GREASE.
func (h *Hello) highestVersion() uint16 {
	if h.versions == nil {
		return h.legacyVersion
	}
	highest := uint16(0)
	for list := h.versions; len(list) > 0; list = list[2:] {
		if v := binary.BigEndian.Uint16(list); !isGREASE(v) {
			highest = max(highest, v)
		}
	}
	return highest
}

// alpnEnds are the characters of "ALPN Extension Value". The text says "first
// ALPN value" and means it: GREASE is no exception.
func (h *Hello) alpnEnds() (first, last byte) {
	if len(h.alpn) == 0 {
		return '0', '0'
	}
	name := h.alpn[1 : 1+int(h.alpn[0])]
	first, last = name[0], name[len(name)-1]
	if !isAlphanumeric(first) || !isAlphanumeric(last) {
		const digits = "0123456789abcdef"
		return digits[first>>4], digits[last&0xf]
	}
	return first, last
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

// isGREASE reports whether v is one of the sixteen values that mean nothing
// (RFC 8701 §2): 0x0a0a, 0x1a1a and so on.
func isGREASE(v uint16) bool { return v&0x0f0f == 0x0a0a && byte(v>>8) == byte(v) }

// appendWithoutGREASE appends a list of numbers of two bytes.
func appendWithoutGREASE(b, list []byte) []byte {
	b = slices.Grow(b, len(list))
	for ; len(list) >= 2; list = list[2:] {
		if v := binary.BigEndian.Uint16(list); !isGREASE(v) {
			b = binary.BigEndian.AppendUint16(b, v)
		}
	}
	return b
}

// sortedTypes is up to how many extensions are sorted one by one, which for
// the 10 to 20 of all clients known is quickest.
const sortedTypes = 64

// appendTypes appends the types of extensions in ascending order. No type
// occurs twice: Parse has seen to that.
func appendTypes(b []byte, extensions reader) []byte {
	var types [sortedTypes]uint16
	n := 0
	for r := extensions; len(r) > 0; {
		typ := r.extensionType()
		if isGREASE(typ) {
			continue
		}
		if n == len(types) {
			return appendManyTypes(b, extensions)
		}
		at := n
		for ; at > 0 && types[at-1] > typ; at-- {
			types[at] = types[at-1]
		}
		types[at] = typ
		n++
	}
	for _, typ := range types[:n] {
		b = binary.BigEndian.AppendUint16(b, typ)
	}
	return b
}

// appendManyTypes does the same in time that is linear in the list, as
// [hasDuplicate] does.
//
//go:noinline
func appendManyTypes(b []byte, extensions reader) []byte {
	var seen [1 << 16 / 64]uint64
	for r := extensions; len(r) > 0; {
		typ := r.extensionType()
		seen[typ/64] |= 1 << (typ % 64)
	}
	for typ := range 1 << 16 {
		if seen[typ/64]>>(typ%64)&1 != 0 && !isGREASE(uint16(typ)) {
			b = binary.BigEndian.AppendUint16(b, uint16(typ))
		}
	}
	return b
}

// extensionType takes an extension off the front of a list that was found
// well-formed and gives its type.
func (r *reader) extensionType() uint16 {
	typ, _ := r.uint16()
	if _, ok := r.vector16(); !ok {
		panic("BUG: clienthello: extensions changed while they were read")
	}
	return uint16(typ)
}

// JA4 gives the fingerprint for traits of a complete hello, as
// [Hello.AppendTraits] gives them: "t13d1516h2_8daaf6152771_e5627efa2ab1".
func JA4(traits []byte) string {
	suiteCount := int(binary.BigEndian.Uint16(traits[4:]))
	typeCount := int(binary.BigEndian.Uint16(traits[6:]))
	lists := traits[traitsHeader:]
	suites, lists := lists[:2*suiteCount], lists[2*suiteCount:]
	types, signatures := lists[:2*typeCount], lists[2*typeCount:]

	var space [JA4Length]byte
	b := append(space[:0], 't') // TLS over TCP
	b = append(b, versionCharacters(binary.BigEndian.Uint16(traits))...)
	b = append(b, 'i')
	if len(types) > 0 && types[0] == 0 && types[1] == extServerName { // they are sorted
		b[len(b)-1] = 'd'
	}
	b = appendCount(b, suiteCount)
	b = appendCount(b, typeCount)
	b = append(b, traits[2], traits[3], '_')
	b = appendSuitesHash(b, suites)
	b = append(b, '_')
	return string(appendTypesHash(b, types, signatures))
}

func versionCharacters(v uint16) string {
	switch v {
	case 0x0304:
		return "13"
	case 0x0303:
		return "12"
	case 0x0302:
		return "11"
	case 0x0301:
		return "10"
	case 0x0300:
		return "s3"
	case 0x0002:
		return "s2"
	case 0xfeff: // versions of DTLS, which no client means that uses TCP
		return "d1"
	case 0xfefd:
		return "d2"
	case 0xfefc:
		return "d3"
	}
	return "00"
}

func appendCount(b []byte, n int) []byte {
	n = min(n, 99)
	return append(b, '0'+byte(n/10), '0'+byte(n%10))
}

// hashedText is room for the text that is hashed of any client known; for a
// longer one memory is allocated.
const hashedText = 1024

// valueText is how much of it a value takes.
const valueText = len("1301,")

// appendSuitesHash appends "Cipher hash".
func appendSuitesHash(b, suites []byte) []byte {
	var valuesSpace [2 * sortedTypes]uint16
	values := slices.Grow(valuesSpace[:0], len(suites)/2)
	for ; len(suites) > 0; suites = suites[2:] {
		values = append(values, binary.BigEndian.Uint16(suites))
	}
	sortValues(values)
	var space [hashedText]byte
	text := slices.Grow(space[:0], len(values)*valueText)
	for _, v := range values {
		text = appendValue(text, byte(v>>8), byte(v))
	}
	return appendHash(b, text)
}

// appendTypesHash appends "Extension hash".
func appendTypesHash(b, types, signatures []byte) []byte {
	var space [hashedText]byte
	text := slices.Grow(space[:0], (len(types)+len(signatures))/2*valueText)
	for ; len(types) > 0; types = types[2:] {
		if types[0] != 0 || types[1] != extServerName && types[1] != extALPN {
			text = appendValue(text, types[0], types[1])
		}
	}
	if len(signatures) > 0 { // which are in an extension, so the text is not empty
		text[len(text)-1] = '_'
		for ; len(signatures) > 0; signatures = signatures[2:] {
			text = appendValue(text, signatures[0], signatures[1])
		}
	}
	return appendHash(b, text)
}

// appendValue appends a value to a list in which each has a comma after it.
func appendValue(text []byte, high, low byte) []byte {
	return append(hex.AppendEncode(text, []byte{high, low}), ',')
}

// appendHash appends the truncated hash of a list, without its last comma.
func appendHash(b, text []byte) []byte {
	const noValues = "000000000000"
	if len(text) == 0 {
		return append(b, noValues...)
	}
	sum := sha256.Sum256(text[:len(text)-1])
	return hex.AppendEncode(b, sum[:len(noValues)/2])
}

// sortValues sorts in time that is linear in long lists, which are hostile: of
// 32000 cipher suites fit into a hello. It goes by the low byte, then by the high
// one (radix sort).
func sortValues(values []uint16) {
	if len(values) <= 4*sortedTypes {
		slices.Sort(values)
		return
	}
	from, to := values, make([]uint16, len(values))
	for _, shift := range []uint{0, 8} {
		var starts [257]int
		for _, v := range from {
			starts[1+int(byte(v>>shift))]++
		}
		for i := range 256 {
			starts[i+1] += starts[i]
		}
		for _, v := range from { // starts[x] moves on to where the next with x goes
			at := &starts[byte(v>>shift)]
			to[*at] = v
			*at++
		}
		from, to = to, from
	}
}
