package upstream

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// describe writes a list of candidates as "name rank why", a line each.
func describe(list []Candidate) string {
	var b strings.Builder
	for _, cand := range list {
		fmt.Fprintf(&b, "%s %d %s\n", cand.Endpoint.Name(), cand.Rank, cand.Why)
	}
	return b.String()
}

func TestCandidates(t *testing.T) {
	t.Parallel()
	hold := func(c *Cluster, name string, n int) {
		for e := range c.Endpoints() {
			if e.Name() == name {
				e.active.Add(int64(n))
			}
		}
	}
	f := func(name string, c *Cluster, key Key, refusal Refusal, want ...string) {
		t.Helper()
		list, got := c.Candidates(key)
		text := ""
		for _, line := range want {
			text += line + "\n"
		}
		if describe(list) != text {
			t.Errorf("%s:\n%swant\n%s", name, describe(list), text)
		}
		if got != refusal {
			t.Errorf("%s: refusal %v, want %v", name, got, refusal)
		}
	}

	c := newCluster(1, 2, 1, 1)
	hold(c, "a", 2)
	hold(c, "b", 2)
	hold(c, "d", 3)
	f("least connections", c, NoKey, Granted,
		"c 1 ", "b 2 with one more it has more for its weight: 2 now, weight 2",
		"a 3 with one more it has more for its weight: 2 now, weight 1",
		"d 4 with one more it has more for its weight: 3 now, weight 1")
	f("equals are equally likely", newCluster(1, 1), NoKey, Granted, "a 1 ", "b 1 ")

	c = configured(newCluster(1, 5, 1), Options{Policy: RoundRobin})
	f("round robin", c, NoKey, Granted, "a 1 ", "b 1 ", "c 1 ")
	c = configured(newCluster(1, 1, 1), Options{Policy: Random})
	f("random", c, NoKey, Granted, "a 1 ", "b 1 ", "c 1 ")
	hold(c, "a", 1)
	f("random, one more loaded than every other", c, NoKey, Granted,
		"b 1 ", "c 1 ", "a 2 with one more it has more for its weight: 1 now, weight 1")

	c = configured(newCluster(1, 1, 1), Options{Policy: First})
	specs := []Spec{}
	for _, s := range c.Endpoints() {
		specs = append(specs, s)
	}
	specs[0].MaxConnections = 1
	c.Update(specs)
	hold(c, "a", 1)
	f("first", c, NoKey, Granted, "b 1 ", "c 2 it is written after others that are not full",
		"a 0 it has all the connections that it may have, 1")

	c = configured(newCluster(1, 1), Options{Policy: Maglev})
	f("maglev without a key", c, NoKey, Granted, "a 1 ", "b 1 ")
	f("maglev", c, 8, Granted, "a 1 ", "b 2 another comes first for this key")

	specs[1].Priority = 1
	specs[2].Priority = 1
	c = NewCluster("priorities", specs)
	f("priorities", c, NoKey, Granted, "a 1 ",
		"b 2 it has a lower priority: it is for when none of a higher one can be had",
		"c 2 it has a lower priority: it is for when none of a higher one can be had")
	hold(c, "a", 1)
	f("the first priority is full", c, NoKey, Granted, "b 1 ", "c 1 ", "a 0 it has all the connections that it may have, 1")

	c = newCluster(1, 1, 1, 1, 1)
	all := endpoints(c)
	all[0].SetHealth(Unhealthy)
	all[1].SetState(Drain)
	all[2].SetState(Maint)
	c.mu.Lock()
	all[3].setEjectedLocked(true)
	c.mu.Unlock()
	f("one serves", c, NoKey, Granted, "e 1 ", "a 0 its health checks fail", "b 0 an operator drains it",
		"c 0 an operator has it in maintenance", "d 0 it is ejected for failures that connections met with")
	all[4].SetState(Drain)
	f("an ejection is for as long as others serve", c, NoKey, Granted, "d 1 ", "a 0 its health checks fail",
		"b 0 an operator drains it", "c 0 an operator has it in maintenance", "e 0 an operator drains it")
	all[3].SetHealth(Unhealthy)
	f("none serves", c, NoKey, NoneServing, "a 0 its health checks fail", "b 0 an operator drains it",
		"c 0 an operator has it in maintenance", "d 0 its health checks fail", "e 0 an operator drains it")
	f("none there", NewCluster("none", nil), NoKey, NoEndpoints)

	c = configured(newCluster(1), Options{MaxConnections: 1})
	c.Admit()
	f("the cluster is full", c, NoKey, Full, "a 1 ")
}

// TestCandidatesAreWhatPickTakes holds, over random clusters, that connections
// which find one endpoint after the other dead are given them by rank: none
// before another of a lower rank, all that have a rank, and no other.
func TestCandidatesAreWhatPickTakes(t *testing.T) {
	t.Parallel()
	for seed := range uint64(500) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		c := randomCluster(rnd)
		key := Key(rnd.IntN(3) * rnd.IntN(1000))
		list, refusal := c.Candidates(key)
		before := actives(c)
		if again, _ := c.Candidates(key); describe(again) != describe(list) || !slices.Equal(actives(c), before) {
			t.Fatalf("seed %d: to look has changed something", seed)
		}
		ranks := make(map[*Endpoint]int)
		ranked := 0
		for _, cand := range list {
			ranks[cand.Endpoint] = cand.Rank
			if cand.Rank > 0 {
				ranked++
			}
		}
		r := Request{Rand: NewRand(seed), Key: key, Strict: true}
		last := 0
		for {
			e, refused := c.Pick(&r)
			if e == nil {
				if len(r.Tried) == 0 && refused != refusal {
					t.Fatalf("seed %d: refused for %v, and the candidates say %v", seed, refused, refusal)
				}
				break
			}
			if len(r.Tried) == 0 && ranks[e] != 1 || ranks[e] < last {
				t.Fatalf("seed %d: %v is given %s after rank %d:\n%s", seed, c.options.Load().Policy, e.Name(), last, describe(list))
			}
			last = ranks[e]
			r.Tried = append(r.Tried, e)
			e.Release()
		}
		if len(r.Tried) != ranked {
			t.Fatalf("seed %d: %d were given, %d have a rank:\n%s", seed, len(r.Tried), ranked, describe(list))
		}
	}
}

// randomCluster has up to eight endpoints with whatever an endpoint can have.
func randomCluster(rnd *rand.Rand) *Cluster {
	weights := make([]int, rnd.IntN(8))
	for i := range weights {
		weights[i] = 1 + rnd.IntN(3)
	}
	c := newCluster(weights...)
	var specs []Spec
	for _, s := range c.Endpoints() {
		s.Priority, s.MaxConnections = rnd.IntN(2), rnd.IntN(4)
		specs = append(specs, s)
	}
	c.Update(specs)
	c.Configure(Options{
		Policy: Policy(rnd.IntN(5)), PanicThreshold: rnd.IntN(2) * rnd.IntN(100), SlowStart: time.Duration(rnd.IntN(2)) * time.Hour,
	})
	for e := range c.Endpoints() {
		e.active.Add(int64(rnd.IntN(4)))
		switch rnd.IntN(8) {
		case 0:
			e.SetHealth(Unhealthy)
		case 1:
			e.SetState(State(rnd.IntN(3)))
		case 2:
			e.SetWeight(1 + rnd.IntN(5))
		case 4:
			c.mu.Lock()
			e.setEjectedLocked(true)
			c.mu.Unlock()
		case 3: // it comes back, and starts slowly
			e.SetHealth(Unhealthy)
			e.SetHealth(Healthy)
		}
	}
	return c
}

func BenchmarkCandidates(b *testing.B) {
	c := newCluster(equalWeights(1000)...)
	b.ReportAllocs()
	for b.Loop() {
		c.Candidates(NoKey)
	}
}
