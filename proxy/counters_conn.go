package proxy

import (
	"time"

	"sluice/proxy/relay"
	"sluice/proxy/upstream"
)

// What a connection counts, and where: see counters_cells.go. Its listener counts
// it from accept to its end; its chain from the match on; its chain's way to the
// cluster, and the cluster, from when the route has chosen that. Its bytes are
// counted at one place only, the last of these that it has got to, and by its
// endpoint; who reads adds up.

// listenerCell is this worker's cell of a listener.
func (w *worker) listenerCell(ln *listener) *listenerCell { return ln.counters.cells[w.index] }

// clusterCell is the worker's cell of the connection's cluster.
func (c *conn) clusterCell() *clusterCell { return c.cluster.counters.cells[c.w.index] }

// way is where the connections of a chain to one of its clusters are counted.
func (ch *chain) way(to *cluster) traffic {
	for i, cl := range ch.clusters {
		if cl == to {
			return ch.traffic[i]
		}
	}
	panic("BUG: proxy: a connection of the filter chain " + ch.name + " goes to the cluster " + to.Name + ", which its route does not name")
}

// trafficCell is where the bytes of the connection are counted now.
func (c *conn) trafficCell() *trafficCell {
	switch {
	case c.cluster != nil:
		return c.chain.way(c.cluster)[c.w.index]
	case c.chain != nil:
		return c.chain.counters.traffic[c.w.index]
	}
	return &c.w.listenerCell(c.listener).traffic
}

// flow is where the connection's bytes are counted for its endpoint.
func (c *conn) flow() *upstream.Flow { return c.endpoint.Flow(c.w.index, int(c.w.idStep)) }

// countChain counts the connection at the chain that has taken it.
func (c *conn) countChain() { count(&c.chain.counters.traffic[c.w.index].connections) }

// countCluster counts the connection at the cluster that was chosen.
func (c *conn) countCluster() { count(&c.trafficCell().connections) }

// countEnd counts the end of the connection wherever it was counted.
func (c *conn) countEnd(t Termination) {
	if !c.record.flowing {
		received, sent := c.bytes()
		cell := c.trafficCell()
		add(&cell.received, received)
		add(&cell.sent, sent)
	}
	if c.cluster != nil {
		count(&c.chain.way(c.cluster)[c.w.index].ended)
	}
	if c.chain != nil {
		count(&c.chain.counters.traffic[c.w.index].ended)
	}
	c.w.listenerCell(c.listener).ended(t)
}

// bytes is what the connection has carried, as its record says it.
func (c *conn) bytes() (received, sent uint64) {
	received = uint64(c.record.received)
	if c.phase != phaseSetup {
		received, sent = max(received, c.pair.Bytes(relay.Downstream)), c.pair.Bytes(relay.Upstream)
	}
	if c.record.connect > 0 && c.terminated() != nil {
		received = c.pair.Bytes(relay.Downstream) // what was decrypted; the hello is not among it
	}
	return received, sent
}

// countFirstBytes begins to count bytes as they flow, with those of the set-up.
// A connection that is set up again has had them counted, but for its new
// endpoint.
func (c *conn) countFirstBytes() {
	received, sent := c.bytes()
	if !c.record.flowing {
		c.record.flowing = true
		cell := c.trafficCell()
		add(&cell.received, received)
		add(&cell.sent, sent)
	}
	flow := c.flow()
	add(&flow.Received, received)
	add(&flow.Sent, sent)
}

// countBytes counts what has flowed in a turn before which there were so many
// bytes. A turn moves bytes one way, most often, so there are two stores.
func (c *conn) countBytes(receivedBefore, sentBefore uint64) {
	received, sent := c.bytes()
	received -= receivedBefore
	sent -= sentBefore
	if received|sent == 0 {
		return
	}
	cell, flow := c.trafficCell(), c.flow()
	if received > 0 {
		add(&cell.received, received)
		add(&flow.Received, received)
	}
	if sent > 0 {
		add(&cell.sent, sent)
		add(&flow.Sent, sent)
	}
}

// noteOutcome takes note of what became of reading the hello. It is called once
// for a connection whose hello is read.
func (c *conn) noteOutcome(h helloWord) {
	c.record.hello = h
	count(&c.w.listenerCell(c.listener).hellos[h.place()])
}

// countAttempt counts an attempt that is over.
func (c *conn) countAttempt(r attemptResult) { count(&c.clusterCell().attempts[r]) }

// countConnected counts the attempt under way, which has succeeded.
func (c *conn) countConnected(now time.Duration) {
	c.countAttempt(attemptConnected)
	c.clusterCell().connect.observe(now - c.setup.attemptBegan)
}
