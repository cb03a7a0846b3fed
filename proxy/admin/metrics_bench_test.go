package admin

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// chainsConfig has a listener with so many chains, and a cluster.
func chainsConfig(n int) string {
	var s strings.Builder
	s.WriteString("listener \"l\" {\n address = \"127.0.0.1:0\"\n")
	for i := range n {
		fmt.Fprintf(&s, "filter_chain \"c%d\" {\n match { server_names = [\"c%d.test\"] }\n route { cluster = \"c\" }\n}\n", i, i)
	}
	s.WriteString("}\ncluster \"c\" { endpoints = [\"127.0.0.1:1\"] }\n")
	return s.String()
}

// BenchmarkScrape is what a scrape costs in all.
func BenchmarkScrape(b *testing.B) {
	for _, chains := range []int{10, 10_000} {
		b.Run(fmt.Sprintf("chains=%d", chains), func(b *testing.B) {
			h := NewMetrics(startGateway(b, chainsConfig(chains)))
			request := httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody)
			var bytes countedAnswer
			b.ReportAllocs()
			for b.Loop() {
				bytes = countedAnswer{header: http.Header{}}
				h.ServeHTTP(&bytes, request)
			}
			b.ReportMetric(float64(bytes.lines), "series")
			b.ReportMetric(float64(bytes.n), "bytes")
		})
	}
}

// countedAnswer takes an answer and forgets it.
type countedAnswer struct {
	header   http.Header
	n, lines int
}

func (c *countedAnswer) Header() http.Header { return c.header }
func (c *countedAnswer) WriteHeader(int)     {}
func (c *countedAnswer) Write(p []byte) (int, error) {
	c.n += len(p)
	c.lines += strings.Count(string(p), "\n")
	return len(p), nil
}
