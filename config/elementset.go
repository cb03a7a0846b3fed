package config

// elementSets remembers the elements of long lists, for the pairs of chains
// that are compared.
type elementSets map[setKey]map[any]int

type setKey struct {
	chain     *chainDecl
	criterion int
}

// longList is from how many elements on a map is worth its while.
const longList = 16

// index returns where element stands in a list of c, or -1.
func (s elementSets) index(c *chainDecl, criterion int, element any) int {
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
	set := s[key]
	if set == nil {
		set = make(map[any]int, n)
		for i := range n {
			set[list.at(&c.Match, i)] = i
		}
		s[key] = set
	}
	if i, ok := set[element]; ok {
		return i
	}
	return -1
}

// shared returns for each list where in b an element stands that a has too.
// ok is false when a list that both give has none.
func (s elementSets) shared(a, b *chainDecl) (places [len(listCriteria)]int, ok bool) {
	for i := range listCriteria {
		list := &listCriteria[i]
		na, nb := list.len(&a.Match), list.len(&b.Match)
		if na == 0 && nb == 0 {
			continue
		}
		if places[i] = s.firstShared(i, a, b, na, nb); places[i] < 0 {
			return places, false
		}
	}
	return places, true
}

// firstShared walks the shorter list and looks into the longer one.
func (s elementSets) firstShared(criterion int, a, b *chainDecl, na, nb int) int {
	list := &listCriteria[criterion]
	if na < nb {
		for i := range na {
			if j := s.index(b, criterion, list.at(&a.Match, i)); j >= 0 {
				return j
			}
		}
		return -1
	}
	for j := range nb {
		if s.index(a, criterion, list.at(&b.Match, j)) >= 0 {
			return j
		}
	}
	return -1
}

// covers reports whether every element of every list of inner is in outer.
func (s elementSets) covers(outer, inner *chainDecl) bool {
	for i := range listCriteria {
		list := &listCriteria[i]
		for j := range list.len(&inner.Match) {
			if s.index(outer, i, list.at(&inner.Match, j)) < 0 {
				return false
			}
		}
	}
	return true
}
