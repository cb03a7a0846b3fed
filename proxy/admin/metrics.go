package admin

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

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

// maxScrapes is how many are answered at once. Others are told to come again: a
// scrape takes memory for every series, and who has that many readers should
// let one of them hand the numbers on.
const maxScrapes = 4

// NewMetrics gives what answers a scrape, in the text format of Prometheus or,
// for those who prefer them, in its others: the metrics of the gateway, of the
// process and of the Go runtime. Everything is read when it is asked for, and
// nothing is kept in between, so that what a reload takes out of the
// configuration is gone from the next answer.
//
// It has no access control of its own.
func NewMetrics(gateway Counted) http.Handler {
	return promhttp.HandlerFor(newRegistry(gateway), promhttp.HandlerOpts{
		MaxRequestsInFlight: maxScrapes,
		DisableCompression:  true,
	})
}

// newRegistry has the collectors. It checks what they give: a series twice, or a
// label that is not UTF-8, would be an error of ours.
func newRegistry(gateway Counted) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(
		newCollector(gateway),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewGoCollector(),
	)
	return r
}
