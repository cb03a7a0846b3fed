package hellotest

import (
	"bytes"
	"encoding/binary"
)

// Extension types and record types that tests name.
const (
	ExtServerName        = 0
	ExtSupportedGroups   = 10
	ExtSignatureAlgs     = 13
	ExtALPN              = 16
	ExtPadding           = 21
	ExtPreSharedKey      = 41
	ExtEarlyData         = 42
	ExtSupportedVersions = 43
	ExtKeyShare          = 51
	ExtECH               = 0xfe0d

	RecordChangeCipherSpec = 20
	RecordAlert            = 21
	RecordHandshake        = 22
	RecordApplicationData  = 23
)

// Extension is one extension as it stands on the wire.
type Extension struct {
	Type uint16
	Data []byte
}

// Builder describes a ClientHello. The zero value is one without a name.
// Nothing is checked: contradictions are what tests are made of.
type Builder struct {
	// ServerNames are the host_name entries of the server_name extension,
	// which is left out when the slice is nil. RFC 6066 allows one.
	ServerNames []string

	// ALPN are the protocol names offered; without any the extension is left
	// out.
	ALPN []string

	// Versions is the list in supported_versions, 1.3 and 1.2 when nil. An
	// empty list leaves the extension out.
	Versions []uint16

	// LegacyVersion stands in the body; 0 means 0x0303.
	LegacyVersion uint16

	// SessionID is 32 bytes when nil, CipherSuites three usual ones, and
	// Compression the null method.
	SessionID    []byte
	CipherSuites []uint16
	Compression  []byte

	// EarlyData adds the early_data extension.
	EarlyData bool

	// Extensions come after those that the fields above and the groups, key
	// shares and signature algorithms of a usual client make.
	Extensions []Extension

	// OnlyExtensions leaves out all extensions but those in Extensions.
	OnlyExtensions bool

	// NoExtensions leaves out even the length of the list of extensions.
	NoExtensions bool

	// Pad is the length in bytes that a padding extension (RFC 7685) at the
	// end brings the message to, its 4 bytes of header included; 0 means
	// none. The message must be shorter by at least 4 bytes without it.
	Pad int
}

// Message is the handshake message, without a record header.
func (b Builder) Message() []byte {
	message := b.message(b.extensions())
	if b.Pad == 0 {
		return message
	}
	zeros := b.Pad - len(message) - 4
	if zeros < 0 {
		panic("BUG: hellotest: the hello is longer than Pad without padding")
	}
	return b.message(append(b.extensions(), Extension{ExtPadding, make([]byte, zeros)}))
}

// Records is the message in TLS records; see [Records].
func (b Builder) Records(cuts ...int) []byte { return Records(b.Message(), cuts...) }

// Records puts a message into handshake records. Each cut is an offset in the
// message, in rising order, at which a new record begins; further ones begin
// where a record is full (16384 bytes).
func Records(message []byte, cuts ...int) []byte {
	const full = 1 << 14
	var out []byte
	start := 0
	for _, end := range append(cuts[:len(cuts):len(cuts)], len(message)) {
		if end <= start || end > len(message) {
			panic("BUG: hellotest: cuts must rise and lie within the message")
		}
		for start < end {
			stop := min(end, start+full)
			out = append(out, Record(RecordHandshake, message[start:stop])...)
			start = stop
		}
	}
	return out
}

// Record is one TLS record of any type, with the version 3.1 that clients
// write into their first one (RFC 8446 §5.1).
func Record(typ uint8, payload []byte) []byte {
	return append([]byte{typ, 3, 1, byte(len(payload) >> 8), byte(len(payload))}, payload...)
}

// Handshake is one handshake message of any type.
func Handshake(typ uint8, body []byte) []byte {
	n := len(body)
	return append([]byte{typ, byte(n >> 16), byte(n >> 8), byte(n)}, body...)
}

func (b Builder) message(extensions []Extension) []byte {
	body := b.fields()
	if !b.NoExtensions {
		var list []byte
		for _, e := range extensions {
			list = be16(list, e.Type)
			list = append(list, vector16(e.Data)...)
		}
		body = append(body, vector16(list)...)
	}
	return Handshake(1, body)
}

// fields is the body up to the extensions.
func (b Builder) fields() []byte {
	body := be16(nil, orDefault(b.LegacyVersion, 0x0303))
	body = append(body, bytes.Repeat([]byte("random. "), 4)...)
	if b.SessionID == nil {
		b.SessionID = bytes.Repeat([]byte("session "), 4)
	}
	body = append(body, vector8(b.SessionID)...)
	if b.CipherSuites == nil {
		b.CipherSuites = []uint16{0x1301, 0xc02b, 0xc02f}
	}
	body = append(body, vector16(be16(nil, b.CipherSuites...))...)
	if b.Compression == nil {
		b.Compression = []byte{0}
	}
	return append(body, vector8(b.Compression)...)
}

// extensionsAt is the offset in the message at which the list of extensions
// begins, its length first.
func (b Builder) extensionsAt() int { return 4 + len(b.fields()) }

func (b Builder) extensions() []Extension {
	if b.OnlyExtensions {
		return b.Extensions[:len(b.Extensions):len(b.Extensions)]
	}
	var list []Extension
	if b.ServerNames != nil {
		list = append(list, ServerName(b.ServerNames...))
	}
	list = append(list,
		Extension{ExtSupportedGroups, vector16(be16(nil, 0x001d, 0x0017))},
		Extension{ExtSignatureAlgs, vector16(be16(nil, 0x0403, 0x0804, 0x0401))})
	if len(b.ALPN) > 0 {
		list = append(list, ALPN(b.ALPN...))
	}
	if b.Versions == nil {
		b.Versions = []uint16{0x0304, 0x0303}
	}
	if len(b.Versions) > 0 {
		list = append(list, Extension{ExtSupportedVersions, vector8(be16(nil, b.Versions...))})
	}
	share := vector16(bytes.Repeat([]byte{9}, 32))
	list = append(list, Extension{ExtKeyShare, vector16(append(be16(nil, 0x001d), share...))})
	if b.EarlyData {
		list = append(list, Extension{ExtEarlyData, nil})
	}
	return append(list, b.Extensions...)
}

// ServerName is a server_name extension with these host names, in order.
func ServerName(names ...string) Extension {
	var list []byte
	for _, name := range names {
		list = append(list, nameEntry(0, name)...)
	}
	return Extension{ExtServerName, vector16(list)}
}

// nameEntry is one entry of the list in a server_name extension.
func nameEntry(typ uint8, name string) []byte {
	return append([]byte{typ}, vector16([]byte(name))...)
}

// ALPN is an application_layer_protocol_negotiation extension.
func ALPN(protocols ...string) Extension {
	var list []byte
	for _, p := range protocols {
		list = append(list, vector8([]byte(p))...)
	}
	return Extension{ExtALPN, vector16(list)}
}

// ECHOuter is an encrypted_client_hello extension of type outer. Nobody can
// decrypt it, as nobody can decrypt the GREASE that browsers send in its
// place.
func ECHOuter() Extension {
	data := []byte{0, 0, 1, 0, 1, 42} // outer, HKDF-SHA256, AES-128-GCM, config_id
	data = append(data, vector16(bytes.Repeat([]byte("ech key "), 4))...)
	data = append(data, vector16(bytes.Repeat([]byte("payload "), 24))...)
	return Extension{ExtECH, data}
}

func vector8(b []byte) []byte {
	if len(b) > 0xff {
		panic("BUG: hellotest: more than 255 bytes in a short vector")
	}
	return append([]byte{byte(len(b))}, b...)
}

func vector16(b []byte) []byte {
	if len(b) > 0xffff {
		panic("BUG: hellotest: more than 65535 bytes in a vector")
	}
	return append(be16(nil, uint16(len(b))), b...)
}

func be16(b []byte, values ...uint16) []byte {
	for _, v := range values {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return b
}

func orDefault(v, def uint16) uint16 {
	if v == 0 {
		return def
	}
	return v
}
