package poller

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// fetched takes a batch of events from the kernel without dispatching it.
func fetched(t *testing.T, w *Worker) []unix.EpollEvent {
	t.Helper()
	events := slices.Clone(w.wait(false))
	if len(events) == 0 {
		t.Fatal("no events")
	}
	return events
}

func (w *Worker) dispatchAll(events []unix.EpollEvent) {
	for i := range events {
		w.dispatch(&events[i])
	}
}

// sameNumber makes another descriptor take over a number: what the kernel does
// by itself when one is closed and the next one opened.
func sameNumber(t *testing.T, number, other int) {
	t.Helper()
	check(t, unix.Dup3(other, number, unix.O_CLOEXEC))
}

// The events of a batch may be of a descriptor that was closed since, and whose
// number and place in the worker somebody else has got.
func TestStaleEventDoesNotReachTheNextOwnerOfItsNumber(t *testing.T) {
	for _, side := range []Side{Downstream, Upstream} {
		w := releaseAtEnd(t, idle(t))
		fd, peer := sockets(t)
		quiet, _ := sockets(t)
		first := &owner{ready: func() { t.Error("the closed one was called") }}
		w.Open(&first.Slot, first)
		check(t, w.Register(&first.Slot, side, fd))
		send(t, peer, "for the first")
		batch := fetched(t, w)

		w.Close(&first.Slot)
		sameNumber(t, fd, quiet)
		called := 0
		second := &owner{ready: func() { called++ }}
		w.Open(&second.Slot, second)
		check(t, w.Register(&second.Slot, side, fd))
		if first.index != second.index {
			t.Fatal("the place was not used again")
		}
		w.dispatchAll(batch)
		w.runReady()
		if ev := second.Pending(side); ev != 0 || called != 0 {
			t.Errorf("%v: it was told %#x of another descriptor", side, ev)
		}
		w.dispatchAll(fetched(t, w))
		w.runReady()
		if ev := second.Take(side); ev != Out || called != 1 {
			t.Errorf("%v: of its own it was told %#x", side, ev)
		}
		w.Close(&second.Slot)
	}
}

// The same through the loop: many short-lived registrations of ever the same
// numbers, closed within the batch that reports them. Each must be told of its
// own byte only, once.
func TestStaleEventsUnderChurn(t *testing.T) {
	l := run(t)
	const rounds, width = 300, 20
	done := make(chan struct{})
	var round func(n int)
	round = func(n int) {
		if n == rounds {
			close(done)
			return
		}
		type member struct {
			*owner
			fd, peer int
		}
		var members []member
		for range width {
			p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
			check(t, err)
			members = append(members, member{&owner{}, p[0], p[1]})
		}
		for i, m := range members {
			m.ready = func() {
				if m.Take(Downstream)&In == 0 {
					return // writable, so it may be told before its byte is there
				}
				var b [2]byte
				if got, _ := unix.Read(m.fd, b[:]); got != 1 || b[0] != byte(n) {
					t.Errorf("round %d, member %d: read %d bytes, %d", n, i, got, b[0])
				}
				// The others' events are in the same batch.
				for _, m := range members {
					l.Close(&m.Slot)
					unix.Close(m.fd)
					unix.Close(m.peer)
				}
				round(n + 1)
			}
			l.Open(&m.Slot, m.owner)
			check(t, l.Register(&m.Slot, Downstream, m.fd))
		}
		for _, m := range members {
			send(t, m.peer, string([]byte{byte(n)}))
		}
	}
	l.do(func() { round(0) })
	await(t, done)
}

// Trying another endpoint registers another descriptor for the same side.
func TestRegisterAgainMakesEarlierEventsStale(t *testing.T) {
	w := releaseAtEnd(t, idle(t))
	first, peer := sockets(t)
	second, _ := sockets(t)
	o := &owner{ready: func() {}}
	w.Open(&o.Slot, o)
	check(t, w.Register(&o.Slot, Upstream, first))
	send(t, peer, "x")
	batch := fetched(t, w)
	w.dispatchAll(batch)
	if o.Pending(Upstream)&In == 0 {
		t.Fatal("not told")
	}
	check(t, w.Register(&o.Slot, Upstream, second))
	if o.Pending(Upstream) != 0 {
		t.Error("events of the first were kept")
	}
	w.dispatchAll(batch)
	if o.Pending(Upstream) != 0 {
		t.Error("events of the first came through")
	}
	w.Close(&o.Slot)
}

func TestRegisterReportsTheKernelsError(t *testing.T) {
	w := releaseAtEnd(t, idle(t))
	o := &owner{ready: func() {}}
	w.Open(&o.Slot, o)
	if err := w.Register(&o.Slot, Upstream, 1<<20); err == nil {
		t.Error("a descriptor that is not open was registered")
	}
	w.Close(&o.Slot)
}

// A slot that is closed while it waits for its turn and opened anew has no turn
// left from its earlier life, and gets exactly those it asks for.
func TestReopenedWhileInTheReadyList(t *testing.T) {
	f := func(name string, between func(w *Worker, o *owner), want int) {
		t.Helper()
		w := releaseAtEnd(t, idle(t))
		called := 0
		o := &owner{ready: func() { called++ }}
		w.Open(&o.Slot, o)
		w.Again(&o.Slot)
		w.Close(&o.Slot)
		between(w, o)
		w.runReady()
		w.runReady()
		if called != want {
			t.Errorf("%s: called %d times instead of %d", name, called, want)
		}
		if o.IsOpen() {
			w.Close(&o.Slot)
		}
	}
	f("closed", func(*Worker, *owner) {}, 0)
	f("reopened", func(w *Worker, o *owner) { w.Open(&o.Slot, o) }, 0)
	f("reopened and asks", func(w *Worker, o *owner) {
		w.Open(&o.Slot, o)
		w.Again(&o.Slot)
	}, 1)
	f("its memory wiped, reopened and asks", func(w *Worker, o *owner) {
		o.Slot = Slot{}
		w.Open(&o.Slot, o)
		w.Again(&o.Slot)
	}, 1)
}

func TestClosedByAnotherInTheSameTurn(t *testing.T) {
	w := releaseAtEnd(t, idle(t))
	victim := &owner{ready: func() { t.Error("a closed slot got its turn") }}
	killer := &owner{ready: func() { w.Close(&victim.Slot) }}
	w.Open(&killer.Slot, killer)
	w.Open(&victim.Slot, victim)
	w.Again(&killer.Slot)
	w.Again(&victim.Slot)
	w.runReady()
	w.Close(&killer.Slot)
}

func TestAgainIsFair(t *testing.T) {
	l := run(t)
	fd, peer := sockets(t)
	var j journal
	done := make(chan struct{})
	l.do(func() {
		for _, name := range []string{"a", "b", "c"} {
			o := &owner{}
			turns := 0
			o.ready = func() {
				j.note("%s", name)
				if turns++; turns == 2 && name == "a" {
					send(t, peer, "x") // news for another, while these are busy
				}
				if turns < 4 {
					l.Again(&o.Slot)
				}
			}
			l.Open(&o.Slot, o)
			l.Again(&o.Slot)
		}
		late := &owner{}
		late.ready = func() {
			if late.Take(Downstream)&In != 0 {
				j.note("late")
				close(done)
			}
		}
		l.Open(&late.Slot, late)
		check(t, l.Register(&late.Slot, Downstream, fd))
	})
	await(t, done)
	l.rounds()
	// Nobody has two turns while another waits for one. The socket's news is
	// found after the turn in which it came, ahead of nobody.
	want := journal{"a", "b", "c", "a", "b", "c", "a", "b", "c", "late", "a", "b", "c"}
	j.want(t, want...)
}

// A slot that always has more to do keeps neither messages nor other slots out.
func TestBusySlotDoesNotStarveMessages(t *testing.T) {
	l := run(t)
	l.do(func() {
		o := &owner{}
		o.ready = func() { l.Again(&o.Slot) }
		l.Open(&o.Slot, o)
		l.Again(&o.Slot)
	})
	for range 20 {
		l.do(func() {})
	}
}

func TestTakeForgets(t *testing.T) {
	w := releaseAtEnd(t, idle(t))
	fd, peer := sockets(t)
	o := &owner{ready: func() {}}
	w.Open(&o.Slot, o)
	check(t, w.Register(&o.Slot, Upstream, fd))
	send(t, peer, "x")
	check(t, unix.Shutdown(peer, unix.SHUT_WR))
	w.dispatchAll(fetched(t, w))
	if ev := o.Take(Downstream); ev != 0 {
		t.Errorf("downstream %#x", ev)
	}
	want := In | Out | RdHup
	if ev := o.Pending(Upstream); ev != want {
		t.Errorf("pending %#x instead of %#x", ev, want)
	}
	if ev := o.Take(Upstream); ev != want {
		t.Errorf("taken %#x instead of %#x", ev, want)
	}
	if ev := o.Take(Upstream); ev != 0 {
		t.Errorf("taken again: %#x", ev)
	}
	w.Close(&o.Slot)
}

func TestEachMayClose(t *testing.T) {
	w := releaseAtEnd(t, idle(t))
	owners := make([]*owner, 10)
	for i := range owners {
		owners[i] = &owner{ready: func() {}}
		w.Open(&owners[i].Slot, owners[i])
	}
	seen := 0
	w.Each(func(o Owner) {
		seen++
		if seen == 1 { // itself and some that are still to come
			for _, o := range owners[:5] {
				w.Close(&o.Slot)
			}
		}
	})
	if seen != 6 || w.Slots() != 5 {
		t.Errorf("%d seen, %d open", seen, w.Slots())
	}
	w.Each(func(o Owner) { w.Close(&o.(*owner).Slot) })
}

func TestSideAndItsWords(t *testing.T) {
	if Downstream.Other() != Upstream || Upstream.Other() != Downstream {
		t.Error("the other side is wrong")
	}
	if Downstream.String() != "downstream" || Upstream.String() != "upstream" {
		t.Error("the words are wrong")
	}
}
