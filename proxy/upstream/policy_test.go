package upstream

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// turns picks n times, without holding the connections, and gives the names.
func turns(c *Cluster, n int) string {
	var b strings.Builder
	rnd := NewRand(1)
	for range n {
		e := pick(c, rnd)
		b.WriteString(e.Name())
		e.Release()
	}
	return b.String()
}

func TestRoundRobinTakesTurns(t *testing.T) {
	t.Parallel()
	f := func(want string, weights ...int) {
		t.Helper()
		c := configured(newCluster(weights...), Options{Policy: RoundRobin})
		if got := turns(c, len(want)); got != want {
			t.Errorf("weights %v: %s, want %s", weights, got, want)
		}
	}
	f("aaa", 7)
	f("abcabc", 1, 1, 1)
	f("abcabc", 20, 20, 20)
	f("aabaacaaabaaca", 5, 1, 1)
	f("babbab", 1, 2)
	f("abacadabacad", 3, 1, 1, 1)
}

// At every point of a round each has had its share of the turns so far, to
// within 1-1/(2k-2) of a turn, and at its end exactly that.
func TestRoundRobinIsSmooth(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		candidates := make([]candidate, 1+rnd.IntN(20))
		total := int64(0)
		for i := range candidates {
			candidates[i].weight = int64(1+rnd.IntN(1+rnd.IntN(300))) * weightUnit
			total += candidates[i].weight
		}
		sequence, taken := smoothSequence(candidates), make([]int64, len(candidates))
		for n, i := range sequence {
			taken[i]++
			for i, cand := range candidates {
				parts := max(2*int64(len(candidates))-2, 1)
				if off := taken[i]*total - int64(n+1)*cand.weight; max(off, -off)*parts > total*(parts-1) {
					t.Fatalf("weights %v: after %d turns number %d has had %d", candidates, n+1, i, taken[i])
				}
			}
		}
		for i, cand := range candidates {
			if taken[i]*total != int64(len(sequence))*cand.weight {
				t.Fatalf("weights %v: number %d has %d of %d turns", candidates, i, taken[i], len(sequence))
			}
		}
	}
}

// Weights whose round would be too long are rounded, none to nothing.
func TestRoundRobinOfHugeWeights(t *testing.T) {
	t.Parallel()
	f := func(most int, weights ...int) {
		t.Helper()
		candidates, total := make([]candidate, len(weights)), 0
		for i, w := range weights {
			candidates[i].weight = int64(w) * weightUnit
			total += w
		}
		sequence, taken := smoothSequence(candidates), make([]int, len(weights))
		for _, i := range sequence {
			taken[i]++
		}
		if len(sequence) > most {
			t.Errorf("%v: a round of %d turns", weights[:2], len(sequence))
		}
		for i, w := range weights {
			want := float64(len(sequence)) * float64(w) / float64(total)
			if off := math.Abs(float64(taken[i]) - want); taken[i] == 0 || off > float64(len(weights)) {
				t.Fatalf("%v: number %d has %d turns of %d, want %.2f", weights[:2], i, taken[i], len(sequence), want)
			}
		}
	}
	f(sequenceLength+1, MaxWeight, MaxWeight-1)
	f(sequenceLength+2, MaxWeight, 1, 1)
	many := make([]int, 5000)
	for i := range many {
		many[i] = 1000 + i
	}
	f(5*len(many), many...)
}

func TestRoundRobinPassesOverWhatCannotBe(t *testing.T) {
	t.Parallel()
	c := configured(newCluster(1, 1, 1, 1), Options{Policy: RoundRobin})
	all := endpoints(c)
	all[2].SetHealth(Unhealthy)
	if got := turns(c, 6); got != "abdabd" {
		t.Errorf("%s, want abdabd", got)
	}
	rnd := NewRand(1)
	if e := pick(c, rnd, all[0]); e == all[0] {
		t.Error("a tried one was picked")
	}
	if e := pick(c, rnd, all...); e == nil {
		t.Error("nothing was picked when all were tried")
	}
}

// The turns of one that cannot be go to the others according to their weights, not
// to the one that happens to come next.
func TestRoundRobinSharesOutTurns(t *testing.T) {
	t.Parallel()
	const n = 6000
	for _, weights := range [][]int{{1, 1, 1}, {2, 1, 1}, {50, 1, 4}, {4, 50, 1}, {10_000, 1, 1}, {1, 2, 3, 4, 5}} {
		for _, why := range []string{"full", "tried"} {
			c := configured(newCluster(weights...), Options{Policy: RoundRobin})
			all, rnd, r := endpoints(c), NewRand(1), Request{}
			if r.Rand = rnd; why == "tried" {
				r.Tried = all[:1]
			} else {
				specs := specsOf(c)
				specs[0].MaxConnections = 1
				c.Update(specs)
				all[0].active.Store(1)
			}
			counts, p, total := make([]int, len(all)), make([]float64, len(all)), 0
			for _, w := range weights[1:] {
				total += w
			}
			for range n {
				e, _ := c.Pick(&r)
				counts[slices.Index(all, e)]++
			}
			for i, w := range weights[1:] {
				p[i+1] = float64(w) / float64(total)
			}
			checkShares(t, fmt.Sprintf("%v, the first is %s", weights, why), n, counts, p)
		}
	}
}

// Workers share the turns: whoever picks, each has its share of all.
func TestRoundRobinOfManyWorkers(t *testing.T) {
	t.Parallel()
	c := configured(newCluster(3, 1, 2), Options{Policy: RoundRobin})
	var wg sync.WaitGroup
	for seed := range uint64(8) {
		wg.Go(func() {
			rnd := NewRand(seed)
			for range 600 {
				pick(c, rnd)
			}
		})
	}
	wg.Wait()
	if got, want := actives(c), []int64{2400, 800, 1600}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// shares picks without holding, and checks each share against p within five
// standard deviations.
func checkShares(t *testing.T, name string, n int, counts []int, p []float64) {
	t.Helper()
	for i := range p {
		want, deviation := float64(n)*p[i], math.Sqrt(float64(n)*p[i]*(1-p[i]))
		if math.Abs(float64(counts[i])-want) > 5*deviation+1e-9 {
			t.Errorf("%s: number %d was picked %d times, want %.0f ± %.0f", name, i, counts[i], want, 5*deviation)
		}
	}
}

// Two different ones are drawn by weight, one after the other, and the better of
// them wins: the chance of each can be written down.
func TestRandomIsTheBetterOfTwoDrawnByWeight(t *testing.T) {
	t.Parallel()
	const n = 40_000
	f := func(name string, weights []int, active []int64) {
		t.Helper()
		c, rnd := configured(newCluster(weights...), Options{Policy: Random}), NewRand(7)
		all, total := endpoints(c), 0.0
		for i, e := range all {
			e.active.Store(active[i])
			total += float64(weights[i])
		}
		p := make([]float64, len(all))
		for i := range all {
			for j := range all {
				if i == j {
					continue
				}
				both := float64(weights[i]) / total * float64(weights[j]) / (total - float64(weights[i]))
				winner := i
				if (2*active[j]+1)*int64(weights[i]) < (2*active[i]+1)*int64(weights[j]) {
					winner = j
				}
				p[winner] += both
			}
		}
		if len(all) == 1 {
			p[0] = 1
		}
		counts := make([]int, len(all))
		for range n {
			e := pick(c, rnd)
			counts[slices.Index(all, e)]++
			e.Release()
		}
		checkShares(t, name, n, counts, p)
	}
	f("one", []int{3}, []int64{0})
	f("two, one busy: never that one", []int{1, 1}, []int64{5, 4})
	f("equal and idle", []int{1, 1, 1, 1, 1}, []int64{0, 0, 0, 0, 0})
	f("the busiest never", []int{1, 1, 1, 1}, []int64{3, 2, 1, 0})
	f("weights, idle", []int{1, 2, 5}, []int64{0, 0, 0})
	f("weights, equal load", []int{1, 2, 5}, []int64{2, 4, 12})
	f("one far heavier", []int{1000, 1}, []int64{0, 5})
}

// Held connections come to be in proportion to the weights of those that can be.
func TestRandomAmongWhatCanBe(t *testing.T) {
	t.Parallel()
	const n = 6000
	c, rnd := configured(newCluster(1, 50, 2, 100, 3), Options{Policy: Random}), NewRand(8)
	all := endpoints(c)
	for range n {
		pick(c, rnd, all[1], all[3])
	}
	for i, want := range []int64{n / 6, 0, n / 3, 0, n / 2} {
		if got := all[i].Active(); got < want-n/50 || got > want+n/50 {
			t.Errorf("number %d has %d connections, want about %d", i, got, want)
		}
	}
	if e := pick(c, rnd, all...); e == nil {
		t.Error("nothing was picked when all were tried")
	}
}

func TestFirstFillsTheFirst(t *testing.T) {
	t.Parallel()
	c := NewCluster("test", []Spec{
		{Name: "a", Address: tcp("10.0.0.1:80"), Weight: 1, MaxConnections: 2},
		{Name: "b", Address: tcp("10.0.0.2:80"), Weight: 9, MaxConnections: 1},
		{Name: "c", Address: tcp("10.0.0.3:80"), Weight: 1},
	})
	c.Configure(Options{Policy: First})
	rnd, got := NewRand(1), ""
	for range 5 {
		got += pick(c, rnd).Name()
	}
	endpoints(c)[0].Release()
	got += pick(c, rnd).Name()
	got += pick(c, rnd, endpoints(c)[2]).Name() // all others are full
	if want := "aabccac"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// choices gives the endpoint's name for each of n keys.
func choices(c *Cluster, n int) []string {
	list, rnd := make([]string, n), NewRand(1)
	for i := range list {
		e, _ := c.Pick(&Request{Rand: rnd, Key: KeyOf(fmt.Appendf(nil, "client %d", i))})
		list[i] = e.Name()
		e.Release()
	}
	return list
}

func moved(a, b []string) (n int) {
	for i := range a {
		if a[i] != b[i] {
			n++
		}
	}
	return n
}

func maglevCluster(names string, weights ...int) *Cluster {
	var specs []Spec
	for i, name := range names {
		w := 1
		if len(weights) > 0 {
			w = weights[i]
		}
		addr := netip.AddrFrom4([4]byte{10, 1, 0, byte(name)}) // of the name, not of its place
		specs = append(specs, Spec{Name: string(name), Address: Address{AddrPort: netip.AddrPortFrom(addr, 443)}, Weight: w})
	}
	return configured(NewCluster("test", specs), Options{Policy: Maglev})
}

// What maglev chooses is the same in every process and version: these were
// written down once.
func TestMaglevIsTheSameAfterARestart(t *testing.T) {
	t.Parallel()
	got := strings.Join(choices(maglevCluster("abcdefghij"), 40), "")
	if want := "dafiijcijfjifejfccdfbhhjacfbgefdeddbcbhh"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if again := strings.Join(choices(maglevCluster("abcdefghij"), 40), ""); again != got {
		t.Error("two clusters alike choose differently")
	}
	for _, a := range []string{"192.0.2.1", "2001:db8::1"} {
		if KeyOfAddress(netip.MustParseAddr(a)) != KeyOfAddress(netip.AddrFrom16(netip.MustParseAddr(a).As16()).WithZone("")) {
			t.Errorf("%s has two keys", a)
		}
	}
}

func TestMaglevMovesLittle(t *testing.T) {
	t.Parallel()
	const n = 20_000
	before := choices(maglevCluster("abcdefghij"), n)
	f := func(name string, after []string, least, most float64) {
		t.Helper()
		if part := float64(moved(before, after)) / n; part < least || part > most {
			t.Errorf("%s moves %.2f%% of the keys, want %.1f%% to %.1f%%", name, 100*part, 100*least, 100*most)
		}
	}
	f("another order", choices(maglevCluster("abcdefghij"), n), 0, 0)
	f("removing the first of ten", choices(maglevCluster("bcdefghij"), n), .09, .15)
	f("removing the last of ten", choices(maglevCluster("abcdefghi"), n), .09, .15)
	f("an eleventh", choices(maglevCluster("abcdefghijk"), n), .08, .15)
	f("twice the weight of one", choices(maglevCluster("abcdefghij", 1, 1, 1, 2, 1, 1, 1, 1, 1, 1), n), .07, .16)

	// One that cannot serve loses its own keys, and nobody else any.
	c := maglevCluster("abcdefghij")
	endpoints(c)[3].SetHealth(Unhealthy)
	after := choices(c, n)
	for i := range before {
		if after[i] == "d" || before[i] != "d" && after[i] != before[i] {
			t.Fatalf("key %d went from %s to %s while d is unhealthy", i, before[i], after[i])
		}
	}
	endpoints(c)[3].SetHealth(Healthy)
	if n := moved(before, choices(c, n)); n != 0 {
		t.Errorf("%d keys did not come back to where they were", n)
	}
	// Most of them unhealthy: still always the same.
	for _, e := range endpoints(c)[:9] {
		e.SetHealth(Unhealthy)
	}
	for _, name := range choices(c, 100) {
		if name != "j" {
			t.Fatalf("picked %s, the only one that serves is j", name)
		}
	}
}

func TestMaglevFollowsTheWeights(t *testing.T) {
	t.Parallel()
	const n = 30_000
	weights := []int{1, 2, 5, 12}
	counts := map[string]int{}
	for _, name := range choices(maglevCluster("abcd", weights...), n) {
		counts[name]++
	}
	checkShares(t, "keys", n, []int{counts["a"], counts["b"], counts["c"], counts["d"]}, []float64{.05, .1, .25, .6})

	// The table itself is exact but for the last round.
	list := make([]maglevMember, len(weights))
	for i, w := range weights {
		list[i] = maglevMember{hash: mix(uint64(i + 1)), weight: int64(w)}
	}
	entries := make([]int, len(weights))
	for _, i := range newMaglev(list).table {
		entries[i]++
	}
	for i, w := range weights {
		if want := maglevSmall * w / 20; entries[i] < want-2 || entries[i] > want+2 {
			t.Errorf("weight %d has %d of %d entries, want %d", w, entries[i], maglevSmall, want)
		}
	}
}

// Connections without a key are spread by chance; what was tried or is full is
// passed over, in the same way every time.
func TestMaglevWithoutKeyAndWithoutItsOwn(t *testing.T) {
	t.Parallel()
	c, rnd := maglevCluster("abcd"), NewRand(9)
	all := endpoints(c)
	counts := make([]int, 4)
	for range 8000 {
		counts[slices.Index(all, pick(c, rnd))]++
	}
	checkShares(t, "no key", 8000, counts, []float64{.25, .25, .25, .25})
	for i := range 200 {
		r := Request{Rand: rnd, Key: Key(i + 1)}
		var tried []*Endpoint
		for range all {
			e, _ := c.Pick(&r)
			again, _ := c.Pick(&r)
			if e != again || slices.Contains(tried, e) {
				t.Fatalf("key %d, tried %v: %s, then %s", i, names(tried), e.Name(), again.Name())
			}
			tried = append(tried, e)
			r.Tried = tried
		}
	}
}

// Many members have a bigger table, in which each still has its share.
func TestMaglevOfAThousand(t *testing.T) {
	t.Parallel()
	list := make([]maglevMember, 1000)
	for i := range list {
		list[i] = maglevMember{hash: mix(uint64(i + 1)), weight: 1}
	}
	m := newMaglev(list)
	entries := make([]int, len(list))
	for _, i := range m.table {
		entries[i]++
	}
	if least, most := slices.Min(entries), slices.Max(entries); len(m.table) != maglevLarge || most-least > 1 {
		t.Errorf("a table of %d has %d to %d entries for each", len(m.table), least, most)
	}
}

func TestSlowStart(t *testing.T) {
	t.Parallel()
	for _, p := range []Policy{LeastConnections, RoundRobin, Random} {
		synctest.Test(t, func(t *testing.T) {
			c, rnd := configured(newCluster(1, 1), Options{Policy: p, SlowStart: 10 * time.Second}), NewRand(3)
			all := endpoints(c)
			share := func(what string, want float64) {
				t.Helper()
				const n = 3000
				got := 0
				for range n {
					if pick(c, rnd) == all[1] {
						got++
					}
				}
				for _, e := range all {
					e.active.Store(0)
				}
				if part := float64(got) / n; math.Abs(part-want) > .03 {
					t.Errorf("%v, %s: a share of %.3f, want %.3f", p, what, part, want)
				}
			}
			share("at the start of the cluster", .5)
			all[1].SetHealth(Unhealthy)
			time.Sleep(time.Minute)
			all[1].SetHealth(Healthy)
			share("at once", .1/1.1)
			time.Sleep(5 * time.Second)
			share("half way", .5/1.5)
			all[1].SetState(Drain) // begins anew
			all[1].SetState(Ready)
			time.Sleep(2500 * time.Millisecond)
			share("a quarter of the way again", .25/1.25)
			time.Sleep(10 * time.Second)
			share("at the end", .5)
			if v := c.view.Load(); v.warmUntil != 0 {
				t.Errorf("%v: picks still look at the clock", p)
			}
			added, _ := c.Update(append(specsOf(c), Spec{Name: "new", Address: tcp("10.9.9.9:80"), Weight: 1}))
			if added[0].warming == 0 || all[0].warming != 0 {
				t.Errorf("%v: a new endpoint is not warming, or an old one is", p)
			}
		})
	}
}

func specsOf(c *Cluster) (list []Spec) {
	for _, s := range c.Endpoints() {
		list = append(list, s)
	}
	return list
}

// Held connections of a random cluster settle where its less loaded of two says:
// in proportion to the weights at that time.
func TestSlowStartOfRandom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, rnd := configured(newCluster(1, 1), Options{Policy: Random, SlowStart: 10 * time.Second}), NewRand(3)
		all := endpoints(c)
		all[1].SetHealth(Unhealthy)
		all[1].SetHealth(Healthy)
		time.Sleep(5 * time.Second)
		for range 3000 {
			pick(c, rnd)
		}
		if part := float64(all[1].Active()) / 3000; math.Abs(part-1.0/3) > .02 {
			t.Errorf("half way its share of held connections is %.3f, want a third", part)
		}
	})
}

func TestPanicThreshold(t *testing.T) {
	t.Parallel()
	f := func(name string, threshold int, unhealthy string, want string) {
		t.Helper()
		var specs []Spec
		for i, n := range "abcdvw" { // v and w are the second choice
			specs = append(specs, Spec{Name: string(n), Address: tcp(fmt.Sprintf("10.0.0.%d:80", i+1)), Weight: 1, Priority: i / 4})
		}
		c := configured(NewCluster("test", specs), Options{PanicThreshold: threshold})
		for _, e := range endpoints(c) {
			if strings.Contains(unhealthy, e.Name()) {
				e.SetHealth(Unhealthy)
			}
		}
		got := map[string]bool{}
		rnd := NewRand(4)
		for range 60 {
			if e, refusal := c.Pick(&Request{Rand: rnd}); e != nil {
				got[e.Name()] = true
				e.Release()
			} else if refusal != NoneServing {
				t.Errorf("%s: refused with %d", name, refusal)
			}
		}
		all := ""
		for _, n := range "abcdvw" {
			if got[string(n)] {
				all += string(n)
			}
		}
		if all != want {
			t.Errorf("%s: picked %q, want %q", name, all, want)
		}
	}
	f("off, one is left", 0, "abc", "d")
	f("off, the lower group", 0, "abcd", "vw")
	f("off, none is left", 0, "abcdvw", "")
	f("half is enough", 50, "ab", "cd")
	f("less than half", 50, "abc", "abcd")
	f("none of the group: the next one, which is well", 50, "abcd", "vw")
	f("of the next one half", 51, "abcdv", "vw")
	f("none at all: the first group again", 1, "abcdvw", "abcd")
	f("all are well", 100, "", "abcd")
}

// What an operator has taken out is not put back by panic.
func TestPanicLeavesOutWhatIsNotReady(t *testing.T) {
	t.Parallel()
	c := configured(newCluster(1, 1, 1), Options{PanicThreshold: 100})
	all := endpoints(c)
	all[0].SetState(Maint)
	all[1].SetHealth(Unhealthy)
	if all[0].Offered() || !all[1].Offered() || !all[2].Offered() {
		t.Error("Offered is not what picks choose among")
	}
	got := turns(configured(c, Options{PanicThreshold: 100, Policy: RoundRobin}), 4)
	if got != "bcbc" {
		t.Errorf("%s, want bcbc", got)
	}
}
