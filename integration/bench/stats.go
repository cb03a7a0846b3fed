package main

import (
	"math"
	"math/rand/v2"
	"slices"
)

// When a row has had rounds enough: see [enoughRounds].
const (
	fewestRounds = 5
	mostRounds   = 15

	// narrowEnough is the half width of a ratio's interval, as a share of the
	// ratio. Identical runs on shared machines differ by 10 to 20 per cent, so
	// much less than this cannot be had in mostRounds.
	narrowEnough = 0.04
)

// resamples of one bootstrap. More would not move the second digit of the
// bounds with at most mostRounds values.
const resamples = 2000

// summary is what is shown of a figure's values over the rounds.
type summary struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// summarize describes the values, of which there must be one at least.
func summarize(values []float64) summary {
	return summary{Median: median(values), Min: slices.Min(values), Max: slices.Max(values)}
}

// median of the values, which stay in their order.
func median(values []float64) float64 {
	if len(values) == 0 {
		panic("BUG: median of nothing")
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

// interval is a ratio of two peers with its 95% bootstrap interval.
type interval struct {
	Ratio float64 `json:"ratio"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// halfWidth is half of the interval as a share of the ratio.
func (i interval) halfWidth() float64 {
	if i.Ratio == 0 {
		return math.Inf(1)
	}
	return (i.High - i.Low) / 2 / i.Ratio
}

// ratioInterval compares two peers over the rounds that both have. Values of
// one round were measured within seconds of each other and are compared with
// each other: what slows the machine down for minutes cancels out. The
// statistic is the median of the ratios of the rounds; the interval is that of
// the percentile bootstrap over rounds. The same seed gives the same bounds.
// It reports false where there is nothing to compare.
func ratioInterval(ours, theirs []float64, seed uint64) (interval, bool) {
	var ratios []float64
	for i := range min(len(ours), len(theirs)) {
		if theirs[i] > 0 && ours[i] >= 0 {
			ratios = append(ratios, ours[i]/theirs[i])
		}
	}
	if len(ratios) == 0 {
		return interval{}, false
	}
	rnd := rand.New(rand.NewPCG(seed, uint64(len(ratios))))
	medians := make([]float64, resamples)
	drawn := make([]float64, len(ratios))
	for i := range medians {
		for k := range drawn {
			drawn[k] = ratios[rnd.IntN(len(ratios))]
		}
		medians[i] = median(drawn)
	}
	slices.Sort(medians)
	tail := resamples / 40 // 2.5% on either side
	return interval{Ratio: median(ratios), Low: medians[tail], High: medians[resamples-1-tail]}, true
}

// enoughRounds says whether a row may end after so many rounds: when every
// interval is narrow enough, or when more would cost too much.
func enoughRounds(rounds int, ratios []interval) bool {
	if rounds < fewestRounds {
		return false
	}
	wide := slices.ContainsFunc(ratios, func(i interval) bool { return i.halfWidth() > narrowEnough })
	return rounds >= mostRounds || !wide
}
