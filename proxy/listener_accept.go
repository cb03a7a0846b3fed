package proxy

import (
	"net/netip"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"sluice/proxy/poller"
	"sluice/proxy/relay"
)

type addrPort = netip.AddrPort

const (
	// maxAcceptBatch bounds how many connections are accepted before the
	// worker sees to others.
	maxAcceptBatch = 64
	// flowing is how close together a worker's connections must come for
	// accepting several at a time.
	flowing = 100 * time.Microsecond
	// After an error that concerns the gateway accepting pauses, as in
	// net/http: 5 ms, doubled up to 1 s.
	minAcceptPause = 5 * time.Millisecond
	maxAcceptPause = time.Second
)

// acceptor accepts the connections of one listening socket for one worker.
type acceptor struct {
	w       *worker
	group   *socketGroup
	fd      int
	watch   *poller.Watch
	batch   int           // how many connections to accept before looking elsewhere
	last    time.Duration // when there was one, on the worker's clock
	pause   time.Duration
	spare   int // a descriptor to give up when there is no other
	paused  bool
	opened  bool
	held    bool // a successor accepts
	stopped bool // its socket is closed, or about to be
}

// accept makes an acceptor. It lets nobody in before it is opened.
func (w *worker) accept(g *socketGroup, fd int, shared bool) error {
	a := &acceptor{w: w, group: g, fd: fd, batch: 1, spare: openSpare()}
	if a.spare < 0 {
		return errNoSpare
	}
	watch, err := w.Watch(fd, shared, a.ready)
	if err != nil {
		unix.Close(a.spare)
		return err
	}
	a.watch = watch
	a.paused = true
	w.Pause(watch)
	w.acceptors = append(w.acceptors, a)
	return nil
}

// open lets clients in.
func (a *acceptor) open() {
	if a.opened {
		return
	}
	a.opened = true
	a.resume()
}

// ready accepts what waits. The socket is level-triggered, so accepting just
// one is enough, and spares the call that would say that there are no more.
// When they come thick and fast the batch grows.
func (a *acceptor) ready() {
	if now := a.w.Now(); now-a.last < flowing {
		a.batch = min(2*a.batch, maxAcceptBatch)
	} else {
		a.batch = 1
	}
	a.last = a.w.Now()
	for i := range a.batch {
		fd, source, errno := a.next()
		switch {
		case errno == 0 && a.w.gateway.spares.wanted():
			a.w.gateway.shed.Add(1)
			relay.CloseReset(fd)
		case errno == 0:
			a.pause = 0
			a.take(fd, source)
		case errno == syscall.EAGAIN:
			a.batch = max(i, 1)
			return
		case isTransient(errno):
			a.w.gateway.acceptFailed(errno)
		default:
			a.w.gateway.acceptFailed(errno)
			a.exhausted(errno)
			return
		}
	}
}

// next is accept4(2), into a buffer of ours.
func (a *acceptor) next() (int, addrPort, syscall.Errno) {
	var sa sockaddr
	length := uint32(unsafe.Sizeof(sa.raw))
	fd, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(a.fd), uintptr(unsafe.Pointer(&sa.raw)),
		uintptr(unsafe.Pointer(&length)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if errno != 0 {
		return -1, addrPort{}, errno
	}
	return int(fd), sa.addrPort(), 0
}

// take opens a connection here, or in a worker that has clearly less to do,
// unless there are too many.
func (a *acceptor) take(fd int, source addrPort) {
	g := a.w.gateway
	ln := g.snapshot.Load().sockets[a.group.index]
	if reason := ln.admission.accept(g, a.w.sharedNow()); reason != reasonNone {
		a.refuse(fd, ln, source, reason)
		return
	}
	if a.group.isUnix() { // it inherits nothing from the one that listens
		setsockopt(fd, unix.SOL_SOCKET, unix.SO_OOBINLINE, 1)
	}
	destination := a.destination(fd)
	if to := g.lighter(a.w); to != a.w {
		handed := to.Post(func() { to.open(fd, ln, source, destination) })
		if handed {
			a.w.Spawned()
			return
		}
	}
	a.w.open(fd, ln, source, destination)
}

// destination is where the client connected to.
func (a *acceptor) destination(fd int) addrPort {
	if bound := a.group.bound; !bound.IsValid() || !bound.Addr().IsUnspecified() {
		return bound
	}
	return localAddress(fd)
}

// exhausted is called when descriptors or memory have run out. Clients are
// turned away with the spare descriptor, for as long as there is one; without
// one they are left in the queue for a while.
func (a *acceptor) exhausted(errno syscall.Errno) {
	if (errno == syscall.EMFILE || errno == syscall.ENFILE) && a.shed() {
		return
	}
	a.pause = min(max(2*a.pause, minAcceptPause), maxAcceptPause)
	if a.spare < 0 {
		a.pause = spareRetry
	}
	a.paused = true
	a.w.Pause(a.watch)
	a.w.after(a.pause, a.resume)
}

// resume goes on to accept, or tries to later.
func (a *acceptor) resume() {
	if a.stopped || a.held {
		return
	}
	a.paused = false
	if !a.regainSpare() || a.w.Resume(a.watch) != nil {
		a.exhausted(syscall.ENOMEM)
	}
}

// hold leaves who waits in the queue, and who comes, to a successor.
func (a *acceptor) hold() {
	a.held = true
	a.paused = true
	a.w.Pause(a.watch)
}

// release goes on to accept after hold.
func (a *acceptor) release() {
	if a.held {
		a.held = false
		a.resume()
	}
}

// stop accepts what is in the queue and then nothing more. What is held is the
// successor's.
func (a *acceptor) stop() {
	a.stopped = true
	if !a.paused {
		for {
			fd, source, errno := a.next()
			if errno == 0 {
				a.take(fd, source)
			} else if !isTransient(errno) || errno == syscall.EAGAIN {
				break
			}
		}
	}
	a.w.Unwatch(a.watch)
	a.closeSpare()
}
