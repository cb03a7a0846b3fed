package proxy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sluice/config"
)

// Address is one address that the gateway listens on.
type Address struct {
	Listener string
	Address  string // with the port that the kernel chose
}

// port is the port of a TCP address.
func (a Address) port() uint16 {
	n, err := strconv.ParseUint(a.Address[strings.LastIndexByte(a.Address, ':')+1:], 10, 16)
	if err != nil {
		panic("BUG: proxy: a listening address without a port: " + a.Address)
	}
	return uint16(n)
}

// Addresses gives what the gateway listens on, or did until it ended, in the
// order of the configuration.
func (g *Gateway) Addresses() []Address { return g.snapshot.Load().addresses }

// addressKey is what a configuration means by an address: the same one in the next
// configuration is the same sockets. Where the kernel chooses the port, each
// time an address is written down means another one.
type addressKey struct {
	address  config.Address
	listener string // of port 0
	number   int    // of port 0: which of the listener's addresses
}

// keysOf gives the keys of a listener's addresses, in their order.
func keysOf(ln *config.Listener) []addressKey {
	keys := make([]addressKey, len(ln.Addresses))
	for i, a := range ln.Addresses {
		keys[i] = addressKey{address: a}
		if a.Network == config.TCP && a.AddrPort.Port() == 0 {
			keys[i].listener, keys[i].number = ln.Name, i
		}
	}
	return keys
}

func addressTexts(groups []*socketGroup) (list []string) {
	for _, g := range groups {
		list = append(list, g.String())
	}
	return list
}

// bind makes the sockets of addresses that are new, and finds those of addresses
// that are not there any more. Nobody is let in before every address is bound,
// so that a configuration which cannot be has not accepted anything.
func (ch *change) bind() error {
	g := ch.gateway
	before := make(map[addressKey]*socketGroup, len(g.groups))
	used := make(map[int]bool)
	for _, group := range g.groups {
		before[group.key] = group
		used[group.index] = true
	}
	given, err := ch.claim()
	if err != nil {
		return err
	}
	for _, ln := range ch.next.config.Listeners {
		for _, key := range keysOf(ln) {
			if group := before[key]; group != nil {
				delete(before, key)
				ch.kept = append(ch.kept, group)
				continue
			}
			group := given[key]
			if group == nil {
				if group, err = bind(ln, key.address, len(g.workers), ch.overlaps(key.address)); err != nil {
					return fmt.Errorf("listener %q: %w", ln.Name, err)
				}
				ch.opened = append(ch.opened, group)
			}
			group.key, group.index = key, free(used)
		}
	}
	for _, group := range g.groups {
		if before[group.key] != nil {
			ch.closing = append(ch.closing, group)
		}
	}
	return ch.listen()
}

// free takes the lowest number that is not used.
func free(used map[int]bool) int {
	for i := 0; ; i++ {
		if !used[i] {
			used[i] = true
			return i
		}
	}
}

// overlaps tells whether a socket that this gateway has, or was given, would keep
// another one from being bound to the address: then that is no other program's.
func (ch *change) overlaps(a config.Address) bool {
	g := ch.gateway
	if a.Network != config.TCP || a.AddrPort.Port() == 0 {
		return false
	}
	has := func(group *socketGroup) bool {
		return group.bound.IsValid() && group.bound.Port() == a.AddrPort.Port()
	}
	inherited := func(group *socketGroup) bool { return group.inherited && has(group) }
	return slices.ContainsFunc(g.groups, has) || slices.ContainsFunc(ch.opened, inherited) || isGiven(g.given, a.AddrPort.Port())
}

// listen lets clients queue up at the new sockets, and has them watched.
func (ch *change) listen() error {
	specs := ch.specs()
	for _, group := range ch.opened {
		if err := group.listen(specs[group.key]); err != nil {
			return err
		}
		err := ch.gateway.onEach(func(i int, w *worker) error { return w.acceptFrom(group, i, len(ch.gateway.workers)) })
		if err != nil {
			return fmt.Errorf("listening on %s: %w", group, err)
		}
	}
	return nil
}

// acceptFrom makes the acceptors of a worker for an address.
func (w *worker) acceptFrom(group *socketGroup, number, workers int) error {
	fds, shared := group.socketsOf(number, workers)
	for _, fd := range fds {
		if err := w.accept(group, fd, shared); err != nil {
			return err
		}
	}
	return nil
}

// specs gives the listener of each place.
func (ch *change) specs() map[addressKey]*config.Listener {
	specs := make(map[addressKey]*config.Listener)
	for _, ln := range ch.next.config.Listeners {
		for _, key := range keysOf(ln) {
			specs[key] = ln
		}
	}
	return specs
}

// mapSockets says which listener the connections of each group are for.
func (ch *change) mapSockets() {
	groups := make(map[addressKey]*socketGroup)
	size := 0
	for _, group := range ch.gateway.groups {
		groups[group.key] = group
		size = max(size, group.index+1)
	}
	ch.next.sockets = make([]*listener, size)
	for _, ln := range ch.next.listeners {
		for _, key := range keysOf(ln.spec) {
			group := groups[key]
			ch.next.sockets[group.index] = ln
			ch.next.addresses = append(ch.next.addresses, Address{ln.name, group.String()})
		}
	}
}

// admit lets clients in at the new sockets, and gives those that stay the
// options that they have now.
func (ch *change) admit() {
	specs := ch.specs()
	for _, group := range ch.kept {
		group.setOptions(specs[group.key])
	}
	if ch.gateway.shut {
		return // until takeOverFrom
	}
	for _, group := range ch.opened {
		if group.inherited {
			group.setOptions(specs[group.key])
		}
	}
	ch.gateway.letIn()
}

// letIn lets clients in at every socket.
func (g *Gateway) letIn() {
	g.onEach(func(_ int, w *worker) error {
		for _, a := range w.acceptors {
			a.open()
		}
		return nil
	})
}

// stopClosing closes the sockets of addresses that are not there any more. Who
// waits to be accepted is still accepted.
func (ch *change) stopClosing() { ch.gateway.closeGroups(ch.closing) }

// closeGroups ends accepting on groups, which must not be watched any more when
// they are closed.
func (g *Gateway) closeGroups(groups []*socketGroup) {
	if len(groups) == 0 {
		return
	}
	g.onEach(func(_ int, w *worker) error {
		w.acceptors = slices.DeleteFunc(w.acceptors, func(a *acceptor) bool {
			closing := slices.Contains(groups, a.group)
			if closing {
				a.stop()
			}
			return closing
		})
		return nil
	})
	for _, group := range groups {
		group.close()
	}
}
