package limit

import (
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"
)

func BenchmarkConnections(b *testing.B) {
	for _, most := range []int64{0, 1 << 40} {
		b.Run(fmt.Sprintf("limit=%v", most > 0), func(b *testing.B) {
			var c Connections
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					c.Enter(most)
					c.Leave()
				}
			})
		})
	}
}

func BenchmarkBucket(b *testing.B) {
	for _, c := range []struct {
		name string
		rate Rate
	}{{"taken", NewRate(MaxPerSecond, MaxBurst)}, {"refused", NewRate(MinPerSecond, 1)}} {
		b.Run(c.name, func(b *testing.B) {
			var bucket Bucket
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for now := time.Duration(0); pb.Next(); now += 10 * time.Microsecond {
					bucket.Take(now, c.rate)
				}
			})
		})
	}
}

// BenchmarkSources is a connection that comes and goes, of one of so many
// sources. Each comes every 10 ms or less often, and is remembered for 1 ms.
func BenchmarkSources(b *testing.B) {
	most := PerSource{Connections: 100, Rate: NewRate(1000, 40)}
	for _, sources := range []uint64{1, 1000, 100_000} {
		b.Run(fmt.Sprintf("sources=%d", sources), func(b *testing.B) {
			s := NewSources()
			var from atomic.Uint64
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				k := from.Add(1) << 32
				for now := time.Duration(0); pb.Next(); now += 10 * time.Millisecond / time.Duration(sources) {
					k = k*6364136223846793005 + 1442695040888963407
					key := Key(k >> 8 % sources)
					if s.Enter(key, now, most) == Admitted {
						s.Leave(key, now)
					}
				}
			})
		})
	}
}

// BenchmarkSourcesOverflow is a flood from ever new sources, each of which is
// remembered in the place of another.
func BenchmarkSourcesOverflow(b *testing.B) {
	s := NewSources()
	most := PerSource{Connections: 100, Rate: NewRate(MinPerSecond, 1)}
	var from atomic.Uint64
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for key := Key(from.Add(1) << 40); pb.Next(); key++ {
			if s.Enter(key, 0, most) == Admitted {
				s.Leave(key, 0)
			}
		}
	})
}

func BenchmarkSourceRefused(b *testing.B) {
	s := NewSources()
	most := PerSource{Connections: 1}
	s.Enter(1, 0, most)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			s.Enter(1, 0, most)
		}
	})
}

func BenchmarkAccess(b *testing.B) {
	var deny []netip.Prefix
	for i := range 10_000 {
		deny = append(deny, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}), 25))
	}
	a := NewAccess(nil, deny)
	ip := netip.MustParseAddr("10.3.4.200")
	b.ReportAllocs()
	for b.Loop() {
		if !a.Allows(ip) {
			b.Fatal("denied")
		}
	}
}
