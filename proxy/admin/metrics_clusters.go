package admin

import "sluice/proxy"

// clusterMetrics are of a cluster, whatever chain its connections come from.
var clusterMetrics = []metric[*proxy.ClusterCounters]{
	{
		name: "sluice_cluster_connections_total", kind: counter,
		help: "Connections that were routed to the cluster, those that found no endpoint included.",
		read: func(c *proxy.ClusterCounters, to *series) { to.add(float64(c.Traffic.Connections)) },
	}, {
		name: "sluice_cluster_connections_active", kind: gauge,
		help: "Connections of the cluster now, from the choice of the cluster to their end. Compare with its limits.max_connections.",
		read: func(c *proxy.ClusterCounters, to *series) { to.add(float64(c.Traffic.Active)) },
	}, {
		name: "sluice_cluster_received_bytes_total", kind: counter,
		help: "Bytes from clients for the cluster, counted as they flow.",
		read: func(c *proxy.ClusterCounters, to *series) { to.add(float64(c.Traffic.BytesReceived)) },
	}, {
		name: "sluice_cluster_sent_bytes_total", kind: counter,
		help: "Bytes from the cluster to clients, counted as they flow.",
		read: func(c *proxy.ClusterCounters, to *series) { to.add(float64(c.Traffic.BytesSent)) },
	}, {
		name: "sluice_cluster_endpoints", kind: gauge,
		help: "Endpoints of the cluster. A fall that nobody ordered is discovery: look at the DNS name or the file.",
		read: func(c *proxy.ClusterCounters, to *series) { to.add(float64(len(c.Endpoints))) },
	}, {
		name: "sluice_cluster_endpoints_serving", kind: gauge,
		help: "Endpoints of the cluster that may get connections now. At 0 clients are turned away; sluice_endpoint_out_of_service says why each one is out.",
		read: func(c *proxy.ClusterCounters, to *series) {
			n := 0
			for i := range c.Endpoints {
				if c.Endpoints[i].Serving {
					n++
				}
			}
			to.add(float64(n))
		},
	}, {
		name: "sluice_cluster_pending", kind: gauge,
		help: "Connections that wait for a free endpoint now. When it stays above 0 the cluster is too small, or its limits are.",
		read: func(c *proxy.ClusterCounters, to *series) { to.add(float64(c.Pending)) },
	}, {
		name: "sluice_cluster_queued_total", kind: counter,
		help: "Connections that have waited for a free endpoint, whatever became of them.",
		read: func(c *proxy.ClusterCounters, to *series) { to.add(float64(c.Queued)) },
	}, {
		name: "sluice_cluster_overflows_total", kind: counter,
		help: "Connections turned away because the cluster had neither a place nor one to wait. Raise limits.max_connections or limits.max_pending, or add endpoints.",
		read: func(c *proxy.ClusterCounters, to *series) { to.add(float64(c.Overflows)) },
	}, {
		name: "sluice_cluster_queue_timeouts_total", kind: counter,
		help: "Connections turned away after limits.queue_timeout in the queue. Add endpoints, or let clients wait longer.",
		read: func(c *proxy.ClusterCounters, to *series) { to.add(float64(c.QueueTimeouts)) },
	}, {
		name: "sluice_cluster_connect_attempts_total", kind: counter,
		help: "Attempts to connect to an endpoint that are over. One connection may take several.",
		read: func(c *proxy.ClusterCounters, to *series) {
			var n uint64
			for _, a := range c.Attempts {
				n += a.Count
			}
			to.add(float64(n))
		},
	}, {
		name: "sluice_cluster_connect_failures_total", kind: counter, labels: []string{"reason"},
		help: "Attempts to connect that failed. refused is a process that is down, timeout a host or a firewall, tls_certificate the endpoint's certificate, source_unavailable our own ports.",
		read: func(c *proxy.ClusterCounters, to *series) {
			for _, a := range c.Attempts {
				if a.Word != connected {
					to.add(float64(a.Count), a.Word)
				}
			}
		},
	}, {
		name: "sluice_cluster_connect_retries_total", kind: counter,
		help: "Attempts that followed on a failed one of the same connection. They hide dead endpoints from clients: find these with sluice_endpoint_connect_failures_total.",
		read: func(c *proxy.ClusterCounters, to *series) { to.add(float64(c.Retries)) },
	}, {
		name: "sluice_cluster_replays_total", kind: counter, labels: []string{"reason"},
		help: "Hellos sent to another endpoint because the first had accepted the connection and then ended it without a byte. Any rate is an endpoint that is overloaded or shutting down.",
		read: func(c *proxy.ClusterCounters, to *series) { to.counts(c.Replays) },
	}, {
		name: "sluice_cluster_connect_seconds", kind: histogram,
		help: "Duration of the attempts to connect that succeeded, TLS with the endpoint included. Steps at 1 s and 3 s are lost SYN packets or a full accept queue.",
		read: func(c *proxy.ClusterCounters, to *series) { to.histogram(c.Connect) },
	}, {
		name: "sluice_cluster_endpoints_became_healthy_total", kind: counter,
		help: "Times that checks found an endpoint well again. As often as sluice_cluster_endpoints_became_unhealthy_total and many: it flaps, and thresholds or the endpoint need a look.",
		read: func(c *proxy.ClusterCounters, to *series) { to.add(float64(c.BecameHealthy)) },
	}, {
		name: "sluice_cluster_endpoints_became_unhealthy_total", kind: counter,
		help: "Times that checks found an endpoint unhealthy. The service log has each with the reason.",
		read: func(c *proxy.ClusterCounters, to *series) { to.add(float64(c.BecameUnhealthy)) },
	}, {
		name: "sluice_cluster_ejections_total", kind: counter,
		help: "Times that an endpoint was left out for a while by outlier_detection. It failed for clients, whatever its checks say: look at that endpoint.",
		read: func(c *proxy.ClusterCounters, to *series) { to.add(float64(c.Ejections)) },
	},
}

// connected is the attempt that is no failure.
const connected = "connected"

// endpointMetrics are of an endpoint. One that is removed is gone from the
// output, and begins at 0 when it comes back.
var endpointMetrics = []metric[*proxy.EndpointCounters]{
	{
		name: "sluice_endpoint_connections_total", kind: counter,
		help: "Connections made to the endpoint. Compare within a cluster: a balanced one has them by weight.",
		read: func(e *proxy.EndpointCounters, to *series) { to.add(float64(e.Traffic.Connections)) },
	}, {
		name: "sluice_endpoint_connections_active", kind: gauge,
		help: "Connections to the endpoint now, with the attempts under way. Wait for 0 before you stop a drained one.",
		read: func(e *proxy.EndpointCounters, to *series) { to.add(float64(e.Traffic.Active)) },
	}, {
		name: "sluice_endpoint_received_bytes_total", kind: counter,
		help: "Bytes from clients for the endpoint, counted as they flow.",
		read: func(e *proxy.EndpointCounters, to *series) { to.add(float64(e.Traffic.BytesReceived)) },
	}, {
		name: "sluice_endpoint_sent_bytes_total", kind: counter,
		help: "Bytes from the endpoint to clients, counted as they flow.",
		read: func(e *proxy.EndpointCounters, to *series) { to.add(float64(e.Traffic.BytesSent)) },
	}, {
		name: "sluice_endpoint_connect_attempts_total", kind: counter,
		help: "Attempts to connect to the endpoint that were begun.",
		read: func(e *proxy.EndpointCounters, to *series) { to.add(float64(e.Attempts)) },
	}, {
		name: "sluice_endpoint_connect_failures_total", kind: counter,
		help: "Attempts to connect that failed by the endpoint's fault. As many as attempts: it is down, and a health_check would spare clients the wait.",
		read: func(e *proxy.EndpointCounters, to *series) { to.add(float64(e.Failures)) },
	}, {
		name: "sluice_endpoint_early_ends_total", kind: counter,
		help: "Connections that the endpoint ended before it had sent a byte. It accepts and then fails: overloaded, shutting down, or not the protocol that clients speak.",
		read: func(e *proxy.EndpointCounters, to *series) { to.add(float64(e.EarlyEnds)) },
	}, {
		name: "sluice_endpoint_ejections_total", kind: counter,
		help: "Times that outlier_detection left the endpoint out for a while.",
		read: func(e *proxy.EndpointCounters, to *series) { to.add(float64(e.Ejections)) },
	}, {
		name: "sluice_endpoint_serving", kind: gauge,
		help: "1 when the endpoint may get connections now. At 0 sluice_endpoint_out_of_service says why.",
		read: func(e *proxy.EndpointCounters, to *series) { to.add(oneIf(e.Serving)) },
	}, {
		name: "sluice_endpoint_out_of_service", kind: gauge, labels: []string{"reason"},
		help: "1 for each thing that speaks against the endpoint: unhealthy (its checks), ejected (failed for clients), drain and maint (set by an operator; sluice proxy-config endpoint shows it). A panic_threshold may let it serve all the same.",
		read: func(e *proxy.EndpointCounters, to *series) {
			to.add(oneIf(e.Health == "unhealthy"), "unhealthy")
			to.add(oneIf(e.Ejected), "ejected")
			to.add(oneIf(e.State == "drain"), "drain")
			to.add(oneIf(e.State == "maint"), "maint")
		},
	},
}

// endpointLabels gives every endpoint of a cluster the name by which records and
// tables know it. Should two have one name, which takes a discovery that finds an
// address that another endpoint was named after, the later has its address, too.
func endpointLabels(endpoints []proxy.EndpointCounters) []string {
	labels, taken := make([]string, len(endpoints)), make(map[string]bool, len(endpoints))
	for i := range endpoints {
		e := &endpoints[i]
		labels[i] = e.Name
		if taken[e.Name] {
			labels[i] = e.Name + " at " + e.Address
		}
		taken[labels[i]] = true
	}
	return labels
}
