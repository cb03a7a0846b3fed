package clienthello

import (
	"net/netip"
	"strings"
	"testing"
)

// addresses are seeds around the edges of what an address is.
var addresses = []string{
	"0.0.0.0", "192.0.2.1", "255.255.255.255", "256.0.0.1", "1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.04",
	"1..2.3", ".1.2.3.4", "1.2.3.4.", "1.2.3.1000", "1.2.3.-4", "",
	"::", "::1", "1::", "1::8", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1::3:4:5:6:7:8",
	"1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", "1:2:3:4::5:6:7:8", "1:2:3:4:5:6:7",
	"1:::8", ":::", "::::", "::1::", "1::2::3", ":1", "1:", ":", "12345::", "g::", "::g",
	"::192.0.2.1", "::ffff:192.0.2.1", "1:2:3:4:5:6:192.0.2.1", "1:2:3:4:5:6:7:192.0.2.1", "1:2:3:4:5:192.0.2.1",
	"1:2:3:4:5:6::192.0.2.1", "1:2:3:4:5::192.0.2.1", "::192.0.2", "::192.0.2.1:1", "192.0.2.1::", "ABCD:EF01::",
	"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "fe80::1%eth0",
}

// wantAddress is the oracle: netip, which takes zones, and brackets by hand.
func wantAddress(s string) bool {
	bare, bracketed := strings.CutPrefix(s, "[")
	if bracketed {
		if bare, bracketed = strings.CutSuffix(bare, "]"); !bracketed {
			return false
		}
	}
	a, err := netip.ParseAddr(bare)
	return err == nil && a.Zone() == "" && !(bracketed && a.Is4())
}

func TestAddressesAsNetip(t *testing.T) {
	for _, s := range addresses {
		for _, s := range []string{s, "[" + s + "]", "[" + s, s + "]"} {
			if got, want := IsAddress([]byte(s)), wantAddress(s); got != want {
				t.Errorf("IsAddress(%q) = %v, want %v", s, got, want)
			}
		}
	}
}

func FuzzAddressesAsNetip(f *testing.F) {
	for _, s := range addresses {
		f.Add(s)
		f.Add("[" + s + "]")
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, want := IsAddress([]byte(s)), wantAddress(s); got != want {
			t.Errorf("IsAddress(%q) = %v, want %v", s, got, want)
		}
	})
}
