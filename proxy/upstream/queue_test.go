package upstream

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

// waiter gives a waiter that notes its name when it is woken.
func waiter(woken *[]string, name string) *Waiter {
	return &Waiter{Wake: func() { *woken = append(*woken, name) }}
}

func TestAdmitKeepsToTheLimit(t *testing.T) {
	t.Parallel()
	c := configured(newCluster(1), Options{MaxConnections: 3})
	for i := range 3 {
		if !c.Admit() {
			t.Fatalf("connection %d of 3 was refused", i+1)
		}
	}
	if c.Admit() || c.Active() != 3 {
		t.Errorf("a fourth was admitted, or counted: %d", c.Active())
	}
	c.Leave()
	if !c.Admit() {
		t.Error("no place after one has left")
	}
	c.Configure(Options{MaxConnections: 1})
	c.Leave()
	if c.Admit() {
		t.Error("admitted above a limit that is lower now")
	}
	c.Configure(Options{})
	for range 100 {
		if !c.Admit() {
			t.Fatal("refused without a limit")
		}
	}
	for range 102 {
		c.Leave()
	}
	panicsWithBUG(t, "one leaves too many", c.Leave)
}

// However many workers ask at once, never more than the limit are in, and each
// place that is there is given.
func TestLimitsHoldAmongWorkers(t *testing.T) {
	t.Parallel()
	const limit, each = 5, 3000
	c := NewCluster("test", []Spec{
		{Name: "a", Address: tcp("10.0.0.1:80"), Weight: 1, MaxConnections: 2},
		{Name: "b", Address: tcp("10.0.0.2:80"), Weight: 7, MaxConnections: 2},
	})
	for _, p := range policies {
		c.Configure(Options{Policy: p, MaxConnections: limit})
		var wg sync.WaitGroup
		var picked, full atomic.Int64
		for seed := range uint64(8) {
			wg.Go(func() {
				r := Request{Rand: NewRand(seed), Key: Key(seed + 1)}
				for range each {
					if !c.Admit() {
						full.Add(1)
						continue
					}
					if n := c.Active(); n > limit {
						t.Errorf("%v: %d are in", p, n)
					}
					e, refusal := c.Pick(&r)
					if e == nil {
						if full.Add(1); refusal != Full {
							t.Errorf("%v: refused with %d", p, refusal)
						}
					} else {
						picked.Add(1)
						if n := e.Active(); n > 2 {
							t.Errorf("%v: %s has %d", p, e.Name(), n)
						}
						e.Release()
					}
					c.Leave()
				}
			})
		}
		wg.Wait()
		if c.Active() != 0 || picked.Load() == 0 || picked.Load()+full.Load() != 8*each {
			t.Errorf("%v: %d left, %d picked, %d full", p, c.Active(), picked.Load(), full.Load())
		}
	}
}

func TestQueueIsFirstInFirstOut(t *testing.T) {
	t.Parallel()
	c := configured(newCluster(1, 1), Options{MaxConnections: 2, MaxPending: 3})
	var woken []string
	held := make([]*Endpoint, 2)
	for i := range held {
		c.Admit()
		held[i] = pick(c, NewRand(1))
	}
	waiters := map[string]*Waiter{}
	for _, name := range []string{"one", "two", "three"} {
		waiters[name] = waiter(&woken, name)
		if c.Enqueue(waiters[name]) != Granted {
			t.Fatalf("%s was not taken into the queue", name)
		}
	}
	if c.Enqueue(waiter(&woken, "four")) != Full {
		t.Error("a fourth was taken into a queue of three")
	}
	if c.Admit() {
		t.Error("a newcomer overtakes the queue")
	}
	held[0].Release()
	if len(woken) > 0 {
		t.Errorf("%v was served before there was a place in the cluster", woken)
	}
	c.Leave()
	if !slices.Equal(woken, []string{"one"}) || waiters["one"].Granted() == nil || waiters["two"].Granted() != nil {
		t.Fatalf("woken: %v, want one", woken)
	}
	if c.Active() != 2 || waiters["one"].Granted().Active() != 1 {
		t.Errorf("%d in the cluster, %d at the endpoint", c.Active(), waiters["one"].Granted().Active())
	}
	if c.Withdraw(waiters["two"]) != nil || c.Pending() != 1 {
		t.Errorf("two did not leave: %d wait", c.Pending())
	}
	held[1].Release()
	c.Leave()
	if !slices.Equal(woken, []string{"one", "three"}) || c.Pending() != 0 {
		t.Errorf("woken: %v, %d wait", woken, c.Pending())
	}
	// Whoever was granted a place and leaves at the same moment has to give it back.
	if e := c.Withdraw(waiters["three"]); e == nil || e != waiters["three"].Granted() {
		t.Error("the place of three is lost")
	}
}

// Whatever makes room serves the queue, not only a connection that ends.
func TestQueueIsServedByEveryChange(t *testing.T) {
	t.Parallel()
	f := func(name string, change func(c *Cluster)) {
		t.Helper()
		c := NewCluster("test", []Spec{
			{Name: "a", Address: tcp("10.0.0.1:80"), Weight: 1, MaxConnections: 1},
			{Name: "b", Address: tcp("10.0.0.2:80"), Weight: 1, MaxConnections: 1},
		})
		o := Options{MaxPending: 5, MaxConnections: 7}
		c.Configure(o)
		endpoints(c)[1].SetHealth(Unhealthy)
		c.Admit()
		pick(c, NewRand(1))
		var woken []string
		w := waiter(&woken, "waiter")
		if c.Enqueue(w) != Granted || len(woken) > 0 {
			t.Fatalf("%s: it does not wait", name)
		}
		change(c)
		if len(woken) != 1 || w.Granted() == nil {
			t.Errorf("%s: it was not served", name)
		}
	}
	f("an endpoint that is well again", func(c *Cluster) { endpoints(c)[1].SetHealth(Healthy) })
	f("a new endpoint", func(c *Cluster) {
		c.Update(append(specsOf(c), Spec{Name: "c", Address: tcp("10.0.0.3:80"), Weight: 1}))
	})
	f("a higher limit", func(c *Cluster) {
		specs := specsOf(c)
		specs[0].MaxConnections = 2
		c.Update(specs)
	})
	f("panic", func(c *Cluster) { c.Configure(Options{MaxPending: 5, PanicThreshold: 100}) })
	f("a release", func(c *Cluster) { endpoints(c)[0].Release() })
}

// Who waits for another endpoint than those that it has tried is passed over when
// one of these has a place, and keeps its own.
func TestQueuePassesOverWhoHasTried(t *testing.T) {
	t.Parallel()
	c := NewCluster("test", []Spec{
		{Name: "a", Address: tcp("10.0.0.1:80"), Weight: 1, MaxConnections: 1},
		{Name: "b", Address: tcp("10.0.0.2:80"), Weight: 1, MaxConnections: 1},
	})
	c.Configure(Options{Policy: First, MaxPending: 5})
	a, b := endpoints(c)[0], endpoints(c)[1]
	for range 2 {
		c.Admit()
		pick(c, nil)
	}
	a.Release() // one that tried it in vain
	if e, refusal := c.Pick(&Request{Tried: []*Endpoint{a}}); e != nil || refusal != Full {
		t.Fatalf("it got %v rather than wait", e)
	}
	c.Leave()
	var woken []string
	tried, fresh := waiter(&woken, "tried"), waiter(&woken, "fresh")
	tried.Request.Tried = []*Endpoint{a}
	if c.Enqueue(tried) != Granted || c.Enqueue(fresh) != Granted {
		t.Fatal("they do not wait")
	}
	if !slices.Equal(woken, []string{"fresh"}) || fresh.Granted() != a || c.Active() != 2 {
		t.Fatalf("woken: %v, %d in the cluster", woken, c.Active())
	}
	b.Release()
	c.Leave()
	if tried.Granted() != b || c.Pending() != 0 || c.Active() != 2 {
		t.Errorf("woken: %v, %d in the cluster", woken, c.Active())
	}
	// With nothing left but what it has tried, it tries that again.
	again := waiter(&woken, "again")
	again.Request.Tried = []*Endpoint{a}
	c.Enqueue(again)
	a.Release()
	c.Leave()
	if again.Granted() != nil {
		t.Fatal("it did not wait for the other one")
	}
	b.SetHealth(Unhealthy)
	if again.Granted() != a {
		t.Error("it waits though there is nothing else")
	}
}

// A place that is freed between being refused and queueing is not lost.
func TestEnqueueSeesWhatWasFreedBefore(t *testing.T) {
	t.Parallel()
	c := configured(newCluster(1), Options{MaxConnections: 1, MaxPending: 1})
	var woken []string
	w := waiter(&woken, "it")
	if c.Enqueue(w) != Granted || w.Granted() == nil || len(woken) != 1 {
		t.Error("it waits although there is a place")
	}
}

// Workers that come, wait, leave the queue and end at random: the limits hold at
// all times, nobody waits while there is a place, and nothing is left at the end.
func TestQueueAmongWorkers(t *testing.T) {
	t.Parallel()
	const workers, each, limit = 8, 2000, 3
	c := NewCluster("test", []Spec{
		{Name: "a", Address: tcp("10.0.0.1:80"), Weight: 1, MaxConnections: 1},
		{Name: "b", Address: tcp("10.0.0.2:80"), Weight: 1, MaxConnections: 3},
	})
	c.Configure(Options{MaxConnections: limit, MaxPending: workers / 2})
	var served, refused, gaveUp atomic.Int64
	var wg sync.WaitGroup
	for seed := range uint64(workers) {
		wg.Go(func() {
			rnd, chance := NewRand(seed), rand.New(rand.NewPCG(seed, 1))
			for range each {
				e := (*Endpoint)(nil)
				if c.Admit() {
					if e, _ = c.Pick(&Request{Rand: rnd}); e == nil {
						c.Leave()
					}
				}
				if e == nil {
					woken := make(chan struct{}, 1)
					w := &Waiter{Wake: func() { woken <- struct{}{} }}
					if c.Enqueue(w) != Granted {
						refused.Add(1)
						continue
					}
					if chance.IntN(3) > 0 {
						<-woken
					}
					if e = c.Withdraw(w); e == nil {
						gaveUp.Add(1)
						continue
					}
				}
				if n := c.Active(); n > limit {
					t.Errorf("%d are in", n)
				}
				served.Add(1)
				e.Release()
				c.Leave()
			}
		})
	}
	wg.Wait()
	if c.Active() != 0 || c.Pending() != 0 || slices.Max(actives(c)) != 0 || c.queue.first != nil || c.queue.last != nil {
		t.Errorf("left: %d in the cluster, %d in the queue, %v at endpoints", c.Active(), c.Pending(), actives(c))
	}
	if n := served.Load() + refused.Load() + gaveUp.Load(); n != workers*each || served.Load() == 0 {
		t.Errorf("%d served, %d refused, %d gave up", served.Load(), refused.Load(), gaveUp.Load())
	}
}
