package upstream

import (
	"fmt"
	"sync/atomic"
	"testing"
)

var policies = []Policy{LeastConnections, RoundRobin, Random, Maglev, First}

func configured(c *Cluster, o Options) *Cluster {
	c.Configure(o)
	return c
}

func TestPickDoesNotAllocate(t *testing.T) {
	for _, p := range policies {
		c, rnd := configured(newCluster(equalWeights(10)...), Options{Policy: p, MaxConnections: 5}), NewRand(10)
		s := NewSplit(Choice{c, 1}, Choice{c, 2})
		r := Request{Rand: rnd, Key: KeyOf([]byte("app.example.com")), Tried: endpoints(c)[:3]}
		if allocs := testing.AllocsPerRun(100, func() {
			s.Pick(rnd, r.Key)
			c.Admit()
			e, _ := c.Pick(&r)
			e.AttemptSucceeded()
			e.Answered()
			e.Release()
			c.Leave()
		}); allocs != 0 {
			t.Errorf("%v: %v allocations", p, allocs)
		}
	}
}

// BenchmarkPick has two cases for each policy and size: all endpoints idle, and
// a loaded cluster with different counts. Least connections asks for a random
// number for every endpoint in the first.
func BenchmarkPick(b *testing.B) {
	for _, p := range policies {
		for _, n := range []int{2, 10, 100, 1000} {
			for _, load := range []string{"idle", "loaded"} {
				b.Run(fmt.Sprintf("policy=%v/%s/endpoints=%d", p, load, n), func(b *testing.B) {
					c, rnd := configured(newCluster(equalWeights(n)...), Options{Policy: p}), NewRand(1)
					if load == "loaded" {
						for i, e := range endpoints(c) {
							e.active.Store(int64(i * 7 % 13))
						}
					}
					r := Request{Rand: rnd}
					b.ReportAllocs()
					for b.Loop() {
						r.Key++
						e, _ := c.Pick(&r)
						e.Release()
					}
				})
			}
		}
	}
}

// BenchmarkPickOnlyOne is what is left when other endpoints were tried, are full
// or unhealthy.
func BenchmarkPickOnlyOne(b *testing.B) {
	const n = 10
	for _, p := range policies {
		f := func(name string, r Request, prepare func(*Endpoint)) {
			b.Run(fmt.Sprintf("policy=%v/%s", p, name), func(b *testing.B) {
				c := configured(newCluster(equalWeights(n)...), Options{Policy: p})
				all := endpoints(c)
				if r.Strict {
					r.Tried = all[1:]
				}
				for _, e := range all[1:] {
					prepare(e)
				}
				r.Rand = NewRand(1)
				b.ReportAllocs()
				for b.Loop() {
					r.Key++
					e, _ := c.Pick(&r)
					e.Release()
				}
			})
		}
		f("tried", Request{Strict: true}, func(*Endpoint) {})
		f("unhealthy", Request{}, func(e *Endpoint) { e.SetHealth(Unhealthy) })
	}
}

func BenchmarkAdmitLeave(b *testing.B) {
	for _, limit := range []int{0, 10} {
		b.Run(fmt.Sprintf("max_connections=%d", limit), func(b *testing.B) {
			c := configured(newCluster(1), Options{MaxConnections: limit})
			b.ReportAllocs()
			for b.Loop() {
				c.Admit()
				c.Leave()
			}
		})
	}
}

// BenchmarkRefresh is a change of an endpoint's health.
func BenchmarkRefresh(b *testing.B) {
	for _, p := range policies {
		b.Run(fmt.Sprintf("policy=%v/endpoints=1000", p), func(b *testing.B) {
			c := configured(newCluster(equalWeights(1000)...), Options{Policy: p})
			e := endpoints(c)[0]
			for b.Loop() {
				e.SetHealth(Unhealthy)
				e.SetHealth(Healthy)
			}
		})
	}
}

// BenchmarkPickParallel is every worker at the same cluster at once, which
// no real load comes near.
func BenchmarkPickParallel(b *testing.B) {
	for _, n := range []int{2, 10, 100} {
		b.Run(fmt.Sprintf("endpoints=%d", n), func(b *testing.B) {
			c := newCluster(equalWeights(n)...)
			var seeds atomic.Uint64
			b.RunParallel(func(pb *testing.PB) {
				rnd := NewRand(seeds.Add(1))
				for pb.Next() {
					pick(c, rnd).Release()
				}
			})
		})
	}
}

func BenchmarkSplit(b *testing.B) {
	c, rnd := newCluster(1), NewRand(1)
	s := NewSplit(Choice{c, 90}, Choice{c, 9}, Choice{c, 1})
	b.ReportAllocs()
	for b.Loop() {
		s.Pick(rnd, NoKey)
	}
}

func BenchmarkSplitByKey(b *testing.B) {
	c, rnd := newCluster(1), NewRand(1)
	s := NewSplit(Choice{c, 90}, Choice{c, 9}, Choice{c, 1})
	key := Key(1)
	for b.Loop() {
		key++
		s.Pick(rnd, key)
	}
}
