package config

import (
	"github.com/hashicorp/hcl/v2"
)

// place is an address and where it is written.
type place struct {
	Address
	listener string
	at       hcl.Range
	hidden   bool
}

func (p place) String() string { return shown(p.Address.String(), p.hidden) }

// checkAddresses reports addresses of which only one can be bound. Port 0 is
// another port every time.
func (l *loader) checkAddresses() {
	ports := map[uint16][]place{}
	paths := map[string]place{}
	for _, d := range l.listeners {
		for i, a := range d.Addresses {
			p := place{a, d.Name, d.addressPlace[i], d.hidden}
			if a.Network == Unix {
				if first, taken := paths[a.Path]; taken {
					l.errorf(p.at, "Address in use", "The listener %q has the same unix socket (%s). Give each its own path.", first.listener, posOf(first.at))
					continue
				}
				paths[a.Path] = p
				continue
			}
			if port := a.AddrPort.Port(); port != 0 {
				l.checkPort(ports[port], p)
				ports[port] = append(ports[port], p)
			}
		}
	}
}

// checkPort compares an address with those that have its port already.
func (l *loader) checkPort(others []place, p place) {
	for _, first := range others {
		switch {
		case first.AddrPort == p.AddrPort && first.Dual == p.Dual:
			l.errorf(p.at, "Address in use", "The listener %q has the address %s already (%s). Put their filter chains into one listener, or choose another port.",
				first.listener, first, posOf(first.at))
		case overlap(first.Address, p.Address):
			l.errorf(p.at, "Addresses overlap", "%s and %s of the listener %q (%s) take the same connections, so only one of them can be bound. Write single addresses in both, or choose another port.",
				p, first, first.listener, posOf(first.at))
		default:
			continue
		}
		return
	}
}

// overlap reports whether two addresses with the same port take a connection
// in common, and are not equal.
func overlap(a, b Address) bool {
	if a.Dual || b.Dual {
		return true
	}
	x, y := a.AddrPort.Addr(), b.AddrPort.Addr()
	return x.Is4() == y.Is4() && (x.IsUnspecified() || y.IsUnspecified())
}
