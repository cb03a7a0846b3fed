package main

import (
	"math"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		values []float64
		want   float64
	}{
		"one":            {[]float64{3}, 3},
		"odd, unsorted":  {[]float64{9, 1, 5}, 5},
		"even, unsorted": {[]float64{4, 1, 3, 2}, 2.5},
	} {
		if got := median(c.values); got != c.want {
			t.Errorf("%s: median(%v) = %v, want %v", name, c.values, got, c.want)
		}
	}
}

func TestMedianLeavesTheOrder(t *testing.T) {
	t.Parallel()
	values := []float64{3, 1, 2}
	median(values)
	if values[0] != 3 || values[1] != 1 {
		t.Errorf("median sorted its argument: %v; rounds are compared by their place", values)
	}
}

// Rounds in which the machine was slow for both must not widen the interval.
func TestRatioIsPaired(t *testing.T) {
	t.Parallel()
	theirs := []float64{10, 40, 20, 80, 30}
	ours := make([]float64, len(theirs))
	for i, v := range theirs {
		ours[i] = v / 2
	}
	i, ok := ratioInterval(ours, theirs, 1)
	if want := (interval{0.5, 0.5, 0.5}); !ok || i != want {
		t.Errorf("ratioInterval = %v, %t, want %v", i, ok, want)
	}
}

func TestRatioInterval(t *testing.T) {
	t.Parallel()
	ones := []float64{1, 1, 1, 1, 1, 1, 1}
	values := []float64{0.8, 0.9, 0.95, 1, 1.05, 1.1, 1.2}
	i, ok := ratioInterval(values, ones, 7)
	if !ok || i.Ratio != 1 || i.Low >= 1 || i.High <= 1 || i.Low < 0.8 || i.High > 1.2 {
		t.Errorf("ratioInterval = %+v, %t: want 1 within bounds that are within the values", i, ok)
	}
	again, _ := ratioInterval(values, ones, 7)
	if again != i {
		t.Errorf("the same seed gave %+v and then %+v", i, again)
	}
}

// The interval must hold the true ratio about as often as it says. With few
// rounds a bootstrap of the median is somewhat too narrow, which the bound here
// allows for.
func TestRatioIntervalCovers(t *testing.T) {
	t.Parallel()
	const runs, rounds = 200, 11
	covered := 0
	state := uint64(1)
	noise := func() float64 { // uniform on [0.9, 1.1)
		state = state*6364136223846793005 + 1442695040888963407
		return 0.9 + 0.2*float64(state>>11)/(1<<53)
	}
	for range runs {
		ours, theirs := make([]float64, rounds), make([]float64, rounds)
		for k := range rounds {
			ours[k], theirs[k] = 0.7*noise(), noise()
		}
		if i, _ := ratioInterval(ours, theirs, 3); i.Low <= 0.7 && 0.7 <= i.High {
			covered++
		}
	}
	if covered < runs*88/100 {
		t.Errorf("%d of %d intervals hold the true ratio; 95%% were promised", covered, runs)
	}
}

func TestRatioOfNothing(t *testing.T) {
	t.Parallel()
	if i, ok := ratioInterval(nil, []float64{1}, 1); ok {
		t.Errorf("a ratio of no rounds: %+v", i)
	}
	if i, ok := ratioInterval([]float64{1}, []float64{0}, 1); ok {
		t.Errorf("a ratio to zero: %+v", i)
	}
}

func TestEnoughRounds(t *testing.T) {
	t.Parallel()
	narrow, wide := interval{1, 0.97, 1.03}, interval{1, 0.9, 1.1}
	for name, c := range map[string]struct {
		rounds int
		ratios []interval
		want   bool
	}{
		"too few, though narrow":   {fewestRounds - 1, []interval{narrow}, false},
		"few, narrow":              {fewestRounds, []interval{narrow}, true},
		"few, one wide":            {fewestRounds, []interval{narrow, wide}, false},
		"as many as there may be":  {mostRounds, []interval{wide}, true},
		"nothing to compare":       {fewestRounds, nil, true},
		"a ratio of zero is wide":  {fewestRounds, []interval{{}}, false},
		"a zero ratio at the most": {mostRounds, []interval{{}}, true},
	} {
		if got := enoughRounds(c.rounds, c.ratios); got != c.want {
			t.Errorf("%s: enoughRounds(%d, %v) = %t", name, c.rounds, c.ratios, got)
		}
	}
}

// Every duration falls into a bucket whose lowest value is at most 1/64 below.
func TestHistogramBuckets(t *testing.T) {
	t.Parallel()
	for d := time.Duration(1); d < 1<<topBit; d += d/97 + 1 {
		low := lowest(bucketOf(d))
		if low > d || float64(d-low) > float64(d)/subBuckets {
			t.Fatalf("%d ns is counted as %d ns", d, low)
		}
		if bucketOf(low) != bucketOf(d) {
			t.Fatalf("the lowest value of the bucket of %d ns is in another", d)
		}
	}
	if got := bucketOf(math.MaxInt64); got != buckets-1 {
		t.Errorf("the longest duration is in bucket %d, want the last", got)
	}
	if got := bucketOf(-1); got != 0 {
		t.Errorf("a clock that went backwards is in bucket %d", got)
	}
}

func TestHistogramQuantiles(t *testing.T) {
	t.Parallel()
	var h histogram
	if got := h.quantile(0.5); got != 0 {
		t.Errorf("median of nothing is %v", got)
	}
	for i := 1; i <= 1000; i++ {
		h.add(time.Duration(i) * time.Microsecond)
	}
	for q, want := range map[float64]time.Duration{0.5: 500, 0.9: 900, 0.99: 990, 1: 1000} {
		got, want := h.quantile(q), want*time.Microsecond
		if got > want || float64(want-got) > float64(want)/subBuckets {
			t.Errorf("quantile %v = %v, want %v or 1/64 less", q, got, want)
		}
	}
}
