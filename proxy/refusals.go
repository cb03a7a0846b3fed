package proxy

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sluice/proxy/limit"
)

// Connections that are refused by a limit or an access list, the trusted peers of
// proxy_protocol among them, have an end record like others, with the reason. But one who floods
// a gateway must not be able to flood its log, too: of the refusals of one
// listener for one reason, the first few within a second have records of their
// own, and one more record stands for the rest of them, with their number.

const (
	// singleRefusals is how many refusals a second have a record of their own:
	// enough to see who it is, when it is not a flood.
	singleRefusals = 10
	// floodWindow is the second.
	floodWindow = time.Second
	// mostDistinct is up to how many distinct sources of a flood are counted.
	mostDistinct = 64
)

// The reasons with a tally: the refusals, those by the limits of clusters, and of
// PROXY headers, which anybody may be the reason for. A flood at clusters has none
// in its record, which may be of several.
const (
	tallyOfOverflow = int(refusalReasons) + iota
	tallyOfQueueTimeout
	tallyOfUntrustedHeader
	talliedReasons
)

// tally gives the place of the reason's tally, -1 when it has none.
func (r Reason) tally() int {
	switch {
	case r.isRefusal():
		return int(r - firstRefusal)
	case r == reasonOverflow:
		return tallyOfOverflow
	case r == reasonQueueTimeout:
		return tallyOfQueueTimeout
	case r == reasonProxyHeaderUntrusted:
		return tallyOfUntrustedHeader
	}
	return -1
}

// isTallied tells whether very many ends for the reason share a record.
func (r Reason) isTallied() bool { return r.tally() >= 0 }

// tally counts the refusals of one listener for one reason. All workers share
// it.
type tally struct {
	total atomic.Uint64

	mu     sync.Mutex // guards what follows
	began  time.Duration
	single int    // records of their own since then
	flood  *flood // what has none; nil: nothing yet
}

// flood is what the one record of many refusals says.
type flood struct {
	count    uint64
	first    netip.AddrPort
	distinct int
	sources  [mostDistinct]limit.Key
}

func (f *flood) add(source netip.AddrPort) {
	f.count++
	if f.distinct == mostDistinct {
		return
	}
	k := limit.KeyOf(source.Addr())
	if !slices.Contains(f.sources[:f.distinct], k) {
		f.sources[f.distinct] = k
		f.distinct++
	}
}

// note takes note of a refusal and tells whether it has a record of its own.
// With the first that has none the caller learns when it has to write the
// record for all of those: at due, a time greater than 0.
func (t *tally) note(now time.Duration, source netip.AddrPort) (single bool, due time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.flood == nil {
		if t.single == 0 || now-t.began >= floodWindow {
			t.began, t.single = now, 0
		}
		if t.single < singleRefusals {
			t.single++
			return true, 0
		}
		t.flood = &flood{first: source}
		due = t.began + floodWindow
	}
	t.flood.add(source)
	return false, due
}

// end ends the second and gives what has no record yet.
func (t *tally) end() *flood {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.flood
	t.flood, t.single = nil, 0
	return f
}

// refused counts a refusal.
func (l *liveListener) refused(r Reason) { l.tally(r).total.Add(1) }

func (l *liveListener) tally(r Reason) *tally { return &l.refusals[r.tally()] }

// single tells whether a refusal has a record of its own. Where it has none,
// the buffer sees to the record for all of them.
func (b *recordBuffer) single(l *liveListener, r Reason, source netip.AddrPort) bool {
	now := b.w.sharedNow()
	single, due := l.tally(r).note(now, source)
	if due > 0 {
		d := floodDue{l, r}
		b.floods = append(b.floods, d)
		b.w.after(due-now, func() {
			b.floods = slices.DeleteFunc(b.floods, func(other floodDue) bool { return other == d })
			b.writeFlood(d)
			b.wrote()
		})
	}
	return single
}

// floodDue is a flood whose record a worker has to write.
type floodDue struct {
	listener *liveListener
	reason   Reason
}

// endFloods writes what is due later, because the worker stops.
func (b *recordBuffer) endFloods() {
	for _, d := range b.floods {
		b.writeFlood(d)
	}
	b.floods = nil
}

func (b *recordBuffer) writeFlood(d floodDue) {
	f := d.listener.tally(d.reason).end()
	b.begin()
	b.time("time", time.Now())
	b.str("type", recordEnd.String())
	b.str("listener", d.listener.name)
	b.uint("count", f.count)
	b.address("source", f.first)
	b.uint("sources", uint64(f.distinct))
	t := Termination{Reason: d.reason}
	if d.reason.isRefusal() {
		t = refusal(d.reason)
	}
	logTermination(b, t)
	b.end()
}

// Refused is how many connections a listener has refused for one reason.
type Refused struct {
	Listener, Reason string
	Count            uint64
}

// Refusals gives the refusals by listener and reason since the start, those
// that never happened included. The workers are not disturbed.
func (g *Gateway) Refusals() (list []Refused) {
	for _, ln := range g.snapshot.Load().listeners {
		l := ln.admission.live
		for r := range Reason(len(reasonWords)) {
			if r.isTallied() {
				list = append(list, Refused{l.name, r.String(), l.tally(r).total.Load()})
			}
		}
	}
	return list
}
