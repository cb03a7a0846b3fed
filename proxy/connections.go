package proxy

import (
	"cmp"
	"container/heap"
	"context"
	"slices"
	"sync"
	"time"

	"sluice/proxy/poller"
	"sluice/proxy/relay"
	"sluice/proxy/status"
	"sluice/proxy/upstream"
)

// A list of connections is made by their workers, since nobody else may look at
// a connection: each goes through its places in slices, one in a turn, so that
// it is kept from its work for some ten microseconds at a time however many
// connections it has. What it finds it only copies; texts are made of it by who
// asked.
//
// A page is in the order of IDs. Those of a worker only grow, but its places are
// used again, so each goes through all of them for every page and keeps the
// lowest IDs above the page before. A connection keeps its place: one that lives
// while all pages are made is on exactly one of them. One that comes meanwhile may
// be on none.

// sliceOfPlaces is how many places a worker looks at in a turn.
const sliceOfPlaces = 256

// Connections lists connections that are alive now. The error says what is wrong
// with the filter ([ErrFilter]), or is the context's.
func (g *Gateway) Connections(ctx context.Context, filter status.ConnectionFilter) (status.Connections, error) {
	f, err := newConnectionFilter(filter)
	if err != nil {
		return status.Connections{}, err
	}
	var asking sync.WaitGroup
	parts, errs := make([]*page, len(g.workers)), make([]error, len(g.workers))
	for i, w := range g.workers {
		p := newPage(f, w)
		parts[i] = p
		asking.Go(func() { errs[i] = w.goThrough(ctx, p.see) })
	}
	asking.Wait()
	for _, err := range errs {
		if err != nil {
			return status.Connections{}, err
		}
	}
	return g.merge(parts, f.limit), nil
}

// goThrough has the worker call see for each of its connections, in slices, until
// it tells false. It is for other goroutines. What see writes may be read when
// goThrough has returned nil; after an error the worker may still be about to call
// it.
func (w *worker) goThrough(ctx context.Context, see func(*conn) bool) error {
	turn := make(chan bool, 1)
	for next := 0; ; {
		posted := w.Post(func() {
			goOn, more := true, false
			next, more = w.Some(next, sliceOfPlaces, func(o poller.Owner) {
				if c, ok := o.(*conn); ok && goOn {
					goOn = see(c)
				}
			})
			turn <- more && goOn
		})
		if !posted {
			return nil // it has stopped, and has none
		}
		select {
		case more := <-turn:
			if !more {
				return nil
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// page is what a worker has found for a page: those with the lowest IDs.
type page struct {
	filter *connectionFilter
	worker *worker
	found  []sighting
	order  highestFirst // of found; while it is full
	more   bool         // there was one that had no place
}

// newPage makes the room that it will need, so that the worker does not have to.
func newPage(f *connectionFilter, w *worker) *page {
	room := min(f.limit, w.Slots())
	return &page{filter: f, worker: w, found: make([]sighting, 0, room), order: make(highestFirst, 0, room)}
}

// see is called by the worker.
func (p *page) see(c *conn) bool {
	switch {
	case !p.filter.takes(c):
	case len(p.found) < p.filter.limit:
		p.found = append(p.found, c.sighting())
		p.order = append(p.order, place{c.record.id, len(p.found) - 1})
		heap.Fix(&p.order, len(p.order)-1)
	default:
		p.more = true
		if highest := &p.order[0]; c.record.id < highest.id {
			p.found[highest.at] = c.sighting()
			highest.id = c.record.id
			heap.Fix(&p.order, 0)
		}
	}
	return true
}

// place says where in found an ID is.
type place struct {
	id uint64
	at int
}

// highestFirst is a heap, so that the one to be replaced is at hand.
type highestFirst []place

func (h highestFirst) Len() int           { return len(h) }
func (h highestFirst) Less(i, j int) bool { return h[i].id > h[j].id }
func (h highestFirst) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h highestFirst) Push(any)           { panic("BUG: proxy: pages grow by append") } // which boxes nothing
func (h highestFirst) Pop() any           { panic("BUG: proxy: nothing is taken out of a page") }

// merge makes one page of those of the workers. Whatever of a worker is not on
// its page has a higher ID than all that is, so the lowest of all are there.
func (g *Gateway) merge(parts []*page, limit int) status.Connections {
	var all []*sighting
	list := status.Connections{Total: int(g.active.Active())}
	more := false
	for _, p := range parts {
		more = more || p.more
		for i := range p.found {
			all = append(all, &p.found[i])
		}
	}
	slices.SortFunc(all, func(a, b *sighting) int { return cmp.Compare(a.record.id, b.record.id) })
	if len(all) > limit {
		all, more = all[:limit], true
	}
	list.Connections = make([]status.Connection, len(all))
	for i, s := range all {
		list.Connections[i] = s.status(g)
	}
	if more {
		list.Next = all[len(all)-1].record.id
	}
	return list
}

// sighting is a copy of what there is to see of a connection. It is taken between
// turns and has nothing of the set-up, which may be a handshake's just then.
type sighting struct {
	record         record
	listener       *listener
	chain          *chain
	cluster        *cluster
	endpoint       *upstream.Endpoint
	direct         *proxiedRecord
	at, lastActive time.Duration // at: when it was seen, on the worker's clock
	ahead          time.Duration // what the gateway's clock is ahead of that
	received, sent uint64
	mode           [2]relay.Mode // by the side that the bytes come from
	phase          phase
}

func (c *conn) sighting() sighting {
	s := sighting{
		record: c.record, listener: c.listener, chain: c.chain, cluster: c.cluster, endpoint: c.endpoint,
		phase: c.phase, at: c.w.Now(), ahead: c.w.clockOffset,
	}
	s.received, s.sent = c.bytes()
	if c.extras != nil {
		s.direct = c.extras.proxied
	}
	if c.record.flowing && c.phase != phaseSetup {
		s.lastActive = c.pair.LastActive()
		for side := range s.mode {
			s.mode[side], _ = c.pair.Mode(relay.Side(side))
		}
	}
	return s
}

var phaseWords = [...]string{
	phaseSetup:     "setup",
	phaseRelay:     "relay",
	phaseResetting: "resetting",
	phaseLingering: "lingering",
	phaseClosed:    "closed",
}

// status puts it into words.
func (s *sighting) status(g *Gateway) status.Connection {
	r := &s.record
	age := max(s.at-r.accepted, 0)
	c := status.Connection{
		ID:            r.id,
		Phase:         phaseWords[s.phase],
		Listener:      s.listener.name,
		Source:        addressText(r.source),
		Destination:   addressText(r.destination),
		SNI:           textOf(r.sni),
		ALPN:          textOf(r.alpn),
		Started:       g.started.Add(r.accepted + s.ahead).UTC(),
		Age:           inMilliseconds(age),
		Idle:          inMilliseconds(age), // until bytes have flowed
		BytesReceived: s.received,
		BytesSent:     s.sent,
		Generation:    g.generation,
	}
	if s.direct != nil {
		c.DirectSource = addressText(s.direct.direct)
	}
	if s.chain != nil {
		c.FilterChain, c.TLS = s.chain.name, s.chain.tlsWord(r.hello)
	}
	if s.cluster != nil {
		c.Cluster = s.cluster.Name
	}
	if s.endpoint != nil {
		c.Endpoint, c.EndpointAddress = s.endpoint.Name(), s.endpoint.Address.String()
	}
	if s.lastActive > 0 {
		c.Idle = inMilliseconds(max(s.at-s.lastActive, 0))
		c.ModeReceived, c.ModeSent = s.mode[relay.Downstream].String(), s.mode[relay.Upstream].String()
	}
	return c
}

func addressText(a compactAddr) string {
	if ap := a.addrPort(); ap.IsValid() {
		return ap.String()
	}
	return "unix"
}

func textOf(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func inMilliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
