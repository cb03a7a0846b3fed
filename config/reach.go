package config

import (
	"cmp"
	"net/netip"
	"slices"
)

// reach is what is known of the addresses that the connections of a listener
// can have. A prefix that holds none of them says nothing, and prefixes that
// hold all of them say what a chain without any says too.
type reach struct {
	addresses []Address
	v4, v6    bool   // families in which connections arrive
	unix      bool   // there are connections without an IP address
	port      uint16 // the only one, or 0
	unknown   bool   // an address could not be read: nothing is concluded
}

func reachOf(d *listenerDecl) reach {
	r := reach{addresses: d.Addresses, port: onlyPort(d), unknown: d.addressesBad}
	for _, a := range d.Addresses {
		switch {
		case a.Network == Unix:
			r.unix = true
		case a.Dual:
			r.v4, r.v6 = true, true
		case a.AddrPort.Addr().Is4():
			r.v4 = true
		default:
			r.v6 = true
		}
	}
	return r
}

// onlyPort is the one port that a listener has, or 0.
func onlyPort(d *listenerDecl) uint16 {
	if d.addressesBad || d.Addresses[0].Network == Unix {
		return 0
	}
	port := d.Addresses[0].AddrPort.Port()
	for _, a := range d.Addresses {
		if a.Network == Unix || a.AddrPort.Port() != port {
			return 0
		}
	}
	return port
}

// source reports whether a client can have an address in p.
func (r *reach) source(p netip.Prefix) bool {
	return r.unknown || p.Addr().Is4() && r.v4 || p.Addr().Is6() && r.v6
}

// anySource reports whether the prefixes hold every client.
func (r *reach) anySource(prefixes []netip.Prefix) bool {
	return !r.unknown && !r.unix && (!r.v4 || hasAll(prefixes, true)) && (!r.v6 || hasAll(prefixes, false))
}

// hasAll reports whether all addresses of a family are in one of the prefixes.
func hasAll(prefixes []netip.Prefix, v4 bool) bool {
	for _, p := range prefixes {
		if p.Bits() == 0 && p.Addr().Is4() == v4 {
			return true
		}
	}
	return false
}

// destination reports whether a connection can have been made to an address
// in p.
func (r *reach) destination(p netip.Prefix) bool {
	if r.unknown {
		return true
	}
	for _, a := range r.addresses {
		if mayHold(p, a) {
			return true
		}
	}
	return false
}

// mayHold reports whether a connection accepted at a can have a destination
// in p.
func mayHold(p netip.Prefix, a Address) bool {
	if a.Network == Unix {
		return false
	}
	ip := a.AddrPort.Addr().WithZone("")
	return a.Dual || ip.IsUnspecified() && ip.Is4() == p.Addr().Is4() || p.Contains(ip)
}

// anyDestination reports whether the prefixes hold the destination of every
// connection.
func (r *reach) anyDestination(prefixes []netip.Prefix) bool {
	if r.unknown {
		return false
	}
	for _, a := range r.addresses {
		if longest(prefixes, a) < 0 {
			return false
		}
	}
	return true
}

// longest is the length of the longest prefix that holds every destination at
// a, or -1.
func longest(prefixes []netip.Prefix, a Address) int {
	ip := a.AddrPort.Addr().WithZone("")
	best := -1
	switch {
	case a.Network == Unix:
	case a.Dual:
		if hasAll(prefixes, true) && hasAll(prefixes, false) {
			best = 0
		}
	case ip.IsUnspecified():
		if hasAll(prefixes, ip.Is4()) {
			best = 0
		}
	default:
		for _, p := range prefixes {
			if p.Contains(ip) {
				best = max(best, p.Bits())
			}
		}
	}
	return best
}

// fixed reports whether a connection can have no destination but those that
// the listener names.
func (r *reach) fixed() bool {
	return !slices.ContainsFunc(r.addresses, func(a Address) bool {
		return a.Network == Unix || a.Dual || a.AddrPort.Addr().IsUnspecified()
	})
}

// compareDestinations compares prefixes that hold every destination: it is
// positive when at each address a has the longer one. ok is false when that
// differs from address to address.
func (r *reach) compareDestinations(a, b []netip.Prefix) (sign int, ok bool) {
	if !r.fixed() {
		return 0, true // both have the shortest, and that is where they meet
	}
	for i, address := range r.addresses {
		s := cmp.Compare(longest(a, address), longest(b, address))
		if i > 0 && s != sign {
			return 0, false
		}
		sign = s
	}
	return sign, true
}
