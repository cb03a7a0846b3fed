package admin

import "sluice/proxy"

// listenerMetrics are of a listener, whatever chain takes its connections.
var listenerMetrics = []metric[*proxy.ListenerCounters]{
	{
		name: "sluice_listener_connections_total", kind: counter,
		help: "Connections of the listener, refused ones included. None where there should be some: is the address what clients use?",
		read: func(l *proxy.ListenerCounters, to *series) { to.add(float64(l.Traffic.Connections)) },
	}, {
		name: "sluice_listener_connections_active", kind: gauge,
		help: "Connections of the listener now.",
		read: func(l *proxy.ListenerCounters, to *series) { to.add(float64(l.Traffic.Active)) },
	}, {
		name: "sluice_listener_received_bytes_total", kind: counter,
		help: "Bytes from clients of the listener, counted as they flow.",
		read: func(l *proxy.ListenerCounters, to *series) { to.add(float64(l.Traffic.BytesReceived)) },
	}, {
		name: "sluice_listener_sent_bytes_total", kind: counter,
		help: "Bytes to clients of the listener, counted as they flow.",
		read: func(l *proxy.ListenerCounters, to *series) { to.add(float64(l.Traffic.BytesSent)) },
	}, {
		name: "sluice_listener_hellos_total", kind: counter, labels: []string{"outcome"},
		help: "Connections whose ClientHello was read, by what became of it. Many of timeout or not_tls are scanners or a wrong protocol on this port; too_large may need a larger inspect.max_bytes.",
		read: func(l *proxy.ListenerCounters, to *series) { to.counts(l.Hellos) },
	}, {
		name: "sluice_listener_no_match_total", kind: counter,
		help: "Connections that no filter chain took. A rise means that clients ask for a name that is not configured: the access records say which, and sluice explain why.",
		read: func(l *proxy.ListenerCounters, to *series) { to.add(float64(l.NoMatch)) },
	}, {
		name: "sluice_listener_refusals_total", kind: counter, labels: []string{"reason"},
		help: "Connections refused by a limit or an access list. Any rate is clients turned away: raise the limit that the reason names, or find who comes so often in the access records.",
		read: func(l *proxy.ListenerCounters, to *series) { to.counts(l.Limits) },
	}, {
		name: "sluice_listener_terminations_total", kind: counter, labels: []string{"reason", "side"},
		help: "Connections that have ended, by why and by which side (gateway, downstream, upstream). finished is well. Many a reset by downstream are clients that give up, often on slow endpoints; what else grows is told by the access records of those connections.",
		read: func(l *proxy.ListenerCounters, to *series) {
			for _, t := range l.Terminations {
				to.add(float64(t.Gateway), t.Reason, "gateway")
				to.add(float64(t.Downstream), t.Reason, "downstream")
				to.add(float64(t.Upstream), t.Reason, "upstream")
			}
		},
	}, {
		name: "sluice_listener_tls_handshake_seconds", kind: histogram,
		help: "Duration of the TLS handshakes with clients that succeeded, the client's part included. When all of it rises at once, the gateway is short of CPU; when the tail does, clients are far away.",
		read: func(l *proxy.ListenerCounters, to *series) { to.histogram(l.Handshake) },
	},
}

// chainMetrics are of a filter chain. There may be tens of thousands: what is not
// needed of each does not belong here.
var chainMetrics = []metric[*proxy.ChainCounters]{
	{
		name: "sluice_filter_chain_connections_total", kind: counter,
		help: "Connections that the filter chain has taken. None for long: is another chain more specific? sluice explain says so.",
		read: func(c *proxy.ChainCounters, to *series) { to.add(float64(c.Traffic.Connections)) },
	}, {
		name: "sluice_filter_chain_connections_active", kind: gauge,
		help: "Connections of the filter chain now.",
		read: func(c *proxy.ChainCounters, to *series) { to.add(float64(c.Traffic.Active)) },
	}, {
		name: "sluice_filter_chain_received_bytes_total", kind: counter,
		help: "Bytes from clients of the filter chain, counted as they flow.",
		read: func(c *proxy.ChainCounters, to *series) { to.add(float64(c.Traffic.BytesReceived)) },
	}, {
		name: "sluice_filter_chain_sent_bytes_total", kind: counter,
		help: "Bytes to clients of the filter chain, counted as they flow.",
		read: func(c *proxy.ChainCounters, to *series) { to.add(float64(c.Traffic.BytesSent)) },
	},
}

// routeMetrics are of the way from a filter chain to one of its clusters.
var routeMetrics = []metric[*proxy.DestinationCounters]{
	{
		name: "sluice_route_connections_total", kind: counter,
		help: "Connections of the filter chain for which its route chose the cluster. Beside each other they show the split of weighted clusters.",
		read: func(d *proxy.DestinationCounters, to *series) { to.add(float64(d.Traffic.Connections)) },
	}, {
		name: "sluice_route_connections_active", kind: gauge,
		help: "Connections of the filter chain to the cluster now. Wait for 0 before you take a canary away.",
		read: func(d *proxy.DestinationCounters, to *series) { to.add(float64(d.Traffic.Active)) },
	}, {
		name: "sluice_route_received_bytes_total", kind: counter,
		help: "Bytes from clients of the filter chain for the cluster, counted as they flow.",
		read: func(d *proxy.DestinationCounters, to *series) { to.add(float64(d.Traffic.BytesReceived)) },
	}, {
		name: "sluice_route_sent_bytes_total", kind: counter,
		help: "Bytes from the cluster to clients of the filter chain, counted as they flow.",
		read: func(d *proxy.DestinationCounters, to *series) { to.add(float64(d.Traffic.BytesSent)) },
	},
}
