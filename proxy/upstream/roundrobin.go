package upstream

import (
	"container/heap"
	"slices"
	"sync/atomic"
	"time"
)

// sequenceLength is the most that a sequence may grow to. A weight is exact up
// to one part in so many; what would be less is raised to it.
const sequenceLength = 1 << 14

// next takes the candidate whose turn it is. One that cannot be, or that is in
// slow start and gives away a part of its turns, loses it: then it is another turn,
// so that the others share what it leaves as they share everything else. Where it
// would have very many in a row, chance shares them out.
func (g *group) next(turn *atomic.Uint64, v *view, r *Request, now time.Duration) *Endpoint {
	n := uint64(len(g.sequence))
	for range maxLostTurns {
		cand := &g.candidates[g.sequence[(turn.Add(1)-1)%n]]
		if v.warmUntil != 0 && cand.passesOver(r, now, v.slowStart) {
			continue
		}
		if !r.tried(cand.endpoint) && cand.take() {
			return cand.endpoint
		}
	}
	for {
		i := g.byChance(v, r, now, noCandidate)
		if i == noCandidate {
			return nil
		}
		if cand := &g.candidates[i]; cand.take() {
			return cand.endpoint
		}
	}
}

// maxLostTurns ends the search for a turn that is not lost. It is enough to come
// to one that begins its slow start in 98 of 100 cases, when all do.
const maxLostTurns = 4 * leastWarm

// smoothSequence gives the candidates in the order of their turns: each as often
// as its weight says, and at every point less than one turn away from its share
// of the turns so far: at most 1-1/(2k-2) of k candidates, which is the best that
// can be (R. Tijdeman, "The chairman assignment problem", Discrete Mathematics 32,
// 1980). For that nobody has a turn before it is owed 1/(2k-2) of one, and of
// those that are, the one has it who would be the first to be owed too much.
func smoothSequence(candidates []candidate) []uint32 {
	weights, total := reduced(candidates)
	sequence := make([]uint32, total)
	if total == len(weights) { // all alike
		for i := range sequence {
			sequence[i] = uint32(i)
		}
		return sequence
	}
	// from[t] is a list, linked by next, of those whose turn may come from t on.
	const end = -1
	parts := 2*len(weights) - 2 // of a turn
	from, next := slices.Repeat([]int{end}, total+1), make([]int, len(weights))
	taken, due := make([]int, len(weights)), dueHeap{weights: weights, latest: make([]int, len(weights))}
	await := func(i, earliest int) {
		if taken[i] < weights[i] {
			t := max(ceil((taken[i]*parts+1)*total, parts*weights[i])-1, earliest)
			next[i], from[t] = from[t], i
		}
	}
	for i := range weights {
		await(i, 0)
	}
	for t := range sequence {
		for i := from[t]; i != end; i = next[i] {
			due.latest[i] = ((taken[i]+1)*parts - 1) * total / (parts * weights[i])
			heap.Push(&due, i)
		}
		i := heap.Pop(&due).(int)
		sequence[t] = uint32(i)
		taken[i]++
		await(i, t+1)
	}
	return sequence
}

func ceil(a, b int) int { return (a + b - 1) / b }

// reduced gives the weights without their common divisor, and in proportion but
// smaller where the sequence would be too long.
func reduced(candidates []candidate) (weights []int, total int) {
	divisor, sum := int64(0), int64(0)
	for i := range candidates {
		divisor = gcd(divisor, candidates[i].weight)
		sum += candidates[i].weight
	}
	limit := int64(max(sequenceLength, 4*len(candidates)))
	weights = make([]int, len(candidates))
	for i := range candidates {
		w := candidates[i].weight
		if sum/divisor <= limit {
			weights[i] = int(w / divisor)
		} else {
			weights[i] = int(max(float64(w)/float64(sum)*float64(limit)+0.5, 1))
		}
		total += weights[i]
	}
	return weights, total
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// dueHeap is a container/heap of candidates whose turn it may be, the one on top
// whose turn may not come much later. Of equals the heavier comes first, then the
// one that stands first.
type dueHeap struct {
	order           []int
	weights, latest []int
}

func (h *dueHeap) Len() int      { return len(h.order) }
func (h *dueHeap) Swap(i, j int) { h.order[i], h.order[j] = h.order[j], h.order[i] }
func (h *dueHeap) Push(x any)    { h.order = append(h.order, x.(int)) }

func (h *dueHeap) Pop() any {
	last := len(h.order) - 1
	x := h.order[last]
	h.order = h.order[:last]
	return x
}

func (h *dueHeap) Less(i, j int) bool {
	a, b := h.order[i], h.order[j]
	if h.latest[a] != h.latest[b] {
		return h.latest[a] < h.latest[b]
	}
	if h.weights[a] != h.weights[b] {
		return h.weights[a] > h.weights[b]
	}
	return a < b
}
