package poller

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// naiveTimers is what the wheel must behave like: a map that is searched.
type naiveTimers struct {
	due map[*Slot]int64 // the tick at which each fires
	now int64
}

func (n *naiveTimers) set(s *Slot, at, now time.Duration) {
	delete(n.due, s)
	if len(n.due) == 0 {
		n.now = max(n.now, int64(now/tick))
	}
	due := int64(at / tick)
	if time.Duration(due)*tick < at {
		due++
	}
	n.due[s] = max(due, n.now+1)
}

func (n *naiveTimers) advance(to time.Duration) (fired []*Slot) {
	n.now = max(n.now, int64(to/tick))
	for s, due := range n.due {
		if due <= n.now {
			fired = append(fired, s)
			delete(n.due, s)
		}
	}
	return fired
}

// distance gives how far ahead a deadline is, over every level of the wheel
// and beyond its span, and somewhere within a tick.
func distance(r *rand.Rand) time.Duration {
	limits := [...]int64{2, wheelSize, wheelSize * wheelSize, 1 << (3 * wheelBits), wheelSpan, 5 * wheelSpan}
	ticks := r.Int64N(limits[r.IntN(len(limits))])
	if r.IntN(4) == 0 {
		ticks = limits[r.IntN(len(limits))] - 1 + r.Int64N(3) // the borders
	}
	return time.Duration(ticks)*tick + time.Duration(r.Int64N(int64(tick)))
}

func TestWheelBehavesAsANaiveOne(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		wh := &wheel{}
		wh.init()
		naive := &naiveTimers{due: map[*Slot]int64{}}
		slots := make([]Slot, 1+r.IntN(50))
		at := map[*Slot]time.Duration{}
		setAt := map[*Slot]time.Duration{} // when: one that had passed then is not late before
		clock := time.Duration(0)
		for step := range 2000 {
			s := &slots[r.IntN(len(slots))]
			switch op := r.IntN(10); {
			case op < 5:
				at[s] = clock + distance(r)
				if r.IntN(20) == 0 {
					at[s] = clock - time.Duration(r.Int64N(int64(time.Second))) // passed already
				}
				setAt[s] = clock
				wh.set(s, at[s], clock)
				naive.set(s, at[s], clock)
			case op < 6:
				wh.remove(s)
				delete(naive.due, s)
			case op < 7:
				clock += distance(r) / 8 // time passes and nobody tells the wheel
			default:
				clock += distance(r) / 4
				var fired []*Slot
				wh.advance(clock, func(s *Slot) {
					if at[s] > clock {
						t.Fatalf("seed %d, step %d: fired %v early", seed, step, at[s]-clock)
					}
					fired = append(fired, s)
				})
				if want := naive.advance(clock); !sameSlots(fired, want) {
					t.Fatalf("seed %d, step %d: %d fired instead of %d", seed, step, len(fired), len(want))
				}
				for s := range naive.due {
					if late := clock - max(at[s], setAt[s]); late >= tick {
						t.Fatalf("seed %d, step %d: not fired %v after its time", seed, step, late)
					}
				}
			}
			checkWheel(t, wh, naive)
		}
	}
}

func sameSlots(a, b []*Slot) bool {
	if len(a) != len(b) {
		return false
	}
	for _, s := range a {
		if !slices.Contains(b, s) {
			return false
		}
	}
	return true
}

// checkWheel holds what the worker relies on between calls.
func checkWheel(t *testing.T, wh *wheel, naive *naiveTimers) {
	t.Helper()
	if wh.count != len(naive.due) {
		t.Fatalf("%d timers instead of %d", wh.count, len(naive.due))
	}
	next, ok := wh.next()
	if ok != (len(naive.due) > 0) {
		t.Fatalf("a timer is set: %t", ok)
	}
	for _, due := range naive.due {
		if next <= wh.now || next > due {
			t.Fatalf("now %d, next %d, but a timer is due at %d", wh.now, next, due)
		}
	}
}

func TestWheelFiresAtExactlyItsTick(t *testing.T) {
	t.Parallel()
	for _, ahead := range []int64{1, 63, 64, 65, 4095, 4096, 4097, 1<<18 - 1, 1 << 18, wheelSpan, wheelSpan + 1, 3*wheelSpan + 7} {
		for _, start := range []int64{0, 1, 63, 4095, 1<<18 - 1} {
			wh := &wheel{}
			wh.init()
			var s Slot
			fired := 0
			now := time.Duration(start) * tick
			wh.set(&s, now+time.Duration(ahead)*tick, now)
			wh.advance(now+time.Duration(ahead)*tick-1, func(*Slot) { fired++ })
			if fired != 0 {
				t.Errorf("%d ticks from tick %d: fired early", ahead, start)
			}
			wh.advance(now+time.Duration(ahead)*tick, func(*Slot) { fired++ })
			if fired != 1 || wh.count != 0 {
				t.Errorf("%d ticks from tick %d: fired %d times, %d left", ahead, start, fired, wh.count)
			}
		}
	}
}

// An empty wheel is not advanced, so it may have stood still for days when the
// next timer is set.
func TestWheelThatStoodStillWhileEmpty(t *testing.T) {
	t.Parallel()
	wh := &wheel{}
	wh.init()
	var s Slot
	now := 400 * time.Hour
	wh.set(&s, now+time.Second, now)
	if next, ok := wh.next(); !ok || time.Duration(next)*tick > now+time.Second+tick {
		t.Fatalf("next is tick %d", next)
	}
	fired := false
	wh.advance(now+time.Second+tick, func(*Slot) { fired = true })
	if !fired {
		t.Fatal("not fired")
	}
}

func TestWheelRemoveLeavesItsNeighbours(t *testing.T) {
	t.Parallel()
	for remove := range 3 {
		wh := &wheel{}
		wh.init()
		var slots [3]Slot // one bucket's list: first, middle, last
		for i := range slots {
			wh.set(&slots[i], time.Second, 0)
		}
		wh.remove(&slots[remove])
		wh.remove(&slots[remove]) // not set any more: nothing happens
		var fired []*Slot
		wh.advance(2*time.Second, func(s *Slot) { fired = append(fired, s) })
		if len(fired) != 2 || slices.Contains(fired, &slots[remove]) {
			t.Errorf("without %d: %d fired", remove, len(fired))
		}
	}
}
