package limit

import (
	"net/netip"

	"github.com/gaissmai/bart"
)

// Access is a list of who may come and one of who may not. It never changes;
// any goroutine may use it. nil lets everybody in.
type Access struct {
	allow, deny *bart.Lite // nil: the list is empty
}

// NewAccess makes an Access. With an empty list allow, everybody may come who
// is not denied. It gives nil when both are empty.
func NewAccess(allow, deny []netip.Prefix) *Access {
	if len(allow)+len(deny) == 0 {
		return nil
	}
	return &Access{newPrefixes(allow), newPrefixes(deny)}
}

func newPrefixes(list []netip.Prefix) *bart.Lite {
	if len(list) == 0 {
		return nil
	}
	set := &bart.Lite{}
	for _, p := range list {
		if !p.IsValid() {
			panic("BUG: limit: a prefix that is not valid")
		}
		// A prefix of IPv4 addresses in IPv6 form becomes the IPv4 prefix, as
		// the addresses themselves do.
		if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
		}
		set.Insert(p)
	}
	set.Aggregate()
	return set
}

// Allows tells whether a source may come: allow, when it is not empty, has to
// contain it, and deny must not.
//
// An IPv4 address in IPv6 form, as a socket for both families gives it, is
// looked up as the IPv4 address; so "::/0" contains no IPv4 client. An invalid
// address is in no list: a list of who may come keeps it out, since nothing
// shows that it belongs there, and one of who may not lets it pass.
func (a *Access) Allows(source netip.Addr) bool {
	if a == nil {
		return true
	}
	source = source.Unmap().WithZone("")
	if a.allow != nil && !(source.IsValid() && a.allow.Contains(source)) {
		return false
	}
	return a.deny == nil || !source.IsValid() || !a.deny.Contains(source)
}
