package config

// comparison compares the chains of one listener.
type comparison struct {
	reach
	said map[*chainDecl]bool // of which something was reported

	// sets are the elements of long lists, for the pairs that are compared.
	sets map[setKey]map[any]int
}

type setKey struct {
	chain     *chainDecl
	criterion int
}

// longList is from how many elements on a map is worth its while.
const longList = 16

// possible reports whether a connection can have what an element asks for.
func (x *comparison) possible(criterion int, m *Match, i int) bool {
	list := &listCriteria[criterion]
	return list.prefixes == nil || list.holds(&x.reach, list.prefixes(m)[i])
}

// index returns where element stands in a list of c, or -1.
func (x *comparison) index(c *chainDecl, criterion int, element any) int {
	list := &listCriteria[criterion]
	n := list.len(&c.Match)
	if n < longList {
		for i := range n {
			if list.at(&c.Match, i) == element {
				return i
			}
		}
		return -1
	}
	key := setKey{c, criterion}
	set := x.sets[key]
	if set == nil {
		set = make(map[any]int, n)
		for i := range n {
			set[list.at(&c.Match, i)] = i
		}
		x.sets[key] = set
	}
	if i, ok := set[element]; ok {
		return i
	}
	return -1
}

// shared returns for each list where in b a possible element stands that a has
// too, or -1. ok is false when a list that both give, and have to share, has
// none.
func (x *comparison) shared(g *group, a, b *chainDecl) (places [len(listCriteria)]int, ok bool) {
	for i := range listCriteria {
		places[i] = x.firstShared(i, a, b)
		if g.lists[i] && places[i] < 0 {
			return places, false
		}
	}
	return places, true
}

// firstShared walks the shorter list and looks into the longer one.
func (x *comparison) firstShared(criterion int, a, b *chainDecl) int {
	list := &listCriteria[criterion]
	na, nb := list.len(&a.Match), list.len(&b.Match)
	if na < nb {
		for i := range na {
			if j := x.index(b, criterion, list.at(&a.Match, i)); j >= 0 && x.possible(criterion, &a.Match, i) {
				return j
			}
		}
		return -1
	}
	for j := range nb {
		if x.index(a, criterion, list.at(&b.Match, j)) >= 0 && x.possible(criterion, &b.Match, j) {
			return j
		}
	}
	return -1
}

// covers reports whether every possible element of every list that both give
// is, when inner has it, in outer too. Two chains of a group that share no
// element of a list give one that holds every connection; of destinations it
// was then said which is longer.
func (x *comparison) covers(g *group, outer, inner *chainDecl) bool {
	for i := range listCriteria {
		list := &listCriteria[i]
		if !g.lists[i] && (list.len(&outer.Match) == 0 || i == destinationPrefixes && x.fixed()) {
			continue
		}
		for j := range list.len(&inner.Match) {
			if x.index(outer, i, list.at(&inner.Match, j)) < 0 && x.possible(i, &inner.Match, j) {
				return false
			}
		}
	}
	return true
}
