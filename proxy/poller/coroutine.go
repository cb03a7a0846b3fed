package poller

import "iter"

// Setup is straight-line code that brings a connection up. It runs in a
// coroutine of the worker: only while the worker runs it, and never at the
// same time as anything else of the worker, so it may touch whatever the
// worker may. Where it would block it calls [Slot.Wait].
type Setup interface {
	Setup()
}

// maxIdleCoroutines bounds how many finished coroutines a worker keeps for
// the next set-ups. A kept one holds its stack, mostly 8 KB.
const maxIdleCoroutines = 64

// coroutine runs one Setup after another. Starting one anew costs about 1 us
// more than going on with a kept one.
type coroutine struct {
	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool
	setup Setup // nil when the last one has returned
}

func newCoroutine() *coroutine {
	co := &coroutine{}
	co.next, co.stop = iter.Pull(co.run)
	return co
}

func (co *coroutine) run(yield func(struct{}) bool) {
	co.yield = yield
	for {
		co.setup.Setup()
		co.setup = nil
		if !yield(struct{}{}) {
			return
		}
	}
}

// Start runs the set-up in a coroutine until it first waits or returns. From
// then on whatever is new for the slot resumes it, instead of calling the
// owner. When the set-up has returned the owner's Ready is called once, outside
// of the coroutine, to go on from there or to close the slot.
func (w *Worker) Start(s *Slot, setup Setup) {
	if s.co != nil {
		panic("BUG: poller: slot has a coroutine already")
	}
	var co *coroutine
	if n := len(w.idle); n > 0 {
		co = w.idle[n-1]
		w.idle = w.idle[:n-1]
	} else {
		co = newCoroutine()
	}
	co.setup = setup
	s.co = co
	w.coroutines.Store(w.coroutines.Load() + 1)
	w.resume(s)
}

// resume goes on with a slot's coroutine until it waits again or returns.
func (w *Worker) resume(s *Slot) {
	co := s.co
	co.next()
	if co.setup != nil {
		return
	}
	s.co = nil
	w.coroutines.Store(w.coroutines.Load() - 1)
	if len(w.idle) < maxIdleCoroutines {
		w.idle = append(w.idle, co)
	} else {
		co.stop()
	}
	s.owner.Ready()
}

// Wait gives the worker back until there is something new for the slot:
// events, its deadline, or a turn asked for. It may only be called by the
// slot's set-up. It may return without any news; what was waited for has to be
// tried again.
func (s *Slot) Wait() {
	if s.co == nil {
		panic("BUG: poller: Wait outside of a set-up")
	}
	s.co.yield(struct{}{})
}
