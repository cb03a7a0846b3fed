package relay

import (
	"bytes"
	"io"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/proxy/poller"
)

func TestCopyBothWays(t *testing.T) {
	for _, n := range []network{overUnix, overTCP} {
		h := newHand(t, n, 0)
		for _, from := range bothSides {
			said := "said by " + from.String()
			h.send(from, []byte(said))
			h.moves(from, len(said))
			if st := h.turn(); st != Waiting {
				t.Fatalf("%s: status %d", n, st)
			}
			got := h.arrives(from.Other(), len(said))
			if string(got) != said {
				t.Errorf("%s: %q", n, got)
			}
			if b := h.Bytes(from); b != uint64(len(got)) {
				t.Errorf("%s: counted %d", n, b)
			}
		}
		if h.m.Copied() != 34 || h.m.Spliced() != 0 {
			t.Errorf("%s: copied %d, spliced %d", n, h.m.Copied(), h.m.Spliced())
		}
	}
}

// What the other side does not take waits in a buffer of the smallest class
// that holds it, the source is not read meanwhile, and the buffer goes back
// when it is empty.
func TestCopyStallsAndResumes(t *testing.T) {
	for _, n := range []network{overUnix, overTCP} {
		h := newHand(t, n, 4<<10)
		h.m.splice = false
		var sent, want pattern
		total := 0
		for range 20 { // until nothing moves any more
			total += h.fill(Downstream, &sent)
			h.settle()
		}
		f := &h.flows[Downstream]
		if f.queue == nil || !h.State().has(stateQueued, Upstream) || h.Drained() {
			t.Fatalf("%s: not stalled with %d bytes sent", n, total)
		}
		moved := h.Bytes(Downstream)
		for range 10 {
			h.turn()
		}
		if h.Bytes(Downstream) != moved {
			t.Errorf("%s: bytes moved with nobody taking any", n)
		}
		got := h.arrives(Upstream, 1)
		for len(got) < total {
			h.settle()
			more, err := h.received(Upstream)
			check(t, err)
			got = append(got, more...)
		}
		if !bytes.Equal(got, want.next(total)) {
			t.Errorf("%s: other bytes", n)
		}
		if f.queue != nil || !h.Drained() || h.Bytes(Downstream) != uint64(total) {
			t.Errorf("%s: drained %t, %d of %d counted", n, h.Drained(), h.Bytes(Downstream), total)
		}
	}
}

// A stalled direction reads less at a time, so that its queue takes a small
// buffer, and more again when it flows.
func TestCopySlowSideGetsASmallBuffer(t *testing.T) {
	h := newHand(t, overUnix, 0)
	h.m.splice = false
	var sent pattern
	for range 20 {
		h.fill(Downstream, &sent)
		h.settle()
	}
	for range 5 { // take a little: it stalls again
		buf := make([]byte, 48<<10)
		sysRead(h.far[Upstream], buf)
		h.fill(Downstream, &sent)
		h.settle()
	}
	f := &h.flows[Downstream]
	if f.queue == nil || !f.slow || f.queue.class > 1 {
		t.Errorf("queue %+v, slow %t", f.queue, f.slow)
	}
}

// The bytes that the set-up could not deliver go first, and count.
func TestCopySendGoesAhead(t *testing.T) {
	h := newHand(t, overTCP, 0)
	h.Count(Downstream, 7)
	h.Send(h.m, []byte("hello "))
	if h.Drained() {
		t.Error("drained with bytes queued")
	}
	h.send(Downstream, []byte("world"))
	h.moves(Downstream, 7+11)
	if got := h.arrives(Upstream, 11); string(got) != "hello world" {
		t.Errorf("%q", got)
	}
	if n := h.Bytes(Downstream); n != 7+11 {
		t.Errorf("counted %d", n)
	}
}

// One turn moves what the budget allows, and the last read or splice that
// began within it.
func TestTurnKeepsToItsBudget(t *testing.T) {
	for _, mode := range []Mode{Copy, Splice} {
		h := newHand(t, overTCP, 0)
		h.m.splice = mode == Splice
		stop := h.flood(Downstream)
		most, again := uint64(0), 0
		eventually(t, "turns that end with more to move", func() bool {
			h.flows[Downstream].mode = mode
			before := h.m.Copied() + h.m.Spliced()
			if h.turn() == Again {
				again++
			}
			most = max(most, h.m.Copied()+h.m.Spliced()-before)
			return again > 100
		})
		stop()
		if limit := uint64(turnBudget + max(scratchSize, bigPipeSize)); most < turnBudget || most > limit {
			t.Errorf("%v: up to %d bytes in a turn", mode, most)
		}
	}
}

// A short read means that the queue is empty only while nothing is behind it:
// a FIN that was reported before has to be found without another event.
func TestCopyFindsTheFINBehindAShortRead(t *testing.T) {
	h := newHand(t, overTCP, 0)
	h.send(Downstream, []byte("last words"))
	check(t, unix.Shutdown(h.far[Downstream], unix.SHUT_WR))
	eventually(t, "the FIN", func() bool { return h.look(Downstream)&poller.RdHup != 0 })
	h.turn() // the events of this turn are the last there are
	if !h.State().Ended(Downstream) {
		t.Fatal("the FIN was not found")
	}
	got := h.arrives(Upstream, len("last words"))
	eventually(t, "the FIN", func() bool { _, err := h.received(Upstream); return err == io.EOF })
	if string(got) != "last words" {
		t.Errorf("%q", got)
	}
}

// Without one, a short read is the last: the next read would be for nothing.
func TestCopyReadsNoMoreAfterAShortRead(t *testing.T) {
	h := newHand(t, overTCP, 0)
	h.send(Downstream, []byte("a request"))
	eventually(t, "the bytes", func() bool { return h.look(Downstream)&poller.In != 0 })
	h.Events(Downstream, poller.In)
	h.Turn(h.m)
	if h.ends[Downstream].readable {
		t.Error("it would be read again")
	}
	h.send(Downstream, []byte("more"))
	h.Turn(h.m) // no event: not looked at
	if n := h.Bytes(Downstream); n != uint64(len("a request")) {
		t.Errorf("%d bytes", n)
	}
}

func TestReadableMakesItRead(t *testing.T) {
	h := newHand(t, overTCP, 0)
	h.send(Downstream, []byte("came early"))
	eventually(t, "the bytes", func() bool { return h.look(Downstream)&poller.In != 0 })
	h.Turn(h.m)
	if h.Bytes(Downstream) != 0 {
		t.Fatal("it was read without being told")
	}
	h.Readable(Downstream)
	h.Turn(h.m)
	if h.Bytes(Downstream) != 10 {
		t.Errorf("%d bytes", h.Bytes(Downstream))
	}
}

func TestLastActive(t *testing.T) {
	h := newHand(t, overUnix, 0)
	h.m.SetNow(5)
	h.Touch(3)
	if at := h.LastActive(); at != 3 {
		t.Errorf("touched: %d", at)
	}
	h.turn()
	if at := h.LastActive(); at != 3 {
		t.Errorf("after a turn without bytes: %d", at)
	}
	h.send(Upstream, []byte("x"))
	h.settle()
	if at := h.LastActive(); at != 5 {
		t.Errorf("after a byte: %d", at)
	}
}

func TestReleaseGivesEverythingBack(t *testing.T) {
	for _, mode := range []Mode{Copy, Splice} {
		h := newHand(t, overTCP, 64<<10)
		h.m.splice = mode == Splice
		h.flows[Downstream].mode = mode
		var sent pattern
		for range 20 {
			h.fill(Downstream, &sent)
			h.settle()
		}
		if h.flows[Downstream].idle() {
			t.Fatalf("%v: nothing is held", mode)
		}
		h.Release(h.m)
		kept := 0
		for _, free := range h.m.buffers.free {
			kept += len(free)
		}
		if !h.flows[Downstream].idle() || h.pipes.InUse() != 0 || (mode == Copy) != (kept > 0) {
			t.Errorf("%v: %d pipes in use, %d buffers kept", mode, h.pipes.InUse(), kept)
		}
	}
}

func TestModeWords(t *testing.T) {
	if Copy.String() != "copy" || Splice.String() != "splice" {
		t.Error("the words are wrong")
	}
}
