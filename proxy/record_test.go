package proxy

import (
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestCompactAddrKeepsAddresses(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"192.0.2.1:443", "[2001:db8::1]:65535", "[::]:1", "0.0.0.0:0"} {
		ap := netip.MustParseAddrPort(s)
		if got := compact(ap).addrPort(); got != ap {
			t.Errorf("%s came back as %s", s, got)
		}
	}
	if got := compact(netip.AddrPort{}).addrPort(); got.IsValid() {
		t.Errorf("no address came back as %s", got)
	}
}

func TestMicroseconds(t *testing.T) {
	t.Parallel()
	f := func(d time.Duration, want uint32) {
		t.Helper()
		if got := microseconds(d); got != want {
			t.Errorf("%v: %d, want %d", d, got, want)
		}
	}
	f(0, 1) // it happened
	f(-time.Second, 1)
	f(1500*time.Nanosecond, 1)
	f(3*time.Second, 3_000_000)
	f(100*time.Hour, math.MaxUint32)
}

func TestALPNFromClientsIsCappedAndShared(t *testing.T) {
	w := &worker{alpn: map[string]string{}}
	f := func(list, want string) {
		t.Helper()
		if got := w.internALPN([]byte(list)); got != want {
			t.Errorf("%q: %q, want %q", list, got, want)
		}
	}
	f("", "")
	f("\x02h2", "h2")
	f("\x02h2\x08http/1.1", "h2,http/1.1")
	if len(w.alpn) != 2 {
		t.Errorf("%d lists are remembered, want 2", len(w.alpn))
	}
	long := strings.Repeat("\x01a", 8000)
	if got := w.internALPN([]byte(long)); len(got) != maxALPNLength {
		t.Errorf("a long list came out with %d bytes", len(got))
	}
	for i := range 1000 {
		w.internALPN([]byte{2, byte(i), byte(i >> 8)})
	}
	if len(w.alpn) > maxInterned {
		t.Errorf("clients made the worker remember %d lists", len(w.alpn))
	}
	if got := testing.AllocsPerRun(100, func() { w.internALPN([]byte("\x02h2")) }); got != 0 {
		t.Errorf("a known list costs %v allocations", got)
	}
}
