package main

import (
	"fmt"
	"time"
)

// metric is a figure that a round yields.
type metric string

const (
	metricCPU         metric = "cpu"         // ns of all the peer's threads, per unit
	metricMachine     metric = "machine"     // ns of the whole machine less the load's own, per unit
	metricRate        metric = "rate"        // units per second
	metricP50         metric = "p50"         // ns
	metricP90         metric = "p90"         // ns
	metricP99         metric = "p99"         // ns
	metricP999        metric = "p99.9"       // ns
	metricResident    metric = "resident"    // bytes of the peer's processes, per connection
	metricKernel      metric = "kernel"      // bytes of slab objects beyond a direct connection's, per connection
	metricDescriptors metric = "descriptors" // of the peer's processes, per connection
	metricPipes       metric = "pipes"       // ends of pipes among them, per connection
	metricLoad        metric = "load"        // ns from start until the port answers
	metricMemory      metric = "memory"      // bytes of the peer's processes, before the first connection
	metricScrape      metric = "scrape"      // ns of all the peer's threads, for one GET /metrics
	metricWatch       metric = "watch"       // the same for a second of an open /events
	metricPage        metric = "page"        // the same for all connections in one answer of /connections
)

// allMetrics in the order in which they are shown.
var allMetrics = []metric{
	metricCPU, metricMachine, metricRate, metricP50, metricP90, metricP99, metricP999,
	metricResident, metricKernel, metricDescriptors, metricPipes, metricLoad, metricMemory,
	metricScrape, metricWatch, metricPage,
}

// unit is what a row's work is counted in.
type unit string

const (
	gigabytes   unit = "GB" // 1e9 bytes
	messages    unit = "message"
	connections unit = "connection"
	handshakes  unit = "handshake"
)

// scale is how many of the generator's counts make one unit.
func (u unit) scale() float64 {
	if u == gigabytes {
		return 1e9
	}
	return 1
}

// sample is what one round yields for one peer.
type sample map[metric]float64

// title heads a metric's column in a table of rows counted in u.
func (m metric) title(u unit) string {
	switch m {
	case metricCPU:
		return "CPU per " + string(u)
	case metricMachine:
		return "machine per " + string(u)
	case metricRate:
		return string(u) + "s/s"
	case metricResident, metricKernel, metricDescriptors, metricPipes:
		return string(m) + " per " + string(u)
	case metricScrape:
		return "CPU per scrape"
	case metricWatch:
		return "CPU per second of watching"
	case metricPage:
		return "CPU per page of all connections"
	}
	return string(m)
}

// format writes a value with its unit.
func (m metric) format(v float64) string {
	switch m {
	case metricRate:
		return significant(v)
	case metricResident, metricKernel:
		return fmt.Sprintf("%.2f KiB", v/1024)
	case metricMemory:
		return fmt.Sprintf("%.1f MiB", v/(1<<20))
	case metricDescriptors, metricPipes:
		return fmt.Sprintf("%.2f", v)
	}
	return formatTime(v)
}

// formatTime writes nanoseconds in the unit that leaves one to three digits
// before the point.
func formatTime(ns float64) string {
	switch {
	case ns < float64(time.Microsecond):
		return significant(ns) + " ns"
	case ns < float64(time.Millisecond):
		return significant(ns/float64(time.Microsecond)) + " µs"
	case ns < float64(time.Second):
		return significant(ns/float64(time.Millisecond)) + " ms"
	}
	return significant(ns/float64(time.Second)) + " s"
}

// significant writes three digits that say something.
func significant(v float64) string {
	switch {
	case v >= 100 || v == 0:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}
