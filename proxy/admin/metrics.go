package admin

import (
	"io"
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"

	"sluice/proxy"
	"sluice/proxy/status"
)

// Counted is what metrics are read from; [proxy.Gateway] is one. Its methods are
// called by several goroutines at once, for as long as metrics are asked for.
type Counted interface {
	Counters() proxy.Counters
	Server() status.Server
	Secrets() []status.Secret
}

// maxScrapes is how many are answered at once. Others are told to come again:
// each takes memory for every filter chain, and who has that many readers should
// let one of them hand the numbers on.
const maxScrapes = 4

// metrics answers scrapes.
type metrics struct {
	gateway Counted
	process prometheus.Gatherer // of the process and the Go runtime
	turns   chan struct{}       // has as many as are being answered
}

// NewMetrics gives what answers a scrape, in the text format of Prometheus
// (version 0.0.4, which every scraper takes): the metrics of the gateway, of the
// process and of the Go runtime. Everything is read when it is asked for and
// nothing is kept in between, so that what a reload takes out of the
// configuration is gone from the next answer.
//
// It has no access control of its own.
func NewMetrics(gateway Counted) http.Handler {
	process := prometheus.NewRegistry()
	process.MustRegister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewGoCollector())
	return &metrics{gateway, process, make(chan struct{}, maxScrapes)}
}

// ServeHTTP implements [http.Handler]. Answers are not compressed: that would cost
// more CPU than all the rest, which the connections need.
func (m *metrics) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	select {
	case m.turns <- struct{}{}:
		defer func() { <-m.turns }()
	default:
		http.Error(w, "too many scrapes at once: try again", http.StatusServiceUnavailable)
		return
	}
	families, err := m.process.Gather()
	if err != nil {
		http.Error(w, "reading the numbers of the process: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", string(expfmt.NewFormat(expfmt.TypeTextPlain)))
	w.Header().Set("Cache-Control", "no-store")
	if err := m.write(w); err != nil {
		return // who asked has gone
	}
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(w, f); err != nil {
			return
		}
	}
}

// write writes the metrics of the gateway.
func (m *metrics) write(w io.Writer) error {
	t := &metricsText{w: w}
	c := m.gateway.Counters()
	writeMetrics(t, processMetrics, []object[processNumbers]{{"", processNumbers{c.Process, m.gateway.Server()}}})

	var listeners []object[*proxy.ListenerCounters]
	var chains []object[*proxy.ChainCounters]
	var routes []object[*proxy.DestinationCounters]
	for i := range c.Listeners {
		ln := &c.Listeners[i]
		chains, routes = slices.Grow(chains, len(ln.Chains)), slices.Grow(routes, len(ln.Chains))
		listeners = append(listeners, object[*proxy.ListenerCounters]{labels("listener", ln.Name), ln})
		for k := range ln.Chains {
			ch := &ln.Chains[k]
			chain := labels("listener", ln.Name, "filter_chain", ch.Name)
			chains = append(chains, object[*proxy.ChainCounters]{chain, ch})
			for n := range ch.Destinations {
				d := &ch.Destinations[n]
				routes = append(routes, object[*proxy.DestinationCounters]{chain + "," + labels("cluster", d.Cluster), d})
			}
		}
	}
	writeMetrics(t, listenerMetrics, listeners)
	writeMetrics(t, chainMetrics, chains)
	writeMetrics(t, routeMetrics, routes)

	var clusters []object[*proxy.ClusterCounters]
	var endpoints []object[*proxy.EndpointCounters]
	for i := range c.Clusters {
		cl := &c.Clusters[i]
		cluster := labels("cluster", cl.Name)
		clusters = append(clusters, object[*proxy.ClusterCounters]{cluster, cl})
		for k, name := range endpointLabels(cl.Endpoints) {
			endpoints = append(endpoints, object[*proxy.EndpointCounters]{cluster + "," + labels("endpoint", name), &cl.Endpoints[k]})
		}
	}
	writeMetrics(t, clusterMetrics, clusters)
	writeMetrics(t, endpointMetrics, endpoints)
	writeMetrics(t, secretMetrics, earliestEnds(m.gateway.Secrets()))
	return t.flush()
}
