package route

import (
	"fmt"
	"iter"
	"strings"
)

// nameIndex finds the chains that list a server name or a wildcard above it.
//
// A wildcard is kept as what follows its "*.", and depths has a bit for each
// number of labels that such a suffix has: of a name with 127 labels only
// those suffixes are hashed that could be there. Go's maps are keyed with a
// seed of the process, so a client cannot prepare names that collide.
type nameIndex struct {
	exact    map[string]int32 // the first posting of the name
	wildcard map[string]int32 // the first posting of the suffix
	postings []posting
	depths   [2]uint64
	deepest  int // the highest bit in depths
}

// posting is one chain that lists a name. Nearly every name has exactly one,
// so the further ones are a linked list rather than a slice for each name.
type posting struct {
	chain int32
	next  int32 // endOfPostings after the last
}

const endOfPostings = -1

// maxName is the longest name in bytes: 255 on the wire less the length of
// the first label and the root (RFC 1035 §3.1). It has at most 127 labels.
const maxName = 253

func newNameIndex(chains []Criteria) *nameIndex {
	var exact, wildcard int
	for i := range chains {
		for _, name := range chains[i].ServerNames {
			if strings.HasPrefix(name, "*.") {
				wildcard++
			} else {
				exact++
			}
		}
	}
	x := &nameIndex{
		exact:    make(map[string]int32, exact),
		wildcard: make(map[string]int32, wildcard),
		postings: make([]posting, 0, exact+wildcard),
	}
	for i := range chains {
		for _, name := range chains[i].ServerNames {
			x.add(name, int32(i))
		}
	}
	return x
}

func (x *nameIndex) add(name string, chain int32) {
	suffix, isWildcard := strings.CutPrefix(name, "*.")
	checkName(name, suffix)
	if !isWildcard {
		x.post(x.exact, name, chain)
		return
	}
	depth := strings.Count(suffix, ".") + 1
	x.depths[depth/64] |= 1 << (depth % 64)
	x.deepest = max(x.deepest, depth)
	x.post(x.wildcard, suffix, chain)
}

// highestName is the rank of the most specific one of a list of server names.
func highestName(names []string) (highest rank) {
	for _, name := range names {
		suffix, isWildcard := strings.CutPrefix(name, "*.")
		if !isWildcard {
			return exactName
		}
		highest = max(highest, rank(strings.Count(suffix, ".")+1))
	}
	return highest
}

func (x *nameIndex) post(to map[string]int32, name string, chain int32) {
	next, listed := to[name]
	if !listed {
		next = endOfPostings
	} else if x.postings[next].chain == chain {
		return // the chain lists the name twice
	}
	to[name] = int32(len(x.postings))
	x.postings = append(x.postings, posting{chain, next})
}

// checkName panics when the rest of a name, after its "*." if it has one, is
// not in the form in which the parser gives names: it could never match.
func checkName(name, rest string) {
	if rest == "" || len(rest) > maxName || rest[0] == '.' || rest[len(rest)-1] == '.' ||
		strings.Contains(rest, "..") || strings.Contains(rest, "*") || strings.ToLower(rest) != rest {
		panic(fmt.Sprintf("BUG: server name %q reached the table", name))
	}
}

// levels gives what can be listed of a name, the most specific first: the
// name itself, then the suffixes that a wildcard may have, each with the rank
// of such a listing. It does not look them up, so that a caller which needs
// no further ones saves that.
func (x *nameIndex) levels(name []byte) iter.Seq2[rank, []byte] {
	return func(yield func(rank, []byte) bool) {
		if len(name) == 0 || len(name) > maxName || !yield(exactName, name) {
			return
		}
		// Suffixes are counted from the end, but come from the longest on.
		var starts [128]uint8
		depth := 0
		for end := len(name); depth < x.deepest; depth++ {
			dot := lastDot(name, end)
			if dot <= 0 {
				break
			}
			starts[depth+1] = uint8(dot + 1)
			end = dot
		}
		for ; depth > 0; depth-- {
			if x.hasDepth(depth) && !yield(rank(depth), name[starts[depth]:]) {
				return
			}
		}
	}
}

// chains gives the chains that list what levels gave.
func (x *nameIndex) chains(r rank, part []byte) iter.Seq[int32] {
	return func(yield func(int32) bool) {
		names := x.wildcard
		if r == exactName {
			names = x.exact
		}
		p, listed := names[string(part)]
		for listed && p != endOfPostings {
			if !yield(x.postings[p].chain) {
				return
			}
			p = x.postings[p].next
		}
	}
}

func (x *nameIndex) hasDepth(depth int) bool {
	return x.depths[depth/64]>>(depth%64)&1 != 0
}

// lastDot is the position of the last dot before end, or -1.
func lastDot(name []byte, end int) int {
	for end--; end >= 0 && name[end] != '.'; end-- {
	}
	return end
}
