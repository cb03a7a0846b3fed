package config

import (
	"slices"

	"github.com/gaissmai/bart"
)

// checkAccess checks the access lists of a listener and of its chains: each
// against itself, and against addresses that connections cannot have.
func (l *loader) checkAccess(d *listenerDecl) {
	chains := d.chains
	if d.fallback != nil {
		chains = append(slices.Clip(chains), d.fallback)
	}
	l.checkAllowed(d.Access, d.access)
	l.checkAddressless(d, d.Access, d.access)
	for _, c := range chains {
		l.checkAllowed(c.Access, c.access)
		l.checkAddressless(d, c.Access, c.access)
	}
}

// checkAllowed reports entries of allow that deny takes back whole.
func (l *loader) checkAllowed(a Access, d accessDecl) {
	if d.bad || len(a.Allow) == 0 || len(a.Deny) == 0 {
		return
	}
	var denied bart.Lite
	for _, p := range a.Deny {
		denied.Insert(p)
	}
	denied.Aggregate() // two halves deny the whole
	var hidden []int
	for i, p := range a.Allow {
		if denied.LookupPrefix(p) {
			hidden = append(hidden, i)
		}
	}
	if len(hidden) == len(a.Allow) {
		l.errorf(d.allow.Range(), "Access denied to all", "Everybody in allow is in deny too (line %d), which comes after it, so that every connection would be refused. Take one of them out.", d.deny.Range().Start.Line)
		return
	}
	places := elementRanges(d.allow, len(a.Allow))
	for _, i := range hidden {
		l.warnf(places(i), "Unused entry in allow", "All of %s is in deny too (line %d), which comes after allow. Take one of them out.", shown(a.Allow[i].String(), d.hidden), d.deny.Range().Start.Line)
	}
}

// checkAddressless reports a list of who may come on unix sockets, whose
// connections have no address that could be in it but from a PROXY header.
func (l *loader) checkAddressless(d *listenerDecl, a Access, at accessDecl) {
	if at.bad || d.addressesBad || d.ProxyProtocol != nil || len(a.Allow) == 0 ||
		slices.ContainsFunc(d.Addresses, func(a Address) bool { return a.Network == TCP }) {
		return
	}
	l.errorf(at.allow.Range(), "Access denied to all", "The listener %q has unix sockets only, whose connections have no IP address, so allow would refuse every one. Leave it out; the permissions of the socket's directory say who may connect.", d.Name)
}
