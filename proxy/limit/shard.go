package limit

import (
	"sync"
	"time"
)

// shard is one part of a table of sources: a hash table with linear probing, in
// which nothing is marked deleted: what stands behind a gap moves up.
type shard struct {
	mu    sync.Mutex // guards what follows
	slots []slot     // a power of two, or none yet
	used  int        // how many are taken
	live  int        // how many of them have connections
	hand  int        // where the next look for one to drop begins

	_ [64]byte // the next shard's lock must not share a cache line
}

// slot is one source.
type slot struct {
	key    Key
	full   time.Duration // when its bucket will be full
	active int32
	taken  bool
}

// says tells whether the entry differs from one that is not there.
func (e *slot) says(now time.Duration) bool { return e.active > 0 || e.full > now }

const (
	// minSlots is the size of a shard that has had any source.
	minSlots = 16
	// lookedAt is of how many sources the best is dropped.
	lookedAt = 8
)

// find gives where a source is or, when it has no entry, where it would be
// placed: -1 when there is no slot at all.
func (sh *shard) find(s *Sources, hash uint64, k Key) (at int, found bool) {
	if len(sh.slots) == 0 {
		return -1, false
	}
	mask := len(sh.slots) - 1
	for i := int(hash) & mask; ; i = (i + 1) & mask {
		switch e := &sh.slots[i]; {
		case !e.taken:
			return i, false
		case e.key == k:
			return i, true
		}
	}
}

// home is the slot in which a source stands when nobody was there before.
func (sh *shard) home(s *Sources, k Key) int {
	_, h := s.shard(k)
	return int(h) & (len(sh.slots) - 1)
}

// remove empties a slot. Those behind it that probed past it move up, so that
// they are still found.
func (sh *shard) remove(s *Sources, gap int) {
	mask := len(sh.slots) - 1
	for i := (gap + 1) & mask; sh.slots[i].taken; i = (i + 1) & mask {
		// The entry may move when its home does not lie behind the gap,
		// seen from where it is now.
		if (i-sh.home(s, sh.slots[i].key))&mask >= (i-gap)&mask {
			sh.slots[gap] = sh.slots[i]
			gap = i
		}
	}
	sh.slots[gap] = slot{}
	sh.used--
}

// makeRoom sees to it that one more source has a slot. It tells whether entries
// may have moved.
func (sh *shard) makeRoom(s *Sources, now time.Duration) (moved bool) {
	// With a quarter of the slots empty, looking for a source that is not there
	// takes 8.5 steps on average (Knuth, TAOCP 6.4: (1+1/(1-3/4)²)/2).
	if 4*(sh.used+1) <= 3*len(sh.slots) {
		return false
	}
	sh.purge(s, now)
	// Half of the slots empty, so that a purge or a doubling, which takes time
	// in proportion to the slots, comes after as many new sources.
	if 2*(sh.used+1) > len(sh.slots) {
		sh.resize(s, max(2*len(sh.slots), minSlots))
	}
	return true
}

// purge removes every entry that says nothing.
func (sh *shard) purge(s *Sources, now time.Duration) {
	for i := 0; i < len(sh.slots); {
		if e := &sh.slots[i]; e.taken && !e.says(now) {
			sh.remove(s, i) // another may stand here now
			continue
		}
		i++
	}
}

// dropIdle removes one entry without connections: the first that says nothing
// or else, of a few, the one whose bucket is nearest to full, so that the least
// is forgotten. There must be an idle one.
func (sh *shard) dropIdle(s *Sources, now time.Duration) {
	mask := len(sh.slots) - 1
	best, seen := -1, 0
	for range sh.slots {
		i := sh.hand & mask
		sh.hand = i + 1
		e := &sh.slots[i]
		if !e.taken || e.active > 0 {
			continue
		}
		if best < 0 || e.full < sh.slots[best].full {
			best = i
		}
		if seen++; seen == lookedAt || !e.says(now) {
			break
		}
	}
	if best < 0 {
		panic("BUG: limit: no idle source among those that were counted")
	}
	sh.remove(s, best)
}

// shrink gives memory back after there have been very many more sources.
func (sh *shard) shrink(s *Sources) {
	if n := len(sh.slots); n > minSlots && 8*sh.used < n {
		sh.resize(s, n/2)
	}
}

// resize moves all entries to n slots, which are enough for them.
func (sh *shard) resize(s *Sources, n int) {
	old := sh.slots
	sh.slots = make([]slot, n)
	mask := n - 1
	for i := range old {
		if !old[i].taken {
			continue
		}
		at := sh.home(s, old[i].key)
		for sh.slots[at].taken {
			at = (at + 1) & mask
		}
		sh.slots[at] = old[i]
	}
}
