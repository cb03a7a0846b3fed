package poller

import (
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// listening gives a non-blocking listening socket and a func that connects to
// it and gives the client's descriptor.
func listening(t testing.TB) (fd int, connect func() int) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	check(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	check(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	check(t, unix.Listen(fd, 4096))
	at, err := unix.Getsockname(fd)
	check(t, err)
	return fd, func() int {
		c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		check(t, err)
		check(t, unix.Connect(c, at))
		return c
	}
}

// acceptOne takes one connection and closes it; it tells whether there was one.
func acceptOne(fd int) bool {
	c, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
	if err != nil {
		return false
	}
	unix.Close(c)
	return true
}

func TestWatchReportsUntilNothingIsLeft(t *testing.T) {
	l := run(t)
	fd, connect := listening(t)
	const many = 20
	for range many {
		defer unix.Close(connect())
	}
	accepted, done := 0, make(chan struct{})
	l.do(func() {
		_, err := l.Watch(fd, false, func() { // one at a time: the rest is reported again
			if acceptOne(fd) {
				accepted++
			}
			if accepted == many {
				close(done)
			}
		})
		check(t, err)
	})
	await(t, done)
}

func TestWatchPauseResumeUnwatch(t *testing.T) {
	l := run(t)
	fd, connect := listening(t)
	reports := make(chan struct{}, 1000)
	var wa *Watch
	l.do(func() {
		var err error
		wa, err = l.Watch(fd, false, func() {
			acceptOne(fd)
			reports <- struct{}{}
		})
		check(t, err)
	})
	defer unix.Close(connect())
	await(t, reports)
	l.rounds()
	for len(reports) > 0 {
		<-reports
	}

	l.do(func() {
		l.Pause(wa)
		l.Pause(wa) // the same as once
	})
	defer unix.Close(connect())
	l.rounds()
	if len(reports) != 0 {
		t.Fatal("reported while paused")
	}
	l.do(func() {
		check(t, l.Resume(wa))
		check(t, l.Resume(wa)) // the same as once
	})
	await(t, reports)

	l.do(func() { l.Unwatch(wa) })
	l.rounds()
	for len(reports) > 0 {
		<-reports
	}
	defer unix.Close(connect())
	l.rounds()
	if len(reports) != 0 {
		t.Fatal("reported after the watch has ended")
	}
}

// A gateway that is over its limit has its listening sockets paused when they
// leave the configuration.
func TestUnwatchWhilePaused(t *testing.T) {
	w := releaseAtEnd(t, idle(t))
	fd, _ := listening(t)
	wa, err := w.Watch(fd, false, func() {})
	check(t, err)
	w.Pause(wa)
	w.Unwatch(wa)
	if _, err := w.Watch(fd, false, func() {}); err != nil {
		t.Errorf("watching it again: %v", err)
	}
}

// What one listening socket's report does to another holds for the events that
// were already fetched with it.
func TestWatchStaleWithinABatch(t *testing.T) {
	f := func(name string, change func(w *Worker, wa *Watch)) {
		t.Helper()
		w := releaseAtEnd(t, idle(t))
		fd, connect := listening(t)
		defer unix.Close(connect())
		called := 0
		wa, err := w.Watch(fd, false, func() { called++ })
		check(t, err)
		batch := fetched(t, w)
		change(w, wa)
		w.dispatchAll(batch)
		if called != 0 {
			t.Errorf("%s: reported", name)
		}
	}
	f("paused", (*Worker).Pause)
	f("unwatched", (*Worker).Unwatch)
	f("unwatched and watched again", func(w *Worker, wa *Watch) {
		w.Unwatch(wa)
		_, err := w.Watch(wa.fd, false, func() {})
		check(t, err)
	})
}

func TestWatchReportsTheKernelsError(t *testing.T) {
	w := releaseAtEnd(t, idle(t))
	if _, err := w.Watch(1<<20, false, func() {}); err == nil {
		t.Error("a descriptor that is not open was watched")
	}
	fd, _ := listening(t)
	if _, err := w.Watch(fd, false, func() {}); err != nil {
		t.Error(err)
	}
	if _, err := w.Watch(fd, true, func() {}); err == nil {
		t.Error("one descriptor was watched twice")
	}
}

// A unix listener is one socket in the epoll of every worker: each connection
// is accepted once, and none is left behind, also when a worker takes one at a
// time and the other is asleep.
func TestWatchSharedBetweenWorkers(t *testing.T) {
	workers := []*loop{run(t), run(t)}
	fd, connect := listening(t)
	const many = 3000
	var accepted, woken atomic.Int64
	done := make(chan struct{})
	for _, l := range workers {
		l.do(func() {
			_, err := l.Watch(fd, true, func() {
				woken.Add(1)
				if acceptOne(fd) && accepted.Add(1) == many {
					close(done)
				}
			})
			check(t, err)
		})
	}
	for range many {
		unix.Close(connect())
	}
	await(t, done)
	for _, l := range workers {
		l.rounds()
	}
	if n := accepted.Load(); n != many {
		t.Errorf("%d accepted", n)
	}
	t.Logf("%d reports for %d connections", woken.Load(), many)
}
