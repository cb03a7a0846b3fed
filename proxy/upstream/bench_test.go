package upstream

import (
	"fmt"
	"sync/atomic"
	"testing"
)

func TestPickDoesNotAllocate(t *testing.T) {
	c, rnd := newCluster(equalWeights(10)...), NewRand(10)
	s := NewSplit(Choice{c, 1}, Choice{c, 2})
	tried := endpoints(c)[:3]
	if allocs := testing.AllocsPerRun(100, func() { s.Pick(rnd).Pick(rnd, tried).Release() }); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// BenchmarkPick has two cases for each size: all endpoints idle, where every
// one asks for a random number, and a loaded cluster with different counts.
func BenchmarkPick(b *testing.B) {
	for _, n := range []int{2, 10, 100, 1000} {
		b.Run(fmt.Sprintf("idle/endpoints=%d", n), func(b *testing.B) {
			c, rnd := newCluster(equalWeights(n)...), NewRand(1)
			b.ReportAllocs()
			for b.Loop() {
				c.Pick(rnd, nil).Release()
			}
		})
		b.Run(fmt.Sprintf("loaded/endpoints=%d", n), func(b *testing.B) {
			c, rnd := newCluster(equalWeights(n)...), NewRand(1)
			for i, e := range endpoints(c) {
				e.active.Store(int64(i * 7 % 13))
			}
			b.ReportAllocs()
			for b.Loop() {
				c.Pick(rnd, nil).Release()
			}
		})
	}
	b.Run("retry/endpoints=10", func(b *testing.B) {
		c, rnd := newCluster(equalWeights(10)...), NewRand(1)
		tried := endpoints(c)[:2]
		b.ReportAllocs()
		for b.Loop() {
			c.Pick(rnd, tried).Release()
		}
	})
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
					c.Pick(rnd, nil).Release()
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
		s.Pick(rnd)
	}
}
