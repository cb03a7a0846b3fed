package upstream

// Choice is one alternative of a [Split].
type Choice struct {
	Cluster *Cluster
	Weight  int // 1 to MaxWeight
}

// Split chooses among the weighted clusters of a route. It never changes and
// may be used by any goroutine.
type Split struct {
	choices []Choice
	hashes  []uint64 // of the clusters' names
	total   uint64
}

// NewSplit takes at least one choice and copies them. Without one, or with a
// weight that a checked configuration cannot contain, it panics.
func NewSplit(choices ...Choice) *Split {
	if len(choices) == 0 {
		panic("BUG: a route leads to no cluster")
	}
	s := &Split{choices: append([]Choice(nil), choices...)}
	for _, c := range choices {
		checkWeight(c.Weight)
		s.total += uint64(c.Weight)
		s.hashes = append(s.hashes, hashBytes(c.Cluster.Name))
	}
	return s
}

// Pick gives the number of a choice, each with a chance of its weight among
// all: the same one for the same key whenever weights and clusters are the same,
// by chance for NoKey. When weights change, only keys that go to a cluster whose
// share grows move. It does not allocate.
func (s *Split) Pick(rnd *Rand, key Key) int {
	switch {
	case len(s.choices) == 1:
		return 0
	case key != NoKey:
		return s.pickFor(key)
	}
	n := rnd.below(s.total)
	for i, c := range s.choices {
		if n < uint64(c.Weight) {
			return i
		}
		n -= uint64(c.Weight)
	}
	panic("BUG: a number below the total weight belongs to no cluster")
}

// Shares gives, for each choice, which part of the connections with that key
// [Split.Pick] gives it: 0 to 1, and 1 for one of them where the key decides.
func (s *Split) Shares(key Key) []float64 {
	shares := make([]float64, len(s.choices))
	if len(s.choices) == 1 || key != NoKey {
		shares[s.Pick(nil, key)] = 1
		return shares
	}
	for i, c := range s.choices {
		shares[i] = float64(c.Weight) / float64(s.total)
	}
	return shares
}

func (s *Split) pickFor(key Key) (best int) {
	most := 0.0
	for i, c := range s.choices {
		if score := rendezvous(s.hashes[i], uint64(key), float64(c.Weight)); score > most {
			best, most = i, score
		}
	}
	return best
}
