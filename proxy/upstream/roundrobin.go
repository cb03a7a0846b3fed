package upstream

import (
	"container/heap"
	"time"
)

// sequenceLength is the most that a sequence may grow to. A weight is exact up
// to one part in so many; what would be less is raised to it.
const sequenceLength = 1 << 14

// next takes the candidate whose turn it is, or the one after it that can be.
func (g *group) next(turn uint64, v *view, r *Request, now time.Duration) *Endpoint {
	n := uint64(len(g.sequence))
	for i := range uint64(len(g.candidates)) {
		cand := &g.candidates[g.sequence[(turn+i)%n]]
		if !r.tried(cand.endpoint) && !cand.passesOver(r, now, v.slowStart) && cand.take() {
			return cand.endpoint
		}
	}
	return g.first(r)
}

// smoothSequence gives the candidates in the order of their turns, each as often
// as its weight says and as evenly spread as the others allow: before each turn
// every candidate has had its share of the turns before it, to within one. The
// n-th turn of a weight w is due at (n-1/2)/w; this is the order of Webster and
// Sainte-Laguë, as for least connections, and 5, 1, 1 becomes a a b a c a a.
func smoothSequence(candidates []candidate) []uint32 {
	weights := reduced(candidates)
	total := 0
	due := make(dueHeap, len(weights))
	for i, w := range weights {
		total += w
		due[i] = turnDue{index: uint32(i), weight: uint64(w), odd: 1}
	}
	sequence := make([]uint32, total)
	if total == len(weights) { // all alike
		for i := range sequence {
			sequence[i] = uint32(i)
		}
		return sequence
	}
	heap.Init(&due)
	for i := range sequence {
		sequence[i] = due[0].index
		due[0].odd += 2
		heap.Fix(&due, 0)
	}
	return sequence
}

// reduced gives the weights without their common divisor, and in proportion but
// smaller where the sequence would be too long.
func reduced(candidates []candidate) []int {
	divisor, total := int64(0), int64(0)
	for i := range candidates {
		divisor = gcd(divisor, candidates[i].weight)
		total += candidates[i].weight
	}
	limit := int64(max(sequenceLength, 4*len(candidates)))
	weights := make([]int, len(candidates))
	for i := range candidates {
		w := candidates[i].weight
		if total/divisor <= limit {
			weights[i] = int(w / divisor)
		} else {
			weights[i] = int(max(float64(w)/float64(total)*float64(limit)+0.5, 1))
		}
	}
	return weights
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// turnDue is a candidate's next turn, due at odd/(2*weight).
type turnDue struct {
	index       uint32
	odd, weight uint64
}

// dueHeap is a container/heap of turns. Of those due at the same time the
// heavier comes first, then the one that stands first.
type dueHeap []turnDue

func (h dueHeap) Len() int      { return len(h) }
func (h dueHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h dueHeap) Push(any)      { panic("BUG: a candidate is added to a sequence") }
func (h dueHeap) Pop() any      { panic("BUG: a candidate is taken out of a sequence") }
func (h dueHeap) Less(i, j int) bool {
	a, b := &h[i], &h[j]
	if x, y := a.odd*b.weight, b.odd*a.weight; x != y {
		return x < y
	}
	if a.weight != b.weight {
		return a.weight > b.weight
	}
	return a.index < b.index
}
