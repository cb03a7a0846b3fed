package admin

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"sluice/proxy"
)

// collector is a [prometheus.Collector] that reads a gateway. It keeps nothing
// but descriptions: whoever has it may ask it from several goroutines.
type collector struct {
	gateway Counted

	process   []family[processNumbers]
	listeners []family[*proxy.ListenerCounters]
	chains    []family[*proxy.ChainCounters]
	routes    []family[*proxy.DestinationCounters]
	clusters  []family[*proxy.ClusterCounters]
	endpoints []family[*proxy.EndpointCounters]
	secrets   []family[float64]
}

func newCollector(gateway Counted) *collector {
	return &collector{
		gateway:   gateway,
		process:   describe(processMetrics),
		listeners: describe(listenerMetrics, "listener"),
		chains:    describe(chainMetrics, "listener", "filter_chain"),
		routes:    describe(routeMetrics, "listener", "filter_chain", "cluster"),
		clusters:  describe(clusterMetrics, "cluster"),
		endpoints: describe(endpointMetrics, "cluster", "endpoint"),
		secrets:   describe(secretMetrics, "secret", "type"),
	}
}

// kind is what sort of number a metric is.
type kind uint8

const (
	counter kind = iota // of all time; its name ends in _total
	gauge               // as of now
	histogram
)

// metric is one name, for all objects T that there are. One with labels of its
// own has a series for every word that they may have, from the start: a series
// that begins with its first event hides that event from rate().
type metric[T any] struct {
	name, help string
	kind       kind
	labels     []string // of its own, beside those of the object
	read       func(of T, to *series)
}

// family is a metric with its description.
type family[T any] struct {
	metric[T]
	desc *prometheus.Desc
}

// describe gives the metrics of a kind of object that has so many labels.
func describe[T any](metrics []metric[T], labels ...string) []family[T] {
	families := make([]family[T], len(metrics))
	for i, m := range metrics {
		families[i] = family[T]{m, prometheus.NewDesc(m.name, m.help, slices.Concat(labels, m.labels), nil)}
	}
	return families
}

// Describe implements [prometheus.Collector].
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	describeTo(to, c.process)
	describeTo(to, c.listeners)
	describeTo(to, c.chains)
	describeTo(to, c.routes)
	describeTo(to, c.clusters)
	describeTo(to, c.endpoints)
	describeTo(to, c.secrets)
}

func describeTo[T any](to chan<- *prometheus.Desc, families []family[T]) {
	for _, f := range families {
		to <- f.desc
	}
}

// Collect implements [prometheus.Collector].
func (c *collector) Collect(to chan<- prometheus.Metric) {
	counters := c.gateway.Counters()
	collect(to, c.process, object[processNumbers]{of: processNumbers{counters.Process, c.gateway.Server()}})
	for i := range counters.Listeners {
		ln := &counters.Listeners[i]
		collect(to, c.listeners, object[*proxy.ListenerCounters]{pairs("listener", ln.Name), ln})
		for k := range ln.Chains {
			ch := &ln.Chains[k]
			collect(to, c.chains, object[*proxy.ChainCounters]{pairs("filter_chain", ch.Name, "listener", ln.Name), ch})
			for m := range ch.Destinations {
				d := &ch.Destinations[m]
				collect(to, c.routes, object[*proxy.DestinationCounters]{pairs("cluster", d.Cluster, "filter_chain", ch.Name, "listener", ln.Name), d})
			}
		}
	}
	for i := range counters.Clusters {
		cl := &counters.Clusters[i]
		collect(to, c.clusters, object[*proxy.ClusterCounters]{pairs("cluster", cl.Name), cl})
		labels := endpointLabels(cl.Endpoints)
		for k := range cl.Endpoints {
			collect(to, c.endpoints, object[*proxy.EndpointCounters]{pairs("cluster", cl.Name, "endpoint", labels[k]), &cl.Endpoints[k]})
		}
	}
	for key, notAfter := range earliestEnds(c.gateway.Secrets()) {
		collect(to, c.secrets, object[float64]{pairs("secret", key.name, "type", key.kind), notAfter})
	}
}

// object is something that has metrics, with the labels by which it is known.
type object[T any] struct {
	labels []*dto.LabelPair // by name; all metrics of the object share them
	of     T
}

// collect sends all metrics of one object.
func collect[T any](to chan<- prometheus.Metric, families []family[T], o object[T]) {
	for i := range families {
		f := &families[i]
		f.read(o.of, &series{to: to, desc: f.desc, kind: f.kind, own: f.labels, labels: o.labels})
	}
}

// pairs gives labels from names and values. The names have to be in order, for
// the registry would otherwise sort them again for every series.
func pairs(namesAndValues ...string) []*dto.LabelPair {
	list := make([]*dto.LabelPair, 0, len(namesAndValues)/2)
	for i := 0; i < len(namesAndValues); i += 2 {
		list = append(list, pair(namesAndValues[i], namesAndValues[i+1]))
	}
	return list
}

func pair(name, value string) *dto.LabelPair {
	value = strings.ToValidUTF8(value, "\uFFFD")
	return &dto.LabelPair{Name: &name, Value: &value}
}

// series takes the values of one metric of one object.
type series struct {
	to     chan<- prometheus.Metric
	desc   *prometheus.Desc
	kind   kind
	own    []string // labels of the metric
	labels []*dto.LabelPair
}

// add gives a value: the only one, or that for these words of the metric's own
// labels.
func (s *series) add(value float64, words ...string) {
	labels := s.labels
	if len(words) > 0 {
		labels = slices.Clone(labels)
		for i, word := range words {
			labels = append(labels, pair(s.own[i], word))
		}
		slices.SortFunc(labels, func(a, b *dto.LabelPair) int { return strings.Compare(*a.Name, *b.Name) })
	}
	s.to <- &sample{desc: s.desc, kind: s.kind, labels: labels, value: value}
}

// counts gives what was counted by word.
func (s *series) counts(list []proxy.Count) {
	for _, c := range list {
		s.add(float64(c.Count), c.Word)
	}
}

// histogram gives all buckets.
func (s *series) histogram(h proxy.Histogram) {
	s.to <- &sample{desc: s.desc, kind: s.kind, labels: s.labels, histogram: &h}
}

// sample is one series as of now: what prometheus.NewConstMetric gives, without
// making the labels anew for each.
type sample struct {
	desc      *prometheus.Desc
	kind      kind
	labels    []*dto.LabelPair
	value     float64
	histogram *proxy.Histogram
}

// Desc implements [prometheus.Metric].
func (s *sample) Desc() *prometheus.Desc { return s.desc }

// Write implements [prometheus.Metric].
func (s *sample) Write(to *dto.Metric) error {
	to.Label = s.labels
	switch s.kind {
	case counter:
		to.Counter = &dto.Counter{Value: &s.value}
	case gauge:
		to.Gauge = &dto.Gauge{Value: &s.value}
	case histogram:
		h := &dto.Histogram{SampleCount: &s.histogram.Count, SampleSum: &s.histogram.Sum}
		for i := range s.histogram.Buckets {
			b := &s.histogram.Buckets[i]
			h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: &b.Seconds, CumulativeCount: &b.Count})
		}
		to.Histogram = h
	default:
		panic(fmt.Sprintf("BUG: admin: a metric of kind %d", s.kind))
	}
	return nil
}
