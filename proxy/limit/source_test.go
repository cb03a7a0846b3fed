package limit

import (
	"net/netip"
	"testing"
)

func TestKeysOfSources(t *testing.T) {
	t.Parallel()
	f := func(a, b string, same bool) {
		t.Helper()
		if got := key(a) == key(b); got != same {
			t.Errorf("%q and %q are one source: %v, want %v", a, b, got, same)
		}
	}
	f("192.0.2.1", "192.0.2.1", true)
	f("192.0.2.1", "192.0.2.2", false)
	f("::ffff:192.0.2.1", "192.0.2.1", true) // of a dual-stack socket
	f("::ffff:192.0.2.1", "::ffff:192.0.2.2", false)
	f("2001:db8:1:2::1", "2001:db8:1:2:ffff::1", true) // one /64
	f("2001:db8:1:2::1", "2001:db8:1:3::1", false)
	f("::1", "192.0.2.1", false)
	f("::1", "::2", true)
	f("fe80::1%eth0", "fe80::2%eth1", true)
	f("0.0.0.0", "::", false)
	f("", "", true)
	f("", "::1", false)
	f("", "0.0.0.0", false)
}

// key gives the key of an address; "" is none.
func key(text string) Key {
	if text == "" {
		return KeyOf(netip.Addr{})
	}
	return KeyOf(netip.MustParseAddr(text))
}
