package poller

import (
	"slices"

	"golang.org/x/sys/unix"
)

// Watch is a descriptor that is not a connection: a listening socket.
// It belongs to the worker that made it.
type Watch struct {
	fd     int
	events uint32
	index  int32
	paused bool
	ready  func()
}

// Watch calls ready in the worker's goroutine for as long as fd has a
// connection to accept (level-triggered, so whatever ready leaves undone is
// reported again). With shared set, fd is in the epoll of several workers
// (EPOLLEXCLUSIVE): an event wakes one of those that sleep, or a few.
// The descriptor stays the caller's and must be closed after Unwatch: one that
// was handed to another process would go on reporting otherwise.
func (w *Worker) Watch(fd int, shared bool, ready func()) (*Watch, error) {
	wa := &Watch{fd: fd, events: unix.EPOLLIN, ready: ready}
	if shared {
		wa.events |= unix.EPOLLEXCLUSIVE
	}
	wa.index = int32(slices.Index(w.watches, nil))
	if wa.index < 0 {
		wa.index = int32(len(w.watches))
		w.watches = append(w.watches, nil)
	}
	if err := w.register(wa); err != nil {
		return nil, err
	}
	w.watches[wa.index] = wa // an event of who had the place before is one too many, which does no harm
	return wa, nil
}

func (w *Worker) register(wa *Watch) error {
	// Negative numbers tell watches from slots.
	ev := unix.EpollEvent{Events: wa.events, Fd: -1 - wa.index}
	return epollAdd(w.epfd, wa.fd, &ev)
}

// Unwatch ends a watch. Its ready function is not called any more.
func (w *Worker) Unwatch(wa *Watch) {
	w.Pause(wa)
	w.watches[wa.index] = nil
}

// Pause stops the reports until Resume, those already fetched too: a
// level-triggered descriptor that cannot be served would be reported without
// end. Pausing twice is the same as once.
func (w *Worker) Pause(wa *Watch) {
	if wa.paused {
		return
	}
	wa.paused = true
	if err := epollCtl(w.epfd, unix.EPOLL_CTL_DEL, wa.fd, nil); err != nil {
		panic("BUG: poller: pausing a watch: " + err.Error())
	}
}

// Resume takes the reports up again after Pause. When it fails the watch stays
// paused.
func (w *Worker) Resume(wa *Watch) error {
	if !wa.paused {
		return nil
	}
	if err := w.register(wa); err != nil {
		return err
	}
	wa.paused = false
	return nil
}
