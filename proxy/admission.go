package proxy

import (
	"time"

	"sluice/config"
	"sluice/proxy/limit"
	"sluice/proxy/relay"
)

// Admission has two steps. What limits accepting is decided as soon as a
// connection is accepted, by its peer: the connections of the process and of
// the listener, and accept_limit. One that is refused there costs two system
// calls and is never handed to another worker. What concerns the source is a
// step of the path ([conn.admit]), because a PROXY header can name another
// source than the peer: access and per_source, and access of a chain after the
// match.
//
// All of it is given back in one place, [conn.leave].

// admission is what a listener's configuration says of who may connect, and
// where that is counted.
type admission struct {
	maxConnections int64      // 0: no limit
	acceptRate     limit.Rate // of all connections together
	accepts        *limit.Bucket
	access         *limit.Access
	perSource      limit.PerSource
	sources        *limit.Sources // nil without per_source
	live           *liveListener
}

// liveListener is what of a listener is no configuration: counts, which
// connections go on to be part of while configurations change. All workers
// share it.
type liveListener struct {
	name string

	_           [64]byte // every connection writes what follows, and reads what stands above
	connections limit.Connections
	_           [64]byte

	refusals [talliedReasons]tally // see Reason.tally
}

// newAdmission makes what follows old, nil when the listener is new. Counts go
// on. Buckets go on while their rate stays, since one that was emptied under a
// low rate would refuse for a long time under a high one (see [limit.Bucket]).
func newAdmission(spec *config.Listener, old *admission) admission {
	a := admission{
		maxConnections: int64(spec.MaxConnections),
		acceptRate:     limitRate(spec.AcceptLimit),
		access:         limit.NewAccess(spec.Access.Allow, spec.Access.Deny),
		perSource: limit.PerSource{
			Connections: spec.PerSource.MaxConnections,
			Rate:        limitRate(spec.PerSource.Rate),
		},
	}
	if old == nil {
		old = &admission{live: &liveListener{name: spec.Name}}
	}
	a.live, a.accepts, a.sources = old.live, old.accepts, old.sources
	if a.accepts == nil || a.acceptRate != old.acceptRate {
		a.accepts = &limit.Bucket{}
	}
	switch {
	case a.perSource == (limit.PerSource{}):
		a.sources = nil
	case a.sources == nil, a.perSource.Rate != old.perSource.Rate:
		a.sources = limit.NewSources()
	}
	return a
}

func limitRate(r config.Rate) limit.Rate {
	if r.PerSecond == 0 {
		return limit.Rate{}
	}
	return limit.NewRate(r.PerSecond, r.Burst)
}

// accept counts a new connection of the listener, or says why it must be
// refused. [Gateway.closed] and leaving the listener's connections follow once
// it is over. now is the time that all workers share.
//
// The process comes last, so that connections which their own listener refuses
// never take a place that another listener's could have. One that the process
// refuses has used up its share of accept_limit.
func (a *admission) accept(g *Gateway, now time.Duration) Reason {
	l := a.live
	if !l.connections.Enter(a.maxConnections) {
		return reasonListenerLimit
	}
	if !a.accepts.Take(now, a.acceptRate) {
		l.connections.Leave()
		return reasonAcceptRate
	}
	if most := g.most.Load(); !g.active.Enter(most.connections) {
		l.connections.Leave()
		return most.reason
	}
	return reasonNone
}

// full says why accept would refuse a connection now for being one too many;
// reasonNone when it would not. It counts nothing, and leaves out accept_limit:
// whether that lets the next one in depends on when it comes. Without a gateway
// there are no connections.
func (a *admission) full(g *Gateway) Reason {
	switch {
	case g == nil:
		return reasonNone
	case a.live.connections.Full(a.maxConnections):
		return reasonListenerLimit
	}
	if most := g.most.Load(); g.active.Full(most.connections) {
		return most.reason
	}
	return reasonNone
}

// refuse turns away a connection that was not to be accepted. There is no conn
// for it, but when its record is to be written.
func (a *acceptor) refuse(fd int, ln *listener, source addrPort, reason Reason) {
	w := a.w
	count(&w.accepted)
	cell := w.listenerCell(ln)
	count(&cell.traffic.connections)
	cell.ended(refusal(reason))
	ln.admission.live.refused(reason)
	if b := w.records; b != nil && b.wants(recordEnd) && b.single(ln.admission.live, reason, source) {
		c := w.newConn()
		c.w, c.listener = w, ln
		c.record = w.newRecord(source, a.destination(fd))
		c.write(b, recordEnd, refusal(reason))
		w.keep(c)
	}
	relay.CloseReset(fd)
}

// admit decides by the source of the connection, which is known now, whether it
// may stay.
func (c *conn) admit() Termination {
	a := &c.listener.admission
	if !a.access.Allows(c.setup.source.Addr()) {
		return c.refusedFor(refusal(reasonAccessDenied))
	}
	if a.sources != nil {
		switch a.sources.Enter(c.sourceKey(), c.w.sharedNow(), a.perSource) {
		case limit.TooMany:
			return c.refusedFor(refusal(reasonSourceConnections))
		case limit.TooFast:
			return c.refusedFor(refusal(reasonSourceRate))
		}
		c.counted = true
	}
	c.log(recordStart, Termination{})
	return Termination{}
}

// sourceKey is what per_source counts the connection by: the source that its
// record names, which does not change once it was admitted.
func (c *conn) sourceKey() limit.Key { return limit.KeyOf(c.record.source.addrPort().Addr()) }

// leave ends all that the connection was counted for. [worker.forget] calls it,
// which is the end of every connection.
func (c *conn) leave() {
	a := &c.listener.admission
	if c.counted {
		c.counted = false
		a.sources.Leave(c.sourceKey(), c.w.sharedNow())
	}
	a.live.connections.Leave()
	c.w.gateway.closed()
}

// sharedNow is the worker's clock as all workers of the gateway have it, for
// what they share.
func (w *worker) sharedNow() time.Duration { return w.Now() + w.clockOffset }
