package poller

import (
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Worker is one event loop. All of its methods belong to the goroutine that
// runs [Worker.Run], which includes coroutines and callbacks, unless they say
// that any goroutine may call them.
type Worker struct {
	epoll
	inbox   inbox
	wheel   wheel
	timerfd int
	armed   int64 // the tick for which the timerfd is set; 0: not set
	timeUp  bool  // the timerfd has fired

	slots       []*Slot // by index; nil: free
	freeIndexes []int32
	serial      uint32
	watches     []*Watch

	ready, turn []entry // to be run next, and being run
	idle        []*coroutine
	beforeWait  func()

	start     time.Time
	now       time.Duration
	heldSince time.Duration // since when nobody else could have the P
	yield     func()        // yieldToScheduler, but for tests
	spawned   bool
	stopping  bool

	openSlots  atomic.Int64
	coroutines atomic.Int64
}

// The numbers under which the worker's own descriptors report.
const (
	inboxToken = -1 << 30
	timerToken = inboxToken + 1
	tickToken  = inboxToken + 2
)

// New makes a worker that does nothing until Run.
func New() (*Worker, error) {
	w := &Worker{start: time.Now(), beforeWait: func() {}, yield: yieldToScheduler}
	w.wheel.init()
	if err := w.epoll.init(); err != nil {
		return nil, err
	}
	if err := w.inbox.init(); err != nil {
		w.epoll.close()
		return nil, err
	}
	var err error
	if w.timerfd, err = newTimer(); err != nil {
		w.epoll.close()
		w.inbox.close()
		return nil, err
	}
	for fd, token := range map[int]int32{w.inbox.fd: inboxToken, w.timerfd: timerToken} {
		if err := w.addOwn(fd, token); err != nil {
			w.release()
			return nil, err
		}
	}
	return w, nil
}

// BeforeWait sets a function that the worker calls when it has nothing left to
// do and is about to wait. It has to be set before Run.
func (w *Worker) BeforeWait(f func()) { w.beforeWait = f }

// Now is the worker's clock: the time since it was made, read once for every
// batch of events.
func (w *Worker) Now() time.Duration { return w.now }

// Clock reads the clock anew, for measuring within a batch.
func (w *Worker) Clock() time.Duration { return time.Since(w.start) }

// Slots gives the number of open slots. Any goroutine may call it.
func (w *Worker) Slots() int { return int(w.openSlots.Load()) }

// Coroutines gives the number of set-ups under way. Any goroutine may call it.
func (w *Worker) Coroutines() int { return int(w.coroutines.Load()) }

// Post has the worker call f in its goroutine, in the order of posting. It
// tells false, and f is not called, when the worker has stopped. Any goroutine
// may call it.
func (w *Worker) Post(f func()) bool { return w.inbox.post(f) }

// Spawned tells the worker that it made a goroutine runnable. The worker gives
// its P away once after the batch; without that the goroutine would wait for
// the scheduler's next preemption, 10 ms, when every P runs a worker.
func (w *Worker) Spawned() { w.spawned = true }

// Stop makes Run return after the current batch. The owner of the worker must
// have closed every slot before.
func (w *Worker) Stop() { w.stopping = true }

// Run is the loop. It returns after Stop, with all of the worker's own
// descriptors closed.
func (w *Worker) Run() {
	w.heldSince = w.Clock()
	for !w.stopping {
		block := len(w.ready) == 0
		if block {
			w.beforeWait()
		}
		events := w.wait(block)
		w.now = w.Clock()
		if w.released {
			w.heldSince = w.now
		}
		for i := range events {
			w.dispatch(&events[i])
		}
		if w.timeUp {
			w.fireTimers()
		}
		w.runReady()
		if w.spawned {
			w.spawned = false
			runtime.Gosched()
		}
		if w.now-w.heldSince > yieldAfter {
			w.heldSince = w.now
			w.yield()
		}
	}
	if w.Slots() > 0 {
		panic("BUG: poller: worker stopped with open slots")
	}
	w.release()
}

// dispatch notes one event where it belongs.
func (w *Worker) dispatch(ev *unix.EpollEvent) {
	switch {
	case ev.Fd >= 0:
		side := Side(ev.Fd & 1)
		s := w.slots[ev.Fd>>1]
		if s == nil || s.serial[side] != uint32(ev.Pad) {
			return // of a descriptor that is closed by now
		}
		s.events[side] |= Events(ev.Events)
		w.Again(s)
	case ev.Fd == inboxToken:
		for _, f := range w.inbox.take() {
			f()
		}
	case ev.Fd == timerToken:
		w.timeUp = true
	case ev.Fd == tickToken:
		w.armTick()
	default:
		if wa := w.watches[-1-ev.Fd]; wa != nil && !wa.paused {
			wa.ready()
		}
	}
}

// runReady gives every slot that is ready one turn. Slots that ask for another
// get it after the next look for events.
func (w *Worker) runReady() {
	w.ready, w.turn = w.turn[:0], w.ready
	for i, e := range w.turn {
		w.turn[i] = entry{}
		s := e.slot
		if !s.open || s.life != e.life {
			continue // closed after it became ready
		}
		s.queued = false
		if s.co != nil {
			w.resume(s)
		} else {
			s.owner.Ready()
		}
	}
}

// fireTimers reports the deadlines that have passed.
func (w *Worker) fireTimers() {
	w.timeUp = false
	w.armed = 0
	w.wheel.advance(w.now, func(s *Slot) {
		s.expired = true
		w.Again(s)
	})
	if next, ok := w.wheel.next(); ok {
		w.armTimer(next)
	}
}

// armTimer sets the timerfd for a tick unless it is set for an earlier one. It
// is not taken back when a timer is removed: a needless wake-up every few
// seconds is cheaper than a system call per connection.
func (w *Worker) armTimer(at int64) {
	if w.armed != 0 && w.armed <= at {
		return
	}
	w.armed = at
	setTimer(w.timerfd, max(time.Duration(at)*tick-w.Clock(), time.Nanosecond))
}

// release closes the worker's own descriptors and ends its coroutines.
// Messages nobody took are still run, so that none is lost in silence.
func (w *Worker) release() {
	for _, f := range w.inbox.close() {
		f()
	}
	for _, co := range w.idle {
		co.stop()
	}
	w.idle = nil
	unix.Close(w.timerfd)
	w.epoll.close()
}
