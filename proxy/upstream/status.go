package upstream

// Health is what active checks say of an endpoint.
type Health uint8

// The healths. An endpoint that has not been checked yet may serve: a check
// that has had no time to succeed says nothing.
const (
	Unchecked Health = iota
	Healthy
	Unhealthy
)

// String gives the word of records, logs and the admin API.
func (h Health) String() string { return [...]string{"unchecked", "healthy", "unhealthy"}[h] }

// State is what an operator says of an endpoint.
type State uint8

// The states.
const (
	Ready State = iota
	Drain       // gets no new connections; is still checked
	Maint       // the same, and is not checked
)

// String gives the word of the admin API.
func (s State) String() string { return [...]string{"ready", "drain", "maint"}[s] }

// The status of an endpoint is one word, so that it is read and changed as a
// whole: its health, its state, whether it is ejected, whether its cluster has it
// no more, and the weight that an operator gave it in place of the configured
// one (0: none).
const (
	statusHealthShift = 0
	statusHealthMask  = 3 << statusHealthShift
	statusStateShift  = 2
	statusStateMask   = 3 << statusStateShift
	statusEjected     = 1 << 4
	statusRemoved     = 1 << 5
	statusWeightShift = 32
	statusWeightMask  = (1<<32 - 1) << statusWeightShift
)

type status uint64

func (s status) health() Health { return Health(s & statusHealthMask >> statusHealthShift) }
func (s status) state() State   { return State(s & statusStateMask >> statusStateShift) }
func (s status) ejected() bool  { return s&statusEjected != 0 }
func (s status) weight() int    { return int(s >> statusWeightShift) }

// ready tells whether an operator lets the endpoint have connections.
func (s status) ready() bool { return s.state() == Ready }

// servingOrEjected tells whether the endpoint serves, or would if it were not
// ejected.
func (s status) servingOrEjected() bool { return s.ready() && s.health() != Unhealthy }

// serving tells whether the endpoint may get connections.
func (s status) serving() bool { return s.servingOrEjected() && !s.ejected() }

func (e *Endpoint) loadStatus() status { return status(e.status.Load()) }

// change replaces the masked bits of the status. It tells whether that changed
// anything; the next pick goes by it.
func (e *Endpoint) change(mask, bits uint64) bool {
	for {
		old := e.status.Load()
		now := old&^mask | bits
		if now == old {
			return false
		}
		if e.status.CompareAndSwap(old, now) {
			if a, b := status(old), status(now); a.servingOrEjected() != b.servingOrEjected() || a.ready() != b.ready() || a.weight() != b.weight() {
				e.cluster.refresh()
			}
			return true
		}
	}
}

// Health is what the last check said.
func (e *Endpoint) Health() Health { return e.loadStatus().health() }

// SetHealth takes note of what checks say, and tells whether that is new. The
// next pick goes by it.
func (e *Endpoint) SetHealth(h Health) (changed bool) {
	return e.change(statusHealthMask, uint64(h)<<statusHealthShift)
}

// State is what an operator has set, Ready to begin with.
func (e *Endpoint) State() State { return e.loadStatus().state() }

// SetState sets the state, and tells whether that is new. Connections that the
// endpoint has are the caller's to end.
func (e *Endpoint) SetState(s State) (changed bool) {
	return e.change(statusStateMask, uint64(s)<<statusStateShift)
}

// Weight is the weight that an operator has set; 0 when none was.
func (e *Endpoint) Weight() int { return e.loadStatus().weight() }

// SetWeight sets a weight from 1 to MaxWeight in place of the configured one;
// 0 goes back to that. It tells whether that is new.
func (e *Endpoint) SetWeight(w int) (changed bool) {
	if w != 0 {
		checkWeight(w)
	}
	return e.change(statusWeightMask, uint64(w)<<statusWeightShift)
}

// Ejected tells whether the endpoint is held off for failures that connections
// met with.
func (e *Endpoint) Ejected() bool { return e.loadStatus().ejected() }

// Serving tells whether the endpoint may get connections: it is ready, not
// unhealthy and not ejected.
func (e *Endpoint) Serving() bool { return e.loadStatus().serving() }

// Removed tells whether the endpoint's cluster has it no more. That is for good:
// an address that comes back is another Endpoint.
func (e *Endpoint) Removed() bool { return e.loadStatus()&statusRemoved != 0 }
