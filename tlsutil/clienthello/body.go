package clienthello

// The reasons in this file and in extensions.go end up in access records:
// they name the field as the RFCs do, so that whoever wrote the client finds
// it. A function that returns a reason returns "" when all is well.

const (
	extServerName          = 0
	extSignatureAlgorithms = 13
	extALPN                = 16
	extPreSharedKey        = 41
	extEarlyData           = 42
	extSupportedVersions   = 43
	extECH                 = 0xfe0d // encrypted_client_hello, RFC 9849
)

// parseMessage reads a complete ClientHello, handshake header included (RFC
// 8446 §4.1.2, and RFC 5246 §7.4.1.2, where extensions may be absent).
func (h *Hello) parseMessage(message []byte) (reason string) {
	r := reader(message[handshakeHeaderLen:])
	version, okVersion := r.uint16()
	_, okRandom := r.bytes(32)
	session, okSession := r.vector8()
	suites, okSuites := r.vector16()
	compression, okCompression := r.vector8()
	switch {
	case !okVersion || !okRandom || !okSession || !okSuites || !okCompression:
		return "truncated client_hello"
	case len(session) > 32:
		return "legacy_session_id longer than 32 bytes"
	case len(suites) == 0 || len(suites)%2 != 0:
		return "malformed cipher_suites"
	case len(compression) == 0:
		return "empty legacy_compression_methods"
	}
	h.legacyVersion, h.suites = uint16(version), suites
	if len(r) == 0 {
		return ""
	}
	extensions, ok := r.vector16()
	if !ok {
		return "truncated extensions"
	}
	if len(r) != 0 {
		return "data after the extensions"
	}
	h.extensions = extensions
	return h.parseExtensions(extensions)
}

// parseExtensions walks the extensions and reads those that matter here. Any
// of them may occur once (RFC 8446 §4.2), known to us or not: the server
// behind may know what we do not, and read the first or the last.
func (h *Hello) parseExtensions(extensions reader) (reason string) {
	var seen typeSet
	for r := extensions; len(r) > 0; {
		typ, okType := r.uint16()
		data, okData := r.vector16()
		if !okType || !okData {
			return "truncated extension"
		}
		if seen.add(uint16(typ)) {
			return duplicateReason(typ)
		}
		switch typ {
		case extServerName:
			reason = h.parseServerName(data)
		case extSignatureAlgorithms:
			h.parseSignatureAlgorithms(data)
		case extALPN:
			reason = h.parseALPN(data)
		case extSupportedVersions:
			reason = h.parseVersions(data)
		case extECH:
			reason = h.parseECH(data)
		case extEarlyData:
			h.earlyData = true
			if len(data) != 0 {
				reason = "malformed early_data extension"
			}
		case extPreSharedKey:
			// RFC 8446 §4.2.11: what follows would not be bound by the
			// binders, which are made over everything before them.
			if len(r) != 0 {
				reason = "pre_shared_key is not the last extension"
			}
		}
		if reason != "" {
			return reason
		}
	}
	if seen.full && hasDuplicate(extensions) {
		return duplicateReason(-1)
	}
	return ""
}

func duplicateReason(typ int) string {
	switch typ {
	case extServerName:
		return "duplicate server_name extension"
	case extALPN:
		return "duplicate application_layer_protocol_negotiation extension"
	case extSupportedVersions:
		return "duplicate supported_versions extension"
	case extECH:
		return "duplicate encrypted_client_hello extension"
	}
	return "duplicate extension"
}

// typeSet remembers extension types. It knows all below 64, where nearly all
// assigned ones are, and the first 16 others; a browser sends about 8 of
// those. The whole set of 65536 would be 8 KiB of stack, which a coroutine
// that lives for one short connection would have to grow for; see
// [hasDuplicate] for hellos that do need it.
type typeSet struct {
	low  uint64
	high [16]uint16
	n    int
	full bool // a type was not remembered
}

// add reports whether the type is known to have been added before. Once full
// it no longer looks among the others: hasDuplicate will, and hostile lists
// of thousands are not compared twice.
func (s *typeSet) add(typ uint16) bool {
	if typ < 64 {
		bit := uint64(1) << typ
		before := s.low&bit != 0
		s.low |= bit
		return before
	}
	if s.full {
		return false
	}
	for _, t := range s.high[:s.n] {
		if t == typ {
			return true
		}
	}
	if s.n == len(s.high) {
		s.full = true
		return false
	}
	s.high[s.n] = typ
	s.n++
	return false
}

// hasDuplicate reports whether an extension type occurs twice in a list that
// was found well-formed. Its time is linear in the list, which can hold 16000
// extensions made to be slow to compare.
//
//go:noinline
func hasDuplicate(extensions reader) bool {
	var seen [1 << 16 / 64]uint64
	for r := extensions; len(r) > 0; {
		typ, _ := r.uint16()
		if _, ok := r.vector16(); !ok {
			panic("BUG: clienthello: extensions changed while they were read")
		}
		word, bit := typ/64, uint64(1)<<(typ%64)
		if seen[word]&bit != 0 {
			return true
		}
		seen[word] |= bit
	}
	return false
}
