package proxy

import "sync/atomic"

// tally counts the refusals of one listener for one reason. All workers share
// it.
type tally struct{ total atomic.Uint64 }

// refused counts a refusal.
func (l *liveListener) refused(r Reason) { l.tally(r).total.Add(1) }

func (l *liveListener) tally(r Reason) *tally { return &l.refusals[r-firstRefusal] }

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
		for r := firstRefusal; r <= lastRefusal; r++ {
			list = append(list, Refused{l.name, r.String(), l.tally(r).total.Load()})
		}
	}
	return list
}
