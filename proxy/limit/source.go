package limit

import (
	"encoding/binary"
	"net/netip"
)

// Key stands for what counts as one source: an IPv4 address, or the /64 of an
// IPv6 address, since whoever has one address of a /64 has all of them. What
// has no address (a unix socket's peer) is one source together. So are the
// link-local addresses of all networks, whose /64 is always fe80::/64.
type Key uint64

// Keys that are no /64 lie among the multicast addresses, ff00::/8, from which
// no connection can come.
const (
	keyIPv4      Key = 0xff00 << 48
	keyNoAddress Key = 0xff01 << 48
)

// KeyOf gives the key of an address. An IPv4 address in IPv6 form counts as
// the IPv4 address, and an invalid one as having none.
func KeyOf(a netip.Addr) Key {
	a = a.Unmap()
	switch {
	case a.Is4():
		b := a.As4()
		return keyIPv4 | Key(binary.BigEndian.Uint32(b[:]))
	case a.Is6():
		b := a.As16()
		return Key(binary.BigEndian.Uint64(b[:8]))
	}
	return keyNoAddress
}
