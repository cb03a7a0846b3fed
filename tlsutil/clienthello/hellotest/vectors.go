package hellotest

import (
	"bytes"
	"fmt"
	"slices"

	"sluice/tlsutil/clienthello"
)

// DefaultMax is the size limit of most vectors, which is the default of the
// gateway (inspect.max_bytes).
const DefaultMax = 16 << 10

// Vector is what a client sends, and what must come of it.
type Vector struct {
	// Name says what is special about it; it is fit for a subtest.
	Name string

	// Bytes are all that the client sends. Where Want is NeedMore it then
	// waits, and a gateway ends it at the deadline.
	Bytes []byte

	// Max is the most bytes a hello may take for Want to hold.
	Max int

	// Want is the outcome after all of Bytes, and WantName the server name
	// that routing uses, empty where there is none.
	Want     clienthello.Outcome
	WantName string

	// Suspect is set where Want is NotTLS but a server may take the bytes for
	// TLS: a gateway gives them only to a chain that asks for raw_buffer, and
	// calls them malformed elsewhere.
	Suspect bool
}

// Vectors gives all of them, in groups: hellos that are to be routed by name,
// those without a usable name, those to be refused, and what is not TLS.
// Names are unique. The caller owns the bytes.
func Vectors() []Vector {
	return slices.Concat(named(), sized(), nameless(), badNames(), badBodies(), badRecords(), notTLS())
}

// Cuts gives the hello for a.test in two records, once for each offset at
// which it can be cut.
func Cuts() []Vector {
	message := plain().Message()
	var list []Vector
	for cut := 1; cut < len(message); cut++ {
		list = append(list, routed(fmt.Sprintf("two_records_cut_at_%d", cut), Records(message, cut)))
	}
	return list
}

// plain is the hello that most vectors differ from in one thing.
func plain() Builder {
	return Builder{ServerNames: []string{"a.test"}, ALPN: []string{"h2", "http/1.1"}}
}

func vector(name string, want clienthello.Outcome, b []byte) Vector {
	return Vector{Name: name, Bytes: b, Max: DefaultMax, Want: want}
}

// routed is a vector that goes where a.test goes.
func routed(name string, b []byte) Vector {
	v := vector(name, clienthello.TLS, b)
	v.WantName = "a.test"
	return v
}

func refused(name string, b []byte) Vector { return vector(name, clienthello.Malformed, b) }

func named() []Vector {
	p := plain()
	message := p.Message()
	name := bytes.Index(message, []byte("a.test"))
	early := p
	early.EarlyData = true
	earlyData := slices.Concat(early.Records(),
		Record(RecordChangeCipherSpec, []byte{1}),
		Record(RecordApplicationData, bytes.Repeat([]byte("0-rtt "), 100)))
	tls12 := p
	tls12.Versions = []uint16{}
	browser := vector("browser_1820_bytes", clienthello.ECHOuter, Browser("a.test").Records())
	browser.WantName = "a.test"
	ech := p
	ech.Extensions = []Extension{ECHOuter()}
	echOuter := vector("ech_outer", clienthello.ECHOuter, ech.Records())
	echOuter.WantName = "a.test"
	inner := p
	inner.Extensions = []Extension{{ExtECH, []byte{1}}}
	return []Vector{
		routed("plain", p.Records()),
		routed("tls12_only", tls12.Records()),
		routed("upper_case", withName("A.TEST").Records()),
		routed("trailing_dot", withName("a.test.").Records()),
		routed("record_after_1_byte", p.Records(1)),
		routed("record_within_the_handshake_header", p.Records(2)),
		routed("record_after_the_handshake_header", p.Records(4)),
		routed("record_within_the_server_name", p.Records(name+3)),
		routed("record_before_the_extensions", p.Records(p.extensionsAt())),
		routed("three_records", p.Records(name-1, name+3)),
		routed("64_records", p.Records(upTo(63)...)),
		routed("early_data_follows", earlyData),
		routed("other_name_type_before_the_host_name", withList(nameEntry(7, "b.test"), nameEntry(0, "a.test")).Records()),
		routed("ech_inner", inner.Records()),
		browser,
		echOuter,
	}
}

func sized() []Vector {
	padded := func(n int) []byte {
		p := plain()
		p.Pad = n
		return p.Records()
	}
	beyond := func(name string, b []byte) Vector { return vector(name, clienthello.TooLarge, b) }
	allowed := func(name string, b []byte) Vector {
		v := routed(name, b)
		v.Max = 64 << 10
		return v
	}
	return []Vector{
		routed("12_KB_in_one_record", padded(12_000)),
		routed("16.3_KB_in_one_record", padded(16_300)),
		routed("exactly_max", padded(DefaultMax-5)),
		beyond("one_byte_beyond_max", padded(DefaultMax-4)),
		beyond("17_KB", padded(17_000)),
		beyond("40_KB", padded(40_000)),
		beyond("65_records", plain().Records(upTo(64)...)),
		allowed("17_KB_allowed", padded(17_000)),
		allowed("40_KB_allowed", padded(40_000)),
	}
}

func nameless() []Vector {
	none := func(name string, b Builder) Vector { return vector(name, clienthello.NoSNI, b.Records()) }
	ech := Builder{Extensions: []Extension{ECHOuter()}}
	return []Vector{
		none("no_server_name", Builder{ALPN: []string{"h2"}}),
		none("no_extensions", Builder{NoExtensions: true}),
		none("empty_list_of_extensions", Builder{OnlyExtensions: true}),
		none("ipv4_literal", withName("192.0.2.1")),
		none("ipv4_literal_trailing_dot", withName("192.0.2.1.")),
		none("ipv6_literal", withName("2001:db8::1")),
		none("ipv6_literal_in_brackets", withName("[2001:db8::1]")),
		none("ipv6_literal_with_ipv4", withName("::ffff:192.0.2.1")),
		none("empty_name", withName("")),
		none("other_name_type", withList(nameEntry(7, "a.test"))),
		none("ech_outer_without_name", ech),
	}
}

func badNames() []Vector {
	label := string(bytes.Repeat([]byte("x"), 64))
	long := string(bytes.Repeat([]byte("abcdefg."), 31)) + "a.test" // 254 bytes
	names := []struct{ what, name string }{
		{"nul", "a.test\x00x"},
		{"nul_at_the_end", "a.test\x00"},
		{"space", "a.test "},
		{"newline", "a.test\n"},
		{"star", "*.test"},
		{"slash", "a.test/"},
		{"colon", "a.test:443"},
		{"at", "x@a.test"},
		{"percent", "fe80::1%eth0"},
		{"utf8", "ä.test"},
		{"invalid_utf8", "\xff.test"},
		{"kelvin_sign", "\u212a.test"}, // lower case of it in Unicode is k
		{"leading_dot", ".a.test"},
		{"two_dots", "a..test"},
		{"two_trailing_dots", "a.test.."},
		{"only_a_dot", "."},
		{"label_of_64", label + ".test"},
		{"254_bytes", long},
		{"10000_bytes", string(bytes.Repeat([]byte("a."), 5000))},
	}
	var list []Vector
	for _, n := range names {
		list = append(list, refused("name_with_"+n.what, withName(n.name).Records()))
	}
	return list
}

func badBodies() []Vector {
	with := func(extensions ...Extension) []byte {
		p := plain()
		p.Extensions = extensions
		return p.Records()
	}
	many := make([]Extension, 0, 4000)
	for i := range cap(many) - 1 {
		many = append(many, Extension{uint16(1000 + i), nil})
	}
	many = append(many, Extension{1020, nil})
	return []Vector{
		refused("duplicate_server_name", with(ServerName("b.test"))),
		refused("duplicate_server_name_same", with(ServerName("a.test"))),
		refused("duplicate_alpn", with(ALPN("h2"))),
		refused("duplicate_supported_versions", with(Extension{ExtSupportedVersions, []byte{2, 3, 4}})),
		refused("duplicate_ech", with(ECHOuter(), ECHOuter())),
		refused("duplicate_unknown_extension", with(Extension{0x7777, nil}, Extension{0x7777, nil})),
		refused("duplicate_among_4000_extensions", with(many...)),
		refused("two_host_names", Builder{ServerNames: []string{"a.test", "b.test"}}.Records()),
		refused("two_host_names_same", Builder{ServerNames: []string{"a.test", "a.test"}}.Records()),
		refused("two_host_names_first_empty", Builder{ServerNames: []string{"", "a.test"}}.Records()),
		refused("empty_list_of_names", withList().Records()),
		refused("empty_name_of_other_type", withList(nameEntry(7, ""), nameEntry(0, "a.test")).Records()),
		refused("empty_server_name_extension", Builder{Extensions: []Extension{{ExtServerName, nil}}}.Records()),
		refused("server_name_list_too_short", Builder{Extensions: []Extension{{ExtServerName, []byte{0, 8, 0, 0, 6, 'a', '.', 't', 'e', 's', 't'}}}}.Records()),
		refused("data_after_the_server_name_list", Builder{Extensions: []Extension{{ExtServerName, []byte{0, 4, 0, 0, 1, 'a', 0}}}}.Records()),
		refused("alpn_empty_name", Builder{Extensions: []Extension{ALPN("h2", "")}}.Records()),
		refused("alpn_empty_list", Builder{Extensions: []Extension{ALPN()}}.Records()),
		refused("alpn_truncated", Builder{Extensions: []Extension{{ExtALPN, []byte{0, 3, 3, 'h', '2'}}}}.Records()),
		refused("versions_odd", Builder{Versions: []uint16{}, Extensions: []Extension{{ExtSupportedVersions, []byte{3, 3, 4, 3}}}}.Records()),
		refused("versions_empty", Builder{Versions: []uint16{}, Extensions: []Extension{{ExtSupportedVersions, []byte{0}}}}.Records()),
		refused("early_data_not_empty", with(Extension{ExtEarlyData, []byte{0}})),
		refused("pre_shared_key_not_last", with(Extension{ExtPreSharedKey, []byte{0}}, Extension{0x7777, nil})),
		refused("ech_unknown_type", with(Extension{ExtECH, []byte{2}})),
		refused("ech_empty", with(Extension{ExtECH, nil})),
		refused("ech_empty_payload", with(Extension{ExtECH, []byte{0, 0, 1, 0, 1, 42, 0, 1, 'k', 0, 0}})),
		refused("ech_with_data_after_it", with(Extension{ExtECH, append(ECHOuter().Data, 0)})),
		refused("ech_inner_with_data", with(Extension{ExtECH, []byte{1, 0}})),
		refused("ech_truncated", with(Extension{ExtECH, []byte{0, 0, 1, 0, 1}})),
		refused("session_id_of_33", Builder{SessionID: make([]byte, 33)}.Records()),
		refused("no_cipher_suites", Builder{CipherSuites: []uint16{}}.Records()),
		refused("no_compression", Builder{Compression: []byte{}}.Records()),
		refused("empty_message", Record(RecordHandshake, Handshake(1, nil))),
		refused("data_after_the_extensions", Records(Handshake(1, append(plain().Message()[4:], 0)))),
	}
}

func badRecords() []Vector {
	p := plain()
	message := p.Message()
	whole := p.Records()
	empty := Record(RecordHandshake, nil)
	alert := Record(RecordAlert, []byte{1, 90}) // warning, user_canceled
	ccs := Record(RecordChangeCipherSpec, []byte{1})
	first, second := Record(RecordHandshake, message[:40]), Record(RecordHandshake, message[40:])
	longer := slices.Clone(message)
	longer[2]++ // 256 bytes more than come
	otherVersion := slices.Clone(second)
	otherVersion[1] = 2
	return []Vector{
		refused("empty_record_first", slices.Concat(empty, whole)),
		refused("empty_record_between", slices.Concat(first, empty, second)),
		refused("change_cipher_spec_first", slices.Concat(ccs, whole)),
		refused("change_cipher_spec_between", slices.Concat(first, ccs, second)),
		refused("alert_first", slices.Concat(alert, whole)),
		refused("alert_between", slices.Concat(first, alert, second)),
		refused("application_data_between", slices.Concat(first, Record(RecordApplicationData, message[40:]))),
		refused("other_version_in_second_record", slices.Concat(first, otherVersion)),
		refused("record_of_16385_bytes", Record(RecordHandshake, append(message, make([]byte, 16385-len(message))...))),
		refused("server_hello", Record(RecordHandshake, Handshake(2, message[4:]))),
		refused("second_message_in_the_record", Record(RecordHandshake, append(slices.Clone(message), message...))),
		refused("one_byte_after_the_hello_in_its_record", Record(RecordHandshake, append(slices.Clone(message), 0))),
		refused("sslv2", sslv2Hello(0, 2)),
		refused("sslv2_format_tls10", sslv2Hello(3, 1)),
		vector("longer_than_what_comes", clienthello.NeedMore, Record(RecordHandshake, longer)),
	}
}

func notTLS() []Vector {
	list := otherVersions()
	for _, protocol := range []struct{ name, bytes string }{
		{"http", "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"},
		{"ssh", "SSH-2.0-OpenSSH_9.9\r\n"},
		{"postgres", "\x00\x00\x00\x08\x04\xd2\x16\x2f"},
		{"application_data_first", "\x17\x03\x03\x00\x01x"},
		{"telnet", "\xff\xfb\x01"},
		{"high_bit_but_no_sslv2", "\x80\x2e\x01\x07\x07 and so on"},
		{"alert_type_but_version_16", "\x15\x10\x00\x00\x02\x01\x5a"},
		{"change_cipher_spec_type_but_version_255", "\x14\xff\x00\x00\x01\x01"},
	} {
		list = append(list, vector(protocol.name, clienthello.NotTLS, []byte(protocol.bytes)))
	}
	return list
}

// otherVersions are records whose types are those of TLS and whose versions
// are not, with the hello for a.test in them or behind them.
func otherVersions() []Vector {
	whole := plain().Records()
	with := func(major byte, record []byte) []byte {
		record = slices.Clone(record)
		record[1] = major
		return record
	}
	alert := Record(RecordAlert, []byte{1, 90}) // warning, user_canceled
	ccs := Record(RecordChangeCipherSpec, []byte{1})
	var list []Vector
	suspect := func(name string, b []byte) {
		v := vector(name, clienthello.NotTLS, b)
		v.Suspect = true
		list = append(list, v)
	}
	for _, major := range []byte{0, 2, 4, 15, 16, 255} {
		suspect(fmt.Sprintf("record_major_version_%d", major), with(major, whole))
	}
	for _, major := range []byte{0, 2, 4, 15} {
		suspect(fmt.Sprintf("alert_of_major_version_%d_first", major), slices.Concat(with(major, alert), whole))
		suspect(fmt.Sprintf("change_cipher_spec_of_major_version_%d_first", major), slices.Concat(with(major, ccs), whole))
	}
	return list
}

// sslv2Hello is a hello in the format of SSLv2 (RFC 5246 E.2) for a version.
func sslv2Hello(major, minor byte) []byte {
	body := []byte{1, major, minor, 0, 6, 0, 0, 0, 16} // lengths: suites, session, challenge
	body = append(body, 0x01, 0x00, 0x80, 0x00, 0x00, 0x2f)
	body = append(body, bytes.Repeat([]byte{'c'}, 16)...)
	return append([]byte{0x80, byte(len(body))}, body...)
}

func withName(name string) Builder { return Builder{ServerNames: []string{name}} }

// withList has a server_name extension with these entries.
func withList(entries ...[]byte) Builder {
	return Builder{Extensions: []Extension{{ExtServerName, vector16(slices.Concat(entries...))}}}
}

// upTo gives the cuts 1 to n: n records of one byte and one with the rest.
func upTo(n int) []int {
	cuts := make([]int, n)
	for i := range cuts {
		cuts[i] = i + 1
	}
	return cuts
}
