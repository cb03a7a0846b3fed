package clienthello_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sluice/tlsutil/clienthello"
	"sluice/tlsutil/clienthello/hellotest"
)

// naiveJA4 is the specification written down as naively as possible, for a
// handshake message that was found well-formed. It shares no code with JA4.
func naiveJA4(message []byte) string {
	vector := func(lengthBytes int) (v []byte) {
		n := 0
		for _, b := range message[:lengthBytes] {
			n = n<<8 | int(b)
		}
		message = message[lengthBytes:]
		v, message = message[:n], message[n:]
		return v
	}
	values := func(list []byte) (texts []string) {
		for ; len(list) >= 2; list = list[2:] {
			if text := fmt.Sprintf("%x", list[:2]); !strings.Contains(grease, text) {
				texts = append(texts, text)
			}
		}
		return texts
	}
	message = message[4:]
	version := fmt.Sprintf("%x", message[:2])
	message = message[34:]
	vector(1)
	ciphers := values(vector(2))
	vector(1)
	extensions, sni, alpn, signatures := []string{}, "i", "00", []string(nil)
	count := 0
	if len(message) > 0 {
		message = vector(2)
	}
	for len(message) > 0 {
		typ := fmt.Sprintf("%x", message[:2])
		message = message[2:]
		data := vector(2)
		switch typ {
		case "0000":
			sni = "d"
		case "0010":
			name := data[3 : 3+int(data[2])]
			first, last := string(name[:1]), string(name[len(name)-1:])
			if hex := fmt.Sprintf("%x", name); !alphanumeric.MatchString(first) || !alphanumeric.MatchString(last) {
				first, last = hex[:1], hex[len(hex)-1:]
			}
			alpn = first + last
		case "002b":
			if version = "none"; len(values(data[1:])) > 0 {
				version = slices.Max(values(data[1:]))
			}
		case "000d":
			if len(data) >= 2 && len(data)%2 == 0 && int(binary.BigEndian.Uint16(data)) == len(data)-2 {
				signatures = values(data[2:])
			}
		}
		if !strings.Contains(grease, typ) {
			count++
			if typ != "0000" && typ != "0010" {
				extensions = append(extensions, typ)
			}
		}
	}
	slices.Sort(ciphers)
	slices.Sort(extensions)
	versions := map[string]string{"0304": "13", "0303": "12", "0302": "11", "0301": "10", "0300": "s3", "0002": "s2", "feff": "d1", "fefd": "d2", "fefc": "d3"}
	characters, known := versions[version]
	if !known {
		characters = "00"
	}
	hashed := strings.Join(extensions, ",")
	if len(signatures) > 0 {
		hashed += "_" + strings.Join(signatures, ",")
	}
	return fmt.Sprintf("t%s%s%02d%02d%s_%s_%s", characters, sni, min(len(ciphers), 99), min(count, 99), alpn,
		naiveHash(strings.Join(ciphers, ",")), naiveHash(hashed))
}

const grease = "0a0a 1a1a 2a2a 3a3a 4a4a 5a5a 6a6a 7a7a 8a8a 9a9a aaaa baba caca dada eaea fafa"

var alphanumeric = regexp.MustCompile(`^[0-9A-Za-z]$`)

func naiveHash(list string) string {
	if list == "" {
		return "000000000000"
	}
	return fmt.Sprintf("%x", sha256.Sum256([]byte(list)))[:12]
}

// ja4 gives the fingerprint of the hello at the front of b, "" for none, and
// holds it against the naive one.
func ja4(t *testing.T, b []byte, max int) string {
	t.Helper()
	var h clienthello.Hello
	outcome := h.Parse(b, make([]byte, max), max)
	traits := h.AppendTraits([]byte("before"))[len("before"):]
	if !outcome.Complete() {
		if len(traits) > 0 {
			t.Errorf("outcome %v, but there are traits", outcome)
		}
		return ""
	}
	if len(traits) > h.Size() {
		t.Errorf("%d bytes of traits for a hello of %d", len(traits), h.Size())
	}
	var message []byte
	for rest := b[:h.Size()]; len(rest) > 0; {
		n := 5 + int(binary.BigEndian.Uint16(rest[3:]))
		message = append(message, rest[5:n]...)
		rest = rest[n:]
	}
	got := clienthello.JA4(traits)
	if want := naiveJA4(message); got != want || len(got) != clienthello.JA4Length {
		t.Errorf("JA4 is %s, want %s", got, want)
	}
	return got
}

// published are values of FoxIO's documentation, of the results that its tests
// expect of captured traffic (python/test/testdata, rust/ja4/src/snapshots), and
// of a site that shows visitors theirs, by what those hellos have in them.
var published = []struct {
	name, want                      string
	versions, suites, types, sigAlg string
	alpn                            []string
}{
	{
		name: "JA4.md, and tls-handshake.pcapng", want: "t13d1516h2_8daaf6152771_e5627efa2ab1",
		versions: "0a0a 0304 0303", suites: chromeSuites, sigAlg: chromeSignatures, alpn: []string{"h2", "http/1.1"},
		types: "001b 0000 0033 0010 4469 0017 002d 000d 0005 0023 0012 002b ff01 000b 000a 0015",
	},
	{
		name: "tls-handshake.pcapng, http/1.1 first", want: "t13d1516h1_8daaf6152771_e5627efa2ab1",
		versions: "0304 0303", suites: chromeSuites, sigAlg: chromeSignatures, alpn: []string{"http/1.1"},
		types: "0000 0017 ff01 000a 000b 0023 0010 0005 000d 0012 0033 002d 002b 001b 4469 0015",
	},
	{
		name: "tls-handshake.pcapng, without ALPN", want: "t13d151400_8daaf6152771_de4a06bb82e3",
		versions: "0304 0303", suites: chromeSuites, sigAlg: chromeSignatures,
		types: "0000 0017 ff01 000a 000b 0023 0005 000d 0012 0033 002d 002b 001b 0015",
	},
	{
		name: "tls-handshake.pcapng, resuming", want: "t13d1517h1_8daaf6152771_6cdcb247c39b",
		versions: "0304 0303", suites: chromeSuites, sigAlg: chromeSignatures, alpn: []string{"http/1.1"},
		types: "0000 0005 000a 000b 000d 0010 0012 0015 0017 001b 0023 002b 002d 0033 4469 ff01 0029",
	},
	{
		name: "tls-non-ascii-alpn.pcapng", want: "t13d1516bd_8daaf6152771_e5627efa2ab1",
		versions: "0304 0303", suites: chromeSuites, sigAlg: chromeSignatures, alpn: []string{"\xba\xad", "http/1.1"},
		types: "0000 0005 000a 000b 000d 0010 0012 0015 0017 001b 0023 002b 002d 0033 4469 ff01",
	},
	{
		name: "browserleaks.com, Chrome 143", want: "t13d1516h2_8daaf6152771_d8a2da3f94cd",
		versions: "fafa 0304 0303", suites: chromeSuites, sigAlg: chromeSignatures, alpn: []string{"h2", "http/1.1"},
		types: "1a1a 002d 0033 0010 fe0d 0017 44cd 0000 000b 000a 002b ff01 0023 0012 0005 000d 001b 4a4a",
	},
	{
		name: "tls12.pcap", want: "t13d1715h2_5b57614c22b0_3d5424432f57", versions: "0304 0303", alpn: []string{"h2", "http/1.1"},
		suites: "1301 1303 1302 c02b c02f cca9 cca8 c02c c030 c00a c009 c013 c014 009c 009d 002f 0035",
		types:  "0000 0017 ff01 000a 000b 0023 0010 0005 0022 0033 002b 000d 002d 001c 0015",
		sigAlg: "0403 0503 0603 0804 0805 0806 0401 0501 0601 0203 0201",
	},
	{
		name: "tls-alpn-h2.pcap, up to TLS 1.2", want: "t12d4605h2_85626a9a5f7f_aaf95bb78ec9", alpn: []string{"h2", "http/1.1"},
		suites: "c030 c02c c028 c024 c014 c00a 009f 006b 0039 cca9 cca8 ccaa ff85 00c4 0088 0081 009d 003d 0035 00c0 0084 c02f c02b " +
			"c027 c023 c013 c009 009e 0067 0033 00be 0045 009c 003c 002f 00ba 0041 c011 c007 0005 0004 c012 c008 0016 000a 00ff",
		types:  "0000 000b 000a 000d 0010",
		sigAlg: "0601 0603 efef 0501 0503 0401 0403 eeee eded 0301 0303 0201 0203",
	},
	{
		name: "latest.pcapng, without supported_versions", want: "t12d190800_d83cc789557e_7af1ed941c26",
		suites: "c02c c02b c030 c02f c024 c023 c028 c027 c00a c009 c014 c013 009d 009c 003d 003c 0035 002f 000a",
		types:  "0000 0005 000a 000b 000d 0023 0017 ff01",
		sigAlg: "0804 0805 0806 0401 0501 0201 0403 0503 0203 0202 0601 0603",
	},
}

const (
	chromeSuites     = "8a8a 1301 1302 1303 c02b c02f c02c c030 cca9 cca8 c013 c014 009c 009d 002f 0035"
	chromeSignatures = "0403 0804 0401 0503 0805 0501 0806 0601"
)

func numbers(t *testing.T, list string) (values []uint16) {
	for f := range strings.FieldsSeq(list) {
		var v uint16
		if _, err := fmt.Sscanf(f, "%x", &v); err != nil {
			t.Fatal(err)
		}
		values = append(values, v)
	}
	return values
}

func wire(values []uint16) (b []byte) {
	for _, v := range values {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return b
}

// extensionsOf makes extensions with what is read of them.
func extensionsOf(types []uint16, versions, signatures []uint16, alpn []string) (list []hellotest.Extension) {
	for _, typ := range types {
		e := hellotest.Extension{Type: typ}
		switch typ {
		case hellotest.ExtServerName:
			e = hellotest.ServerName("a.test")
		case hellotest.ExtALPN:
			e = hellotest.ALPN(alpn...)
		case hellotest.ExtECH:
			e = hellotest.ECHOuter()
		case hellotest.ExtSupportedVersions:
			e.Data = append([]byte{byte(2 * len(versions))}, wire(versions)...)
		case hellotest.ExtSignatureAlgs:
			e.Data = prefixed(wire(signatures))
		}
		list = append(list, e)
	}
	return list
}

func TestJA4PublishedVectors(t *testing.T) {
	for _, v := range published {
		t.Run(v.name, func(t *testing.T) {
			b := hellotest.Builder{
				CipherSuites: numbers(t, v.suites), OnlyExtensions: true,
				Extensions: extensionsOf(numbers(t, v.types), numbers(t, v.versions), numbers(t, v.sigAlg), v.alpn),
			}
			for _, records := range [][]byte{b.Records(), b.Records(60, 80)} {
				if got := ja4(t, records, maxHello); got != v.want {
					t.Errorf("%s, want %s", got, v.want)
				}
			}
		})
	}
}

// The examples of "ALPN Extension Value", and more of the kind.
func TestJA4CharactersOfALPN(t *testing.T) {
	f := func(want string, protocols ...string) {
		t.Helper()
		b := hellotest.Builder{ALPN: protocols}.Records()
		if got := ja4(t, b, maxHello); len(got) < 10 || got[8:10] != want {
			t.Errorf("%q: %s, want %s", protocols, got, want)
		}
	}
	f("00")
	f("h2", "h2")
	f("h1", "http/1.1", "h2")
	f("xx", "x")
	f("AZ", "A--Z")
	f("ab", "\xab")
	f("20", " ")
	f("ad", "\xab\xcd")
	f("21", "\x20\x61")
	f("3b", "\x30\xab")
	f("60", "\x61\x20")
	f("3d", "\x30\x31\xab\xcd")
	f("01", "\x30\xab\xcd\x31")
	f("6f", "h_0_") // '_' would split the fingerprint: 0x68 ... 0x5f
	f("0a", "\x0a\x0a", "h2")
	f("zz", "\x7a\x7a", "h2")
}

func TestJA4EdgeCases(t *testing.T) {
	type extension = hellotest.Extension
	many := func(n int, from uint16) (list []uint16) {
		for i := range n {
			list = append(list, from+uint16(n-i)) // in descending order
		}
		return list
	}
	var manyTypes []extension
	for _, typ := range many(150, 100) {
		manyTypes = append(manyTypes, extension{Type: typ})
	}
	hash := func(list string) string { return naiveHash(strings.ReplaceAll(list, " ", ",")) }
	texts := func(list []uint16) string {
		slices.Sort(list)
		var s []string
		for _, v := range list {
			s = append(s, fmt.Sprintf("%04x", v))
		}
		return strings.Join(s, " ")
	}
	usual := hash("1301 c02b c02f")
	f := func(name string, b hellotest.Builder, want string) {
		t.Helper()
		if got := ja4(t, b.Records(), maxHello); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	f("no extensions at all", hellotest.Builder{NoExtensions: true},
		"t12i030000_"+usual+"_000000000000")
	f("an empty list of extensions, and SSL 3.0", hellotest.Builder{OnlyExtensions: true, LegacyVersion: 0x300},
		"ts3i030000_"+usual+"_000000000000")
	f("only those that are not hashed", hellotest.Builder{OnlyExtensions: true, Extensions: []extension{hellotest.ALPN("h2"), hellotest.ServerName("a.test")}},
		"t12d0302h2_"+usual+"_000000000000")
	f("a server name that is an address", hellotest.Builder{OnlyExtensions: true, Extensions: []extension{hellotest.ServerName("192.0.2.1")}},
		"t12d030100_"+usual+"_000000000000")
	f("a version that nobody knows", hellotest.Builder{OnlyExtensions: true, LegacyVersion: 0x305},
		"t00i030000_"+usual+"_000000000000")
	f("no signature algorithms in their list", hellotest.Builder{OnlyExtensions: true, Extensions: []extension{{Type: 13, Data: []byte{0, 0}}}},
		"t12i030100_"+usual+"_"+hash("000d"))
	f("a malformed list of them", hellotest.Builder{OnlyExtensions: true, Extensions: []extension{{Type: 13, Data: []byte{0, 3, 4, 3, 8}}}},
		"t12i030100_"+usual+"_"+hash("000d"))
	f("GREASE everywhere", hellotest.Builder{
		CipherSuites: []uint16{0x0a0a, 0x1302, 0xfafa, 0x1301, 0x0aba}, OnlyExtensions: true, LegacyVersion: 0x302,
		Extensions: append([]extension{{Type: 0x1a1a}}, append(extensionsOf([]uint16{43, 13}, []uint16{0xdada, 0x304, 0x303}, []uint16{0x2a2a, 0x0403, 0xeaea}, nil), extension{Type: 0xcaca}, extension{Type: 0x0a1a})...),
	}, "t13i030300_"+hash("0aba 1301 1302")+"_"+hash("000d 002b 0a1a_0403"))
	f("nothing but GREASE", hellotest.Builder{
		CipherSuites: []uint16{0x5a5a}, OnlyExtensions: true,
		Extensions: append(extensionsOf([]uint16{43}, []uint16{0x6a6a}, nil, nil), extension{Type: 0x1a1a}),
	}, "t00i000100_000000000000_"+hash("002b"))
	f("99 and more cipher suites and extensions", hellotest.Builder{CipherSuites: many(100, 0x1000), OnlyExtensions: true, Extensions: manyTypes},
		"t12i999900_"+hash(texts(many(100, 0x1000)))+"_"+hash(texts(many(150, 100))))
	f("cipher suites that repeat", hellotest.Builder{CipherSuites: []uint16{0x1302, 0x1301, 0x1302, 0x00ff, 0x5600}, OnlyExtensions: true},
		"t12i050000_"+hash("00ff 1301 1302 1302 5600")+"_000000000000")
	// Held against the naive one only, since there is GREASE among them.
	ja4(t, hellotest.Builder{CipherSuites: append(many(16000, 0x2000), many(16000, 0)...), OnlyExtensions: true}.Records(), maxHello)
}

// The order of extensions and GREASE change nothing, not even the traits.
func TestJA4TraitsOfOneProgram(t *testing.T) {
	traits := func(b hellotest.Builder) []byte {
		var h clienthello.Hello
		records := b.Records()
		if outcome := h.Parse(records, make([]byte, maxHello), maxHello); !outcome.Complete() {
			t.Fatal(outcome, h.Reason())
		}
		return h.AppendTraits(nil)
	}
	a, b := hellotest.Browser("a.test"), hellotest.Browser("b.test")
	b.CipherSuites[0] = 0xbaba
	b.Extensions[0].Type = 0x2a2a
	slices.Reverse(b.Extensions)
	if x, y := traits(a), traits(b); !bytes.Equal(x, y) {
		t.Errorf("different traits:\n%x\n%x", x, y)
	}
	b.CipherSuites[1] = 0x1304
	if bytes.Equal(traits(a), traits(b)) {
		t.Error("the same traits with another cipher suite")
	}
}

func TestTraitsDoNotAllocate(t *testing.T) {
	types := make([]hellotest.Extension, 16_000)
	for i := range types {
		types[i].Type = uint16(100 + i)
	}
	for name, b := range map[string]hellotest.Builder{
		"browser": hellotest.Browser("a.test"), "16000 extensions": {OnlyExtensions: true, Extensions: types},
	} {
		var h clienthello.Hello
		if outcome := h.Parse(b.Records(), make([]byte, maxHello), maxHello); !outcome.Complete() {
			t.Fatal(outcome, h.Reason())
		}
		room := make([]byte, 0, maxHello)
		if n := testing.AllocsPerRun(100, func() { h.AppendTraits(room) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkJA4(b *testing.B) {
	suites := make([]uint16, 32_000)
	for i := range suites {
		suites[i] = uint16(i * 40503)
	}
	for name, builder := range map[string]hellotest.Builder{
		"browser": hellotest.Browser("a.test"), "32000_suites": {CipherSuites: suites},
	} {
		var h clienthello.Hello
		if outcome := h.Parse(builder.Records(), make([]byte, maxHello), maxHello); !outcome.Complete() {
			b.Fatal(outcome, h.Reason())
		}
		traits := h.AppendTraits(nil)
		b.Run(name+"/traits", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				traits = h.AppendTraits(traits[:0])
			}
		})
		b.Run(name+"/fingerprint", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				clienthello.JA4(traits)
			}
		})
	}
}
