package admin

import (
	"sluice/proxy"
	"sluice/proxy/status"
)

// processNumbers is what metrics of the process are read from.
type processNumbers struct {
	proxy.Stats
	server status.Server
}

// serverStates are the words of [status.Server.State].
var serverStates = []string{"starting", "running", "draining"}

// processMetrics are about the gateway as a whole.
var processMetrics = []metric[processNumbers]{
	{
		name: "sluice_build_info", kind: gauge, labels: []string{"version"},
		help: "Always 1; the label says which version runs. Join with it to see what changed with a new one.",
		read: func(p processNumbers, to *series) { to.add(1, p.server.Version) },
	}, {
		name: "sluice_state", kind: gauge, labels: []string{"state"},
		help: "1 for the state that the gateway is in. Only a running one takes connections; draining lasts as long as drain_timeout at most.",
		read: func(p processNumbers, to *series) {
			for _, word := range serverStates {
				to.add(oneIf(p.server.State == word), word)
			}
		},
	}, {
		name: "sluice_generation", kind: gauge,
		help: "How many processes of this gateway there have been with this one: it grows with each upgrade.",
		read: func(p processNumbers, to *series) { to.add(float64(p.server.Generation)) },
	}, {
		name: "sluice_workers", kind: gauge,
		help: "Workers, normally one for each CPU. Compare rate(process_cpu_seconds_total) with it: near it, the gateway needs more CPUs.",
		read: func(p processNumbers, to *series) { to.add(float64(p.server.Workers)) },
	}, {
		name: "sluice_connections_active", kind: gauge,
		help: "Client connections now. Compare with sluice_connections_limit, above which clients are refused.",
		read: func(p processNumbers, to *series) { to.add(float64(p.Active)) },
	}, {
		name: "sluice_connections_limit", kind: gauge,
		help: "Client connections that there may be at once, by runtime.max_connections or by what the descriptor limit allows. Raise both when sluice_connections_active comes near.",
		read: func(p processNumbers, to *series) { to.add(float64(p.server.MaxConnections)) },
	}, {
		name: "sluice_connections_accepted_total", kind: counter,
		help: "Client connections accepted, refused ones included. Its rate is the connection rate of the whole gateway; that of removed listeners stays in it.",
		read: func(p processNumbers, to *series) { to.add(float64(p.Accepted)) },
	}, {
		name: "sluice_connection_setups_active", kind: gauge,
		help: "Connections that are being set up: hello, handshake, connect. When it grows without more connections coming in, clients or endpoints have become slow; see the connect and handshake times.",
		read: func(p processNumbers, to *series) { to.add(float64(p.Coroutines)) },
	}, {
		name: "sluice_pipes_open", kind: gauge,
		help: "Pipes that splicing has open, of two descriptors each, with those kept for reuse.",
		read: func(p processNumbers, to *series) { to.add(float64(p.PipesOpen)) },
	}, {
		name: "sluice_pipes_in_use", kind: gauge,
		help: "Pipes that hold bytes now. Each is a direction whose receiver is slower than its sender; when it stays high, look for slow clients or endpoints.",
		read: func(p processNumbers, to *series) { to.add(float64(p.PipesInUse)) },
	}, {
		name: "sluice_copied_bytes_total", kind: counter,
		help: "Bytes relayed by reading and writing, both directions together. Where transfers are large and it grows faster than sluice_spliced_bytes_total, pipes may be short (see the log for pipe limits) or TLS is terminated, which cannot be spliced.",
		read: func(p processNumbers, to *series) { to.add(float64(p.BytesCopied)) },
	}, {
		name: "sluice_spliced_bytes_total", kind: counter,
		help: "Bytes relayed inside the kernel, both directions together. Large transfers that are not terminated should be here.",
		read: func(p processNumbers, to *series) { to.add(float64(p.BytesSpliced)) },
	}, {
		name: "sluice_accept_failures_total", kind: counter,
		help: "Times that the kernel gave no connection to accept, for want of descriptors or memory. Any rate means that clients wait: raise the descriptor limit, or find what uses them up.",
		read: func(p processNumbers, to *series) { to.add(float64(p.AcceptFailures)) },
	}, {
		name: "sluice_connections_shed_total", kind: counter,
		help: "Clients reset right after accept because descriptors had run out. Any rate means lost clients: raise the descriptor limit of the service.",
		read: func(p processNumbers, to *series) { to.add(float64(p.Shed)) },
	}, {
		name: "sluice_access_records_dropped_total", kind: counter,
		help: "Access records lost because what they are written to was too slow or refused them. Any rate means that the access log has holes: look at its disk or at who reads it.",
		read: func(p processNumbers, to *series) { to.add(float64(p.RecordsDropped)) },
	}, {
		name: "sluice_config_reloads_total", kind: counter,
		help: "Configurations taken over by a reload. Several a minute are usually an automation that does not notice that nothing changed.",
		read: func(p processNumbers, to *series) { to.add(float64(p.server.Configuration.Reloads)) },
	}, {
		name: "sluice_config_last_reload_successful", kind: gauge,
		help: "1 when the last reload was taken over, or there was none. At 0 the configuration before it still runs, and a restart would fail: sluice validate says why.",
		read: func(p processNumbers, to *series) { to.add(oneIf(p.server.Configuration.LastReload == reloaded)) },
	}, {
		name: "sluice_config_last_reload_timestamp_seconds", kind: gauge,
		help: "When the configuration that runs was loaded, in Unix time. Older than your last change means that the change is not in effect.",
		read: func(p processNumbers, to *series) { to.add(unixSeconds(p.server.Configuration.Loaded)) },
	},
}

// reloaded is what [status.Configuration.LastReload] says when all is well.
const reloaded = "ok"
