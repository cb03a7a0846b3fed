package route

import (
	"cmp"
	"slices"
)

// Order gives the indexes of the chains in the order in which they win: by the
// highest specificity that each could have, the one that was written first where
// those are equal. For a connection that a chain matches as specifically as it
// ever could, no chain behind it wins. For others one may: of a chain for
// *.a.example and *.example, and another for *.b.example, which one comes first
// says nothing about who gets x.example.
func (t *Table) Order() []int {
	order := make([]int, len(t.chains))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(t.chains[b].limit, t.chains[a].limit) })
	return order
}
