package poller

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// TestMain fails the package when its tests leave goroutines (coroutines count
// as such) or descriptors behind.
func TestMain(m *testing.M) {
	// The runtime opens the descriptors of its own poller once, for good.
	r, w, err := os.Pipe()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	r.Close()
	w.Close()
	before := openFDs()
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
		if after := openFDs(); after != before {
			fmt.Fprintf(os.Stderr, "descriptors: %d before the tests, %d after\n", before, after)
			code = 1
		}
	}
	os.Exit(code)
}

// openFDs counts the descriptors of the process.
func openFDs() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		panic(err)
	}
	return len(entries)
}

// patience is how long a test waits for what must come. It never passes.
const patience = 20 * time.Second

// loop is a worker that runs in a goroutine of its own.
type loop struct {
	*Worker
	t    testing.TB
	done chan struct{}
}

// run starts a worker, which is stopped when the test ends.
func run(t testing.TB) *loop {
	t.Helper()
	l := &loop{Worker: idle(t), t: t, done: make(chan struct{})}
	go func() {
		defer close(l.done)
		l.Run()
	}()
	t.Cleanup(l.stop)
	return l
}

// idle makes a worker whose loop does not run: the test is its goroutine.
func idle(t testing.TB) *Worker {
	t.Helper()
	w, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// releaseAtEnd gives back what an idle worker holds when the test ends.
func releaseAtEnd(t testing.TB, w *Worker) *Worker {
	t.Cleanup(w.release)
	return w
}

// do has the worker call f and waits until it has.
func (l *loop) do(f func()) {
	l.t.Helper()
	called := make(chan struct{})
	if !l.Post(func() { defer close(called); f() }) {
		l.t.Fatal("the worker has stopped")
	}
	await(l.t, called)
}

// rounds lets the worker look for events several times.
func (l *loop) rounds() {
	l.t.Helper()
	for range 4 {
		l.do(func() {})
	}
}

func (l *loop) stop() {
	l.Post(func() {
		l.Each(func(o Owner) { l.Close(&o.(*owner).Slot) })
		l.Stop()
	})
	await(l.t, l.done)
}

func await[T any](t testing.TB, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
	return v
}

// owner is a slot whose Ready is a func.
type owner struct {
	Slot
	ready func()
}

func (o *owner) Ready() { o.ready() }

// setupFunc makes a func a Setup.
type setupFunc func()

func (f setupFunc) Setup() { f() }

// sockets gives the two ends of a non-blocking stream, closed when the test
// ends unless it has closed them itself.
func sockets(t testing.TB) (a, b int) {
	t.Helper()
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(p[0]); unix.Close(p[1]) })
	return p[0], p[1]
}

func send(t testing.TB, fd int, s string) {
	t.Helper()
	if n, err := unix.Write(fd, []byte(s)); n != len(s) || err != nil {
		t.Fatalf("write: %d, %v", n, err)
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
