package clienthello

const (
	nameTypeHost = 0 // RFC 6066 §3

	echTypeOuter = 0 // RFC 9849 §5
	echTypeInner = 1
)

// parseServerName reads the server_name extension (RFC 6066 §3): a list with
// at most one entry of each type, of which only host_name was ever defined.
// Entries of other types are passed over, as crypto/tls does it; OpenSSL and
// BoringSSL refuse them, and no server takes a name out of them.
func (h *Hello) parseServerName(data reader) (reason string) {
	const malformedList = "malformed server_name extension"
	list, ok := data.vector16()
	if !ok || len(data) != 0 || len(list) == 0 {
		return malformedList
	}
	for found := false; len(list) > 0; {
		typ, okType := list.uint8()
		name, okName := list.vector16()
		switch {
		case !okType || !okName:
			return malformedList
		case typ != nameTypeHost:
			if len(name) == 0 {
				return malformedList
			}
			continue
		case found:
			return "two host names in the server_name extension"
		}
		found = true
		if reason := h.setName(name); reason != "" {
			return reason
		}
	}
	return ""
}

// parseALPN checks the list of protocol names (RFC 7301 §3.1), so that
// [Hello.ALPN] can walk it without checks.
func (h *Hello) parseALPN(data reader) (reason string) {
	const malformedList = "malformed application_layer_protocol_negotiation extension"
	list, ok := data.vector16()
	if !ok || len(data) != 0 || len(list) == 0 {
		return malformedList
	}
	h.alpn = list
	for len(list) > 0 {
		if name, ok := list.vector8(); !ok || len(name) == 0 {
			return malformedList
		}
	}
	return ""
}

// parseVersions checks the list of versions (RFC 8446 §4.2.1).
func (h *Hello) parseVersions(data reader) (reason string) {
	list, ok := data.vector8()
	if !ok || len(data) != 0 || len(list) == 0 || len(list)%2 != 0 {
		return "malformed supported_versions extension"
	}
	h.versions = list
	return ""
}

// parseSignatureAlgorithms takes the list (RFC 8446 §4.2.3) for the fingerprint.
// Nothing is routed by it, so what is wrong with it is for the server to refuse;
// then there is none.
func (h *Hello) parseSignatureAlgorithms(data reader) {
	if list, ok := data.vector16(); ok && len(data) == 0 && len(list)%2 == 0 {
		h.signatures = list
	}
}

// parseECH tells an outer hello from an inner one (RFC 9849 §5). An inner one
// on the wire comes from a client-facing server in front of us that has
// decrypted it; its name is the real one.
func (h *Hello) parseECH(data reader) (reason string) {
	typ, ok := data.uint8()
	switch {
	case ok && typ == echTypeInner && len(data) == 0:
		return ""
	case ok && typ == echTypeOuter:
		_, okSuite := data.bytes(4)
		_, okConfig := data.uint8()
		_, okKey := data.vector16()
		payload, okPayload := data.vector16()
		if okSuite && okConfig && okKey && okPayload && len(payload) > 0 && len(data) == 0 {
			h.echOuter = true
			return ""
		}
	}
	return "malformed encrypted_client_hello extension"
}
