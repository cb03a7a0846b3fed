package poller

import (
	"slices"
	"testing"
)

// TestSome: who goes through the places in parts, while slots come and go, finds
// each that stays exactly once.
func TestSome(t *testing.T) {
	w := releaseAtEnd(t, idle(t))
	var stay, leave []*owner
	open := func(list *[]*owner) {
		o := &owner{}
		w.Open(&o.Slot, o)
		*list = append(*list, o)
	}
	for range 10 {
		open(&stay)
		open(&leave)
	}
	var seen []Owner
	next, more := 0, true
	for more {
		next, more = w.Some(next, 3, func(o Owner) { seen = append(seen, o) })
		if len(leave) > 0 { // one goes, and others take its place and a new one
			w.Close(&leave[0].Slot)
			leave = leave[1:]
			var others []*owner
			open(&others)
			open(&others)
		}
	}
	for i, o := range stay {
		n := len(seen)
		seen = slices.DeleteFunc(seen, func(s Owner) bool { return s == Owner(o) })
		if n-len(seen) != 1 {
			t.Errorf("number %d was seen %d times", i, n-len(seen))
		}
	}
	if next, more := w.Some(1000, 3, func(Owner) { t.Error("there is nothing") }); more || next < 30 {
		t.Errorf("behind the end: %d, %v", next, more)
	}
}
