package limit

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
)

func prefixes(text string) (list []netip.Prefix) {
	for _, p := range strings.Fields(text) {
		list = append(list, netip.MustParsePrefix(p))
	}
	return list
}

func TestAccess(t *testing.T) {
	t.Parallel()
	f := func(allow, deny, source string, want bool) {
		t.Helper()
		var ip netip.Addr
		if source != "" {
			ip = netip.MustParseAddr(source)
		}
		if got := NewAccess(prefixes(allow), prefixes(deny)).Allows(ip); got != want {
			t.Errorf("allow [%s], deny [%s]: %q is let in: %v, want %v", allow, deny, source, got, want)
		}
	}
	f("", "", "192.0.2.1", true)
	f("", "", "", true)

	f("", "192.0.2.0/24", "192.0.2.1", false)
	f("", "192.0.2.0/24", "192.0.3.1", true)
	f("", "192.0.2.0/24", "::ffff:192.0.2.1", false) // of a dual-stack socket
	f("", "192.0.2.0/24", "2001:db8::1", true)
	f("", "::ffff:192.0.2.0/120", "192.0.2.1", false)
	f("", "::/0", "192.0.2.1", true)
	f("", "::/0", "2001:db8::1", false)
	f("", "fe80::/10", "fe80::1%eth0", false)

	f("10.0.0.0/8", "", "10.1.2.3", true)
	f("10.0.0.0/8", "", "11.1.2.3", false)
	f("10.0.0.0/8", "", "::1", false)
	f("10.0.0.0/8", "", "::ffff:10.1.2.3", true)

	f("10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", false) // deny after allow
	f("10.0.0.0/8", "10.1.0.0/16", "10.2.2.3", true)
	f("10.1.0.0/16", "10.0.0.0/8", "10.1.2.3", false) // however long the prefixes are
	f("10.0.0.0/8 2001:db8::/32", "10.1.0.0/16", "2001:db8::1", true)

	f("0.0.0.0/0 ::/0", "", "", false) // a unix socket's peer is in no list
	f("", "0.0.0.0/0 ::/0", "", true)
	f("0.0.0.0/0", "10.0.0.0/8", "", false)
}

// TestAccessAgainstLists compares with going through the lists, with many
// prefixes that overlap and touch each other.
func TestAccessAgainstLists(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(3, 4))
	addr := func() netip.Addr {
		if rnd.IntN(2) == 0 {
			return netip.AddrFrom4([4]byte{10, byte(rnd.IntN(2)), byte(rnd.Uint32()), byte(rnd.Uint32())})
		}
		return netip.AddrFrom16([16]byte{0x20, 1, byte(rnd.IntN(2)), byte(rnd.Uint32()), 15: byte(rnd.Uint32())})
	}
	list := func(n int) (list []netip.Prefix) {
		for range n {
			a := addr()
			list = append(list, netip.PrefixFrom(a, 9+rnd.IntN(a.BitLen()-8)).Masked())
		}
		return list
	}
	contains := func(list []netip.Prefix, ip netip.Addr) bool {
		for _, p := range list {
			if p.Contains(ip) {
				return true
			}
		}
		return false
	}
	for range 200 {
		allow, deny := list(rnd.IntN(20)), list(rnd.IntN(20))
		access := NewAccess(allow, deny)
		for range 100 {
			ip := addr()
			want := (len(allow) == 0 || contains(allow, ip)) && !contains(deny, ip)
			if got := access.Allows(ip); got != want {
				t.Fatalf("allow %v, deny %v: %v is let in: %v, want %v", allow, deny, ip, got, want)
			}
		}
	}
}
