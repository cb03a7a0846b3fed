package config

import "github.com/hashicorp/hcl/v2"

// checkOwnAddresses reports that the admin server or the metrics cannot be where
// they should, because a listener or the other one is there.
//
// The admin address gives way, with a warning, where there is no admin block:
// nobody has asked for it.
func (l *loader) checkOwnAddresses() {
	if l.config.Admin.Enabled && !l.admin.bad {
		admin := l.config.Admin
		if at, used := l.listenerAt(admin.Address); used != nil {
			if admin.Written {
				l.inUse(l.admin, used, at)
			} else {
				l.giveWay(at, l.sprintf("the listener %q takes", used.Name))
			}
		}
	}
	metrics := l.config.Metrics.Address
	if metrics == nil || l.metrics.bad {
		return
	}
	if at, used := l.listenerAt(*metrics); used != nil {
		l.inUse(l.metrics, used, at)
		return
	}
	switch admin := l.config.Admin; {
	case !admin.Enabled || l.admin.bad || !collide(admin.Address, *metrics):
	case admin.Written:
		l.errorf(l.metrics.at, "Address in use", "The admin server has %s (%s), and answers there with the same and more. Choose another port, or leave the metrics block out.",
			shown(admin.Address.String(), admin.AddressHidden), posOf(l.admin.at))
	default:
		l.giveWay(l.metrics.at, "the metrics take")
	}
}

// giveWay turns the admin server off whose address others take.
func (l *loader) giveWay(at hcl.Range, others string) {
	l.warnf(at, "Admin address in use", "The admin server would be on %s, which %s, so that there is none. Write admin { address = \"127.0.0.1:...\" } for one on another port, or admin { enabled = false }.",
		l.config.Admin.Address, others)
	l.config.Admin.Enabled = false
}

func (l *loader) inUse(own ownPlace, used *listenerDecl, at hcl.Range) {
	l.errorf(own.at, "Address in use", "The listener %q has that address (%s). Choose another.", used.Name, posOf(at))
}

// listenerAt finds the listener on an address, and where that is written.
func (l *loader) listenerAt(a Address) (hcl.Range, *listenerDecl) {
	for _, d := range l.listeners {
		for i, other := range d.Addresses {
			if collide(a, other) {
				return d.addressPlace[i], d
			}
		}
	}
	return hcl.Range{}, nil
}

// collide reports whether only one of two addresses can be bound.
func collide(a, b Address) bool {
	if a.Network == Unix || b.Network == Unix {
		return a.Network == b.Network && a.Path == b.Path
	}
	port := a.AddrPort.Port()
	return port != 0 && port == b.AddrPort.Port() && (a.AddrPort == b.AddrPort || overlap(a, b))
}
