package poller

import (
	"time"

	"golang.org/x/sys/unix"
)

// Side is one of the two descriptors that a slot may have registered.
type Side uint8

// The sides of a connection.
const (
	Downstream Side = iota // the client's
	Upstream               // the endpoint's
)

// Other gives the opposite side.
func (s Side) Other() Side { return s ^ 1 }

// String gives the word that stands in records and logs.
func (s Side) String() string {
	if s == Downstream {
		return "downstream"
	}
	return "upstream"
}

// Events is a set of epoll's readiness bits (epoll_ctl(2)).
type Events uint16

// The readiness bits that matter to a connection.
const (
	In    Events = unix.EPOLLIN
	Pri   Events = unix.EPOLLPRI
	Out   Events = unix.EPOLLOUT
	Err   Events = unix.EPOLLERR
	Hup   Events = unix.EPOLLHUP
	RdHup Events = unix.EPOLLRDHUP
)

// connectionEvents is what a connection's descriptor is registered for, once
// and for all: edge-triggered registration never needs to be modified.
const connectionEvents = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLPRI | unix.EPOLLET

// Owner is what a slot belongs to.
type Owner interface {
	// Ready is called by the slot's worker, in its goroutine, when there is
	// something new for the slot: events ([Slot.Take]), its deadline
	// ([Slot.TakeExpired]), or a turn asked for with [Worker.Again]. It is
	// not called while a coroutine runs for the slot; that is resumed instead.
	Ready()
}

// Slot is a connection's place in a worker. It is meant to be embedded in the
// connection; its zero value is a closed slot. All of it belongs to the worker
// that opened it: no other goroutine may call any method.
type Slot struct {
	owner Owner
	co    *coroutine // runs for the slot; nil when none does
	timer timer

	index   int32     // in Worker.slots
	life    uint32    // number of this opening of the slot
	serial  [2]uint32 // number of each side's registration, 0 for none
	events  [2]Events // readiness not yet taken
	open    bool
	queued  bool // in the ready list
	expired bool // the deadline has passed and was not yet taken
}

// Take gives and forgets the readiness that was reported for a side since the
// last call.
func (s *Slot) Take(side Side) Events {
	ev := s.events[side]
	s.events[side] = 0
	return ev
}

// Pending tells the readiness that a Take would give.
func (s *Slot) Pending(side Side) Events { return s.events[side] }

// TakeExpired tells whether the slot's deadline has passed since the last
// call, and forgets it.
func (s *Slot) TakeExpired() bool {
	e := s.expired
	s.expired = false
	return e
}

// IsOpen tells whether the slot has a place in a worker.
func (s *Slot) IsOpen() bool { return s.open }

// Open gives the slot a place in the worker. The owner hears of it until
// Close.
func (w *Worker) Open(s *Slot, o Owner) {
	if s.open {
		panic("BUG: poller: slot opened twice")
	}
	*s = Slot{owner: o, open: true, life: w.nextSerial()}
	if n := len(w.freeIndexes); n > 0 {
		s.index = w.freeIndexes[n-1]
		w.freeIndexes = w.freeIndexes[:n-1]
		w.slots[s.index] = s
	} else {
		s.index = int32(len(w.slots))
		w.slots = append(w.slots, s)
	}
	w.openSlots.Store(w.openSlots.Load() + 1)
}

// Close takes the slot out of the worker: its deadline is cleared and events
// that were already fetched for it are dropped. Its descriptors stay with the
// caller. A slot must not be closed while a coroutine still runs for it.
func (w *Worker) Close(s *Slot) {
	if !s.open || s.co != nil {
		panic("BUG: poller: closing a slot that is closed or still being set up")
	}
	w.wheel.remove(s)
	w.slots[s.index] = nil
	w.freeIndexes = append(w.freeIndexes, s.index)
	s.open = false
	s.owner = nil
	s.serial = [2]uint32{}
	w.openSlots.Store(w.openSlots.Load() - 1)
}

// Register adds fd to the worker's epoll as one side of the slot, for good:
// it is never modified, and leaves epoll when it is closed. Registering
// another descriptor for the same side makes events of the earlier one stale,
// even those already fetched.
func (w *Worker) Register(s *Slot, side Side, fd int) error {
	serial := w.nextSerial()
	ev := unix.EpollEvent{Events: connectionEvents, Fd: s.index<<1 | int32(side), Pad: int32(serial)}
	if err := epollAdd(w.epfd, fd, &ev); err != nil {
		return err
	}
	s.serial[side] = serial
	s.events[side] = 0
	return nil
}

// nextSerial numbers registrations and openings; 0 means none, so it is passed
// over.
func (w *Worker) nextSerial() uint32 {
	w.serial++
	if w.serial == 0 {
		w.serial = 1
	}
	return w.serial
}

// Again gives the slot another turn after every slot that is ready now.
func (w *Worker) Again(s *Slot) {
	if !s.queued {
		s.queued = true
		w.ready = append(w.ready, entry{s, s.life})
	}
}

// entry is a slot's place in the ready list. A slot may be closed and opened
// anew while it has one, so the entry says for which opening it was made.
type entry struct {
	slot *Slot
	life uint32
}

// SetDeadline sets the slot's one deadline, in place of an earlier one. It is
// reported once, never early and at most two ticks of the wheel late.
// at is on the worker's clock ([Worker.Now]).
func (w *Worker) SetDeadline(s *Slot, at time.Duration) {
	s.expired = false
	w.wheel.set(s, at, w.now)
	w.armTimer(s.timer.at)
}

// ClearDeadline takes the slot's deadline back.
func (w *Worker) ClearDeadline(s *Slot) {
	s.expired = false
	w.wheel.remove(s)
}

// Each calls f for the owner of every open slot. f may close slots, its own
// among them, but not open any.
func (w *Worker) Each(f func(Owner)) {
	for _, s := range w.slots {
		if s != nil {
			f(s.owner)
		}
	}
}
