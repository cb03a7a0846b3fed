package proxy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"sluice/config"
	"sluice/proxy/handoff"
)

// A gateway hands its sockets over in these steps, each of which can be taken
// back with Resume until the last:
//
//	HandOver    what there is; no other configuration is taken from here on
//	Hold        nobody is accepted here any more: the successor does
//	HandedOver  the successor stays; what follows is Drain
//
// The sockets of both are the same: who waits in a queue is accepted by whoever
// looks first, and nobody is refused in between. They are taken out of the epoll
// of the workers before they are closed, since they would be reported for ever:
// closing ours does not close the successor's.

// ErrHandingOver says that a gateway takes no configuration just now.
var ErrHandingOver = errors.New("an upgrade is under way: ask again when it is over")

// String is the name under which the sockets of an address are handed over. It is
// read by other versions of this program, and must not change.
func (k addressKey) String() string {
	switch {
	case k.address.Network == config.Unix:
		return k.address.String() // begins with unix:
	case k.listener != "":
		return fmt.Sprintf("tcp %s %d of %s", k.address, k.number, k.listener)
	}
	return "tcp " + k.address.String()
}

// HandOver gives the listening sockets, which stay the gateway's, for a
// successor. Until Resume the gateway takes no other configuration.
func (g *Gateway) HandOver() ([]handoff.Socket, error) {
	g.applying.Lock()
	defer g.applying.Unlock()
	if g.ending {
		return nil, ErrEnding
	}
	g.handing = true
	list := make([]handoff.Socket, len(g.groups))
	for i, group := range g.groups {
		list[i] = handoff.Socket{Name: group.key.String(), Lent: group.lent, FDs: slices.Clone(group.fds)}
	}
	return list, nil
}

// Hold leaves what comes to the successor, but for the sockets that it has
// dropped.
func (g *Gateway) Hold(dropped []string) {
	g.applying.Lock()
	defer g.applying.Unlock()
	g.state.Store(uint32(Draining))
	for _, group := range g.groups {
		group.keepPath = !slices.Contains(dropped, group.key.String())
	}
	g.onEach(func(_ int, w *worker) error {
		for _, a := range w.acceptors {
			if a.group.keepPath {
				a.hold()
			}
		}
		return nil
	})
}

// Resume goes on as if nothing had been handed over.
func (g *Gateway) Resume() {
	g.applying.Lock()
	defer g.applying.Unlock()
	if g.ending {
		return
	}
	g.handing = false
	for _, group := range g.groups {
		group.keepPath = false
	}
	g.onEach(func(_ int, w *worker) error {
		for _, a := range w.acceptors {
			a.release()
		}
		return nil
	})
	g.state.Store(uint32(Running))
}

// TakeOver makes the sockets that were inherited all of the gateway's own: the
// process before it will not come back to them.
func (g *Gateway) TakeOver() {
	g.applying.Lock()
	defer g.applying.Unlock()
	for _, group := range g.groups {
		group.keepPath = false
	}
}

// Ready tells whether clients should be sent to this gateway. Any goroutine may
// call it.
func (g *Gateway) Ready() bool { return g.State() == Running }

// Unready makes Ready say no, some time before Drain: who sends clients has to
// learn of it first. Everybody is still served.
func (g *Gateway) Unready() { g.state.Store(uint32(Draining)) }

// ReadinessDelay is how long that time is, as the configuration that runs says.
func (g *Gateway) ReadinessDelay() time.Duration {
	return g.snapshot.Load().config.Runtime.ReadinessDelay
}

// Responds returns when every worker has come round to its messages, or with the
// context's error: one that hangs serves nobody.
func (g *Gateway) Responds(ctx context.Context) error {
	round := make(chan struct{}, len(g.workers))
	for _, w := range g.workers {
		if !w.Post(func() { round <- struct{}{} }) {
			round <- struct{}{}
		}
	}
	for range g.workers {
		select {
		case <-round:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// takeOverFrom brings up a gateway that has a predecessor: it lets nobody in
// before the predecessor has been told that all is ready, and leaves it to that.
func (g *Gateway) takeOverFrom(ready func() error) error {
	g.awaitDiscovery(discoveryPatience)
	if err := ready(); err != nil {
		return err
	}
	g.applying.Lock()
	defer g.applying.Unlock()
	g.shut = false
	s := g.snapshot.Load()
	for _, group := range g.groups {
		if group.inherited {
			group.setOptions(s.sockets[group.index].spec)
		}
	}
	g.letIn()
	return nil
}

// discoveryPatience is how long a successor waits for endpoints to be discovered.
// Clusters that have none by then get them later, as on any start.
const discoveryPatience = 5 * time.Second

// awaitDiscovery returns when everything that is to be discovered was found, or
// was not.
func (g *Gateway) awaitDiscovery(patience time.Duration) {
	over := time.NewTimer(patience)
	defer over.Stop()
	g.applying.Lock()
	var finders []*finder
	for _, u := range g.upkeeps {
		u.mu.Lock()
		finders = append(finders, u.finders...)
		u.mu.Unlock()
	}
	g.applying.Unlock()
	for _, f := range finders {
		select {
		case <-f.looked:
		case <-over.C:
			return
		}
	}
}
