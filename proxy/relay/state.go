package relay

import "sluice/proxy/poller"

// Side is one end of a pair.
type Side = poller.Side

// The ends of a pair.
const (
	Downstream = poller.Downstream // the client
	Upstream   = poller.Upstream   // the endpoint
)

// State is everything that is known of how far the two sides of a connection
// have come. It holds these facts for each side:
//
//	ended    nothing more can be read from it: its FIN was read, or it was
//	         reset and its receive queue has been read to the end
//	reset    it is gone; nothing can be sent to it any more
//	queued   bytes that were read from the other side wait for it
//	finSent  it was told that the other side has finished
//
// Facts are only ever added, but for queued, so a connection moves through few
// states and always to its end. The kernel reports a reset once (one EPOLLERR,
// one ECONNRESET, then read gives 0): that is why reset is remembered here, and
// why a read of 0 from a reset side must not be taken for a FIN. What arrived
// before the reset can still be read (tcp_reset leaves the receive queue).
type State uint8

const (
	stateEnded State = 1 << (2 * iota) // and the next bit for upstream, as below
	stateReset
	stateQueued
	stateFINSent
)

func (st State) has(fact State, s Side) bool { return st&(fact<<s) != 0 }

// Ended tells whether nothing more can be read from the side.
func (st State) Ended(s Side) bool { return st.has(stateEnded, s) }

// IsReset tells whether the side is gone.
func (st State) IsReset(s Side) bool { return st.has(stateReset, s) }

// HalfClosed tells whether one side has finished and the connection goes on.
func (st State) HalfClosed() bool { return st&(stateEnded|stateEnded<<1) != 0 }

// CanRead tells whether reading from the side is of any use: there may be more
// and the other side can still take it.
func (st State) CanRead(s Side) bool { return !st.Ended(s) && !st.IsReset(s.Other()) }

// endOfInput notes that a read from the side gave its end.
func (st *State) endOfInput(s Side) { *st |= stateEnded << s }

// resetBy notes that the side is gone. What waited for it is lost.
func (st *State) resetBy(s Side) {
	*st |= stateReset << s
	*st &^= stateQueued << s
}

// setQueued notes whether bytes wait for the side.
func (st *State) setQueued(s Side, queued bool) {
	if queued && !st.IsReset(s) {
		*st |= stateQueued << s
	} else {
		*st &^= stateQueued << s
	}
}

// finSent notes that the side was sent a FIN.
func (st *State) finSent(s Side) { *st |= stateFINSent << s }

// step is what has to happen next.
type step uint8

const (
	stepMove      step = iota // bytes can flow, or will when something is ready
	stepSendFIN               // tell the side that the other one has finished
	stepFinish                // both have finished, everything was delivered
	stepPassReset             // the side has got everything the reset one sent; reset it too
	stepAbort                 // both are gone
)

// next decides. The side is the one that the step is done to.
func (st State) next() (step, Side) {
	if st.IsReset(Downstream) && st.IsReset(Upstream) {
		return stepAbort, Downstream
	}
	for _, gone := range [...]Side{Downstream, Upstream} {
		if !st.IsReset(gone) {
			continue
		}
		if other := gone.Other(); st.Ended(gone) && !st.has(stateQueued, other) {
			return stepPassReset, other
		}
		return stepMove, Downstream
	}
	delivered := func(from Side) bool { return st.Ended(from) && !st.has(stateQueued, from.Other()) }
	if delivered(Downstream) && delivered(Upstream) {
		return stepFinish, Downstream
	}
	for _, from := range [...]Side{Downstream, Upstream} {
		if to := from.Other(); delivered(from) && !st.has(stateFINSent, to) {
			return stepSendFIN, to
		}
	}
	return stepMove, Downstream
}
