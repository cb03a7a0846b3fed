package poller

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Timers and set-ups are made for every connection, so they may not cost
// garbage.
func TestNothingIsAllocatedPerConnection(t *testing.T) {
	w := releaseAtEnd(t, idle(t))
	o := &owner{ready: func() {}}
	setup := Setup(setupFunc(func() {}))
	waiting := Setup(setupFunc(func() { o.Wait() }))
	var now time.Duration
	f := func(name string, op func()) {
		t.Helper()
		op() // caches and lists are filled once
		if n := testing.AllocsPerRun(100, op); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	f("open and close", func() { w.Open(&o.Slot, o); w.Close(&o.Slot) })
	w.Open(&o.Slot, o)
	f("a deadline set and cleared", func() {
		now += time.Millisecond
		w.SetDeadline(&o.Slot, now+time.Second)
		w.ClearDeadline(&o.Slot)
	})
	f("a deadline that passes", func() {
		w.now += time.Second
		w.SetDeadline(&o.Slot, w.now)
		w.now += 2 * tick
		w.fireTimers()
		w.runReady()
	})
	f("a set-up in a kept coroutine", func() { w.Start(&o.Slot, setup) })
	f("a set-up that waits once", func() {
		w.Start(&o.Slot, waiting)
		w.Again(&o.Slot)
		w.runReady()
	})
	f("a turn", func() { w.Again(&o.Slot); w.runReady() })
	f("a wait without events", func() { w.wait(false) })
	w.Close(&o.Slot)
}

func BenchmarkWheelSetRemove(b *testing.B) {
	b.ReportAllocs()
	wh := &wheel{}
	wh.init()
	var others [1000]Slot
	for i := range others {
		wh.set(&others[i], time.Duration(i)*time.Second, 0)
	}
	var s Slot
	for b.Loop() {
		wh.set(&s, 30*time.Second, 0)
		wh.remove(&s)
	}
}

func BenchmarkDeadlineSetClear(b *testing.B) {
	b.ReportAllocs()
	w := idle(b)
	defer w.release()
	o, earlier := &owner{ready: func() {}}, &owner{ready: func() {}}
	w.Open(&o.Slot, o)
	w.Open(&earlier.Slot, earlier)
	w.SetDeadline(&earlier.Slot, time.Second) // as in a busy worker: the timerfd is set already
	for b.Loop() {
		w.SetDeadline(&o.Slot, time.Minute)
		w.ClearDeadline(&o.Slot)
	}
	w.Close(&o.Slot)
	w.Close(&earlier.Slot)
}

func BenchmarkCoroutineStartFinish(b *testing.B) {
	b.ReportAllocs()
	w := idle(b)
	defer w.release()
	o := &owner{ready: func() {}}
	w.Open(&o.Slot, o)
	setup := Setup(setupFunc(func() {}))
	for b.Loop() {
		w.Start(&o.Slot, setup)
	}
	w.Close(&o.Slot)
}

func BenchmarkCoroutineWait(b *testing.B) {
	b.ReportAllocs()
	w := idle(b)
	defer w.release()
	o := &owner{ready: func() {}}
	w.Open(&o.Slot, o)
	over := false
	w.Start(&o.Slot, setupFunc(func() {
		for !over {
			o.Wait()
		}
	}))
	for b.Loop() {
		w.Again(&o.Slot)
		w.runReady()
	}
	over = true
	w.Again(&o.Slot)
	w.runReady()
	w.Close(&o.Slot)
}

// BenchmarkRoundTrip is a byte to a waiting worker and back.
func BenchmarkRoundTrip(b *testing.B) {
	b.ReportAllocs()
	near, far := sockets(b) // before the workers, so that it is closed after they have stopped
	one, two := run(b), run(b)
	done := make(chan struct{})
	// Not b.Loop: the throws go on by themselves, between the workers.
	one.do(func() { one.echo(near, b.N, done) })
	two.do(func() { two.echo(far, b.N+1, make(chan struct{})) })
	b.ResetTimer()
	if _, err := unix.Write(far, []byte("x")); err != nil {
		b.Fatal(err)
	}
	<-done
}

func BenchmarkPost(b *testing.B) {
	b.ReportAllocs()
	l := run(b)
	f := func() {}
	for b.Loop() {
		l.Post(f)
	}
	l.do(f)
}
