package relay

import (
	"bytes"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"

	"sluice/proxy/poller"
)

// readAll reads a far end to its end and gives what ended it, nil for a FIN.
func readAll(t *testing.T, c net.Conn) (b []byte, err error) {
	t.Helper()
	b, err = io.ReadAll(patient(t, c))
	return b, err
}

// RFC 9293 3.6: a side that has finished still gets what the other one sends.
func TestHalfCloseEachWay(t *testing.T) {
	for _, n := range []network{overUnix, overTCP} {
		for _, first := range bothSides {
			l := newRig(t).link(n, 0, nil)
			one, two := l.far[first], l.far[first.Other()]
			patient(t, one).Write([]byte("a question"))
			check(t, closeWrite(one))
			if b, err := readAll(t, two); string(b) != "a question" || err != nil {
				t.Errorf("%s: %q, %v", n, b, err)
			}
			for range 3 { // long after the FIN has passed
				two.Write([]byte("answer "))
				buf := make([]byte, len("answer "))
				if _, err := io.ReadFull(one, buf); err != nil {
					t.Errorf("%s: %v", n, err)
				}
			}
			check(t, two.Close())
			if b, err := readAll(t, one); len(b) != 0 || err != nil {
				t.Errorf("%s: %q, %v", n, b, err)
			}
			o := l.ends()
			if o.status != Finished || o.bytes[first] != 10 || o.bytes[first.Other()] != 21 {
				t.Errorf("%s: %+v", n, o)
			}
			if side := l.pair.FirstEnded(); side != first {
				t.Errorf("%s: %v finished first", n, side)
			}
		}
	}
}

// The FIN waits for its turn behind bytes that the other side does not take.
func TestFINComesAfterStalledBytes(t *testing.T) {
	for _, mode := range []Mode{Copy, Splice} {
		l := newRig(t).link(overTCP, 8<<10, nil)
		l.rig.do(func() {
			l.rig.m.splice = mode == Splice
			l.pair.flows[Downstream].mode = mode
		})
		var p pattern
		all := p.next(1 << 20)
		written := make(chan error, 1)
		go func() {
			_, err := patient(t, l.far[Downstream]).Write(all)
			if err == nil {
				err = closeWrite(l.far[Downstream])
			}
			written <- err
		}()
		l.stalled(Upstream)
		got, err := readAll(t, l.far[Upstream])
		if !bytes.Equal(got, all) || err != nil {
			t.Errorf("%v: %d of %d bytes, %v", mode, len(got), len(all), err)
		}
		check(t, await(t, "the writer", written))
		l.far[Upstream].Close()
		if o := l.ends(); o.status != Finished {
			t.Errorf("%v: status %d", mode, o.status)
		}
	}
}

// A reset passes on as a reset, and not before everything that came ahead of
// it has arrived.
func TestResetEachWayWithBytesInFlight(t *testing.T) {
	for _, gone := range bothSides {
		for _, mode := range []Mode{Copy, Splice} {
			l := newRig(t).link(overTCP, 32<<10, nil)
			l.rig.do(func() {
				l.rig.m.splice = mode == Splice
				l.pair.flows[gone].mode = mode
			})
			src, dst := l.far[gone], l.far[gone.Other()]
			var p pattern
			// So much that bytes wait everywhere: in the endpoint's queue, the
			// gateway's send queue, the pair, and the gateway's receive queue.
			patient(t, src)
			sent := 0
			for state := State(0); !state.has(stateQueued, gone.Other()); {
				b := p.next(4 << 10)
				_, err := src.Write(b)
				check(t, err)
				sent += len(b)
				acked(t, src)
				l.rig.do(func() { state = l.pair.State() })
			}
			src.Write(p.next(1 << 10))
			sent += 1 << 10
			acked(t, src)
			reset(t, src)
			eventually(t, "the reset", func() (known bool) {
				l.rig.do(func() { known = l.pair.State().IsReset(gone) })
				return known
			})
			got, err := readAll(t, dst)
			if !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("%v, %v: ended with %v", gone, mode, err)
			}
			if !bytes.Equal(got, new(pattern).next(sent)) {
				t.Errorf("%v, %v: %d of %d bytes arrived", gone, mode, len(got), sent)
			}
			o := l.ends()
			if o.status != PassReset || o.firstGone != gone || o.bytes[gone] != uint64(sent) {
				t.Errorf("%v, %v: %+v of %d bytes", gone, mode, o, sent)
			}
		}
	}
}

// What the side that is still there has sent has nowhere to go: it is dropped,
// and the side is reset.
func TestResetDropsWhatWaitsForTheGoneSide(t *testing.T) {
	for _, mode := range []Mode{Copy, Splice} {
		l := newRig(t).link(overTCP, 32<<10, nil)
		l.rig.do(func() {
			l.rig.m.splice = mode == Splice
			l.pair.flows[Upstream].mode = mode
		})
		written := make(chan error, 1)
		go func() {
			_, err := patient(t, l.far[Upstream]).Write(make([]byte, 4<<20))
			written <- err
		}()
		l.stalled(Downstream)
		reset(t, l.far[Downstream])
		if err := await(t, "the writer", written); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
			t.Errorf("%v: %v", mode, err)
		}
		if o := l.ends(); o.status != PassReset || o.firstGone != Downstream {
			t.Errorf("%v: %+v", mode, o)
		}
	}
}

// A reset after the side's FIN is still a reset, although reading gives 0.
func TestResetAfterFIN(t *testing.T) {
	l := newRig(t).link(overTCP, 0, nil)
	check(t, closeWrite(l.far[Downstream]))
	if b, err := readAll(t, l.far[Upstream]); len(b) != 0 || err != nil {
		t.Fatalf("%q, %v", b, err)
	}
	reset(t, l.far[Downstream])
	if o := l.ends(); o.status != PassReset || o.firstGone != Downstream {
		t.Errorf("%+v", o)
	}
}

func TestResetOfBoth(t *testing.T) {
	h := newHand(t, overTCP, 0)
	h.closeFar(Upstream, true)
	h.closeFar(Downstream, true)
	eventually(t, "both resets", func() bool {
		for _, side := range bothSides {
			h.Events(side, h.look(side))
		}
		return h.State().IsReset(Downstream) && h.State().IsReset(Upstream)
	})
	if st := h.Turn(h.m); st != Aborted {
		t.Errorf("status %d", st)
	}
	if side := h.FirstGone(); side != Downstream {
		t.Errorf("%v was first, but the client's event was told first", side)
	}
}

// A side that is found gone by writing to it, without an event, is still read:
// the turn that found it asks for another.
func TestResetFoundByWriting(t *testing.T) {
	for _, gone := range bothSides {
		h := newHand(t, overTCP, 0)
		other := gone.Other()
		h.send(gone, []byte("last words"))
		eventually(t, "acknowledgement", func() bool { return Unacked(h.far[gone]) == 0 })
		h.closeFar(gone, true)
		eventually(t, "the reset", func() bool { return h.look(gone)&poller.Err != 0 })
		h.send(other, []byte("nobody will read this"))
		eventually(t, "the bytes", func() bool { return h.look(other)&poller.In != 0 })
		h.Readable(other)
		status := Again
		for status == Again {
			status = h.Turn(h.m) // no events
		}
		if status != PassReset || !h.State().IsReset(gone) {
			t.Errorf("%v: status %d", gone, status)
		}
		if errno := h.Errno(gone); errno != syscall.ECONNRESET && errno != syscall.EPIPE {
			t.Errorf("%v: errno %v", gone, errno)
		}
		if got := h.arrives(other, 10); string(got) != "last words" {
			t.Errorf("%v: %q", gone, got)
		}
	}
}

// Closing a unix socket with unread bytes is its reset. It has none to pass on.
func TestResetOverUnix(t *testing.T) {
	l := newRig(t).link(overUnix, 0, nil)
	patient(t, l.far[Upstream]).Write([]byte("unread"))
	eventually(t, "delivery", func() (there bool) {
		l.rig.do(func() { there = l.pair.Bytes(Upstream) == 6 })
		return there
	})
	l.far[Downstream].Close()
	if b, err := readAll(t, l.far[Upstream]); len(b) != 0 {
		t.Errorf("%q, %v", b, err)
	}
	if o := l.ends(); o.status != PassReset || o.firstGone != Downstream {
		t.Errorf("%+v", o)
	}
}
