package proxy

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"sluice/config"
	"sluice/proxy/poller"
	"sluice/proxy/status"
)

// idleGateway is a gateway whose workers do not run: the benchmark is their
// goroutine. Each has so many connections, without descriptors.
func idleGateway(b testing.TB, hcl string, workers, connections int) *Gateway {
	cfg, diags := config.LoadSource("bench.hcl", []byte(hcl), config.Options{})
	if cfg == nil {
		b.Fatal(diags.All())
	}
	g := &Gateway{log: zerolog.Nop(), started: time.Now(), counters: newRegistry(workers), generation: 1}
	snap, err := compile(cfg, &snapshot{})
	if err != nil {
		b.Fatal(err)
	}
	for _, cl := range snap.clusters {
		cl.Update(endpointSpecs(cl.spec))
	}
	g.counters.attach(snap)
	g.snapshot.Store(snap)
	ln := snap.listeners[0]
	for i := range workers {
		w, err := newWorker(g, i+1, workers)
		if err != nil {
			b.Fatal(err)
		}
		g.workers = append(g.workers, w)
		name := "app.example.com"
		for range connections {
			c := &conn{w: w, listener: ln, chain: ln.chains[0], cluster: ln.chains[0].clusters[0], phase: phaseRelay}
			c.fds = [2]int32{-1, -1}
			c.record = w.newRecord(client(i), client(i+1))
			c.record.sni, c.record.connect, c.record.flowing = &name, 1, true
			for e := range c.cluster.Endpoints() {
				c.endpoint = e
			}
			w.Open(&c.Slot, c)
		}
	}
	return g
}

const benchConfig = `
listener "l" {
  address = "127.0.0.1:0"
  filter_chain "c" {
    route { cluster = "c" }
  }
}
cluster "c" { endpoints = ["127.0.0.1:1"] }
`

// BenchmarkCountBytes is what a turn pays for the counters.
func BenchmarkCountBytes(b *testing.B) {
	g := idleGateway(b, benchConfig, 2, 1)
	var c *conn
	g.workers[0].each(func(one *conn) { c = one })
	b.ReportAllocs()
	for b.Loop() {
		received, sent := c.bytes()
		c.pair.Count(0, 64)
		c.countBytes(received, sent)
	}
}

// BenchmarkSliceOfConnections is for how long a worker with 100,000 connections is
// kept from its work by somebody who lists them. Every connection passes the filter
// here. What is beyond the 99.9th percentile is the machine's doing, not ours.
func BenchmarkSliceOfConnections(b *testing.B) {
	const connections = 100_000
	g := idleGateway(b, benchConfig, 1, connections)
	w := g.workers[0]
	for _, limit := range []int{status.DefaultLimit, status.MaxLimit} {
		b.Run(fmt.Sprintf("limit=%d", limit), func(b *testing.B) {
			f, err := newConnectionFilter(status.ConnectionFilter{Limit: limit})
			if err != nil {
				b.Fatal(err)
			}
			var turns []time.Duration
			b.ReportAllocs()
			for b.Loop() {
				p := newPage(f, w)
				for next, more := 0, true; more; {
					began := time.Now()
					next, more = w.Some(next, sliceOfPlaces, func(o poller.Owner) { p.see(o.(*conn)) })
					turns = append(turns, time.Since(began))
				}
			}
			slices.Sort(turns)
			for _, percent := range []float64{50, 99, 99.9} {
				at := int(float64(len(turns)-1) * percent / 100)
				b.ReportMetric(float64(turns[at].Nanoseconds())/1000, fmt.Sprintf("us/turn-p%v", percent))
			}
		})
	}
}

// BenchmarkCounters is a scrape of a gateway with 10,000 chains.
func BenchmarkCounters(b *testing.B) {
	g := idleGateway(b, manyChains(10_000), 2, 0)
	b.ReportAllocs()
	for b.Loop() {
		g.Counters()
	}
}

func manyChains(n int) string {
	var s strings.Builder
	s.WriteString("listener \"l\" {\n address = \"127.0.0.1:0\"\n")
	for i := range n {
		fmt.Fprintf(&s, "filter_chain \"c%d\" {\n match { server_names = [\"c%d.test\"] }\n route { cluster = \"c\" }\n}\n", i, i)
	}
	s.WriteString("}\ncluster \"c\" { endpoints = [\"127.0.0.1:1\"] }\n")
	return s.String()
}

// TestCountersOfManyChainsAreSmall: 10,000 chains are an ordinary configuration,
// and what one of them has in counters is some hundred bytes for each worker.
func TestCountersOfManyChainsAreSmall(t *testing.T) {
	const chains, workers = 10_000, 8
	s := &snapshot{clusters: map[string]*cluster{"c": compileTestCluster("c")}}
	ln := &listener{name: "l"}
	for i := range chains {
		ln.chains = append(ln.chains, &chain{name: fmt.Sprint(i), clusters: []*cluster{s.clusters["c"]}})
	}
	s.listeners = []*listener{ln}
	r := newRegistry(workers)
	before := heapAlive()
	r.attach(s)
	each := (heapAlive() - before) / chains / workers
	t.Logf("%d bytes for each chain and worker", each)
	if each > 200 {
		t.Errorf("the counters of a chain have %d bytes for each worker", each)
	}
	runtime.KeepAlive(r)
}

func heapAlive() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestCountingDoesNotAllocate: it is done in every turn.
func TestCountingDoesNotAllocate(t *testing.T) {
	g := idleGateway(t, benchConfig, 2, 1)
	g.workers[1].each(func(c *conn) {
		c.countBytes(0, 0)
		if n := testing.AllocsPerRun(100, func() {
			received, sent := c.bytes()
			c.pair.Count(0, 10)
			c.pair.Count(1, 20)
			c.countBytes(received, sent)
		}); n > 0 {
			t.Errorf("%v allocations", n)
		}
		if received, sent := c.endpoint.Bytes(); received != 1010 || sent != 2020 {
			t.Errorf("%d and %d bytes are counted", received, sent)
		}
	})
}
