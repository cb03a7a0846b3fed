package config

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/hashicorp/hcl/v2"
)

// TestPlacesOracle compares places with a look at each of them.
func TestPlacesOracle(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	random := func() hcl.Range {
		from := rnd.IntN(20_000)
		return hcl.Range{Start: hcl.Pos{Byte: from}, End: hcl.Pos{Byte: from + rnd.IntN(5)}}
	}
	for range 20 {
		var p places
		var all []hcl.Range
		for range 2000 {
			at := random()
			p.add(at)
			all = append(all, at)
			at = random()
			want := slices.ContainsFunc(all, func(f hcl.Range) bool { return at.Overlaps(f) || f.ContainsOffset(at.Start.Byte) })
			if got := p.touch(at); got != want {
				t.Fatalf("%v among %v: got %v", at, all, got)
			}
		}
	}
}
