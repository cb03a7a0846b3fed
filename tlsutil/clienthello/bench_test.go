package clienthello_test

import (
	"testing"

	"sluice/tlsutil/clienthello"
	"sluice/tlsutil/clienthello/hellotest"
)

func BenchmarkParse(b *testing.B) {
	padded := func(n int) hellotest.Builder {
		return hellotest.Builder{ServerNames: []string{"www.example.test"}, ALPN: []string{"h2", "http/1.1"}, Pad: n}
	}
	whole := hellotest.Browser("www.example.test").Records()
	everyByte := make([]int, 63)
	for i := range everyByte {
		everyByte[i] = i + 1
	}
	for _, c := range []struct {
		name  string
		bytes []byte
		want  clienthello.Outcome
	}{
		{"300B", padded(300).Records(), clienthello.TLS},
		{"browser_1.8KB", whole, clienthello.ECHOuter},
		{"browser_3_records", hellotest.Browser("www.example.test").Records(500, 1000), clienthello.ECHOuter},
		{"16KB", padded(16_000).Records(), clienthello.TLS},
		{"40KB_3_records", padded(40_000).Records(), clienthello.TLS},
		{"need_more", whole[:1400], clienthello.NeedMore},
		{"need_more_64_records", padded(300).Records(everyByte...)[:380], clienthello.NeedMore},
		{"not_tls", []byte("GET / HTTP/1.1\r\n"), clienthello.NotTLS},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			var h clienthello.Hello
			scratch := make([]byte, maxHello)
			for b.Loop() {
				if got := h.Parse(c.bytes, scratch, maxHello); got != c.want {
					b.Fatalf("%v (%s), want %v", got, h.Reason(), c.want)
				}
			}
		})
	}
	b.Run("16000_extensions", func(b *testing.B) { // the most a hello of 64 KiB can hold
		b.ReportAllocs()
		extensions := make([]hellotest.Extension, 16_000)
		for i := range extensions {
			extensions[i].Type = uint16(100 + i)
		}
		bytes := hellotest.Builder{OnlyExtensions: true, Extensions: extensions}.Records()
		var h clienthello.Hello
		scratch := make([]byte, maxHello)
		for b.Loop() {
			if got := h.Parse(bytes, scratch, maxHello); got != clienthello.NoSNI {
				b.Fatal(got, h.Reason())
			}
		}
	})
}
