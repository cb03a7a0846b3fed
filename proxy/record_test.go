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

func TestTextFromClientsIsCappedAndShared(t *testing.T) {
	sh := newShared(protocolNames)
	f := func(list, want string) {
		t.Helper()
		if got := sh.text([]byte(list)); *got != want {
			t.Errorf("%q: %q, want %q", list, *got, want)
		}
	}
	if got := sh.text(nil); got != nil {
		t.Errorf("no list gives %q", *got)
	}
	f("\x02h2", "h2")
	f("\x02h2\x08http/1.1", "h2,http/1.1")
	if one, other := sh.text([]byte("\x02h2")), sh.text([]byte("\x02h2")); one != other {
		t.Error("two connections with one list do not share its text")
	}
	long := strings.Repeat("\x01a", 8000)
	if got := sh.text([]byte(long)); len(*got) != maxALPNLength {
		t.Errorf("a long list came out with %d bytes", len(*got))
	}
	first := sh.text([]byte("\x02h2"))
	for i := range 10 * sharedTexts {
		list := []byte{2, byte(i), byte(i >> 8)}
		if got, want := *sh.text(list), string(list[1:]); got != want {
			t.Fatalf("%q became %q", want, got)
		}
	}
	if *first != "h2" {
		t.Errorf("a text that was displaced reads %q", *first)
	}
	list := []byte("\x02h2")
	if got := testing.AllocsPerRun(100, func() { sh.text(list) }); got != 0 {
		t.Errorf("a known list costs %v allocations", got)
	}
}
