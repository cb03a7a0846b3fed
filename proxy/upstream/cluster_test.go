package upstream

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// newCluster gives a cluster with one endpoint for each weight, named a, b, c
// and so on.
func newCluster(weights ...int) *Cluster {
	specs := make([]Spec, len(weights))
	for i, w := range weights {
		addr := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		specs[i] = Spec{Name: string(rune('a' + i)), Address: Address{AddrPort: netip.AddrPortFrom(addr, 80)}, Weight: w}
	}
	return NewCluster("test", specs)
}

func equalWeights(n int) []int { return slices.Repeat([]int{1}, n) }

func endpoints(c *Cluster) (all []*Endpoint) {
	for e := range c.Endpoints() {
		all = append(all, e)
	}
	return all
}

func actives(c *Cluster) (all []int64) {
	for e := range c.Endpoints() {
		all = append(all, e.Active())
	}
	return all
}

// pick is a request's endpoint, or nil.
func pick(c *Cluster, rnd *Rand, tried ...*Endpoint) *Endpoint {
	e, _ := c.Pick(&Request{Rand: rnd, Tried: tried})
	return e
}

// checkBalance fails when an endpoint got a connection that another should
// have had: (a_i-1/2)/w_i > (a_j+1/2)/w_j.
func checkBalance(t *testing.T, c *Cluster) {
	t.Helper()
	for i, si := range c.Endpoints() {
		for j, sj := range c.Endpoints() {
			if wi, wj := si.Weight, sj.Weight; (2*i.Active()-1)*int64(wj) > (2*j.Active()+1)*int64(wi) {
				t.Fatalf("endpoint %s of weight %d has %d connections, %s of weight %d has %d",
					i.Name(), wi, i.Active(), j.Name(), wj, j.Active())
			}
		}
	}
}

// An endpoint's exact share of n held connections is n*w/W for a sum W of the
// weights. With these weights none is ever a whole connection away from it.
func TestHeldConnectionsFollowTheWeights(t *testing.T) {
	t.Parallel()
	weights := []int64{1, 2, 5}
	c, rnd := newCluster(1, 2, 5), NewRand(1)
	for n := int64(1); n <= 800; n++ {
		pick(c, rnd)
		for i, active := range actives(c) {
			// In eighths of a connection, as the weights add up to 8.
			if off := 8*active - n*weights[i]; off <= -8 || off >= 8 {
				t.Fatalf("after %d picks endpoint %d of weight %d has %d", n, i, weights[i], active)
			}
		}
		checkBalance(t, c)
	}
	if got, want := actives(c), []int64{100, 200, 500}; !slices.Equal(got, want) {
		t.Errorf("after 800 picks %v, want %v", got, want)
	}
}

func TestAnyWeightsAreExactAtMultiplesOfTheirSum(t *testing.T) {
	t.Parallel()
	f := func(weights ...int) {
		t.Helper()
		c, rnd := newCluster(weights...), NewRand(2)
		sum := 0
		for _, w := range weights {
			sum += w
		}
		for round := int64(1); round <= 5; round++ {
			for range sum {
				pick(c, rnd)
				checkBalance(t, c)
			}
			for e, s := range c.Endpoints() {
				if w := s.Weight; e.Active() != round*int64(w) {
					t.Errorf("weights %v, round %d: %s of weight %d has %d", weights, round, e.Name(), w, e.Active())
				}
			}
		}
	}
	f(1)
	f(1, 1)
	f(3, 7, 7, 1)
	f(10, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)
}

func TestReleasedConnectionsAreReplacedWhereTheyLeft(t *testing.T) {
	t.Parallel()
	c, rnd := newCluster(1, 1, 2), NewRand(3)
	for range 40 {
		pick(c, rnd)
	}
	gone := endpoints(c)[2]
	for range 15 {
		gone.Release()
	}
	for range 14 {
		if e := pick(c, rnd); e != gone {
			t.Fatalf("picked %s while %s has %d of 20", e.Name(), gone.Name(), gone.Active())
		}
	}
}

func TestLargestWeightsAndCountsDoNotOverflow(t *testing.T) {
	t.Parallel()
	c, rnd := newCluster(MaxWeight, MaxWeight, 1), NewRand(4)
	all := endpoints(c)
	all[0].active.Store(1<<31 - 1)
	all[1].active.Store(1<<31 - 2)
	all[2].active.Store(1<<31 - 1)
	if e := pick(c, rnd); e != all[1] {
		t.Errorf("picked %s, want the less loaded of the heavy ones", e.Name())
	}
}

// Without memory of what was equal, the first or the last would win more
// often. The bound is about five standard deviations of a fair choice.
func TestTiesAreFair(t *testing.T) {
	t.Parallel()
	const picks = 20_000
	f := func(name string, prepare func(all []*Endpoint), tied int, weights ...int) {
		t.Helper()
		c, rnd := newCluster(weights...), NewRand(5)
		all := endpoints(c)
		prepare(all)
		counts := map[string]int{}
		for range picks {
			e := pick(c, rnd)
			counts[e.Name()]++
			e.Release()
		}
		if len(counts) != tied {
			t.Errorf("%s: picked %v, want %d endpoints", name, counts, tied)
		}
		want := float64(picks) / float64(tied)
		chi2 := 0.0
		for _, n := range counts {
			chi2 += (float64(n) - want) * (float64(n) - want) / want
		}
		if limit := float64(tied-1) + 5*1.5*float64(tied); chi2 > limit {
			t.Errorf("%s: picked %v, chi² %.1f is above %.1f", name, counts, chi2, limit)
		}
	}
	idle := func([]*Endpoint) {}
	f("two idle", idle, 2, equalWeights(2)...)
	f("seven idle", idle, 7, equalWeights(7)...)
	f("a busy one among them", func(all []*Endpoint) { all[1].active.Store(1) }, 4, equalWeights(5)...)
	f("a better one before worse ones that are equal", func(all []*Endpoint) {
		all[1].active.Store(1)
		all[2].active.Store(1)
	}, 1, equalWeights(3)...)
	f("worse ones that are equal before better ones", func(all []*Endpoint) {
		for _, e := range all[:4] {
			e.active.Store(1)
		}
	}, 3, equalWeights(7)...)
	f("equal load, not equal count", func(all []*Endpoint) {
		all[1].active.Store(1)
		all[2].active.Store(2)
	}, 3, 1, 3, 5)
}

func TestTriedEndpointsComeLast(t *testing.T) {
	t.Parallel()
	f := func(name string, prepare func(all []*Endpoint) (tried []*Endpoint), want string, weights ...int) {
		t.Helper()
		for seed := range uint64(50) {
			c := newCluster(weights...)
			tried := prepare(endpoints(c))
			before := slices.Clone(tried)
			e := pick(c, NewRand(seed), tried...)
			if !strings.Contains(want, e.Name()) {
				t.Errorf("%s: picked %s, want one of %s", name, e.Name(), want)
			}
			if !slices.Equal(before, tried) {
				t.Errorf("%s: tried was changed", name)
			}
		}
	}
	f("none", func(all []*Endpoint) []*Endpoint { return nil }, "abc", 1, 1, 1)
	f("one of three", func(all []*Endpoint) []*Endpoint { return all[1:2] }, "ac", 1, 1, 1)
	f("the least loaded", func(all []*Endpoint) []*Endpoint {
		all[1].active.Store(9)
		return all[:1]
	}, "b", 1, 1)
	f("the least loaded of the rest", func(all []*Endpoint) []*Endpoint {
		all[1].active.Store(9)
		all[2].active.Store(8)
		return all[:1]
	}, "c", 1, 1, 1)
	f("all: any again", func(all []*Endpoint) []*Endpoint { return all }, "abc", 1, 1, 1)
	f("all: the least loaded again", func(all []*Endpoint) []*Endpoint {
		all[0].active.Store(1)
		return all
	}, "b", 1, 1)
	f("the only one", func(all []*Endpoint) []*Endpoint { return []*Endpoint{all[0], all[0]} }, "a", 1)
	f("an endpoint of another cluster", func(all []*Endpoint) []*Endpoint { return endpoints(newCluster(1)) }, "ab", 1, 1)
}

func TestAttemptsVisitEveryEndpointBeforeARepeat(t *testing.T) {
	t.Parallel()
	c, rnd := newCluster(1, 5, 2, 9, 1, 1), NewRand(6)
	var tried []*Endpoint
	for range endpoints(c) {
		e := pick(c, rnd, tried...)
		if slices.Contains(tried, e) {
			t.Errorf("attempt %d went to %s again", len(tried)+1, e.Name())
		}
		tried = append(tried, e)
		e.Release()
	}
}

func TestEmptyClusterGivesNil(t *testing.T) {
	t.Parallel()
	if e := pick(NewCluster("empty", nil), NewRand(1), endpoints(newCluster(1))...); e != nil {
		t.Errorf("picked %s", e.Name())
	}
}

// Workers that pick and hold at once: no count is lost, and the balance is
// exactly as if they had come one after the other.
func TestConcurrentPicksStayBalanced(t *testing.T) {
	t.Parallel()
	const workers, picks = 16, 2000
	c := newCluster(1, 2, 5, 1, 3)
	var wg sync.WaitGroup
	for seed := range uint64(workers) {
		wg.Go(func() {
			rnd := NewRand(seed)
			for range picks {
				pick(c, rnd)
			}
		})
	}
	wg.Wait()
	var sum, attempts uint64
	for e := range c.Endpoints() {
		sum += uint64(e.Active())
		attempts += e.Counters.Attempts.Load()
	}
	if sum != workers*picks || attempts != workers*picks {
		t.Errorf("%d active and %d attempts after %d picks", sum, attempts, workers*picks)
	}
	// Counts only rise here. What a pick read of the others was therefore
	// at most what they have now, and what it read of its own is what it
	// changed: it was no worse a choice than it would be now.
	checkBalance(t, c)
}

// As many picks as there are idle endpoints give each exactly one. A pick
// that acted on a count which another worker had changed meanwhile would give
// one endpoint two, and no later pick makes up for it here.
func TestConcurrentPicksNeverShareAnIdleEndpoint(t *testing.T) {
	t.Parallel()
	const workers, each, rounds = 4, 16, 1000
	for round := range uint64(rounds) {
		c := newCluster(equalWeights(workers * each)...)
		start := make(chan struct{})
		var wg sync.WaitGroup
		for worker := range uint64(workers) {
			wg.Go(func() {
				rnd := NewRand(round*workers + worker)
				<-start
				for range each {
					pick(c, rnd)
				}
			})
		}
		close(start)
		wg.Wait()
		if got, want := actives(c), slices.Repeat([]int64{1}, workers*each); !slices.Equal(got, want) {
			t.Fatalf("round %d: %v, want 1 each", round, got)
		}
	}
}

func TestConcurrentPickAndReleaseLosesNoCount(t *testing.T) {
	t.Parallel()
	const workers, rounds, held = 8, 500, 7
	c := newCluster(1, 1, 4)
	var picked atomic.Uint64
	var wg sync.WaitGroup
	for seed := range uint64(workers) {
		wg.Go(func() {
			rnd := NewRand(seed)
			for range rounds {
				var mine []*Endpoint
				for range held {
					mine = append(mine, pick(c, rnd, mine...))
					picked.Add(1)
				}
				for _, e := range mine {
					e.Release()
				}
			}
		})
	}
	wg.Wait()
	var attempts uint64
	for e := range c.Endpoints() {
		attempts += e.Counters.Attempts.Load()
		if e.Active() != 0 {
			t.Errorf("%s has %d active after all were released", e.Name(), e.Active())
		}
	}
	if attempts != picked.Load() {
		t.Errorf("%d attempts counted of %d", attempts, picked.Load())
	}
}

// panicsWithBUG fails unless do panics with a message for us.
func panicsWithBUG(t *testing.T, name string, do func()) {
	t.Helper()
	defer func() {
		if msg, _ := recover().(string); !strings.HasPrefix(msg, "BUG: ") {
			t.Errorf("%s: recovered %q, want a BUG", name, msg)
		}
	}()
	do()
}

func TestImpossibleUseIsABug(t *testing.T) {
	t.Parallel()
	tcp := Address{AddrPort: netip.MustParseAddrPort("10.0.0.1:80")}
	unix := Address{Path: "/run/a.sock"}
	f := func(name string, specs ...Spec) {
		t.Helper()
		panicsWithBUG(t, name, func() { NewCluster("test", specs) })
	}
	f("weight 0", Spec{Address: tcp})
	f("weight below 0", Spec{Address: tcp, Weight: -1})
	f("weight too large", Spec{Address: tcp, Weight: MaxWeight + 1})
	f("no address", Spec{Weight: 1})
	f("two addresses", Spec{Address: Address{tcp.AddrPort, unix.Path}, Weight: 1})
	f("a TCP address twice", Spec{Name: "a", Address: tcp, Weight: 1}, Spec{Name: "b", Address: tcp, Weight: 2})
	f("a path twice", Spec{Name: "a", Address: unix, Weight: 1}, Spec{Name: "b", Address: unix, Weight: 2})
	panicsWithBUG(t, "released without a pick", func() { endpoints(newCluster(1))[0].Release() })
}

func TestEndpointsInOrder(t *testing.T) {
	t.Parallel()
	c := NewCluster("test", []Spec{
		{Name: "b", Address: Address{AddrPort: netip.MustParseAddrPort("10.0.0.1:80")}, Weight: 2},
		{Name: "a", Address: Address{Path: "/run/a.sock"}, Weight: 1},
	})
	var got []string
	for e, s := range c.Endpoints() {
		got = append(got, fmt.Sprint(e.Name(), " ", e.Address, " ", s.Weight))
	}
	if want := []string{"b 10.0.0.1:80 2", "a unix:/run/a.sock 1"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
