package relay

import (
	"bytes"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sluice/proxy/poller"
)

// bulk sends one piece through and takes it at the other end.
func (h *hand) bulk(from Side, b []byte) {
	h.t.Helper()
	h.send(from, b)
	eventually(h.t, "the bytes", func() bool {
		n, err := unix.IoctlGetInt(h.near[from], unix.TIOCINQ)
		return err == nil && n == len(b)
	})
	h.settle()
	if got := h.arrives(from.Other(), len(b)); !bytes.Equal(got, b) {
		h.t.Error("other bytes arrived")
	}
}

func TestSpliceBeginsAfterFullReads(t *testing.T) {
	h := newHand(t, overTCP, roomy)
	var p pattern
	want := func(when string, mode Mode, ever bool) {
		t.Helper()
		if got, spliced := h.Mode(Downstream); got != mode || spliced != ever {
			t.Errorf("%s: %v, ever spliced: %t", when, got, spliced)
		}
	}
	h.bulk(Downstream, p.next(fullRead))
	h.bulk(Downstream, p.next(fullRead))
	h.bulk(Downstream, p.next(fullRead-1)) // not in a row
	want("two full reads and a short one", Copy, false)
	h.bulk(Downstream, p.next(fullRead))
	h.bulk(Downstream, p.next(fullRead))
	want("two more", Copy, false)
	h.bulk(Downstream, p.next(fullRead))
	want("three in a row", Splice, false)
	if now, _ := h.Mode(Upstream); now != Copy {
		t.Error("the other direction splices too")
	}
	copied := h.m.Copied()
	h.bulk(Downstream, p.next(100<<10))
	want("a big piece", Splice, true)
	if h.m.Copied() != copied || h.m.Spliced() != 100<<10 {
		t.Errorf("copied %d, spliced %d", h.m.Copied()-copied, h.m.Spliced())
	}
	if h.pipes.InUse() != 0 {
		t.Error("a pipe is held while it is empty")
	}
	if n := h.Bytes(Downstream); n != p.at {
		t.Errorf("%d of %d bytes counted", n, p.at)
	}
}

func TestSpliceEndsAfterShortOnes(t *testing.T) {
	h := newHand(t, overTCP, roomy)
	h.flows[Upstream].mode = Splice
	var p pattern
	for i, size := range []int{shortSplice - 1, 1, shortSplice, 1, 1, 1} {
		h.bulk(Upstream, p.next(size))
		want := Splice
		if i == 5 { // three in a row
			want = Copy
		}
		if now, _ := h.Mode(Upstream); now != want {
			t.Errorf("after piece %d: %v", i, now)
		}
	}
	spliced := h.m.Spliced()
	h.bulk(Upstream, p.next(1000))
	if h.m.Spliced() != spliced {
		t.Error("it goes on splicing")
	}
}

func TestSpliceEndsWhenIdle(t *testing.T) {
	h := newHand(t, overTCP, roomy)
	h.flows[Downstream].mode = Splice
	var p pattern
	h.bulk(Downstream, p.next(20<<10))
	const idle = spliceIdleTicks * spliceTick
	h.m.SetNow(idle)
	h.turn()
	if now, _ := h.Mode(Downstream); now != Splice {
		t.Errorf("after %v: %v", idle, now)
	}
	h.m.SetNow(idle + spliceTick)
	h.turn()
	if now, _ := h.Mode(Downstream); now != Copy {
		t.Errorf("after more: %v", now)
	}
}

// A pipe that cannot be emptied is kept, also when the direction is idle for
// long or copies from then on: its bytes come first.
func TestSpliceStallsAndResumes(t *testing.T) {
	for _, n := range []network{overUnix, overTCP} {
		h := newHand(t, n, 64<<10)
		var sent, want pattern
		total := 0
		for range 20 {
			h.flows[Downstream].mode, h.flows[Downstream].short = Splice, 0
			total += h.fill(Downstream, &sent)
			h.settle()
		}
		if h.flows[Downstream].pipe == nil || h.pipes.InUse() != 1 || h.Drained() {
			t.Fatalf("%s: not stalled with %d bytes sent", n, total)
		}
		h.m.SetNow(time.Hour)
		h.flows[Downstream].mode = Copy
		h.settle()
		var got []byte
		eventually(t, "everything", func() bool {
			h.settle()
			more, err := h.received(Upstream)
			check(t, err)
			got = append(got, more...)
			return len(got) == total
		})
		if !bytes.Equal(got, want.next(total)) {
			t.Errorf("%s: other bytes", n)
		}
		if h.pipes.InUse() != 0 || !h.Drained() {
			t.Errorf("%s: a pipe is held", n)
		}
	}
}

// Without a pipe a bulk direction is copied, and nothing else changes.
func TestSpliceWithoutPipesCopies(t *testing.T) {
	h := newHand(t, overTCP, roomy)
	h.pipes.open.Store(MaxPipes)
	var p pattern
	for range 10 {
		h.bulk(Downstream, p.next(100<<10))
	}
	if h.m.Spliced() != 0 || h.m.Copied() != p.at {
		t.Errorf("copied %d, spliced %d of %d", h.m.Copied(), h.m.Spliced(), p.at)
	}
	h.pipes.open.Store(0)
	h.m.SetNow(pipeRetry)
	for range 3 {
		h.bulk(Downstream, p.next(100<<10))
	}
	if h.m.Spliced() == 0 {
		t.Error("it never tries again")
	}
}

func TestSpliceOff(t *testing.T) {
	h := newHand(t, overTCP, roomy)
	h.m = NewMover(h.pipes, false)
	var p pattern
	for range 10 {
		h.bulk(Downstream, p.next(100<<10))
	}
	if h.m.Spliced() != 0 || h.pipes.Open() != 0 {
		t.Errorf("spliced %d through %d pipes", h.m.Spliced(), h.pipes.Open())
	}
}

// A descriptor may be one that splice does not work on: kernel TLS says EINVAL
// for some records, and not every machine's kernel has it. The same EINVAL comes
// here of a pipe that is none.
func TestSpliceEINVALCopiesForGood(t *testing.T) {
	in, client := overUnix.dial(t, 0)
	near, far := overUnix.dial(t, 0)
	for _, fd := range []int{in, client, near, far} {
		defer unix.Close(fd)
	}
	want := []byte("what cannot be spliced")
	sysWrite(client, want)
	check(t, unix.Shutdown(client, unix.SHUT_WR))

	m := NewMover(&Pipes{}, true)
	noPipe, err := unix.Open("/dev/null", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	check(t, err)
	m.pipes.free = append(m.pipes.free, &pipe{r: noPipe, w: noPipe, size: pipeSize})
	defer func() { m.pipes.free = nil; unix.Close(noPipe) }()
	var p Pair
	p.Init(m, in, near, Streams{})
	p.flows[Downstream].mode = Splice
	p.Events(Downstream, poller.In|poller.RdHup)
	for p.Turn(m) == Again {
	}
	f := &p.flows[Downstream]
	if f.mode != Copy || !f.noPipe || f.everSpliced {
		t.Errorf("mode %v, for good: %t", f.mode, f.noPipe)
	}
	f.full = promoteAfter
	if p.maySplice(m, Downstream) {
		t.Error("it would be tried again")
	}
	got := make([]byte, 2*len(want))
	n, errno := sysRead(far, got)
	if !bytes.Equal(got[:n], want) || errno != 0 {
		t.Errorf("%d bytes instead of %d, %v", n, len(want), errno)
	}
	if n, errno = sysRead(far, got); n != 0 || errno != 0 {
		t.Errorf("no FIN behind it: %d, %v", n, errno)
	}
	p.Release(m)
}
