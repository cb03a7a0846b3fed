package proxy

import (
	"sluice/config"
	"sluice/proxy/upstream"
)

// endpointsLost sees to the connections of endpoints that are unhealthy or not
// their cluster's any more. Those that are still being set up see to it when
// they are about to relay ([conn.endpointLost]): the endpoint's status says so
// before this is called. It is not called for an unhealthy endpoint that gets
// connections all the same (panic_threshold).
func (g *Gateway) endpointsLost(endpoints []*upstream.Endpoint, fate config.ConnectionFate, reason Reason) {
	if len(endpoints) == 0 || fate == config.FateKeep {
		return
	}
	lost := make(map[*upstream.Endpoint]bool, len(endpoints)) // there may be thousands, and more connections
	for _, e := range endpoints {
		lost[e] = true
	}
	g.onEach(func(_ int, w *worker) error {
		w.each(func(c *conn) {
			if c.phase == phaseRelay && lost[c.endpoint] {
				c.lose(fate, reason)
			}
		})
		return nil
	})
}

// endpointBack lets the connections stay that were about to leave because their
// endpoint was unhealthy.
func (g *Gateway) endpointBack(e *upstream.Endpoint) {
	g.onEach(func(_ int, w *worker) error {
		w.each(func(c *conn) {
			if c.phase == phaseRelay && c.endpoint == e && c.leaving() == reasonEndpointUnhealthy {
				c.stay()
			}
		})
		return nil
	})
}

// lose does what the configuration says becomes of the connection, because of
// what it was about.
func (c *conn) lose(fate config.ConnectionFate, reason Reason) {
	switch fate {
	case config.FateDrain:
		if timeout := c.w.gateway.DrainTimeout(); timeout > 0 { // 0: as long as it takes
			c.leaveAt(c.leaveTime(timeout), reason)
		}
	case config.FateClose:
		if c.phase == phaseRelay && c.setup == nil {
			c.end(Termination{Reason: reason})
			return
		}
		c.leaveAt(c.w.Now(), reason)
	}
}

// endpointLost is asked by a connection that is about to relay: its endpoint may
// have been lost while it was being connected. One that was unhealthy all along,
// and was picked because too few others are not, is no worse than it was.
func (c *conn) endpointLost() {
	cl := c.cluster
	switch {
	case c.endpoint.Removed():
		c.lose(cl.onRemoved, reasonEndpointRemoved)
	case cl.onUnhealthy != config.FateKeep && c.endpoint.Health() == upstream.Unhealthy && !c.endpoint.Offered():
		c.lose(cl.onUnhealthy, reasonEndpointUnhealthy)
	}
}
