package upstream

import (
	"math"
	"testing"
)

func TestSplitFollowsTheWeights(t *testing.T) {
	t.Parallel()
	const picks = 50_000
	f := func(name string, weights ...int) {
		t.Helper()
		var choices []Choice
		total := 0.0
		for _, w := range weights {
			choices = append(choices, Choice{newCluster(), w})
			total += float64(w)
		}
		s, rnd := NewSplit(choices...), NewRand(7)
		counts := map[int]int{}
		for range picks {
			counts[s.Pick(rnd, NoKey)]++
		}
		for i, c := range choices {
			p := float64(c.Weight) / total
			want, deviation := picks*p, math.Sqrt(picks*p*(1-p))
			if got := float64(counts[i]); math.Abs(got-want) > 5*deviation {
				t.Errorf("%s: choice %d was picked %.0f times, want %.0f ± %.0f", name, i, got, want, deviation)
			}
		}
	}
	f("one", 1)
	f("halves", 1, 1)
	f("a canary", 95, 5)
	f("three", 1, 2, 7)
	f("the largest", MaxWeight, MaxWeight, MaxWeight, MaxWeight)
}

func TestSplitTakesEveryNumberToItsCluster(t *testing.T) {
	t.Parallel()
	s, rnd := NewSplit(Choice{newCluster(), 1}, Choice{newCluster(), MaxWeight}), NewRand(8)
	for range 1000 {
		if i := s.Pick(rnd, NoKey); i != 0 && i != 1 {
			t.Fatalf("picked %d", i)
		}
	}
}

func TestImpossibleSplitIsABug(t *testing.T) {
	t.Parallel()
	panicsWithBUG(t, "no cluster", func() { NewSplit() })
	panicsWithBUG(t, "weight 0", func() { NewSplit(Choice{newCluster(), 0}) })
	panicsWithBUG(t, "weight too large", func() { NewSplit(Choice{newCluster(), MaxWeight + 1}) })
}
