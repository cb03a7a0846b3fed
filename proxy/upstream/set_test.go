package upstream

import (
	"net/netip"
	"slices"
	"testing"
)

func tcp(address string) Address { return Address{AddrPort: netip.MustParseAddrPort(address)} }

func names(list []*Endpoint) (all []string) {
	for _, e := range list {
		all = append(all, e.Name())
	}
	return all
}

func TestUpdateKeepsTheEndpointsOfAddressesThatStay(t *testing.T) {
	t.Parallel()
	c := NewCluster("test", []Spec{
		{Name: "a", Address: tcp("10.0.0.1:80"), Weight: 1},
		{Name: "b", Address: tcp("10.0.0.2:80"), Weight: 1},
		{Name: "c", Address: tcp("10.0.0.3:80"), Weight: 1},
	})
	before := endpoints(c)
	before[1].SetHealth(Unhealthy)
	before[2].active.Store(7)
	added, removed := c.Update([]Spec{
		{Name: "d", Address: tcp("10.0.0.4:80"), Weight: 1},
		{Name: "renamed", Address: tcp("10.0.0.3:80"), Weight: 5, Host: "c.test"},
		{Name: "b", Address: tcp("10.0.0.2:80"), Weight: 1},
	})
	if got, want := names(added), []string{"d"}; !slices.Equal(got, want) {
		t.Errorf("added %v, want %v", got, want)
	}
	if got, want := removed, before[:1]; !slices.Equal(got, want) {
		t.Errorf("removed %v, want %v", names(got), names(want))
	}
	if !before[0].Removed() || before[1].Removed() || added[0].Removed() {
		t.Error("not exactly the removed endpoint is removed")
	}
	after := endpoints(c)
	if got, want := names(after), []string{"d", "renamed", "b"}; !slices.Equal(got, want) {
		t.Errorf("endpoints %v, want %v", got, want)
	}
	if after[1] != before[2] || after[1].Active() != 7 || after[2] != before[1] || after[2].Health() != Unhealthy {
		t.Error("an endpoint that stays lost its state")
	}
	if after[1].Host() != "c.test" || after[2].Host() != "" {
		t.Errorf("hosts %q and %q", after[1].Host(), after[2].Host())
	}
	for e, s := range c.Endpoints() {
		if e.Address == tcp("10.0.0.3:80") && s.Weight != 5 {
			t.Errorf("weight %d, want the new one", s.Weight)
		}
	}
	rnd := NewRand(1)
	for range 20 {
		if e := pick(c, rnd); e == before[0] || e == before[1] {
			t.Fatalf("picked %s, which is removed or unhealthy", e.Name())
		}
	}
	before[0].SetHealth(Unhealthy) // of a removed one: says nothing any more
	if added, removed := c.Update(nil); len(added) != 0 || len(removed) != 3 {
		t.Errorf("added %v, removed %v of everything", names(added), names(removed))
	}
	if e := pick(c, rnd); e != nil {
		t.Errorf("picked %s of none", e.Name())
	}
}

// What an endpoint must be to get connections, in every combination.
func TestServing(t *testing.T) {
	t.Parallel()
	for _, h := range []Health{Unchecked, Healthy, Unhealthy} {
		for _, s := range []State{Ready, Drain, Maint} {
			c := newCluster(1)
			e := endpoints(c)[0]
			e.SetHealth(h)
			e.SetState(s)
			want := h != Unhealthy && s == Ready
			if got := pick(c, NewRand(1)) != nil; got != want || e.Serving() != want || e.Health() != h || e.State() != s {
				t.Errorf("%v and %v: picked %t, serving %t, want %t; now %v and %v", h, s, got, e.Serving(), want, e.Health(), e.State())
			}
			if e.SetHealth(h) || e.SetState(s) {
				t.Errorf("%v and %v set again is a change", h, s)
			}
		}
	}
}

func TestWeightOfAnOperator(t *testing.T) {
	t.Parallel()
	c, rnd := newCluster(1, 1), NewRand(2)
	all := endpoints(c)
	all[1].SetWeight(3)
	for range 40 {
		pick(c, rnd)
	}
	if got, want := actives(c), []int64{10, 30}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	all[1].SetWeight(0)
	for range 20 {
		pick(c, rnd)
	}
	if got, want := actives(c), []int64{30, 30}; !slices.Equal(got, want) {
		t.Errorf("%v with the configured weight again, want %v", got, want)
	}
	panicsWithBUG(t, "weight too large", func() { all[0].SetWeight(MaxWeight + 1) })
}

// A lower group is used only when no endpoint above it can be: it is unhealthy,
// held off, full or was tried.
func TestPriorities(t *testing.T) {
	t.Parallel()
	specs := func(limit int) []Spec {
		return []Spec{
			{Name: "low", Address: tcp("10.0.0.3:80"), Weight: 9, Priority: 7},
			{Name: "a", Address: tcp("10.0.0.1:80"), Weight: 1, MaxConnections: limit},
			{Name: "b", Address: tcp("10.0.0.2:80"), Weight: 1, MaxConnections: limit},
			{Name: "middle", Address: tcp("10.0.0.4:80"), Weight: 1, Priority: 3},
		}
	}
	f := func(name string, limit int, prepare func(c *Cluster, all []*Endpoint) (tried []*Endpoint), want ...string) {
		t.Helper()
		c, rnd := NewCluster("test", specs(limit)), NewRand(3)
		tried := prepare(c, endpoints(c))
		for range 50 {
			e := pick(c, rnd, tried...)
			if !slices.Contains(want, e.Name()) {
				t.Fatalf("%s: picked %s, want one of %v", name, e.Name(), want)
			}
			if limit == 0 {
				e.Release()
			}
		}
	}
	none := []*Endpoint(nil)
	f("all can be", 0, func(*Cluster, []*Endpoint) []*Endpoint { return none }, "a", "b")
	f("one of the first is unhealthy", 0, func(_ *Cluster, all []*Endpoint) []*Endpoint {
		all[1].SetHealth(Unhealthy)
		return none
	}, "b")
	f("none of the first is ready", 0, func(_ *Cluster, all []*Endpoint) []*Endpoint {
		all[1].SetHealth(Unhealthy)
		all[2].SetState(Drain)
		return none
	}, "middle")
	f("nor of the second", 0, func(_ *Cluster, all []*Endpoint) []*Endpoint {
		all[1].SetHealth(Unhealthy)
		all[2].SetState(Drain)
		all[3].SetState(Maint)
		return none
	}, "low")
	f("the first are full", 2, func(c *Cluster, _ []*Endpoint) []*Endpoint {
		for range 4 {
			pick(c, NewRand(4))
		}
		return none
	}, "middle")
	f("the first were tried", 0, func(_ *Cluster, all []*Endpoint) []*Endpoint { return all[1:3] }, "middle")
	f("all were tried", 0, func(_ *Cluster, all []*Endpoint) []*Endpoint { return all }, "a", "b")
}
