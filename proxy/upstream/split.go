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
	}
	return s
}

// Pick gives each cluster with a chance of its weight among all. It does not
// allocate.
func (s *Split) Pick(rnd *Rand) *Cluster {
	if len(s.choices) == 1 {
		return s.choices[0].Cluster
	}
	n := rnd.below(s.total)
	for _, c := range s.choices {
		if n < uint64(c.Weight) {
			return c.Cluster
		}
		n -= uint64(c.Weight)
	}
	panic("BUG: a number below the total weight belongs to no cluster")
}
