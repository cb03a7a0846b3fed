package proxy

import (
	"errors"
	"slices"
	"time"

	"sluice/config"
	"sluice/proxy/relay"
	"sluice/proxy/status"
	"sluice/proxy/upstream"
	"sluice/proxy/upstream/health"
)

// ErrEnding says that a gateway takes no configuration any more.
var ErrEnding = errors.New("the gateway is ending: it takes no other configuration")

// Applied says what a configuration has changed.
type Applied struct {
	Generation int      // of the configuration: 1 is the one that the gateway was started with
	Opened     []string // addresses that are listened on now
	Closed     []string // addresses that are not listened on any more
	Leaving    int      // connections that leave because of on_change
	Unapplied  []string // what takes effect only when the process is started anew, in words
}

// Apply makes the gateway run another configuration, all of it or, with an
// error, nothing of it. Connections that exist are not touched, but for those
// that a chain which was changed or removed has, or an endpoint that was
// removed, as on_change and on_endpoint_removed say. Sockets of addresses that
// stay are not touched; endpoints keep health, counts and ejections.
//
// Any goroutine may call it; one call runs at a time. cfg must have been
// returned by [config.Load] and is kept.
func (g *Gateway) Apply(cfg *config.Config) (*Applied, error) {
	g.applying.Lock()
	defer g.applying.Unlock()
	switch {
	case g.ending:
		return nil, ErrEnding
	case g.handing:
		return nil, ErrHandingOver
	}
	ch, err := g.prepare(cfg)
	if err != nil {
		return nil, err
	}
	g.given = nil
	return ch.commit(), nil
}

// change is a configuration that is about to take the place of the current one:
// all that can fail has been done, and nothing that is in use was touched.
type change struct {
	gateway   *Gateway
	old, next *snapshot
	kept      []*socketGroup
	opened    []*socketGroup // bound, listening and watched, but nobody is let in yet
	closing   []*socketGroup
	material  *succession
	ceiling   ceiling
	accessLog *accessLog
	checks    map[string]*health.Check // by cluster, of those that are to be checked otherwise than before
}

// prepare does everything that can fail. What it has begun it undoes on an error.
func (g *Gateway) prepare(cfg *config.Config) (_ *change, err error) {
	if err := mayBeTransparent(cfg); err != nil {
		return nil, err
	}
	ch := &change{gateway: g, old: g.snapshot.Load(), accessLog: g.accessLog.Load()}
	defer func() {
		if err != nil {
			ch.undo()
		}
	}()
	if ch.next, err = compile(cfg, ch.old); err != nil {
		return nil, err
	}
	ch.next.workers = ch.old.workers
	ch.material = g.adopt(cfg)
	if err = ch.material.renew(ch.next); err != nil {
		return nil, err
	}
	ch.ceiling = g.ceilingOf(cfg)
	if ch.checks, err = g.newChecks(cfg, ch.next); err != nil {
		return nil, err
	}
	if cfg.AccessLog != ch.old.config.AccessLog {
		if ch.accessLog, err = openAccessLog(cfg.AccessLog, g.stdout, g.stderr, g.log); err != nil {
			return nil, err
		}
	}
	return ch, ch.bind()
}

// undo lets go of what prepare has begun.
func (ch *change) undo() {
	ch.gateway.closeGroups(ch.opened)
	if ch.accessLog != nil && ch.accessLog != ch.gateway.accessLog.Load() {
		ch.accessLog.Close()
	}
}

// commit lets the configuration take effect. Nothing of it can fail.
//
// The order matters to connections that come meanwhile: what the new snapshot
// leads to is ready before it can be seen, and what waits to be accepted on an
// address that goes is still accepted under the old one.
func (ch *change) commit() *Applied {
	g := ch.gateway
	g.counters.attach(ch.next)
	ch.material.use(g)
	ch.useAccessLog()
	removed := ch.updateClusters()
	ch.stopClosing()
	g.most.Store(&ch.ceiling)
	g.groups = append(ch.kept, ch.opened...)
	ch.mapSockets()
	g.snapshot.Store(ch.next)
	g.reloaded()
	ch.admit()
	ch.setSplice()
	for _, r := range removed {
		g.endpointsLost(r.endpoints, r.fate, reasonEndpointRemoved)
	}
	d := ch.old.compare(ch.next)
	return &Applied{
		Generation: ch.next.generation,
		Opened:     addressTexts(ch.opened),
		Closed:     addressTexts(ch.closing),
		Leaving:    ch.retireChains(&d),
		Unapplied:  d.Unapplied,
	}
}

// setSplice tells the workers whether they may splice.
func (ch *change) setSplice() {
	splice := ch.next.config.Runtime.Splice
	if ch.old.generation > 0 && ch.old.config.Runtime.Splice == splice {
		return
	}
	ch.gateway.onEach(func(_ int, w *worker) error {
		w.mover.SetSplice(splice)
		return nil
	})
}

// useAccessLog has the workers write their records into the new access log. A
// file that stays is opened again: it may have been renamed.
func (ch *change) useAccessLog() {
	g := ch.gateway
	old := g.accessLog.Load()
	if ch.accessLog == old {
		if old != nil && ch.old.generation > 0 {
			old.Reopen()
		}
		return
	}
	g.accessLog.Store(ch.accessLog)
	g.onEach(func(_ int, w *worker) error {
		w.writeRecordsTo(ch.accessLog)
		return nil
	})
	if old != nil {
		old.Close()
		g.recordsLost.Add(old.lost())
	}
}

// lostEndpoints are endpoints that a cluster has no more.
type lostEndpoints struct {
	endpoints []*upstream.Endpoint
	fate      config.ConnectionFate
}

// updateClusters tells the clusters what is said of them now. Those that no
// route leads to any more go on as they are for the connections that they have:
// their chains have changed, and on_change says what becomes of those.
func (ch *change) updateClusters() (removed []lostEndpoints) {
	g := ch.gateway
	for _, spec := range ch.next.config.Clusters {
		cl := ch.next.clusters[spec.Name]
		u := g.upkeeps[spec.Name]
		switch {
		case u == nil:
			u = newUpkeep(g, cl)
			g.upkeeps[spec.Name] = u
		case cl.digest == ch.old.clusters[spec.Name].digest:
			cl.upkeep = u
			continue
		}
		cl.upkeep = u
		if lost := u.follow(cl, ch.checks[spec.Name]); len(lost) > 0 {
			removed = append(removed, lostEndpoints{lost, spec.OnEndpointRemoved})
		}
	}
	for name, u := range g.upkeeps {
		if ch.next.clusters[name] == nil {
			delete(g.upkeeps, name)
			u.close()
			g.retired = append(g.retired, u.live)
		}
	}
	g.retired = slices.DeleteFunc(g.retired, func(c *upstream.Cluster) bool {
		over := c.Active() == 0
		if over {
			c.Close()
		}
		return over
	})
	return removed
}

// retireChains does what on_change says with the connections of chains that are
// not there any more, or not as they were. It gives how many leave.
func (ch *change) retireChains(d *status.Diff) int {
	if !ch.old.retire(d) {
		return 0
	}
	leaving := make([]int, len(ch.gateway.workers))
	ch.gateway.onEach(func(i int, w *worker) error {
		w.each(func(c *conn) {
			if c.chain != nil && c.chain.life.fate.Load() != nil && c.phase <= phaseRelay {
				leaving[i]++
				c.loseChain()
			}
		})
		return nil
	})
	total := 0
	for _, n := range leaving {
		total += n
	}
	return total
}

// ceiling is how many connections there may be, and for what reason no more.
type ceiling struct {
	connections int64
	reason      Reason
}

// ceilingOf takes the configured limit, when there is one, if the descriptors
// are good for it.
func (g *Gateway) ceilingOf(cfg *config.Config) ceiling {
	addresses := 0
	for _, ln := range cfg.Listeners {
		addresses += len(ln.Addresses)
	}
	descriptors := descriptorLimit()
	possible, _ := shareOut(descriptors-g.reserved-upkeepDescriptors(cfg, descriptors), addresses, len(g.workers))
	switch most := cfg.Runtime.MaxConnections; {
	case most == 0:
	case int64(most) > possible:
		g.log.Warn().Int("max_connections", most).Int64("possible", possible).
			Msg("the descriptor limit (ulimit -n, or LimitNOFILE of the unit) allows fewer connections than runtime.max_connections")
	default:
		return ceiling{int64(most), reasonProcessLimit}
	}
	return ceiling{possible, reasonDescriptorLimit}
}

// shareOut divides the descriptors of the process: each connection has two,
// and so has each pipe. What is left over is for listening sockets, for the
// workers' own (an acceptor's spare and four more for each), for logs, and for
// the runtime.
func shareOut(limit, addresses, workers int) (connections int64, pipes int) {
	const others = 24
	pipes = max(min(relay.MaxPipes, limit/16), 1)
	rest := limit - others - 2*pipes - workers*(2*addresses+4)
	return int64(max(rest/2, 16)), pipes
}

// DrainTimeout is how long connections may take to leave, as the configuration
// that runs says; 0: as long as they want.
func (g *Gateway) DrainTimeout() time.Duration { return g.snapshot.Load().config.Runtime.DrainTimeout }
