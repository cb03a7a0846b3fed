package upstream

import "net/netip"

// Key stands for the client of a connection, or for what it asks for, where a
// choice is to be the same every time. Equal keys are made of equal things.
type Key uint64

// NoKey is a connection that has nothing to go by.
const NoKey Key = 0

// KeyOf makes a key of a name, such as a server name. The empty one is NoKey.
func KeyOf(name []byte) Key {
	if len(name) == 0 {
		return NoKey
	}
	return Key(hashBytes(name) | 1)
}

// KeyOfAddress makes a key of an IP address, without its zone. An IPv4 address
// has the same key in IPv6 form; an invalid one is NoKey.
func KeyOfAddress(a netip.Addr) Key {
	if !a.IsValid() {
		return NoKey
	}
	b := a.As16()
	return Key(hashBytes(b[:]) | 1)
}

// hashBytes is FNV-1a with its bits mixed. It is the same in every process and
// version: choices by key survive restarts, and gateways side by side agree.
// Whoever can choose keys can therefore choose an endpoint, as with every
// balancer that hashes by a published method.
func hashBytes[T string | []byte](s T) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return mix(h)
}

// mix makes every bit of its result depend on every bit of z.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
