package proxy

import (
	"sluice/proxy/poller"
	"sluice/proxy/relay"
	"sluice/proxy/upstream"
)

// choose finds the endpoint of the next attempt: at once, or after a wait in the
// cluster's queue. From then on the connection has a place in its cluster, which
// it keeps over all attempts, and one at the endpoint.
func (c *conn) choose() Termination {
	r := upstream.Request{Rand: c.w.rand, Key: c.setup.key(c.cluster.hashOn), Tried: c.setup.tried}
	refusal := upstream.Full
	if c.admitted || c.cluster.Admit() {
		c.admitted = true
		if c.endpoint, refusal = c.cluster.Pick(&r); refusal == upstream.Granted {
			return Termination{}
		}
		c.leaveCluster()
	}
	if refusal == upstream.Full {
		return c.waitForPlace(r)
	}
	return c.noPlace(refusal)
}

// noPlace turns away a connection for which there is no endpoint, and no place
// in the queue.
func (c *conn) noPlace(refusal upstream.Refusal) Termination {
	t := c.cluster.refused(refusal)
	if t.Reason == reasonOverflow {
		count(&c.clusterCell().overflows)
	}
	return c.refusedFor(t)
}

// refused is the end of a connection for which the cluster has no endpoint, and
// no place in its queue.
func (cl *cluster) refused(r upstream.Refusal) Termination {
	switch r {
	case upstream.NoEndpoints:
		return Termination{Reason: reasonNoEndpoint, Detail: "cluster " + cl.Name + " has no endpoint"}
	case upstream.NoneServing:
		return Termination{Reason: reasonNoHealthyEndpoint, Detail: "no endpoint of cluster " + cl.Name + " may serve"}
	}
	return Termination{Reason: reasonOverflow, Detail: "cluster " + cl.Name + " has all the connections that it may have"}
}

// leaveCluster gives back the connection's places, in its cluster and at its
// endpoint.
func (c *conn) leaveCluster() {
	if c.endpoint != nil {
		c.endpoint.Release()
	}
	if c.admitted {
		c.admitted = false
		c.cluster.Leave()
	}
}

// waitForPlace waits in the cluster's queue, if that takes it.
func (c *conn) waitForPlace(r upstream.Request) Termination {
	worker := c.w
	w := &upstream.Waiter{Request: r, Wake: func() {
		// By then the connection may be gone, and even another one in its
		// place: a turn that it did not ask for does no harm.
		worker.Post(func() { worker.Again(&c.Slot) })
	}}
	if refusal := c.cluster.Enqueue(w); refusal != upstream.Granted {
		return c.noPlace(refusal)
	}
	count(&c.clusterCell().queued)
	began := c.w.Clock()
	ended := c.awaitPlace(w)
	waited := c.w.Clock() - began
	c.extra().queued += microseconds(waited) // there may have been a wait before
	c.setup.began += waited                  // that was not connecting
	if ep := c.cluster.Withdraw(w); ep != nil {
		// Granted, perhaps in the same moment in which the wait ended.
		c.endpoint, c.admitted = ep, true
		if ended.Reason == reasonQueueTimeout {
			ended = Termination{}
		}
	}
	switch ended.Reason {
	case reasonQueueTimeout:
		count(&c.clusterCell().queueTimeouts)
		return c.refusedFor(ended)
	case reasonDrain:
		return c.drained()
	case reasonShutdown:
		return c.shutDown()
	case reasonResources:
		return c.deaf()
	}
	return ended
}

// awaitPlace waits until there is a place, queue_timeout has passed, or the
// client has left.
func (c *conn) awaitPlace(w *upstream.Waiter) Termination {
	if d := c.cluster.queueTimeout; d > 0 {
		c.setupDeadline(c.w.Clock() + d)
		defer c.setupDeadline(0)
	}
	for {
		switch c.setup.clientSays |= c.Take(relay.Downstream); {
		case c.setup.clientSays&poller.Err != 0:
			return c.clientGone(0)
		case c.setup.clientSays&poller.RdHup != 0 && c.passesTLS():
			c.close(relay.Downstream, relay.CloseFIN)
			return Termination{Reason: reasonClosedInQueue, By: byDownstream}
		case w.Granted() != nil:
			return Termination{}
		}
		switch c.await() {
		case newsTimeUp:
			return Termination{Reason: reasonQueueTimeout, Detail: "no place in cluster " + c.cluster.Name + " became free in " + c.cluster.queueTimeout.String()}
		case newsDrained:
			return Termination{Reason: reasonDrain}
		case newsKilled:
			return Termination{Reason: reasonShutdown}
		case newsDeaf:
			return Termination{Reason: reasonResources}
		}
	}
}

// passesTLS tells whether the client's TLS is for the endpoint. Such a client,
// when it has finished before the endpoint has heard of it, cannot want anything
// any more: a handshake needs both directions.
func (c *conn) passesTLS() bool {
	return c.chain.tls == nil && c.setup.outcome.Complete()
}
