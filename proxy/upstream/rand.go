package upstream

import "math/bits"

// Rand is the randomness of one worker, which is its only user: it has no
// lock. Nothing here is a secret, so it is small and fast rather than
// unpredictable: a scan of a cluster whose endpoints are all idle asks it once
// for each of them.
//
// It is SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom
// number generators", OOPSLA 2014): a counter in steps of an odd number, its
// values mixed. Every seed is as good as another.
type Rand struct {
	state uint64
}

// NewRand gives a generator; the same seed gives the same numbers.
func NewRand(seed uint64) *Rand { return &Rand{seed} }

func (r *Rand) next() uint64 {
	r.state += 0x9e3779b97f4a7c15
	return mix(r.state)
}

// below gives a number in [0, n). Multiplying takes the place of a slower
// remainder; no number is more likely than another by more than n in 2^64.
func (r *Rand) below(n uint64) uint64 {
	high, _ := bits.Mul64(r.next(), n)
	return high
}
