package hellotest

import "bytes"

// Browser is a hello in the manner of today's browsers: 1.8 KB with a
// post-quantum key share, GREASE (RFC 8701) wherever it may stand, extensions
// that servers do not know, GREASE for Encrypted Client Hello, and padding.
// It takes two TCP segments.
func Browser(serverName string) Builder {
	const grease = 0x7a7a
	shares := append(be16(nil, grease), vector16([]byte{0})...)
	shares = append(be16(shares, 0x11ec), vector16(bytes.Repeat([]byte{7}, 1216))...) // X25519MLKEM768
	shares = append(be16(shares, 0x001d), vector16(bytes.Repeat([]byte{9}, 32))...)
	return Builder{
		CipherSuites: []uint16{grease, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c,
			0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035},
		OnlyExtensions: true,
		Extensions: []Extension{
			{grease, nil},
			{ExtSupportedVersions, vector8(be16(nil, grease, 0x0304, 0x0303))},
			{35, nil},     // session_ticket
			{0x0012, nil}, // signed_certificate_timestamp
			{0x44cd, vector16(vector8([]byte("h2")))}, // application_settings
			{ExtSignatureAlgs, vector16(be16(nil, 0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601))},
			{ExtKeyShare, vector16(shares)},
			ECHOuter(),
			ServerName(serverName),
			{5, []byte{1, 0, 0, 0, 0}},  // status_request
			{0xff01, []byte{0}},         // renegotiation_info
			{45, vector8([]byte{1})},    // psk_key_exchange_modes
			{23, nil},                   // extended_master_secret
			{27, vector8(be16(nil, 2))}, // compress_certificate
			{11, vector8([]byte{0})},    // ec_point_formats
			{ExtSupportedGroups, vector16(be16(nil, grease, 0x11ec, 0x001d, 0x0017, 0x0018))},
			ALPN("h2", "http/1.1"),
			{grease + 0x1010, []byte{0}},
		},
		Pad: 1820,
	}
}
