package clienthello_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"sluice/tlsutil/clienthello"
	"sluice/tlsutil/clienthello/hellotest"
)

const maxHello = 64 << 10

// result is everything that a Hello says, in memory of its own.
type result struct {
	Outcome     clienthello.Outcome
	Name        string
	TrailingDot bool
	ALPN        []string
	Versions    []uint16
	EarlyData   bool
	Size        int
	Reason      string
}

func parse(b []byte, max int) result {
	var h clienthello.Hello
	outcome := h.Parse(b, make([]byte, max), max)
	return resultOf(&h, outcome)
}

func resultOf(h *clienthello.Hello, outcome clienthello.Outcome) result {
	r := result{
		Outcome:     outcome,
		Name:        string(h.ServerName()),
		TrailingDot: h.TrailingDot(),
		Versions:    slices.Collect(h.Versions()),
		EarlyData:   h.EarlyData(),
		Size:        h.Size(),
		Reason:      h.Reason(),
	}
	var list []byte
	for p := range h.ALPN() {
		r.ALPN = append(r.ALPN, string(p))
		list = append(append(list, byte(len(p))), p...)
	}
	if !bytes.Equal(list, h.ALPNList()) {
		panic("BUG: ALPN and ALPNList differ")
	}
	return r
}

func (r result) equal(o result) bool {
	return r.Outcome == o.Outcome && r.Name == o.Name && r.TrailingDot == o.TrailingDot &&
		slices.Equal(r.ALPN, o.ALPN) && slices.Equal(r.Versions, o.Versions) &&
		r.EarlyData == o.EarlyData && r.Size == o.Size && r.Reason == o.Reason
}

// checkInvariants holds what is true of any bytes, and gives what b is.
func checkInvariants(t *testing.T, b []byte, max int) result {
	t.Helper()
	before := bytes.Clone(b)
	r := parse(b, max)
	if !bytes.Equal(b, before) {
		t.Fatal("Parse wrote to the bytes received")
	}
	wantReason := r.Outcome == clienthello.Malformed || r.Outcome == clienthello.TooLarge
	mayHaveReason := r.Outcome == clienthello.NotTLS && 20 <= b[0] && b[0] <= 22
	if wantReason != (r.Reason != "") && !mayHaveReason {
		t.Errorf("outcome %v with reason %q", r.Outcome, r.Reason)
	}
	if hasName := r.Outcome == clienthello.TLS || r.Outcome == clienthello.ECHOuter; hasName != (r.Name != "") {
		t.Errorf("outcome %v with name %q", r.Outcome, r.Name)
	}
	if !r.Outcome.Complete() && (r.Size != 0 || len(r.ALPN) != 0 || len(r.Versions) != 0 || r.EarlyData || r.TrailingDot) {
		t.Errorf("outcome %v, but the Hello says something: %+v", r.Outcome, r)
	}
	if r.Outcome.Complete() && (r.Size <= 0 || r.Size > len(b) || r.Size > max || len(r.Versions) == 0) {
		t.Errorf("outcome %v of %d bytes with max %d: %+v", r.Outcome, len(b), max, r)
	}
	if r.Outcome == clienthello.NeedMore && len(b) >= max {
		t.Errorf("need_more after %d bytes with max %d", len(b), max)
	}
	ja4(t, b, max)
	return r
}

// checkPrefixes holds that answers are final and that none comes too early:
// every prefix, in steps, is need_more or already has the answer of the whole.
func checkPrefixes(t *testing.T, b []byte, max, step int) {
	t.Helper()
	whole := checkInvariants(t, b, max)
	var h clienthello.Hello
	scratch := make([]byte, max)
	for n := 0; n < len(b); n += step {
		r := resultOf(&h, h.Parse(b[:n:n], scratch, max))
		switch {
		case r.Outcome == clienthello.NeedMore && !(whole.Outcome.Complete() && n >= whole.Size):
		case r.equal(whole) && !(whole.Outcome.Complete() && n < whole.Size):
		default:
			t.Fatalf("first %d of %d bytes: %+v, whole: %+v", n, len(b), r, whole)
		}
	}
	for _, tail := range []string{"\x00", "\x16\x03\x01\x00\x05", strings.Repeat("\xff", 70_000)} {
		r := parse(append(bytes.Clone(b), tail...), max)
		if whole.Outcome != clienthello.NeedMore && !r.equal(whole) {
			t.Fatalf("with %d bytes more: %+v, before: %+v", len(tail), r, whole)
		}
	}
}

func TestVectors(t *testing.T) {
	names := make(map[string]bool)
	for _, v := range hellotest.Vectors() {
		if names[v.Name] {
			t.Errorf("two vectors are named %s", v.Name)
		}
		names[v.Name] = true
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			r := checkInvariants(t, v.Bytes, v.Max)
			if r.Outcome != v.Want || r.Name != v.WantName {
				t.Errorf("%v %q (%s), want %v %q", r.Outcome, r.Name, r.Reason, v.Want, v.WantName)
			}
		})
	}
}

// Byte by byte, and two segments cut at every offset, are the prefixes.
func TestPrefixes(t *testing.T) {
	for _, v := range hellotest.Vectors() {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			step := 1
			if len(v.Bytes) > 4096 {
				step = 61
			}
			checkPrefixes(t, v.Bytes, v.Max, step)
		})
	}
}

// The way a hello is cut into records changes its size and nothing else.
func TestRecordsCutAtEveryOffset(t *testing.T) {
	for _, v := range hellotest.Cuts() {
		r := checkInvariants(t, v.Bytes, v.Max)
		if r.Outcome != v.Want || r.Name != v.WantName || r.Size != len(v.Bytes) ||
			!slices.Equal(r.ALPN, []string{"h2", "http/1.1"}) || !slices.Equal(r.Versions, []uint16{0x304, 0x303}) {
			t.Errorf("%s: %+v", v.Name, r)
		}
	}
}

func TestThreeRecordsCutAtEveryPairOfOffsets(t *testing.T) {
	t.Parallel()
	message := hellotest.Builder{ServerNames: []string{"a.test"}}.Message()
	for i := 1; i < len(message); i++ {
		for j := i + 1; j < len(message); j++ {
			b := hellotest.Records(message, i, j)
			if r := parse(b, maxHello); r.Outcome != clienthello.TLS || r.Name != "a.test" || r.Size != len(b) {
				t.Fatalf("cut at %d and %d: %+v", i, j, r)
			}
		}
	}
}

func TestTwoRecordsAndTwoSegments(t *testing.T) {
	t.Parallel()
	message := hellotest.Builder{ServerNames: []string{"a.test"}}.Message()
	for cut := 1; cut < len(message); cut++ {
		checkPrefixes(t, hellotest.Records(message, cut), maxHello, 1)
	}
}

func TestHelloSays(t *testing.T) {
	f := func(name string, b hellotest.Builder, want result) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			t.Helper()
			records := b.Records(3, 60)
			want.Size = len(records)
			if got := parse(records, maxHello); !got.equal(want) {
				t.Errorf("\n got %+v\nwant %+v", got, want)
			}
		})
	}
	both := []uint16{0x304, 0x303}
	long := strings.Repeat(strings.Repeat("x", 62)+".", 4) + "x" // 253 bytes

	f("protocols in the client's order", hellotest.Builder{ServerNames: []string{"a.test"}, ALPN: []string{"acme-tls/1", "h2", "\x00\xff"}},
		result{Outcome: clienthello.TLS, Name: "a.test", ALPN: []string{"acme-tls/1", "h2", "\x00\xff"}, Versions: both})
	f("protocols without a name", hellotest.Builder{ALPN: []string{"h2"}},
		result{Outcome: clienthello.NoSNI, ALPN: []string{"h2"}, Versions: both})
	f("legacy_version when there is no list", hellotest.Builder{Versions: []uint16{}, LegacyVersion: 0x302},
		result{Outcome: clienthello.NoSNI, Versions: []uint16{0x302}})
	f("versions and not legacy_version", hellotest.Builder{Versions: []uint16{0x7a7a, 0x304}, LegacyVersion: 0x302},
		result{Outcome: clienthello.NoSNI, Versions: []uint16{0x7a7a, 0x304}})
	f("trailing dot", hellotest.Builder{ServerNames: []string{"a.TEST."}},
		result{Outcome: clienthello.TLS, Name: "a.test", TrailingDot: true, Versions: both})
	f("early data", hellotest.Builder{ServerNames: []string{"a.test"}, EarlyData: true},
		result{Outcome: clienthello.TLS, Name: "a.test", EarlyData: true, Versions: both})
	f("longest name", hellotest.Builder{ServerNames: []string{long}},
		result{Outcome: clienthello.TLS, Name: long, Versions: both})
	f("longest name with a trailing dot", hellotest.Builder{ServerNames: []string{long + "."}},
		result{Outcome: clienthello.TLS, Name: long, TrailingDot: true, Versions: both})
	f("every byte that a name may have", hellotest.Builder{ServerNames: []string{"-_0123456789.abcdefghijklmnopqrstuvwxyz.ABCDEFGHIJKLMNOPQRSTUVWXYZ"}},
		result{Outcome: clienthello.TLS, Name: "-_0123456789.abcdefghijklmnopqrstuvwxyz.abcdefghijklmnopqrstuvwxyz", Versions: both})
	f("no address although it looks like one", hellotest.Builder{ServerNames: []string{"192.0.2.256"}},
		result{Outcome: clienthello.TLS, Name: "192.0.2.256", Versions: both})
	f("ech without a name", hellotest.Builder{Extensions: []hellotest.Extension{hellotest.ECHOuter()}},
		result{Outcome: clienthello.NoSNI, Versions: both})
}

// Of all 256 bytes, those outside letters, digits, hyphen, dot and underscore
// are refused, wherever in the name they stand.
func TestEveryByteInAName(t *testing.T) {
	const good = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
	for c := range 256 {
		for _, name := range []string{string([]byte{byte(c)}) + "a", "a" + string([]byte{byte(c)}) + "a", "a" + string([]byte{byte(c)})} {
			want := clienthello.Malformed
			if strings.IndexByte(good, byte(c)) >= 0 && name != ".a" {
				want = clienthello.TLS
			}
			r := parse(hellotest.Builder{ServerNames: []string{name}}.Records(), maxHello)
			if r.Outcome != want {
				t.Errorf("name %q: %v, want %v", name, r.Outcome, want)
			}
		}
	}
}

// What one connection said must not show through in the next.
func TestReuse(t *testing.T) {
	var h clienthello.Hello
	scratch := make([]byte, maxHello)
	vectors := append(hellotest.Vectors(), hellotest.Vectors()...)
	for i, v := range vectors {
		for _, w := range []hellotest.Vector{v, vectors[(i*31+7)%len(vectors)]} {
			if got, want := resultOf(&h, h.Parse(w.Bytes, scratch, w.Max)), parse(w.Bytes, w.Max); !got.equal(want) {
				t.Fatalf("%s on a used Hello:\n got %+v\nwant %+v", w.Name, got, want)
			}
		}
	}
}

func TestDecidedAtOnce(t *testing.T) {
	f := func(name, bytes string, max int, want clienthello.Outcome, reason string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			t.Helper()
			if r := parse([]byte(bytes), max); r.Outcome != want || r.Reason != reason {
				t.Errorf("%v %q, want %v %q", r.Outcome, r.Reason, want, reason)
			}
			for n := range len(bytes) {
				if r := parse([]byte(bytes[:n]), max); r.Outcome != clienthello.NeedMore {
					t.Errorf("after %d bytes: %v %q, want need_more", n, r.Outcome, r.Reason)
				}
			}
		})
	}
	const otherVersion = "TLS record of another major version than 3"
	const tooMany = "hello larger than inspect.max_bytes"
	f("nothing", "", 16384, clienthello.NeedMore, "")
	f("first byte", "G", 16384, clienthello.NotTLS, "")
	f("record type 19", "\x13", 16384, clienthello.NotTLS, "")
	f("record type 23", "\x17", 16384, clienthello.NotTLS, "")
	f("major version", "\x16\x02", 16384, clienthello.NotTLS, otherVersion)
	f("major version above all", "\x16\xff", 16384, clienthello.NotTLS, otherVersion)
	f("major version of an alert", "\x15\x04", 16384, clienthello.NotTLS, otherVersion)
	f("major version of an alert that nobody takes", "\x15\x10", 16384, clienthello.NotTLS, "")
	f("alert", "\x15\x03", 16384, clienthello.Malformed, "alert before the hello")
	f("change_cipher_spec", "\x14\x03", 16384, clienthello.Malformed, "change_cipher_spec before the hello")
	f("empty record", "\x16\x03\x01\x00\x00", 16384, clienthello.Malformed, "empty handshake record")
	f("long record", "\x16\x03\x01\x40\x01", 65536, clienthello.Malformed, "record longer than 16384 bytes")
	f("record beyond max", "\x16\x03\x01\x03\xfc", 1024, clienthello.TooLarge, tooMany)
	f("record of just max", "\x16\x03\x01\x03\xfb", 1024, clienthello.NeedMore, "")
	f("handshake type", "\x16\x03\x01\x02\x00\x02", 16384, clienthello.Malformed, "first handshake message is no client_hello")
	f("handshake type in the second record", "\x16\x03\x01\x00\x01\x01\x17", 16384, clienthello.Malformed, "another record type within the hello")
	f("message beyond max", "\x16\x03\x01\x02\x00\x01\x00\x10\x00", 4096, clienthello.TooLarge, tooMany)
	f("message of max in records beyond it", "\x16\x03\x01\x02\x00\x01\x00\x0f\xf3", 4096, clienthello.TooLarge, tooMany)
	f("message and two record headers of just max", "\x16\x03\x01\x02\x00\x01\x00\x0f\xf2", 4096, clienthello.NeedMore, "")
	f("message of 16 MB", "\x16\x03\x01\x40\x00\x01\xff\xff\xff", 65536, clienthello.TooLarge, tooMany)
	f("record beyond the message", "\x16\x03\x01\x02\x00\x01\x00\x01\xfb", 16384, clienthello.Malformed, "data after the hello in its record")
	f("record of just the message", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 16384, clienthello.NeedMore, "")
	f("empty message with data after it", "\x16\x03\x01\x00\x05\x01\x00\x00\x00", 16384, clienthello.Malformed, "data after the hello in its record")
	f("sslv2", "\x80\x2e\x01\x00\x02", 16384, clienthello.Malformed, "hello in the format of SSLv2")
	f("sslv2 format", "\x81\x2e\x01\x03\x03", 16384, clienthello.Malformed, "hello in the format of SSLv2")
	f("sslv2 but for the type", "\x80\x2e\x04", 16384, clienthello.NotTLS, "")
	f("sslv2 but for the major version", "\x80\x2e\x01\x01", 16384, clienthello.NotTLS, "")
	f("sslv2 but for the minor version", "\x80\x2e\x01\x00\x01", 16384, clienthello.NotTLS, "")
	f("high bit but no length of a hello", "\x90", 16384, clienthello.NotTLS, "")
}

// Whoever has found what it wants stops looking.
func TestIteratorsStop(t *testing.T) {
	b := hellotest.Builder{ALPN: []string{"a", "b", "c"}, Versions: []uint16{1, 2, 3}}.Records()
	var h clienthello.Hello
	h.Parse(b, make([]byte, maxHello), maxHello)
	var seen []string
	for p := range h.ALPN() {
		if seen = append(seen, string(p)); len(seen) == 2 {
			break
		}
	}
	var versions []uint16
	for v := range h.Versions() {
		if versions = append(versions, v); len(versions) == 2 {
			break
		}
	}
	if !slices.Equal(seen, []string{"a", "b"}) || !slices.Equal(versions, []uint16{1, 2}) {
		t.Errorf("got %q and %v", seen, versions)
	}
}

func TestOutcomeWords(t *testing.T) {
	words := map[clienthello.Outcome]string{
		clienthello.NeedMore: "need_more", clienthello.TLS: "tls", clienthello.NoSNI: "no_sni",
		clienthello.ECHOuter: "ech_outer", clienthello.NotTLS: "not_tls",
		clienthello.Malformed: "malformed", clienthello.TooLarge: "too_large",
	}
	for o, want := range words {
		if got := o.String(); got != want {
			t.Errorf("outcome %d is %q, want %q", o, got, want)
		}
	}
}

func TestScratchTooSmallIsABug(t *testing.T) {
	for _, c := range []struct{ scratch, max int }{{99, 100}, {0, 100}, {100, 4}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("no panic with scratch of %d and max %d", c.scratch, c.max)
				}
			}()
			var h clienthello.Hello
			h.Parse(nil, make([]byte, c.scratch), c.max)
		}()
	}
}

// Hostile bytes are where allocations would hurt, so all vectors are tried,
// and all that a Hello says is read.
func TestNoAllocations(t *testing.T) {
	vectors := hellotest.Vectors()
	scratch := make([]byte, maxHello)
	var h clienthello.Hello
	var sum int
	allocs := testing.AllocsPerRun(20, func() {
		for _, v := range vectors {
			sum += len(h.Parse(v.Bytes, scratch, v.Max).String()) + len(h.ServerName()) + len(h.Reason())
			for p := range h.ALPN() {
				sum += len(p)
			}
			for v := range h.Versions() {
				sum += int(v)
			}
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}
