package config

import (
	"cmp"
	"slices"
	"sort"

	"github.com/hashicorp/hcl/v2"
)

// places are ranges of one file, of which only their union matters.
type places struct {
	merged []span // disjoint, in order
	recent []span // not merged yet
}

// span is from one byte of a file to another.
type span struct{ from, to int }

// maxRecent is how many spans are looked at one by one, rather than merged.
const maxRecent = 256

func (p *places) add(at hcl.Range) {
	if !at.Empty() {
		p.recent = append(p.recent, span{at.Start.Byte, at.End.Byte})
	}
}

// touch reports whether at overlaps or adjoins one of the places; an empty range
// has to be inside of one.
func (p *places) touch(at hcl.Range) bool {
	if len(p.recent) > maxRecent {
		p.merge()
	}
	from, to := at.Start.Byte, at.End.Byte
	in := func(s span) bool { return s.from <= to && (from < s.to || from == s.to && from < to) }
	i := sort.Search(len(p.merged), func(i int) bool { return p.merged[i].to >= from })
	return i < len(p.merged) && in(p.merged[i]) || slices.ContainsFunc(p.recent, in)
}

func (p *places) merge() {
	all := append(p.merged, p.recent...)
	slices.SortFunc(all, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	merged := all[:0]
	for _, s := range all {
		if last := len(merged) - 1; last >= 0 && s.from <= merged[last].to {
			merged[last].to = max(merged[last].to, s.to)
			continue
		}
		merged = append(merged, s)
	}
	p.merged, p.recent = merged, nil
}
