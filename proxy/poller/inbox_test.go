package poller

import (
	"encoding/binary"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPostKeepsTheOrderOfEachSender(t *testing.T) {
	l := run(t)
	const senders, each = 8, 5000
	var got [senders][]int
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for i := range each {
				if !l.Post(func() { got[s] = append(got[s], i) }) {
					t.Error("refused")
				}
			}
		})
	}
	wg.Wait()
	l.do(func() {})
	for s := range senders {
		if len(got[s]) != each || !slices.IsSorted(got[s]) {
			t.Errorf("sender %d: %d arrived, in order: %t", s, len(got[s]), slices.IsSorted(got[s]))
		}
	}
}

// Posting from within a message is what set-ups and handshakes do.
func TestPostFromTheWorkerItself(t *testing.T) {
	l := run(t)
	const depth = 10000
	done := make(chan struct{})
	n := 0
	var again func()
	again = func() {
		if n++; n == depth {
			close(done)
			return
		}
		l.Post(again)
	}
	l.Post(again)
	await(t, done)
}

func TestPostAfterStop(t *testing.T) {
	l := run(t)
	var j journal
	l.Post(func() {
		j.note("first")
		l.Post(func() { j.note("posted before the stop") })
		l.Stop()
		if !l.Post(func() { j.note("posted before Run has returned") }) {
			t.Error("refused before Run has returned")
		}
	})
	await(t, l.done)
	if l.Post(func() { t.Error("called after the end") }) {
		t.Error("accepted after the end")
	}
	j.want(t, "first", "posted before the stop", "posted before Run has returned")
}

// Either Post gives true and the message runs, or false and it never does.
func TestPostWhileStopping(t *testing.T) {
	for range 20 {
		l := run(t)
		const senders = 4
		var accepted [senders]int
		ran := make([]int, senders) // the worker's
		var wg sync.WaitGroup
		for s := range senders {
			wg.Go(func() {
				for l.Post(func() { ran[s]++ }) {
					accepted[s]++
				}
			})
		}
		l.Post(l.Stop)
		wg.Wait()
		await(t, l.done)
		if !slices.Equal(accepted[:], ran) {
			t.Fatalf("accepted %v, ran %v", accepted, ran)
		}
	}
}

// Each wake-up adds one to a counter of 64 bits that nobody ever empties, so
// it must not add more on any byte order.
func TestPostAddsOneToTheEventfd(t *testing.T) {
	w := releaseAtEnd(t, idle(t))
	for range 3 {
		w.Post(func() {})
		w.inbox.take()
	}
	var b [8]byte
	_, err := unix.Read(w.inbox.fd, b[:])
	check(t, err)
	if n := binary.NativeEndian.Uint64(b[:]); n != 3 {
		t.Errorf("the counter is %d after 3 messages", n)
	}
}

func TestTakenMessagesAreNotKept(t *testing.T) {
	w := releaseAtEnd(t, idle(t))
	w.Post(func() {})
	w.inbox.take()
	w.Post(func() {})
	w.inbox.take()
	w.inbox.take()
	for _, q := range [][]func(){w.inbox.queue, w.inbox.taken} {
		for i, f := range q[:cap(q)] {
			if f != nil {
				t.Errorf("a func stays reachable at %d", i)
			}
		}
	}
}
