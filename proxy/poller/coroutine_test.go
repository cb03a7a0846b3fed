package poller

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// journal is what happened, in order. It belongs to one worker.
type journal []string

func (j *journal) note(format string, args ...any) { *j = append(*j, fmt.Sprintf(format, args...)) }

func (j journal) want(t *testing.T, entries ...string) {
	t.Helper()
	if !slices.Equal(j, entries) {
		t.Errorf("happened: %q\nexpected: %q", []string(j), entries)
	}
}

func TestCoroutineOrder(t *testing.T) {
	w := releaseAtEnd(t, idle(t))
	var j journal
	o := &owner{ready: func() { j.note("ready") }}
	w.Open(&o.Slot, o)
	w.Start(&o.Slot, setupFunc(func() {
		j.note("set-up begins")
		o.Wait()
		j.note("set-up goes on")
		o.Wait()
		j.note("set-up ends")
	}))
	j.note("started")
	if n := w.Coroutines(); n != 1 {
		t.Errorf("%d under way", n)
	}
	w.runReady() // nothing new: not resumed
	w.Again(&o.Slot)
	w.Again(&o.Slot) // the same turn
	w.runReady()
	j.note("turn over")
	w.Again(&o.Slot)
	w.runReady()
	j.note("turn over")
	w.Again(&o.Slot)
	w.runReady() // no coroutine any more: the owner is called
	j.want(t, "set-up begins", "started", "set-up goes on", "turn over",
		"set-up ends", "ready", "turn over", "ready")
	if n := w.Coroutines(); n != 0 {
		t.Errorf("%d under way", n)
	}
	w.Close(&o.Slot)
}

func TestCoroutineThatNeverWaits(t *testing.T) {
	w := releaseAtEnd(t, idle(t))
	var j journal
	o := &owner{}
	o.ready = func() {
		j.note("ready")
		w.Close(&o.Slot)
	}
	w.Open(&o.Slot, o)
	w.Start(&o.Slot, setupFunc(func() { j.note("set-up") }))
	j.want(t, "set-up", "ready")
	if o.IsOpen() || w.Slots() != 0 {
		t.Error("not closed")
	}
}

// Events and the deadline resume a set-up instead of calling the owner.
func TestCoroutineIsResumedByNews(t *testing.T) {
	l := run(t)
	a, b := sockets(t)
	var j journal
	done := make(chan struct{})
	l.do(func() {
		o := &owner{}
		o.ready = func() {
			j.note("ready")
			l.Close(&o.Slot)
			close(done)
		}
		l.Open(&o.Slot, o)
		check(t, l.Register(&o.Slot, Downstream, a))
		l.Start(&o.Slot, setupFunc(func() {
			for o.Take(Downstream)&In == 0 {
				o.Wait()
			}
			j.note("readable")
			l.SetDeadline(&o.Slot, l.Now()+10*time.Millisecond)
			for !o.TakeExpired() {
				o.Wait()
			}
			j.note("time is up")
		}))
	})
	send(t, b, "x")
	await(t, done)
	j.want(t, "readable", "time is up", "ready")
}

func TestCoroutinesAreKeptForReuse(t *testing.T) {
	w := releaseAtEnd(t, idle(t))
	const many = 5 * maxIdleCoroutines
	owners := make([]*owner, many)
	finished := 0
	for i := range owners {
		o := &owner{ready: func() { finished++ }}
		owners[i] = o
		w.Open(&o.Slot, o)
		w.Start(&o.Slot, setupFunc(func() { o.Wait() }))
	}
	if n := w.Coroutines(); n != many {
		t.Fatalf("%d under way", n)
	}
	for _, o := range owners {
		w.Again(&o.Slot)
	}
	w.runReady()
	if finished != many || len(w.idle) != maxIdleCoroutines {
		t.Fatalf("%d finished, %d kept", finished, len(w.idle))
	}
	kept := w.idle[maxIdleCoroutines-1]
	w.Start(&owners[0].Slot, setupFunc(func() {}))
	if len(w.idle) != maxIdleCoroutines || w.idle[maxIdleCoroutines-1] != kept {
		t.Error("the kept one was not used")
	}
	for _, o := range owners {
		w.Close(&o.Slot)
	}
}

// Thousands of set-ups wait at a time, each for bytes of its own, and each gets
// its own.
func TestCoroutinesByTheThousand(t *testing.T) {
	const many = 4000
	l := run(t)
	done := make(chan int, many)
	fds := make([]int, many)
	l.do(func() {
		for i := range fds {
			near, far := sockets(t)
			fds[i] = far
			o := &owner{}
			got := -1
			o.ready = func() {
				l.Close(&o.Slot)
				done <- got
			}
			l.Open(&o.Slot, o)
			check(t, l.Register(&o.Slot, Upstream, near))
			l.Start(&o.Slot, setupFunc(func() { got = i + readInt(o, near) }))
		}
	})
	if n := l.Coroutines(); n != many {
		t.Fatalf("%d under way", n)
	}
	for i, fd := range fds {
		for part := range 3 { // as if it came in pieces
			send(t, fd, fmt.Sprintf("%06d", i)[2*part:2*part+2])
		}
	}
	seen := make([]bool, many)
	for range many {
		twice := await(t, done)
		if twice%2 != 0 || seen[twice/2] {
			t.Fatalf("got %d", twice)
		}
		seen[twice/2] = true
	}
	l.do(func() {})
	if l.Coroutines() != 0 || l.Slots() != 0 {
		t.Errorf("%d coroutines and %d slots left", l.Coroutines(), l.Slots())
	}
}

// readInt is straight-line code that waits: it reads six digits.
func readInt(o *owner, fd int) (v int) {
	var digits [6]byte
	for have := 0; have < len(digits); {
		n, err := unix.Read(fd, digits[have:])
		if err == unix.EAGAIN {
			o.Wait()
			continue
		}
		have += n
	}
	fmt.Sscanf(string(digits[:]), "%d", &v)
	return v
}

func TestCoroutineMisuse(t *testing.T) {
	f := func(name string, misuse func(w *Worker, o *owner)) {
		t.Helper()
		w := releaseAtEnd(t, idle(t))
		o := &owner{ready: func() {}}
		w.Open(&o.Slot, o)
		mustPanic(t, name, func() { misuse(w, o) })
		w.slots[o.index] = nil
	}
	f("Wait outside of a set-up", func(_ *Worker, o *owner) { o.Wait() })
	f("open twice", func(w *Worker, o *owner) { w.Open(&o.Slot, o) })
	f("close twice", func(w *Worker, o *owner) { w.Close(&o.Slot); w.Close(&o.Slot) })
	f("start and close within a set-up", func(w *Worker, o *owner) {
		w.Start(&o.Slot, setupFunc(func() { w.Close(&o.Slot) }))
	})
	f("start within a set-up", func(w *Worker, o *owner) {
		w.Start(&o.Slot, setupFunc(func() { w.Start(&o.Slot, setupFunc(func() {})) }))
	})
}

func mustPanic(t *testing.T, name string, f func()) {
	t.Helper()
	defer func() {
		if r := recover(); r == nil {
			t.Errorf("%s: no panic", name)
		}
	}()
	f()
}
