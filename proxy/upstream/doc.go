// Package upstream holds the live side of clusters: which endpoints there
// are, what they are busy with, and which of them the next connection goes
// to. It opens no sockets and starts no goroutines.
//
//	next := clusters[split.Pick(rnd, key)]  // of a route's weighted ones
//	next.Admit()                            // a place in the cluster, or Enqueue waits for one
//	for ... {
//		e, _ := next.Pick(&request)     // an endpoint; the attempt counts from here on
//		connect to e.Address
//		e.Release()                     // when the attempt failed or the connection ended
//	}
//	next.Leave()
//
// # Weighted least connections
//
// [Cluster.Pick] takes the endpoint with the least (active+1/2)/weight, where
// active counts the connections that exist and those that are being
// established. The half is the middle of the connection at hand: this is the
// method of Webster and Sainte-Laguë for sharing seats, which favours neither
// heavy nor light endpoints. (With active/weight an idle light endpoint comes
// before a heavy one with a single connection; with (active+1)/weight heavy
// ones run ahead: of weights 1, 2 and 5 the last gets five of six.) A
// multiple of the sum of all weights is shared exactly, and in between an
// endpoint is within a connection of its exact share but for weights far
// apart among many endpoints.
//
// Every endpoint is looked at. Two random choices, which many proxies make
// do with, give a busy endpoint the connection in one of n² cases even when
// all others are idle, and with long-lived connections such a mistake stays.
// The scan costs 2 to 7 ns for each endpoint.
//
// All workers share the counts, so the cluster is balanced as a whole, not
// once per worker. A count is raised by compare-and-swap from the value on
// which the choice was made: when several workers choose at the same moment,
// one gets the endpoint and the others look again, instead of all going to
// the endpoint that was idle a moment ago. Among equal ones each has the same
// chance, without which the first endpoint of the file would get every
// connection of an idle gateway.
//
// # The other policies
//
//	RoundRobin  a sequence made in advance in which every endpoint is, at every
//	            point, less than one turn away from its share (roundrobin.go)
//	Random      two different endpoints drawn by weight, and of these the one
//	            with less load for its weight (random.go)
//	Maglev      a table that gives the same key the same endpoint, in every
//	            process, and changes little with the endpoints (maglev.go)
//	First       the first endpoint that is not full, then the second
//
// All of them, and least connections, leave out what may not serve, what was
// tried and what is full, and go on to a lower priority group only when nothing
// is left: unhealthy, tried and full count alike for that. In a group of which
// less than the panic threshold serves, health and ejections are ignored. An
// endpoint that begins to serve beside others gets a growing part of its weight
// (slowstart.go).
//
// # Limits and the queue
//
// A connection has a place in its cluster ([Cluster.Admit]), which it keeps over
// all attempts, and one at the endpoint that it tries ([Cluster.Pick]). Both are
// counted by compare-and-swap below a limit, so a limit is never exceeded. Where
// there is no place a connection may wait (queue.go): whoever frees one grants
// it, with an endpoint, to the first in the queue, and only then wakes that
// connection's worker. So nobody overtakes, no place is lost to a client that
// has just left, and none is given twice. The lock is taken only while somebody
// waits. (Only a connection that has tried an endpoint in vain and waits for
// another one lets others pass, to those that it has tried.)
//
// # Ejection
//
// An endpoint that fails several attempts in a row, or ends as many connections
// before their first byte, is held off for a while that grows with each time
// (outlier.go). Since clients can provoke the latter, they count only when they
// came from three different sources. The last endpoint that serves is never
// ejected, and where none serves any more, those that are ejected do.
//
// # What belongs to whom
//
// An [Endpoint] is one address and what lives as long as that does: its
// active count, its counters, and its status (health, state, ejection), one
// atomic word that any goroutine may change. What the configuration or
// discovery says of it and may change while connections go on, its weight,
// priority and limit, belongs to the set of its [Cluster] (set.go), which
// [Cluster.Update] replaces.
//
// Picks go by a view (view.go): the endpoints that may serve now, by priority.
// It is made anew by whoever changes the set or a status, under a lock that no
// pick takes, and published with one atomic store.
package upstream
