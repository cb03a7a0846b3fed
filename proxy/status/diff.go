package status

import (
	"fmt"
	"slices"
	"strings"
)

// Diff is what a reload would do: what is different, and which connections it
// concerns.
type Diff struct {
	Changes   []Change `json:"changes"`
	Opened    []string `json:"opened"`    // addresses that would be listened on
	Closed    []string `json:"closed"`    // addresses that would not be any more
	Leaving   int64    `json:"leaving"`   // connections now that would leave or be closed
	Unapplied []string `json:"unapplied"` // what would take effect only with the next upgrade or restart, in words
}

// Change is one thing that is different.
type Change struct {
	Kind        string   `json:"kind"` // listener filter_chain cluster
	Name        string   `json:"name"`
	Listener    string   `json:"listener,omitempty"` // of a filter chain
	Default     bool     `json:"default,omitempty"`  // it is the default_filter_chain
	Action      string   `json:"action"`             // added removed changed renewed: the last of a filter chain whose certificate files have another content
	Position    string   `json:"position"`
	Connections int64    `json:"connections"`       // that it has now
	Fate        string   `json:"fate,omitempty"`    // of these: keep drain close
	Details     []string `json:"details,omitempty"` // in words
}

// The actions of a [Change].
const (
	ActionAdded   = "added"
	ActionRemoved = "removed"
	ActionChanged = "changed"
	ActionRenewed = "renewed"
)

// fateKeep is that of connections which nothing happens to.
const fateKeep = "keep"

// Compare says what a reload from one configuration to another would do. It is
// what a reload itself goes by.
func Compare(running, next Outline) Diff {
	d := Diff{Changes: []Change{}, Opened: []string{}, Closed: []string{}, Unapplied: []string{}}
	d.compareListeners(running.Listeners, next.Listeners)
	d.compareClusters(running.Clusters, next.Clusters)
	d.compareAddresses(running.Listeners, next.Listeners)
	if running.Workers != next.Workers {
		d.Unapplied = append(d.Unapplied, fmt.Sprintf("runtime.workers is %d and stays %d: the number of workers changes with the next upgrade or restart", next.Workers, running.Workers))
	}
	return d
}

func (d *Diff) add(c Change) {
	d.Changes = append(d.Changes, c)
	if c.Kind == "filter_chain" && c.Fate != "" && c.Fate != fateKeep {
		d.Leaving += c.Connections
	}
}

func (d *Diff) compareListeners(running, next []ListenerOutline) {
	now := make(map[string]*ListenerOutline, len(next))
	for i := range next {
		now[next[i].Name] = &next[i]
	}
	was := make(map[string]bool, len(running))
	for i := range running {
		old := &running[i]
		was[old.Name] = true
		ln := now[old.Name]
		switch {
		case ln == nil:
			d.add(Change{Kind: "listener", Name: old.Name, Action: ActionRemoved, Position: old.Position, Connections: old.active()})
		case ln.Digest != old.Digest || !slices.Equal(ln.Addresses, old.Addresses):
			d.add(Change{Kind: "listener", Name: old.Name, Action: ActionChanged, Position: ln.Position, Connections: old.active(), Fate: fateKeep,
				Details: differences("address", old.Addresses, ln.Addresses)})
		}
		d.compareChains(old, ln)
	}
	for i := range next {
		if !was[next[i].Name] {
			d.add(Change{Kind: "listener", Name: next[i].Name, Action: ActionAdded, Position: next[i].Position})
			d.compareChains(&ListenerOutline{Name: next[i].Name}, &next[i])
		}
	}
}

func (ln *ListenerOutline) active() (n int64) {
	for i := range ln.FilterChains {
		n += ln.FilterChains[i].Active
	}
	return n
}

// chainKey tells the chains of a listener apart: another one may be named as the
// default chain is.
type chainKey struct {
	name      string
	isDefault bool
}

// compareChains compares the chains of a listener with those of the one that
// takes its place, nil when there is none.
func (d *Diff) compareChains(old, ln *ListenerOutline) {
	now := make(map[chainKey]*ChainOutline)
	if ln != nil {
		for i := range ln.FilterChains {
			c := &ln.FilterChains[i]
			now[chainKey{c.Name, c.Default}] = c
		}
	}
	was := make(map[chainKey]bool, len(old.FilterChains))
	for i := range old.FilterChains {
		o := &old.FilterChains[i]
		key := chainKey{o.Name, o.Default}
		was[key] = true
		c := now[key]
		change := Change{Kind: "filter_chain", Name: o.Name, Listener: old.Name, Default: o.Default, Position: o.Position, Connections: o.Active}
		switch {
		case c == nil:
			change.Action, change.Fate = ActionRemoved, fateOfRemoved(old, o, ln)
		case c.Digest != o.Digest:
			change.Action, change.Fate, change.Position = ActionChanged, c.OnChange, c.Position
		case c.Material != o.Material:
			change.Action, change.Fate, change.Position = ActionRenewed, fateKeep, c.Position
		default:
			continue
		}
		d.add(change)
	}
	if ln == nil {
		return
	}
	for i := range ln.FilterChains {
		if c := &ln.FilterChains[i]; !was[chainKey{c.Name, c.Default}] {
			d.add(Change{Kind: "filter_chain", Name: c.Name, Listener: ln.Name, Default: c.Default, Action: ActionAdded, Position: c.Position})
		}
	}
}

// fateOfRemoved is what becomes of the connections of a chain that is gone: what
// it said itself, if that was something else than its listener, or what the
// listener says now.
func fateOfRemoved(old *ListenerOutline, c *ChainOutline, ln *ListenerOutline) string {
	if ln == nil || c.OnChange != old.OnChange {
		return c.OnChange
	}
	return ln.OnChange
}

func (d *Diff) compareClusters(running, next []ClusterOutline) {
	now := make(map[string]*ClusterOutline, len(next))
	for i := range next {
		now[next[i].Name] = &next[i]
	}
	was := make(map[string]bool, len(running))
	for i := range running {
		old := &running[i]
		was[old.Name] = true
		switch cl := now[old.Name]; {
		case cl == nil:
			d.add(Change{Kind: "cluster", Name: old.Name, Action: ActionRemoved, Position: old.Position, Connections: old.Active})
		case cl.Digest != old.Digest:
			c := Change{Kind: "cluster", Name: old.Name, Action: ActionChanged, Position: cl.Position, Connections: old.Active, Fate: fateKeep,
				Details: differences("endpoint", old.Endpoints, cl.Endpoints)}
			if slices.ContainsFunc(old.Endpoints, func(e string) bool { return !slices.Contains(cl.Endpoints, e) }) {
				c.Details = append(c.Details, "connections of an endpoint that is removed: "+cl.OnEndpointRemoved)
			}
			d.add(c)
		}
	}
	for i := range next {
		if !was[next[i].Name] {
			d.add(Change{Kind: "cluster", Name: next[i].Name, Action: ActionAdded, Position: next[i].Position})
		}
	}
}

// differences lists what was added and removed.
func differences(what string, old, now []string) (list []string) {
	for _, x := range now {
		if !slices.Contains(old, x) {
			list = append(list, fmt.Sprintf("%s added: %s", what, x))
		}
	}
	for _, x := range old {
		if !slices.Contains(now, x) {
			list = append(list, fmt.Sprintf("%s removed: %s", what, x))
		}
	}
	return list
}

// compareAddresses finds sockets that come and go: an address that another
// listener takes over stays open.
func (d *Diff) compareAddresses(running, next []ListenerOutline) {
	was, now := socketsOf(running), socketsOf(next)
	for _, s := range now {
		if !slices.Contains(was, s) {
			d.Opened = append(d.Opened, s.address)
		}
	}
	for _, s := range was {
		if !slices.Contains(now, s) {
			d.Closed = append(d.Closed, s.address)
		}
	}
}

// socket is an address that is listened on. Where the kernel chooses the port,
// each time it is written down means another one.
type socket struct {
	address  string
	listener string // of port 0
	number   int    // of port 0: which of the listener's addresses
}

func socketsOf(listeners []ListenerOutline) (list []socket) {
	for i := range listeners {
		for n, a := range listeners[i].Addresses {
			s := socket{address: a}
			if strings.HasSuffix(a, ":0") {
				s.listener, s.number = listeners[i].Name, n
			}
			list = append(list, s)
		}
	}
	return list
}
