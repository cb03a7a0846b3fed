package proxy

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"sluice/config"
	"sluice/proxy/handoff"
)

// Sockets that the process was given: by the one before it, under the name of
// their address, or by a service manager. Only the first configuration takes any;
// what it does not take is closed by whoever owns the set.

// claim takes the sockets that were given for addresses of the configuration.
func (ch *change) claim() (map[addressKey]*socketGroup, error) {
	given := make(map[addressKey]*socketGroup)
	if ch.gateway.given == nil {
		return given, nil
	}
	take := func(k addressKey, group *socketGroup) {
		group.key, group.inherited = k, true
		given[k] = group
		ch.opened = append(ch.opened, group) // from now on they are closed when it fails
	}
	for _, ln := range ch.next.config.Listeners {
		for _, k := range keysOf(ln) {
			if group := ch.fromPredecessor(k); group != nil {
				take(k, group)
			} else if group := ch.activatedAt(k); group != nil {
				take(k, group)
			}
		}
	}
	for _, ln := range ch.next.config.Listeners {
		for _, k := range keysOf(ln) {
			if given[k] != nil {
				continue
			}
			group, err := ch.activatedFor(ln, k)
			if err != nil {
				return nil, err
			}
			if group != nil {
				take(k, group)
			}
		}
	}
	return given, nil
}

// fromPredecessor takes what the process before this one listened with.
func (ch *change) fromPredecessor(k addressKey) *socketGroup {
	s, ok := ch.gateway.given.Take(k.String())
	if !ok {
		return nil
	}
	// Until that process has left it is the one who removes a path.
	group := &socketGroup{address: k.address, fds: s.FDs, lent: s.Lent, keepPath: true}
	group.learn(localSocket(s.FDs[0]))
	return group
}

// activatedAt takes a socket of the service manager's with that very address.
func (ch *change) activatedAt(k addressKey) *socketGroup {
	if k.address.Network == config.TCP && k.address.AddrPort.Port() == 0 {
		return nil
	}
	a, ok := ch.gateway.given.TakeActivated(func(a handoff.Activation) bool { return localSocket(a.FD) == k.address })
	if !ok {
		return nil
	}
	return activatedGroup(a)
}

// activatedFor takes the next of the service manager's sockets that has the
// listener's name.
func (ch *change) activatedFor(ln *config.Listener, k addressKey) (*socketGroup, error) {
	a, ok := ch.gateway.given.TakeActivated(func(a handoff.Activation) bool { return a.Name == ln.Name })
	if !ok {
		return nil, nil
	}
	group := activatedGroup(a)
	if group.address.Network != k.address.Network {
		unix.Close(a.FD)
		return nil, fmt.Errorf("listener %q: the service manager's socket of that name is %s, in the place of %s: make ListenStream= of the socket unit and the listener's address the same",
			ln.Name, group, k.address)
	}
	ch.gateway.log.Warn().Str("listener", ln.Name).Str("socket", group.String()).Str("configured", k.address.String()).
		Msg("listening on the address of the service manager's socket, which is not the configured one")
	return group, nil
}

// activatedGroup makes a socket of the service manager's one of ours.
func activatedGroup(a handoff.Activation) *socketGroup {
	group := &socketGroup{fds: []int{a.FD}, lent: true}
	group.learn(localSocket(a.FD))
	if !group.isUnix() {
		setFixedOptions(a.FD)
	}
	return group
}

// learn takes over the address that a socket has.
func (g *socketGroup) learn(a config.Address) {
	g.address = a
	if a.Network == config.TCP {
		g.bound = a.AddrPort
	}
}

// localSocket is the address of a listening socket, as a configuration would have
// it.
func localSocket(fd int) config.Address {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return config.Address{}
	}
	switch sa := sa.(type) {
	case *unix.SockaddrUnix:
		return config.Address{Network: config.Unix, Path: sa.Name}
	case *unix.SockaddrInet4:
		return config.Address{AddrPort: netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))}
	case *unix.SockaddrInet6:
		a := config.Address{AddrPort: netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))}
		only, err := unix.GetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY)
		a.Dual = err == nil && only == 0 && a.AddrPort.Addr().IsUnspecified()
		return a
	}
	return config.Address{}
}

// isGiven tells whether one of the sockets that nobody has taken has the port.
func isGiven(given *handoff.Sockets, port uint16) bool {
	found := false
	given.Each(func(fd int) bool {
		found = localSocket(fd).AddrPort.Port() == port
		return !found
	})
	return found
}
