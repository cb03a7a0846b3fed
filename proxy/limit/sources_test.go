package limit

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"
)

// naiveSources is the table as one would write it without a bound on memory.
type naiveSources struct {
	active  map[Key]int
	buckets map[Key]*naiveBucket
}

func (n *naiveSources) enter(k Key, now time.Duration, connections, perSecond, burst int) Verdict {
	if connections > 0 && n.active[k] >= connections {
		return TooMany
	}
	if perSecond > 0 {
		if n.buckets[k] == nil {
			n.buckets[k] = newNaiveBucket(perSecond, burst)
			n.buckets[k].at = now
		}
		if !n.buckets[k].take(now) {
			return TooFast
		}
	}
	n.active[k]++
	return Admitted
}

// check finds what is wrong with the table's own order.
func (s *Sources) check(t *testing.T) {
	t.Helper()
	for i := range s.shards {
		sh := &s.shards[i]
		used, live := 0, 0
		for at := range sh.slots {
			e := &sh.slots[at]
			if !e.taken {
				if *e != (slot{}) {
					t.Fatalf("an empty slot holds %+v", *e)
				}
				continue
			}
			used++
			if e.active > 0 {
				live++
			}
			own, hash := s.shard(e.key)
			if found, ok := sh.find(s, hash, e.key); own != sh || !ok || found != at {
				t.Fatalf("source %x stands where it is not found", e.key)
			}
		}
		if used != sh.used || live != sh.live {
			t.Fatalf("%d entries with %d live ones, counted as %d and %d", used, live, sh.used, sh.live)
		}
		if used-live > s.maxIdle {
			t.Fatalf("%d idle entries, at most %d may be", used-live, s.maxIdle)
		}
	}
}

// TestSourcesAgainstMaps does the same at random to a table and to maps. There
// are fewer sources than the table remembers, so that the two never differ.
func TestSourcesAgainstMaps(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name                          string
		sources                       int
		connections, perSecond, burst int
	}{
		{"connections", 50, 3, 0, 0},
		{"rate", 50, 0, 100, 5},
		{"both", 50, 4, 100, 6},
		{"many_sources", 5000, 2, 10, 3},
		{"no_limits", 50, 0, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(5, uint64(c.sources)))
			s := NewSources()
			naive := naiveSources{map[Key]int{}, map[Key]*naiveBucket{}}
			most := PerSource{Connections: c.connections}
			if c.perSecond > 0 {
				most.Rate = NewRate(float64(c.perSecond), c.burst)
			}
			now := time.Duration(0)
			var held []Key
			verdicts := map[Verdict]int{}
			for i := range 100_000 {
				now += rand.N(2 * time.Second / time.Duration(100*c.sources)) // 100 a second for each
				switch phase := i / 10_000 % 2; {                             // it grows, and shrinks
				case len(held) > 0 && rnd.IntN(10) < 3+4*phase:
					j := rnd.IntN(len(held))
					s.Leave(held[j], now)
					naive.active[held[j]]--
					held[j] = held[len(held)-1]
					held = held[:len(held)-1]
				default:
					k := Key(rnd.IntN(c.sources))
					want := naive.enter(k, now, c.connections, c.perSecond, c.burst)
					if got := s.Enter(k, now, most); got != want {
						t.Fatalf("step %d, source %d with %d connections: verdict %d, want %d", i, k, naive.active[k], got, want)
					}
					verdicts[want]++
					if want == Admitted {
						held = append(held, k)
					}
				}
				if i%5000 == 0 {
					s.check(t)
				}
			}
			for _, k := range held {
				if got := s.Active(k); got != naive.active[k] {
					t.Errorf("source %d has %d connections, want %d", k, got, naive.active[k])
				}
			}
			for _, k := range held {
				s.Leave(k, now+time.Hour)
			}
			s.check(t)
			if live, _ := s.Len(); live != 0 {
				t.Errorf("%d sources have connections after all have left", live)
			}
			if c.connections > 0 && verdicts[TooMany] == 0 || c.perSecond > 0 && verdicts[TooFast] == 0 {
				t.Errorf("verdicts %v: a limit was never reached, so nothing was shown", verdicts)
			}
		})
	}
}

// TestForgottenSourcesOnlyGainBursts: with far more sources than the table
// remembers, connections are counted exactly all the same, and whoever is
// refused for its rate would be so by the maps, too.
func TestForgottenSourcesOnlyGainBursts(t *testing.T) {
	t.Parallel()
	const sources, maxIdle = 20_000, 2 * shards
	rnd := rand.New(rand.NewPCG(7, 8))
	s := newSources(maxIdle)
	naive := naiveSources{map[Key]int{}, map[Key]*naiveBucket{}}
	most := PerSource{Connections: 2, Rate: NewRate(1, 2)}
	var held []Key
	forgiven, refused := 0, 0
	for i := range 100_000 {
		now := time.Duration(i) * 10 * time.Microsecond
		if len(held) > 500 {
			j := rnd.IntN(len(held))
			s.Leave(held[j], now)
			naive.active[held[j]]--
			held[j] = held[len(held)-1]
			held = held[:len(held)-1]
		}
		k := Key(rnd.IntN(sources))
		if i%3 == 0 {
			k = Key(rnd.IntN(20)) // those who come all the time
		}
		live := naive.active[k]
		want := naive.enter(k, now, 2, 1, 2)
		got := s.Enter(k, now, most)
		switch {
		case got == want:
		case want == TooFast && got == Admitted:
			naive.active[k]++
			forgiven++
		default:
			t.Fatalf("step %d, source %d with %d connections: verdict %d, want %d", i, k, live, got, want)
		}
		if got == Admitted {
			held = append(held, k)
		} else {
			refused++
		}
		if i%1000 == 0 {
			s.check(t)
		}
	}
	s.check(t)
	for k, n := range naive.active {
		if got := s.Active(k); got != n {
			t.Fatalf("source %d has %d connections, want %d", k, got, n)
		}
	}
	if forgiven == 0 || refused == 0 {
		t.Errorf("%d forgiven, %d refused: nothing was shown", forgiven, refused)
	}
}

// TestIdleSourcesAreBounded: a flood from ever new sources makes the table
// remember no more of them than it is to.
func TestIdleSourcesAreBounded(t *testing.T) {
	t.Parallel()
	const maxIdle = 16 * shards
	s := newSources(maxIdle)
	most := PerSource{Rate: NewRate(MinPerSecond, 1)} // nothing is ever full again
	for k := range Key(100 * maxIdle) {
		s.Enter(k, 0, most)
		s.Leave(k, 0)
	}
	live, idle := s.Len()
	if live != 0 || idle > maxIdle {
		t.Errorf("%d live and %d idle sources, want none and at most %d", live, idle, maxIdle)
	}
	if n := s.slots(); n > 4*maxIdle {
		t.Errorf("%d slots for %d sources", n, maxIdle)
	}
	s.check(t)
}

// slots is how much room the table has.
func (s *Sources) slots() (n int) {
	for i := range s.shards {
		n += len(s.shards[i].slots)
	}
	return n
}

// TestLiveSourcesStay: an entry with connections is never dropped, whatever
// comes, and there is room for more of them than for idle ones.
func TestLiveSourcesStay(t *testing.T) {
	t.Parallel()
	const live, maxIdle = 20_000, shards
	s := newSources(maxIdle)
	most := PerSource{Connections: 1, Rate: NewRate(MinPerSecond, 1)}
	for k := range Key(live) {
		if v := s.Enter(k, 0, most); v != Admitted {
			t.Fatalf("source %d: verdict %d", k, v)
		}
	}
	for k := Key(live); k < 10*live; k++ { // a flood beside them
		if s.Enter(k, 0, most) == Admitted {
			s.Leave(k, 0)
		}
	}
	for k := range Key(live) {
		if v := s.Enter(k, 0, most); v != TooMany {
			t.Fatalf("source %d was forgotten: verdict %d", k, v)
		}
	}
	for k := range Key(live) {
		s.Leave(k, time.Hour)
	}
	s.check(t)
	if n, _ := s.Len(); n != 0 {
		t.Errorf("%d sources are live after all have left", n)
	}
}

// TestMemoryComesBack: after very many sources have gone the table is small.
func TestMemoryComesBack(t *testing.T) {
	t.Parallel()
	const n = 50_000
	s := NewSources()
	for k := range Key(n) {
		s.Enter(k, 0, PerSource{Connections: 1})
	}
	grown := s.slots()
	if grown < n || grown > 3*n {
		t.Errorf("%d slots for %d sources", grown, n)
	}
	for k := range Key(n) {
		s.Leave(k, 0)
	}
	if left := s.slots(); left > shards*minSlots {
		t.Errorf("%d slots for no source", left)
	}
}

func TestSlotIsSmall(t *testing.T) {
	t.Parallel()
	if size := unsafe.Sizeof(slot{}); size > 24 {
		t.Errorf("a slot takes %d bytes, and doc.go says 24", size)
	}
}

func TestLeavingUnenteredPanics(t *testing.T) {
	t.Parallel()
	s := NewSources()
	s.Enter(1, 0, PerSource{Rate: NewRate(1, 1)})
	s.Leave(1, 0) // it is remembered now
	for _, k := range []Key{1, 2} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("source %d left unentered, without a panic", k)
				}
			}()
			s.Leave(k, 0)
		}()
		if !s.shards[0].mu.TryLock() { // a panic must not leave a lock behind
			t.Fatal("a lock is still held")
		}
		s.shards[0].mu.Unlock()
	}
}

// TestSourcesAreExactUnderConcurrency: a source that all ask for at once has
// exactly as many as it may, beside others that come and go.
func TestSourcesAreExactUnderConcurrency(t *testing.T) {
	t.Parallel()
	const most, goroutines, rounds, sources = 7, 8, 5000, 40
	s := newSources(shards) // so that entries are dropped and move, too
	limits := PerSource{Connections: most, Rate: NewRate(MaxPerSecond, MaxBurst)}
	var inside [sources]atomic.Int64
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(9, uint64(g)))
			var held []Key
			for i := range rounds {
				now := time.Duration(i) * time.Microsecond
				k := Key(rnd.IntN(sources))
				switch v := s.Enter(k, now, limits); v {
				case Admitted:
					if n := inside[k].Add(1); n > most {
						t.Errorf("source %d has %d connections, at most %d may be", k, n, most)
					}
					held = append(held, k)
				case TooFast:
					t.Errorf("source %d is too fast", k)
				}
				if len(held) > 30 {
					inside[held[0]].Add(-1)
					s.Leave(held[0], now)
					held = held[1:]
				}
			}
			for _, k := range held {
				inside[k].Add(-1)
				s.Leave(k, rounds*time.Microsecond)
			}
		})
	}
	wg.Wait()
	s.check(t)
	if live, _ := s.Len(); live != 0 {
		t.Errorf("%d sources have connections after all have left", live)
	}

	// All at once, none leaves.
	var admitted atomic.Int64
	for range goroutines {
		wg.Go(func() {
			for range most {
				if s.Enter(1, time.Hour, limits) == Admitted {
					admitted.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := admitted.Load(); n != most {
		t.Errorf("%d were admitted at once, want %d", n, most)
	}
}

func TestSourcesDoNotAllocate(t *testing.T) {
	s := NewSources()
	most := PerSource{Connections: 10, Rate: NewRate(20, 40)}
	now := time.Duration(0)
	round := func() {
		for k := range Key(1000) { // sources that come, go, and come again
			now += 20 * time.Millisecond
			if s.Enter(k, now, most) == Admitted {
				s.Leave(k, now)
			}
		}
	}
	for range 10 {
		round()
	}
	if n := testing.AllocsPerRun(20, round); n != 0 {
		t.Errorf("1000 connections cost %v allocations", n)
	}
}
