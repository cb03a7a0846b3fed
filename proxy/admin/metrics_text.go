package admin

import (
	"bytes"
	"io"
	"strconv"
	"strings"

	"sluice/proxy"
)

// The metrics of the gateway are written straight into Prometheus' text format
// (https://prometheus.io/docs/instrumenting/exposition_formats/), one name after
// the other and each for all that have it. client_golang's registry does the same
// with every series as an object of its own, checked and sorted. With 10,000
// filter chains, which are 80,000 series, that took 225 ms, left 55 MB of garbage
// and held echoes of 64 bytes up, by 3 ms for one in a hundred; this takes 17 ms and
// 16 MB, of which reading the counters is the larger part, and is not noticed.
// Tests read what is written with the library, and hold its checks.

// kind is what sort of number a metric is, in the format's words.
type kind string

const (
	counter   kind = "counter" // of all time; its name ends in _total
	gauge     kind = "gauge"   // as of now
	histogram kind = "histogram"
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

// object is something that has metrics.
type object[T any] struct {
	labels string // as they are written, without braces; "": none
	of     T
}

// labels writes labels: a name, its value, and so on.
func labels(namesAndValues ...string) string {
	b := make([]byte, 0, 64)
	for i := 0; i < len(namesAndValues); i += 2 {
		b = appendLabel(b, namesAndValues[i], namesAndValues[i+1])
	}
	return string(b)
}

// appendLabel appends a label to others, if there are any.
func appendLabel(b []byte, name, value string) []byte {
	if len(b) > 0 && b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	b = append(b, name...)
	b = append(b, `="`...)
	b = appendEscaped(b, value, true)
	return append(b, '"')
}

// appendEscaped appends what may have any character in it. Quotes are escaped in
// values, but not in help texts.
func appendEscaped(b []byte, s string, quotes bool) []byte {
	for _, c := range []byte(strings.ToValidUTF8(s, "\uFFFD")) {
		switch {
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\\' || c == '"' && quotes:
			b = append(b, '\\', c)
		default:
			b = append(b, c)
		}
	}
	return b
}

// chunk is how many bytes are written at once: large enough for few system calls,
// and so few lines that others wait little for their turn at the CPU.
const chunk = 32 << 10

// metricsText writes metrics. After an error it writes nothing more.
type metricsText struct {
	w   io.Writer
	buf bytes.Buffer
	err error
}

// flush writes what was not written yet, and gives the first error.
func (t *metricsText) flush() error {
	if t.err == nil {
		_, t.err = t.w.Write(t.buf.Bytes())
	}
	t.buf.Reset()
	return t.err
}

// writeMetrics writes all metrics of all objects of a kind. A name that nobody has
// is not written.
func writeMetrics[T any](t *metricsText, list []metric[T], objects []object[T]) {
	if len(objects) == 0 {
		return
	}
	for i := range list {
		m := &list[i]
		b := t.buf.AvailableBuffer()
		b = append(append(append(b, "# HELP "...), m.name...), ' ')
		b = append(appendEscaped(b, m.help, false), "\n# TYPE "...)
		b = append(append(append(append(b, m.name...), ' '), m.kind...), '\n')
		t.buf.Write(b)
		to := series{text: t, name: m.name, own: m.labels}
		for k := range objects {
			to.labels = objects[k].labels
			m.read(objects[k].of, &to)
			if t.buf.Len() >= chunk && t.flush() != nil {
				return
			}
		}
	}
}

// series takes the values of one metric of one object.
type series struct {
	text   *metricsText
	name   string
	own    []string // labels of the metric
	labels string   // of the object
}

// add gives a value: the only one, or that for these words of the metric's own
// labels.
func (s *series) add(value float64, words ...string) {
	s.line("", s.own, words, value)
}

// counts gives what was counted by word.
func (s *series) counts(list []proxy.Count) {
	for i := range list {
		s.add(float64(list[i].Count), list[i].Word)
	}
}

// histogram gives all buckets.
func (s *series) histogram(h proxy.Histogram) {
	bound := []string{""}
	for _, b := range h.Buckets {
		bound[0] = strconv.FormatFloat(b.Seconds, 'g', -1, 64)
		s.line("_bucket", bucketLabels, bound, float64(b.Count))
	}
	bound[0] = "+Inf"
	s.line("_bucket", bucketLabels, bound, float64(h.Count))
	s.line("_sum", nil, nil, h.Sum)
	s.line("_count", nil, nil, float64(h.Count))
}

// bucketLabels is the label of a histogram's buckets.
var bucketLabels = []string{"le"}

// line writes one series. The labels beside the object's have to be as many as
// their values.
func (s *series) line(suffix string, names, values []string, value float64) {
	b := append(append(s.text.buf.AvailableBuffer(), s.name...), suffix...)
	if s.labels != "" || len(values) > 0 {
		b = append(append(b, '{'), s.labels...)
		for i, v := range values {
			b = appendLabel(b, names[i], v)
		}
		b = append(b, '}')
	}
	b = append(b, ' ')
	if whole := int64(value); float64(whole) == value {
		b = strconv.AppendInt(b, whole, 10)
	} else {
		b = strconv.AppendFloat(b, value, 'g', -1, 64)
	}
	s.text.buf.Write(append(b, '\n'))
}
