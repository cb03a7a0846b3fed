package poller

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What comes soon is waited for with the P held; after a while without anything
// it is let go.
func TestPIsHeldForAWhile(t *testing.T) {
	var p epoll
	check(t, p.init())
	defer p.close()
	const token = 1
	fd, err := newTimer()
	check(t, err)
	defer unix.Close(fd)
	check(t, p.addOwn(fd, token))
	// wait waits for the timer and tells whether the P was let go meanwhile.
	wait := func(in time.Duration) (released bool) {
		setTimer(fd, in)
		for {
			events := p.wait(true)
			released = released || p.released
			for _, ev := range events {
				switch ev.Fd {
				case token:
					return released
				case tickToken:
					p.armTick()
				}
			}
		}
	}
	if !wait(time.Nanosecond) {
		t.Error("at first the P was held")
	}
	for range 3 {
		setTimer(fd, time.Nanosecond)
		for { // until it has expired
			if events := p.wait(false); len(events) > 0 && events[0].Fd == token {
				break
			}
		}
		if p.released {
			t.Error("a wait that did not block let the P go")
		}
	}
	// The runtime's signals, which come all the time of a busy P, keep nobody
	// from letting go. A busy machine may show the worker the ticks and the timer
	// together.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	thread, done := unix.Gettid(), make(chan struct{})
	var signals sync.WaitGroup
	signals.Go(func() {
		every := time.NewTicker(holdFor / 4)
		defer every.Stop()
		for {
			select {
			case <-every.C:
				unix.Tgkill(unix.Getpid(), thread, unix.SIGURG)
			case <-done:
				return
			}
		}
	})
	defer signals.Wait()
	defer close(done)
	for began := time.Now(); !wait(10 * holdFor); {
		if time.Since(began) > patience {
			t.Fatal("the P was held for ever")
		}
	}
	// And it is held again at once: the timer comes before two ticks have.
	for began := time.Now(); wait(time.Nanosecond); {
		if time.Since(began) > patience {
			t.Fatal("the P is never held")
		}
	}
}
