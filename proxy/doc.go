/*
Package proxy is the gateway: it accepts connections, decides where each goes,
connects it, and keeps its record.

# The life of a connection

A listening socket of a worker has a connection to accept
(listener_accept.go). Where there are too many already, or they come too fast,
it is refused on the spot (admission.go). Otherwise the worker takes it, or hands
it to one that has clearly less to do, and starts its set-up in a coroutine
([conn.Setup], conn.go). The one deadline over header, hello and handshake starts.

	header     take the PROXY header, where the listener has them (proxyheader.go)
	admit      may its source come, and have one more? (admission.go)
	peek       read the ClientHello, where a chain needs it (setup.go)
	match      the most specific filter chain takes it (package route)
	terminate  the TLS handshake, where the chain decrypts (terminate.go)
	connect    a place in the cluster (choose.go), an endpoint that answers, and
	           the hello passed on (connect.go), behind a PROXY header where the
	           cluster has them (proxyheader_send.go); TLS to the endpoint, where
	           it speaks it (originate.go)
	relay      hand both sides to the pair (package relay)

Each step goes on or ends the connection with a [Termination]
(termination.go), having turned the client away as the configuration says
(refuse.go). After relay the coroutine is over and nothing runs for the
connection: its worker gives it a turn when its descriptors are ready and when
its deadline has come (deadline.go). An endpoint that ends it before the first
byte may make it begin again with another one (replay.go). When both sides have
finished, or one is gone, it is closed so that each peer learns the truth
(ending.go), and exactly one end record is written whatever happened (record.go,
accesslog.go).

Which endpoints there are, and which of them are well, is found out beside all
that, for each cluster by goroutines of its own (upkeep.go, packages discovery
and health). They change what is picked from then on, and ask the workers to end
the connections of endpoints that are lost (lost.go).

# One process after another

The listening sockets may come from the process before this one, or from a service
manager (listener_inherited.go), and are given to the one after it (handover.go;
package handoff does the talking). Connections stay where they are.

# What is told of it

What happens is counted by each worker in cells of its own, and added up by who
asks (counters.go says what there is, counters_cells.go how it is kept). What
runs is told in the shapes of package status: listeners, clusters, certificates
(the files named view), and the connections themselves, which only their workers
may look at, a few at a time (connections.go). An operator may end one (kill.go),
or change an endpoint (endpoint_control.go).

# Without a connection

Where a connection would go, and why, is explained by taking the same path
without one (explain.go), of a gateway as it runs or of a configuration alone
([Plan]). What a step decides is therefore a function of what is known of the
client (facts.go), which the step and the explanation both call; a step that
decides for itself would be explained wrongly. TestExplainIsWhatHappens compares
the two over random configurations and clients.

So are the files of certificates, keys, CAs, revocation lists and session ticket
keys (material.go, material_watch.go): when they have changed and go together
again, new handshakes go by them, without another configuration.

# Who owns what

A connection belongs to one worker from accept to its record, and so does
everything in worker.go. Only these are shared: the snapshot, which never
changes (snapshot.go); the counts, queues and health of clusters and endpoints
(package upstream); what limits connections (admission.go, package limit) and
counts those that were refused (refusals.go); and the few counters of the
[Gateway] (gateway.go). A TLS handshake runs in a goroutine of its own, which
owns the client's or the endpoint's descriptor until it reports through the
worker's inbox (handshake.go).

A connection finishes under the configuration that it started with: the
snapshot is loaded once, at accept.

System calls are made here only to open sockets: in the files whose names begin
with listener and connect. Those of the data path are in packages poller and
relay.
*/
package proxy
