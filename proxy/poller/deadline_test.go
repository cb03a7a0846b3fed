package poller

import (
	"testing"
	"time"
)

func TestDeadlineFiresOnceAndNeverEarly(t *testing.T) {
	l := run(t)
	fired := make(chan time.Duration, 10)
	later := make(chan struct{})
	var at time.Duration
	l.do(func() {
		a, b := &owner{}, &owner{}
		l.Open(&a.Slot, a)
		l.Open(&b.Slot, b)
		a.ready = func() {
			if a.TakeExpired() {
				fired <- l.Clock()
			}
			if a.TakeExpired() {
				t.Error("taken twice")
			}
		}
		b.ready = func() { close(later) }
		at = l.Clock() + 20*time.Millisecond
		l.SetDeadline(&a.Slot, at)
		l.SetDeadline(&b.Slot, at+60*time.Millisecond)
	})
	if when := await(t, fired); when < at {
		t.Errorf("%v early", at-when)
	}
	await(t, later)
	if len(fired) != 0 {
		t.Error("fired again")
	}
}

func TestDeadlineSetAgainAndCleared(t *testing.T) {
	const ms = time.Millisecond
	f := func(name string, change func(w *Worker, s *Slot), wantAt time.Duration) {
		t.Helper()
		l := run(t)
		type report struct{ at time.Duration }
		fired := make(chan report, 10)
		later := make(chan struct{})
		l.do(func() {
			o, end := &owner{}, &owner{}
			l.Open(&o.Slot, o)
			l.Open(&end.Slot, end)
			o.ready = func() {
				if o.TakeExpired() {
					fired <- report{l.Now()}
				}
			}
			end.ready = func() { close(later) }
			change(l.Worker, &o.Slot)
			l.SetDeadline(&end.Slot, l.Now()+120*ms)
		})
		await(t, later)
		switch n := len(fired); {
		case wantAt == 0 && n != 0:
			t.Errorf("%s: fired", name)
		case wantAt != 0 && n != 1:
			t.Errorf("%s: fired %d times", name, n)
		case wantAt != 0:
			if r := <-fired; r.at < wantAt {
				t.Errorf("%s: fired at %v, before %v", name, r.at, wantAt)
			}
		}
	}
	f("cleared", func(w *Worker, s *Slot) {
		w.SetDeadline(s, w.Now()+10*ms)
		w.ClearDeadline(s)
	}, 0)
	f("never set, cleared", func(w *Worker, s *Slot) { w.ClearDeadline(s) }, 0)
	f("put off", func(w *Worker, s *Slot) {
		w.SetDeadline(s, 10*ms)
		w.SetDeadline(s, 60*ms)
	}, 60*ms)
	f("brought forward", func(w *Worker, s *Slot) {
		w.SetDeadline(s, time.Hour)
		w.SetDeadline(s, 20*ms)
	}, 20*ms)
	f("brought forward from beyond the wheel", func(w *Worker, s *Slot) {
		w.SetDeadline(s, 1000*time.Hour)
		w.SetDeadline(s, 20*ms)
	}, 20*ms)
	f("passed already", func(w *Worker, s *Slot) { w.SetDeadline(s, -time.Second) }, 1)
	f("closed", func(w *Worker, s *Slot) {
		w.SetDeadline(s, w.Now()+10*ms)
		w.Close(s)
	}, 0)
}

// A deadline that has passed and was not taken yet is forgotten when the slot
// gets another, or none.
func TestDeadlineTakenBackAfterItPassed(t *testing.T) {
	for name, change := range map[string]func(*Worker, *Slot){
		"cleared":   func(w *Worker, s *Slot) { w.ClearDeadline(s) },
		"set again": func(w *Worker, s *Slot) { w.SetDeadline(s, time.Hour) },
	} {
		w := releaseAtEnd(t, idle(t))
		o := &owner{ready: func() {}}
		w.Open(&o.Slot, o)
		w.SetDeadline(&o.Slot, time.Second)
		w.now = 2 * time.Second
		w.fireTimers()
		if !o.expired {
			t.Fatalf("%s: not fired", name)
		}
		if change(w, &o.Slot); o.TakeExpired() {
			t.Errorf("%s: still reported", name)
		}
		w.Close(&o.Slot)
	}
}

// The timerfd is set anew only for an earlier deadline, and after it has fired
// for the next one.
func TestDeadlineArmsTheTimerfd(t *testing.T) {
	w := releaseAtEnd(t, idle(t))
	var slots [3]Slot
	for i := range slots {
		w.Open(&slots[i], &owner{ready: func() {}})
	}
	f := func(what string, want time.Duration) {
		t.Helper()
		if got := time.Duration(w.armed) * tick; got < want || got >= want+tick {
			t.Errorf("%s: set for %v instead of %v", what, got, want)
		}
	}
	w.SetDeadline(&slots[0], 100*time.Second)
	f("the first", 100*time.Second)
	w.SetDeadline(&slots[1], 50*time.Second)
	f("an earlier one", 50*time.Second)
	w.SetDeadline(&slots[2], 70*time.Second)
	f("a later one", 50*time.Second)
	w.Close(&slots[1])
	f("the earliest is gone", 50*time.Second)
	w.now = 50*time.Second + tick
	w.fireTimers()
	if got := time.Duration(w.armed) * tick; got <= w.now || got > 70*time.Second+tick {
		t.Errorf("after it fired: set for %v", got)
	}
	w.Close(&slots[0])
	w.Close(&slots[2])
	w.fireTimers()
	f("nothing left", 0)
}
