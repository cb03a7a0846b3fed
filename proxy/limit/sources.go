package limit

import (
	"hash/maphash"
	"time"
)

// MaxIdle is how many sources without a connection a table remembers for their
// rate. At 20 connections a second in bursts of 40 a bucket is full again after
// 2 s, so this is enough for 32,000 new sources a second. It takes 2 to 4 MB,
// when it comes to that.
const MaxIdle = 1 << 16

// shards is how many parts, with a lock each, the table has. Of n workers that
// are in the table at the same moment, two meet in a part with a chance of
// about n²/128, and then one waits for the other's 50 ns.
const (
	shardBits = 6
	shards    = 1 << shardBits
)

// PerSource is what a single source may have. 0 and the zero value are no
// limit.
type PerSource struct {
	Connections int  // at a time
	Rate        Rate // of new ones
}

// Verdict is what [Sources.Enter] decides.
type Verdict uint8

// The verdicts.
const (
	Admitted Verdict = iota
	TooMany          // the source has PerSource.Connections already
	TooFast          // the source is above PerSource.Rate
)

// Sources counts connections, and keeps buckets, by source. Its methods may be
// called by any goroutine.
type Sources struct {
	seed    maphash.Seed // clients must not be able to aim at one place of the table
	maxIdle int          // in a shard
	shards  [shards]shard
}

// NewSources makes an empty table.
func NewSources() *Sources { return newSources(MaxIdle) }

func newSources(maxIdle int) *Sources {
	return &Sources{seed: maphash.MakeSeed(), maxIdle: max(maxIdle/shards, 1)}
}

// shard gives the part in which a source belongs, and its hash. The part is
// chosen by the highest bits; the place in it depends on the lowest.
func (s *Sources) shard(k Key) (*shard, uint64) {
	h := maphash.Comparable(s.seed, k)
	return &s.shards[h>>(64-shardBits)], h
}

// Enter counts a new connection of a source, if it may have one;
// [Sources.Leave] must follow then, and only then. A connection that is refused
// leaves everything as it was: its source does not have to wait longer for it.
// Where both limits refuse, it is TooMany.
//
// It does not allocate, but where the table has to become larger.
func (s *Sources) Enter(k Key, now time.Duration, most PerSource) Verdict {
	sh, hash := s.shard(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	i, found := sh.find(s, hash, k)
	if !found {
		if sh.makeRoom(s, now) {
			i, _ = sh.find(s, hash, k)
		}
		// Neither limit refuses a source that is not in the table: both are at
		// least 1.
		sh.slots[i] = slot{key: k, taken: true}
		sh.used++
	}
	e := &sh.slots[i]
	if most.Connections > 0 && int(e.active) >= most.Connections {
		return TooMany
	}
	if most.Rate.Limited() {
		then, ok := most.Rate.take(e.full, now)
		if !ok {
			return TooFast
		}
		e.full = then
	}
	if e.active == 0 {
		sh.live++
	}
	e.active++
	return Admitted
}

// Leave ends what an Admitted connection began.
func (s *Sources) Leave(k Key, now time.Duration) {
	sh, hash := s.shard(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	i, found := sh.find(s, hash, k)
	if !found || sh.slots[i].active == 0 {
		panic("BUG: limit: a connection left a source that it had not entered")
	}
	e := &sh.slots[i]
	e.active--
	if e.active > 0 {
		return
	}
	sh.live--
	switch {
	case !e.says(now):
		sh.remove(s, i)
		sh.shrink(s)
	case sh.used-sh.live > s.maxIdle:
		sh.dropIdle(s, now)
	}
}

// Active gives how many connections a source has.
func (s *Sources) Active(k Key) int {
	sh, hash := s.shard(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if i, found := sh.find(s, hash, k); found {
		return int(sh.slots[i].active)
	}
	return 0
}

// Len gives how many sources have connections, and how many more are
// remembered for their rate.
func (s *Sources) Len() (live, idle int) {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		live += sh.live
		idle += sh.used - sh.live
		sh.mu.Unlock()
	}
	return live, idle
}
