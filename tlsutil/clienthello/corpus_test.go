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
}{
	{"go-tls12.bin", goTLS12, result{Name: "a.test", Versions: []uint16{0x303}}},
	{"go-tls13-x25519.bin", goTLS13, result{Name: "a.test", ALPN: []string{"h2"}, Versions: []uint16{0x304}}},
	{"go-default-mlkem.bin", goDefault, result{Name: "a.test", ALPN: []string{"h2", "http/1.1"}, Versions: []uint16{0x304, 0x303}}},
	{"go-no-name.bin", goNoName, result{Outcome: clienthello.NoSNI, Versions: []uint16{0x304, 0x303}}},
	{"go-psk.bin", goResumption, result{Name: "a.test", Versions: []uint16{0x304, 0x303}}},
	{"go-ech.bin", goECH, result{Outcome: clienthello.ECHOuter, Name: "public.test", ALPN: []string{"h2"}, Versions: []uint16{0x304}}},
	{"openssl-default.bin", openssl("-servername", "a.test", "-alpn", "h2,http/1.1"), result{Name: "a.test", ALPN: []string{"h2", "http/1.1"}, Versions: oldToo}},
	{"openssl-tls12.bin", openssl("-servername", "a.test", "-tls1_2"), result{Name: "a.test", Versions: []uint16{0x303}}},
	{"openssl-no-name.bin", openssl("-noservername"), result{Outcome: clienthello.NoSNI, Versions: oldToo}},
	{"openssl-address.bin", openssl("-servername", "192.0.2.1"), result{Outcome: clienthello.NoSNI, Versions: oldToo}},
	{"openssl-early-data.bin", opensslEarlyData, result{Name: "a.test", Versions: oldToo, EarlyData: true}},
	{"openssl-trailing-dot.bin", openssl("-servername", "A.test."), result{Name: "a.test", TrailingDot: true, Versions: oldToo}},
	{"curl.bin", curl("a.test"), result{Name: "a.test", ALPN: []string{"h2", "http/1.1"}, Versions: oldToo}},
	{"curl-trailing-dot.bin", curl("A.test."), result{Name: "a.test", ALPN: []string{"h2", "http/1.1"}, Versions: oldToo}},
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
