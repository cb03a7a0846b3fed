package poller

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// echo answers every byte that comes on fd with one, until limit came.
func (l *loop) echo(fd, limit int, done chan<- struct{}) {
	o := &owner{}
	left := limit
	o.ready = func() {
		if o.Take(Downstream)&In == 0 {
			return
		}
		var b [1]byte
		for {
			n, err := unix.Read(fd, b[:])
			if err == unix.EAGAIN || left == 0 {
				return
			}
			if n != 1 || err != nil {
				l.t.Errorf("read: %d, %v", n, err)
			}
			if left--; left == 0 {
				close(done)
			}
			unix.Write(fd, b[:])
		}
	}
	l.Open(&o.Slot, o)
	check(l.t, l.Register(&o.Slot, Downstream, fd))
}

// Two workers throw a byte to each other. At every throw one of them is about
// to wait or just does: an edge that is lost there stops the game.
func TestNoEdgeIsLostBetweenWorkers(t *testing.T) {
	const balls, throws = 2, 50_000
	one, two := run(t), run(t)
	ends := make([]chan struct{}, 0, 2*balls)
	for range balls {
		a, b := sockets(t)
		endA, endB := make(chan struct{}), make(chan struct{})
		one.do(func() { one.echo(a, throws, endA) })
		two.do(func() { two.echo(b, throws, endB) })
		two.do(func() { send(t, b, "x") })
		ends = append(ends, endA, endB)
	}
	for _, end := range ends {
		await(t, end)
	}
}

// The same between a worker's inbox and another's.
func TestNoMessageIsLostBetweenWorkers(t *testing.T) {
	one, two := run(t), run(t)
	done := make(chan struct{})
	var there, back func()
	n := 0
	there = func() { two.Post(back) }
	back = func() {
		if n++; n == 50_000 {
			close(done)
			return
		}
		one.Post(there)
	}
	one.Post(there)
	await(t, done)
}

// More descriptors are ready than one wait fetches.
func TestMoreEventsThanABatch(t *testing.T) {
	l := run(t)
	const many = 5*eventBatch + 1
	told := make(chan struct{}, many)
	l.do(func() {
		for range many {
			near, far := sockets(t)
			send(t, far, "x")
			o := &owner{}
			o.ready = func() {
				if o.Take(Downstream)&In != 0 {
					told <- struct{}{}
				}
			}
			l.Open(&o.Slot, o)
			check(t, l.Register(&o.Slot, Downstream, near))
		}
	})
	for range many {
		await(t, told)
	}
}

func TestStopLeavesNothing(t *testing.T) {
	fds, goroutines := openFDs(), runtime.NumGoroutine()
	for range 20 {
		w := idle(t)
		done := make(chan struct{})
		go func() {
			defer close(done)
			w.Run()
		}()
		w.Post(func() {
			for range 10 { // some coroutines that are kept
				o := &owner{}
				o.ready = func() { w.Close(&o.Slot) }
				w.Open(&o.Slot, o)
				w.Start(&o.Slot, setupFunc(func() { o.Wait() }))
				w.Again(&o.Slot)
			}
			w.Post(w.Stop)
		})
		await(t, done)
	}
	if n := openFDs(); n != fds {
		t.Errorf("%d descriptors before, %d after", fds, n)
	}
	for deadline := time.Now().Add(patience); runtime.NumGoroutine() > goroutines; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines before, %d after", goroutines, runtime.NumGoroutine())
		}
	}
}

func TestStopWithOpenSlots(t *testing.T) {
	w := releaseAtEnd(t, idle(t))
	o := &owner{ready: func() {}}
	w.Open(&o.Slot, o)
	w.Stop()
	mustPanic(t, "stopped with an open slot", w.Run)
}

func TestBeforeWaitIsCalledWhenThereIsNothingToDo(t *testing.T) {
	w := idle(t)
	var j journal
	w.BeforeWait(func() { j.note("before waiting") })
	o := &owner{}
	turns := 0
	o.ready = func() {
		j.note("turn")
		if turns++; turns < 3 {
			w.Again(&o.Slot)
			return
		}
		w.Close(&o.Slot)
		w.Post(w.Stop)
	}
	w.Open(&o.Slot, o)
	w.Again(&o.Slot)
	w.Run()
	j.want(t, "turn", "turn", "turn", "before waiting")
}

// Now stands still within a batch, Clock does not.
func TestClocks(t *testing.T) {
	l := run(t)
	l.do(func() {
		now := l.Now()
		for l.Clock() <= now {
		}
		if l.Now() != now {
			t.Error("Now went on within a batch")
		}
	})
	var before time.Duration
	l.do(func() { before = l.Clock() })
	l.do(func() {
		if l.Now() < before {
			t.Error("Now has not followed")
		}
	})
}

// A goroutine that a worker made runnable gets the P after the batch, although
// the worker has more to do. Without that it would have it when the scheduler
// takes it from the worker, which is thousands of turns later.
func TestSpawnedGivesTheGoroutineItsTurn(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	l := run(t)
	turns := make(chan int64, 1)
	l.do(func() {
		o := &owner{}
		var n atomic.Int64
		o.ready = func() {
			n.Add(1)
			l.Again(&o.Slot)
		}
		l.Open(&o.Slot, o)
		l.Again(&o.Slot)
		go func() { turns <- n.Load() }()
		l.Spawned()
	})
	if n := await(t, turns); n > 100 {
		t.Errorf("it had to wait for %d turns", n)
	}
}

// A worker that always has something to do lets others have their turn now and
// then; one that has let its P go has no need to.
func TestBusyWorkerYields(t *testing.T) {
	w := idle(t)
	var yields []time.Duration
	w.yield = func() { yields = append(yields, w.Now()) }
	o := &owner{}
	o.ready = func() {
		if len(yields) < 3 {
			w.Again(&o.Slot)
			return
		}
		w.Close(&o.Slot)
		w.Post(w.Stop)
	}
	w.Open(&o.Slot, o)
	w.Again(&o.Slot)
	w.Run()
	for i, last := 0, time.Duration(0); i < len(yields); i++ {
		if yields[i]-last <= yieldAfter {
			t.Errorf("it yielded after %v", yields[i]-last)
		}
		last = yields[i]
	}
}

// At most it yields for the time before it let the P go.
func TestWorkerThatWaitsHardlyYields(t *testing.T) {
	const waits, each = 2, 50
	w := idle(t)
	yields := 0
	w.yield = func() { yields++ }
	o := &owner{}
	turns := 0
	o.ready = func() {
		if turns++; turns > waits {
			w.Close(&o.Slot)
			w.Post(w.Stop)
			return
		}
		w.SetDeadline(&o.Slot, w.Clock()+each*yieldAfter) // waits for longer than it holds its P
	}
	w.Open(&o.Slot, o)
	w.Again(&o.Slot)
	w.Run()
	if yields > waits*each/5 {
		t.Errorf("it yielded %d times in %d waits of %v", yields, waits, each*yieldAfter)
	}
}
