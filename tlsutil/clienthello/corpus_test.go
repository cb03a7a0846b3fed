package clienthello_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/tlsutil/clienthello"
)

var update = flag.Bool("update", false, "capture the hellos in testdata again, from the clients on this machine")

// oldToo is what OpenSSL 3.0 offers unless it is told otherwise.
var oldToo = []uint16{0x304, 0x303, 0x302, 0x301}

// corpus are the first flights of real clients, as files in testdata: what
// each sent, how to get it again, and what must be read out of it. A new
// capture may need new expectations; that is when to look at the difference.
var corpus = []struct {
	file    string
	capture func(t *testing.T) []byte
	want    result
	ja4     string
}{
	{"go-tls12.bin", goTLS12, result{Name: "a.test", Versions: []uint16{0x303}}, "t12d101000_a8cf61a50a39_a92c7c6a82fe"},
	{"go-tls13-x25519.bin", goTLS13, result{Name: "a.test", ALPN: []string{"h2"}, Versions: []uint16{0x304}}, "t13d0312h2_55b375c5d22e_4a12575e92d6"},
	{"go-default-mlkem.bin", goDefault, result{Name: "a.test", ALPN: []string{"h2", "http/1.1"}, Versions: []uint16{0x304, 0x303}}, "t13d1312h2_f57a46bbacb6_ab7e3b40a677"},
	{"go-no-name.bin", goNoName, result{Outcome: clienthello.NoSNI, Versions: []uint16{0x304, 0x303}}, "t13i131000_f57a46bbacb6_ab7e3b40a677"},
	{"go-psk.bin", goResumption, result{Name: "a.test", Versions: []uint16{0x304, 0x303}}, "t13d131400_f57a46bbacb6_3b244d8fbcc8"},
	{"go-ech.bin", goECH, result{Outcome: clienthello.ECHOuter, Name: "public.test", ALPN: []string{"h2"}, Versions: []uint16{0x304}}, "t13d0310h2_55b375c5d22e_75ab3bfddadf"},
	{"openssl-default.bin", openssl("-servername", "a.test", "-alpn", "h2,http/1.1"), result{Name: "a.test", ALPN: []string{"h2", "http/1.1"}, Versions: oldToo}, "t13d3111h2_e8f1e7e78f70_1f22a2ca17c4"},
	{"openssl-tls12.bin", openssl("-servername", "a.test", "-tls1_2"), result{Name: "a.test", Versions: []uint16{0x303}}, "t12d280700_d943125447b4_e7e480e5a997"},
	{"openssl-no-name.bin", openssl("-noservername"), result{Outcome: clienthello.NoSNI, Versions: oldToo}, "t13i310900_e8f1e7e78f70_1f22a2ca17c4"},
	{"openssl-address.bin", openssl("-servername", "192.0.2.1"), result{Outcome: clienthello.NoSNI, Versions: oldToo}, "t13d311000_e8f1e7e78f70_1f22a2ca17c4"},
	{"openssl-early-data.bin", opensslEarlyData, result{Name: "a.test", Versions: oldToo, EarlyData: true}, "t13d311200_e8f1e7e78f70_87f12a3f655c"},
	{"openssl-trailing-dot.bin", openssl("-servername", "A.test."), result{Name: "a.test", TrailingDot: true, Versions: oldToo}, "t13d311000_e8f1e7e78f70_1f22a2ca17c4"},
	{"curl.bin", curl("a.test"), result{Name: "a.test", ALPN: []string{"h2", "http/1.1"}, Versions: oldToo}, "t13d3112h2_e8f1e7e78f70_b26ce05bbdd6"},
	{"curl-trailing-dot.bin", curl("A.test."), result{Name: "a.test", ALPN: []string{"h2", "http/1.1"}, Versions: oldToo}, "t13d3112h2_e8f1e7e78f70_b26ce05bbdd6"},
}

func TestRealClients(t *testing.T) {
	for _, c := range corpus {
		t.Run(c.file, func(t *testing.T) {
			path := filepath.Join("testdata", c.file)
			if *update {
				if err := os.WriteFile(path, c.capture(t), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got, want := checkInvariants(t, b, maxHello), c.want
			if want.Outcome == clienthello.NeedMore { // not written in the table
				want.Outcome = clienthello.TLS
			}
			want.Size = recordsSize(b)
			if !got.equal(want) {
				t.Errorf("\n got %+v\nwant %+v", got, want)
			}
			if got := ja4(t, b, maxHello); got != c.ja4 {
				t.Errorf("JA4 is %s, want %s", got, c.ja4)
			}
			if hasMore := len(b) > got.Size; hasMore != got.EarlyData {
				t.Errorf("%d bytes follow the hello, with early data %v", len(b)-got.Size, got.EarlyData)
			}
			checkPrefixes(t, b, maxHello, 1)
		})
	}
}

// recordsSize is the length of the one record that real hellos come in.
func recordsSize(b []byte) int { return 5 + int(b[3])<<8 + int(b[4]) }

// The clients of the Go we are built with are asked each time, so that a
// hello of a new Go is seen when it comes.
func TestGoClientOfToday(t *testing.T) {
	for _, c := range corpus {
		if !strings.HasPrefix(c.file, "go-") {
			continue
		}
		t.Run(c.file, func(t *testing.T) {
			got := checkInvariants(t, c.capture(t), maxHello)
			if got.Name != c.want.Name || !got.Outcome.Complete() {
				t.Errorf("got %+v, want name %q", got, c.want.Name)
			}
		})
	}
}
