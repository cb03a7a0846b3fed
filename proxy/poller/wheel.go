package poller

import (
	"math/bits"
	"time"
)

// The wheel has wheelLevels levels of wheelSize buckets. A bucket of level 0
// is one tick wide, one of the next level as wide as the whole level below.
// Setting and removing a timer are a few loads and stores; a timer moves down
// at most wheelLevels-1 times before it fires.
const (
	tick        = 8 * time.Millisecond
	wheelBits   = 6
	wheelSize   = 1 << wheelBits
	wheelMask   = wheelSize - 1
	wheelLevels = 4
	// wheelSpan is the farthest tick that fits, about 37 hours. A later
	// deadline waits in the last bucket and is set again from there.
	wheelSpan = 1<<(wheelBits*wheelLevels) - 1
)

// timer is a slot's place in the wheel: a link of a bucket's list.
type timer struct {
	next, prev *Slot
	bucket     *bucket // nil: not set
	at         int64   // the tick at which it fires
}

// bucket is a list of timers and a bit in its level's map of filled buckets.
type bucket struct {
	first *Slot
	level uint8
	slot  uint8
}

// wheel is a hierarchical timer wheel (Varghese and Lauck, 1987, scheme 7).
// It knows no clock: advance is told the time.
type wheel struct {
	now    int64 // the tick up to which everything has fired
	levels [wheelLevels][wheelSize]bucket
	filled [wheelLevels]uint64 // bit i: levels[l][i] is not empty
	count  int
}

func (wh *wheel) init() {
	for l := range wh.levels {
		for i := range wh.levels[l] {
			wh.levels[l][i] = bucket{level: uint8(l), slot: uint8(i)}
		}
	}
}

// set puts the slot's timer where it fires at the first tick that is not
// before at.
func (wh *wheel) set(s *Slot, at, now time.Duration) {
	wh.remove(s)
	if wh.count == 0 {
		wh.now = max(wh.now, int64(now/tick)) // nothing advances an empty wheel
	}
	s.timer.at = max(int64((at+tick-1)/tick), wh.now+1)
	wh.place(s)
	wh.count++
}

// place links a timer whose tick is known and lies ahead of now.
func (wh *wheel) place(s *Slot) {
	at := min(s.timer.at, wh.now+wheelSpan)
	level := 0
	for delta := at - wh.now; delta >= wheelSize && level < wheelLevels-1; delta >>= wheelBits {
		level++
	}
	b := &wh.levels[level][(at>>(wheelBits*level))&wheelMask]
	t := &s.timer
	t.bucket, t.prev, t.next = b, nil, b.first
	if b.first != nil {
		b.first.timer.prev = s
	}
	b.first = s
	wh.filled[level] |= 1 << b.slot
}

// remove takes the slot's timer out, if it is set.
func (wh *wheel) remove(s *Slot) {
	if s.timer.bucket != nil {
		wh.unlink(s)
		wh.count--
	}
}

func (wh *wheel) unlink(s *Slot) {
	t := &s.timer
	if t.prev != nil {
		t.prev.timer.next = t.next
	} else {
		t.bucket.first = t.next
		if t.next == nil {
			wh.filled[t.bucket.level] &^= 1 << t.bucket.slot
		}
	}
	if t.next != nil {
		t.next.timer.prev = t.prev
	}
	t.next, t.prev, t.bucket = nil, nil, nil
}

// advance fires every timer due at the given time.
func (wh *wheel) advance(to time.Duration, fire func(*Slot)) {
	target := int64(to / tick)
	for wh.now < target {
		next, ok := wh.next()
		if !ok || next > target {
			wh.now = target
			return
		}
		wh.now = next
		for level := wheelLevels - 1; level > 0; level-- {
			if wh.now&(1<<(wheelBits*level)-1) == 0 {
				wh.cascade(level)
			}
		}
		b := &wh.levels[0][wh.now&wheelMask]
		for b.first != nil {
			s := b.first
			wh.unlink(s)
			wh.count--
			fire(s)
		}
	}
}

// cascade spreads the bucket of a level that has come due over the levels
// below it.
func (wh *wheel) cascade(level int) {
	b := &wh.levels[level][(wh.now>>(wheelBits*level))&wheelMask]
	list := b.first
	b.first = nil
	wh.filled[level] &^= 1 << b.slot
	for list != nil {
		s := list
		list = s.timer.next
		wh.place(s)
	}
}

// next gives the next tick at which a timer fires or a bucket has to be
// spread, and false when no timer is set.
func (wh *wheel) next() (int64, bool) {
	best, ok := int64(0), false
	for level := range wheelLevels {
		if wh.filled[level] == 0 {
			continue
		}
		shift := wheelBits * level
		current := wh.now >> shift
		// The bucket after the current one is the lowest bit; the current
		// one itself, a whole turn ahead, is the highest.
		ahead := bits.RotateLeft64(wh.filled[level], -int((current+1)&wheelMask))
		at := (current + 1 + int64(bits.TrailingZeros64(ahead))) << shift
		if !ok || at < best {
			best, ok = at, true
		}
	}
	return best, ok
}
