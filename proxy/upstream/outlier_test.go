package upstream

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// ejectionLog is what OnEjection was told.
type ejectionLog struct {
	mu   sync.Mutex // guards list
	list []Ejection
}

func (l *ejectionLog) note(e Ejection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, e)
}

// take gives and forgets what was noted.
func (l *ejectionLog) take() []Ejection {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := l.list
	l.list = nil
	return list
}

func outlierCluster(n int, change func(*Outlier)) (c *Cluster, all []*Endpoint, told *ejectionLog) {
	o := &Outlier{ConsecutiveFailures: 3, BaseEjectionTime: 10 * time.Second, MaxEjectionTime: 25 * time.Second, MaxEjectionPercent: 50}
	if change != nil {
		change(o)
	}
	told = &ejectionLog{}
	c = configured(newCluster(equalWeights(n)...), Options{Outlier: o, OnEjection: told.note})
	return c, endpoints(c), told
}

func times(n int, f func()) {
	for range n {
		f()
	}
}

func client(n int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}) }

func TestConsecutiveFailuresEject(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, all, told := outlierCluster(4, nil)
		e := all[0]
		times(2, e.AttemptFailed)
		e.AttemptSucceeded()
		times(2, e.AttemptFailed)
		if e.Ejected() || len(told.take()) != 0 {
			t.Fatal("ejected after two failures in a row")
		}
		e.AttemptFailed()
		ejected := told.take()
		if !e.Ejected() || e.Serving() || len(ejected) != 1 {
			t.Fatal("not ejected after three failures in a row")
		}
		if j := ejected[0]; j.Endpoint != e || !j.Ejected || j.For != 10*time.Second || j.Count != 1 || j.Reason == "" {
			t.Errorf("told %+v", j)
		}
		rnd := NewRand(1)
		for range 100 {
			if pick(c, rnd) == e {
				t.Fatal("picked while it is ejected")
			}
		}
		e.AttemptFailed() // of an attempt that had begun before
		time.Sleep(10*time.Second - 1)
		if !e.Ejected() {
			t.Error("it came back too early")
		}
		time.Sleep(1 * time.Nanosecond)
		synctest.Wait()
		if back := told.take(); e.Ejected() || !e.Serving() || len(back) != 1 || back[0].Ejected {
			t.Error("it did not come back")
		}
		if n := e.Counters.Ejections.Load(); n != 1 {
			t.Errorf("%d ejections counted", n)
		}
	})
}

// Attempts and connections that had begun before an ejection and fail during it
// say nothing about the time after: an endpoint that comes back begins anew.
func TestEjectedEndpointComesBackWithoutFailures(t *testing.T) {
	t.Parallel()
	for what, fail := range map[string]func(e *Endpoint, i int){
		"attempts":    func(e *Endpoint, _ int) { e.AttemptFailed() },
		"connections": func(e *Endpoint, i int) { e.EndedEarly(client(i)) },
	} {
		synctest.Test(t, func(t *testing.T) {
			c, all, _ := outlierCluster(4, nil)
			defer c.Close()
			for back, wait := range map[string]func(){
				"time":  func() { time.Sleep(time.Minute); synctest.Wait() },
				"check": func() { all[0].CheckPassed() },
			} {
				for i := range 9 {
					fail(all[0], i)
				}
				if wait(); all[0].Ejected() {
					t.Fatalf("%s, %s: it did not come back", what, back)
				}
				fail(all[0], 1)
				fail(all[0], 2)
				if all[0].Ejected() {
					t.Errorf("%s, %s: ejected again after two failures", what, back)
				}
				fail(all[0], 3)
				if !all[0].Ejected() {
					t.Errorf("%s, %s: not ejected again after three", what, back)
				}
				all[0].CheckPassed()
			}
		})
	}
}

func TestEjectionsGrowLonger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, all, told := outlierCluster(2, nil)
		e := all[0]
		eject := func(want time.Duration) {
			t.Helper()
			synctest.Wait()
			told.take()
			times(3, e.AttemptFailed)
			if now := told.take(); len(now) != 1 || now[0].For != want {
				t.Fatalf("told %+v, want an ejection for %v", now, want)
			}
		}
		eject(10 * time.Second)
		time.Sleep(11 * time.Second)
		eject(20 * time.Second)
		time.Sleep(21 * time.Second)
		eject(25 * time.Second)
		time.Sleep(26 * time.Second)
		eject(25 * time.Second)
		time.Sleep(51 * time.Second) // 25 s of it ejected, then for longer than the longest ejection not
		eject(10 * time.Second)
		if !e.CheckPassed() || e.Ejected() || e.CheckPassed() {
			t.Error("a good check did not end the ejection, or ended it twice")
		}
		eject(20 * time.Second) // the timer of the one before must not end it
		time.Sleep(12 * time.Second)
		if !e.Ejected() {
			t.Error("an earlier ejection's timer ended this one")
		}
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if e.Ejected() {
			t.Error("it did not come back")
		}
	})
}

func TestSomeAreLeftServing(t *testing.T) {
	t.Parallel()
	f := func(name string, endpoints, percent int, prepare func([]*Endpoint), want int) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			c, all, _ := outlierCluster(endpoints, func(o *Outlier) { o.MaxEjectionPercent = percent })
			prepare(all)
			for _, e := range all {
				times(9, e.AttemptFailed)
			}
			ejected := 0
			for _, e := range all {
				if e.Ejected() {
					ejected++
				}
			}
			if ejected != want {
				t.Errorf("%s: %d are ejected, want %d", name, ejected, want)
			}
			if pick(c, NewRand(1)) == nil {
				t.Errorf("%s: none is left", name)
			}
			c.Close()
		})
	}
	none := func([]*Endpoint) {}
	f("the only one", 1, 100, none, 0)
	f("one of two", 2, 100, none, 1)
	f("half of ten", 10, 50, none, 5)
	f("all but one of ten", 10, 100, none, 9)
	f("always one", 4, 1, none, 1)
	f("of three a third", 3, 34, none, 1)
	f("the others are unhealthy", 3, 100, func(all []*Endpoint) {
		all[1].SetHealth(Unhealthy)
		all[2].SetState(Maint)
	}, 0)
}

// An endpoint that is ejected serves all the same when the others, which did
// without it, are gone: a doubtful one is better than none.
func TestEjectedIsBetterThanNone(t *testing.T) {
	t.Parallel()
	f := func(name string, lose func(c *Cluster, other *Endpoint), want bool) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			c, all, _ := outlierCluster(2, nil)
			defer c.Close()
			times(3, all[0].AttemptFailed)
			lose(c, all[1])
			e, refusal := c.Pick(&Request{Rand: NewRand(1)})
			if (e == all[0]) != want || !want && refusal != NoneServing {
				t.Errorf("%s: picked the ejected one: %t, want %t (%d)", name, e == all[0], want, refusal)
			}
			if !all[0].Ejected() || all[0].Serving() {
				t.Errorf("%s: it is not ejected any more", name)
			}
		})
	}
	f("the other is unhealthy", func(_ *Cluster, other *Endpoint) { other.SetHealth(Unhealthy) }, true)
	f("the other was taken out", func(_ *Cluster, other *Endpoint) { other.SetState(Maint) }, true)
	f("the other was removed", func(c *Cluster, _ *Endpoint) { c.Update(specsOf(c)[:1]) }, true)
	f("the ejected one is unhealthy, too", func(c *Cluster, other *Endpoint) {
		endpoints(c)[0].SetHealth(Unhealthy)
		other.SetState(Drain)
	}, false)
	f("the ejected one was taken out, too", func(c *Cluster, other *Endpoint) {
		other.SetHealth(Unhealthy)
		endpoints(c)[0].SetState(Drain)
	}, false)
	synctest.Test(t, func(t *testing.T) {
		c, all, _ := outlierCluster(2, nil)
		defer c.Close()
		times(3, all[0].AttemptFailed)
		all[1].SetState(Drain)
		all[1].SetState(Ready)
		for rnd := NewRand(1); ; {
			if pick(c, rnd) != all[1] {
				t.Error("the ejected one was picked though the other serves again")
			}
			if all[1].Active() == 10 {
				break
			}
		}
	})
}

// Connections that end before the first byte count when three sources saw it
// within the time of an ejection, and nothing was ever answered in between.
func TestEarlyEndsEject(t *testing.T) {
	t.Parallel()
	type end struct {
		after  time.Duration
		source string // "" is an answer
	}
	at := func(sources ...string) (list []end) {
		for _, s := range sources {
			list = append(list, end{time.Millisecond, s})
		}
		return list
	}
	f := func(name string, ends []end, want bool) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			c, all, told := outlierCluster(3, nil)
			for _, e := range ends {
				time.Sleep(e.after)
				if e.source == "" {
					all[0].Answered()
					continue
				}
				a, _ := netip.ParseAddr(e.source)
				all[0].EndedEarly(a)
			}
			if got, n := all[0].Ejected(), len(told.take()); got != want || n > 1 {
				t.Errorf("%s: ejected %t, told %d times, want %t", name, got, n, want)
			}
			c.Close()
		})
	}
	f("three sources", at("192.0.2.1", "192.0.2.2", "192.0.2.3"), true)
	f("one source, often", at(slices.Repeat([]string{"192.0.2.1"}, 100)...), false)
	f("two sources, often", at(slices.Repeat([]string{"192.0.2.1", "192.0.2.2"}, 100)...), false)
	f("a third after many of one", append(at(slices.Repeat([]string{"192.0.2.1"}, 50)...), at("192.0.2.2", "192.0.2.3")...), true)
	f("only two of three in a row", at("192.0.2.1", "192.0.2.2", "", "192.0.2.3", "192.0.2.4"), false)
	f("an answer in between", at("192.0.2.1", "", "192.0.2.2", "192.0.2.3", "192.0.2.4"), true)
	f("one /64 is one source", at("2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4"), false)
	f("three of IPv6", at("2001:db8:1::1", "2001:db8:2::1", "2001:db8:3::1"), true)
	f("IPv4 in two forms", at("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"), false)
	f("without an address", at("x", "x", "x", "x"), false)
	f("too long ago", []end{{0, "192.0.2.1"}, {0, "192.0.2.2"}, {11 * time.Second, "192.0.2.3"}}, false)
	f("just in time", []end{{0, "192.0.2.1"}, {5 * time.Second, "192.0.2.2"}, {5 * time.Second, "192.0.2.3"}}, true)
}

// The two kinds of failures are rows of their own: a connect that succeeds says
// nothing of what comes after it.
func TestEarlyEndsAreNotForgivenByConnecting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, all, _ := outlierCluster(3, nil)
		for i := range 3 {
			all[0].AttemptSucceeded()
			all[0].EndedEarly(client(i))
		}
		if !all[0].Ejected() {
			t.Error("one that accepts and resets is not ejected")
		}
		c.Close()
	})
}

func TestNothingIsEjectedWithoutOutlierDetection(t *testing.T) {
	t.Parallel()
	c := newCluster(1, 1)
	e := endpoints(c)[0]
	for i := range 100 {
		e.AttemptFailed()
		e.EndedEarly(client(i))
	}
	if e.Ejected() || e.Counters.Failures.Load() != 100 || e.Counters.EarlyEnds.Load() != 100 {
		t.Errorf("ejected %t, %d failures and %d early ends counted", e.Ejected(), e.Counters.Failures.Load(), e.Counters.EarlyEnds.Load())
	}
}

// An endpoint that is removed while it is ejected comes back to nothing.
func TestRemovedWhileEjected(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, all, told := outlierCluster(3, nil)
		times(3, all[0].AttemptFailed)
		specs := specsOf(c)
		c.Update(specs[1:])
		times(3, all[0].AttemptFailed)
		time.Sleep(time.Hour)
		if n := len(told.take()); n != 1 {
			t.Errorf("told %d times, want once", n)
		}
		added, _ := c.Update(specs)
		if len(added) != 1 || added[0] == all[0] || added[0].Ejected() {
			t.Error("its successor is ejected")
		}
	})
}

func TestSplitByKey(t *testing.T) {
	t.Parallel()
	const n = 20_000
	keys := make([]Key, n)
	for i := range keys {
		keys[i] = KeyOf(fmt.Appendf(nil, "client %d", i))
	}
	clusters := []*Cluster{NewCluster("stable", nil), NewCluster("canary", nil), NewCluster("third", nil)}
	choose := func(weights ...int) []int {
		var choices []Choice
		for i, w := range weights {
			choices = append(choices, Choice{clusters[i], w})
		}
		s, list := NewSplit(choices...), make([]int, n)
		for i, k := range keys {
			list[i] = s.Pick(nil, k) // no randomness is needed
		}
		return list
	}
	f := func(name string, weights ...int) []int {
		t.Helper()
		list, counts, p, total := choose(weights...), make([]int, len(weights)), make([]float64, len(weights)), 0
		for _, w := range weights {
			total += w
		}
		for i, w := range weights {
			p[i] = float64(w) / float64(total)
		}
		for _, i := range list {
			counts[i]++
		}
		checkShares(t, name, n, counts, p)
		if !slices.Equal(list, choose(weights...)) {
			t.Errorf("%s: the second time is another", name)
		}
		return list
	}
	before := f("a canary of 5%", 95, 5)
	after := f("a canary of 10%", 90, 10)
	for i := range before {
		if before[i] == 1 && after[i] != 1 {
			t.Fatalf("key %d left the canary when that grew", i)
		}
	}
	three := f("a third one", 90, 10, 20)
	for i := range after {
		if three[i] != 2 && three[i] != after[i] {
			t.Fatalf("key %d went from %d to %d when a third one came", i, after[i], three[i])
		}
	}
}
