package relay

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/proxy/poller"
)

func TestStreamTrafficBothWaysIsByteExact(t *testing.T) {
	for _, l := range layouts {
		for _, bufferSize := range []int{0, 4 << 10} {
			for _, transfers := range [][2]transfer{
				{{0, 1, false}, {0, 1, false}},
				{{1, 1, false}, {1, 1, false}},
				{{maxRecord, maxRecord, false}, {maxRecord + 1, maxRecord + 1, false}},
				{{20_000, 10, false}, {20_000, 10, false}},
				{{1 << 20, 100_000, false}, {1 << 20, 100_000, false}},
				{{1 << 18, 5000, true}, {1 << 18, 1 << 18, true}},
			} {
				for _, version := range tlsVersions {
					name := fmt.Sprintf("%v %s buffers %d %v", l, tls.VersionName(version), bufferSize, transfers)
					t.Run(name, func(t *testing.T) { exchangeEncrypted(t, l, version, bufferSize, transfers) })
				}
			}
		}
	}
}

// Much more than any buffer on the way holds.
func TestStreamBulkBothWaysIsByteExact(t *testing.T) {
	const size = 64 << 20
	for _, l := range []layout{{Upstream, false}, {Upstream, true}} {
		t.Run(l.String(), func(t *testing.T) {
			exchangeEncrypted(t, l, tls.VersionTLS13, 0, [2]transfer{{size, 256 << 10, false}, {size, 256 << 10, false}})
		})
	}
}

func exchangeEncrypted(t *testing.T, l layout, version uint16, bufferSize int, transfers [2]transfer) {
	t.Helper()
	var near, far [2]*tls.Config
	for _, side := range bothSides {
		if l.encrypts(side) {
			near[side], far[side] = configs(side, version)
		}
	}
	link := newRig(t).linkEncrypted(overTCP, bufferSize, near)
	ends := link.peers(far)
	exchange(t, ends, transfers)
	for _, end := range ends {
		end.Close()
	}
	o := link.ends()
	if o.status != Finished || o.streamErr != [2]error{} {
		t.Errorf("status %d, %v", o.status, o.streamErr)
	}
	if o.bytes[Downstream] != uint64(transfers[0].bytes) || o.bytes[Upstream] != uint64(transfers[1].bytes) {
		t.Errorf("counted %v", o.bytes)
	}
	if o.spliced != [2]bool{} {
		t.Error("ciphertext was spliced")
	}
}

// Handshake and records come one byte at a time: crypto/tls is told that there
// is nothing more at every place there is.
func TestStreamWouldBlockAtEveryByte(t *testing.T) {
	overTLS(t, func(t *testing.T, l layout, version uint16) {
		near, far := configs(l.side, version)
		h := newTLSHandOf(t, overTCP, l, near, far, true)
		other := l.side.Other()
		var p, want pattern
		for _, size := range []int{1, 100, 4000, 5} {
			h.says(l.side, p.next(size))
		}
		total := int(p.at)
		if got := h.hears(other, total); !bytes.Equal(got, want.next(total)) {
			t.Error("other bytes")
		}
		h.finishes(l.side)
		h.hearsTheEnd(other)
		h.says(other, []byte("an answer"))
		if got := h.hears(l.side, 9); string(got) != "an answer" {
			t.Errorf("%q", got)
		}
		h.finishes(other)
		h.wantEnd(Finished, l.side)
	})
}

// RFC 8446 6.1: each side's end is told with close_notify, and the other
// direction goes on.
func TestStreamCloseNotifyEachWay(t *testing.T) {
	overTLS(t, func(t *testing.T, l layout, version uint16) {
		for _, first := range bothSides {
			h := newTLSHand(t, overTCP, l, version)
			second := first.Other()
			h.says(first, []byte("goodbye"))
			h.finishes(first)
			h.hears(second, 7)
			h.hearsTheEnd(second)
			for range 3 { // long after the end has passed
				h.says(second, []byte("one more thing"))
				if got := h.hears(first, 14); string(got) != "one more thing" {
					t.Errorf("%q", got)
				}
			}
			h.finishes(second)
			h.wantEnd(Finished, first)
			if h.encrypts(first) {
				h.hearsTheEnd(first)
			}
		}
	})
}

// RFC 5246 7.2.1: who was sent close_notify may close without one.
func TestStreamBareFINAfterOurCloseNotify(t *testing.T) {
	overTLS(t, func(t *testing.T, l layout, version uint16) {
		h := newTLSHand(t, overTCP, l, version)
		h.finishes(l.side.Other())
		h.hearsTheEnd(l.side)
		h.closeFar(l.side, false)
		h.wantEnd(Finished, l.side.Other())
		if h.BareFIN(l.side) {
			t.Error("taken for a stream that was cut short")
		}
	})
}

// A stream that ends inside a record was cut short: the other side gets the
// records before, and is not told that this was all. Between records a FIN is
// taken for an end, and noted.
func TestStreamTruncatedAtEveryByte(t *testing.T) {
	overTLS(t, func(t *testing.T, l layout, version uint16) {
		other := l.side.Other()
		for cut, size := 0, 1; cut <= size; cut++ {
			h := newTLSHand(t, overTCP, l, version)
			record := h.taps[l.side].capture(func() { h.peers[l.side].Write([]byte("whole")) })
			size = len(record)
			h.send(l.side, record[:cut])
			h.closeFar(l.side, false)
			want := ""
			if cut == size {
				want = "whole"
			}
			if cut == 0 || cut == size {
				eventually(t, "the FIN", func() bool { h.settle(); return h.State().Ended(l.side) })
				if !h.BareFIN(l.side) || h.BareFIN(other) || h.StreamError(l.side) != nil || h.State().IsReset(l.side) {
					t.Errorf("cut at %d of %d: %v", cut, size, h.StreamError(l.side))
				}
			} else if st := h.over(); st != PassReset || h.StreamError(l.side) == nil || h.StreamError(other) != nil || h.FirstGone() != l.side {
				t.Errorf("cut at %d of %d: status %d, %v", cut, size, st, h.StreamError(l.side))
			}
			if got := h.hears(other, len(want)); string(got) != want {
				t.Errorf("cut at %d of %d: the other side got %q", cut, size, got)
			}
		}
	})
}

// While a part of a record is in crypto/tls the pair is not drained, although
// neither its queues nor the socket's hold a byte of it.
func TestStreamInsideARecordIsNotDrained(t *testing.T) {
	overTLS(t, func(t *testing.T, l layout, version uint16) {
		h := newTLSHand(t, overUnix, l, version)
		h.settle()
		record := h.taps[l.side].capture(func() { h.peers[l.side].Write([]byte("whole")) })
		for at := range record {
			h.settle()
			if between := at == 0; h.Drained() != between || Unread(h.near[l.side]) > 0 {
				t.Errorf("%d of %d bytes read: drained is %t", at, len(record), h.Drained())
			}
			h.send(l.side, record[at:at+1])
		}
		h.settle()
		if got := h.hears(l.side.Other(), 5); string(got) != "whole" || !h.Drained() {
			t.Errorf("after %q drained is %t", got, h.Drained())
		}
	})
}

// Nor is it while crypto/tls holds whole records that a turn had no budget for.
func TestStreamWithRecordsLeftByATurnIsNotDrained(t *testing.T) {
	for _, version := range tlsVersions {
		near, far := configs(Downstream, version)
		far.DynamicRecordSizingDisabled = true
		h := newTLSHandOf(t, overUnix, layout{Downstream, false}, near, far, false)
		for _, fd := range []int{h.far[Downstream], h.near[Upstream]} {
			check(t, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, roomy))
		}
		var p pattern
		h.settle()
		h.flows[Downstream].full = promoteAfter // one read takes as much as a turn
		h.send(Downstream, h.taps[Downstream].capture(func() {
			h.peers[Downstream].Write(p.next(turnBudget)) // what a turn may move
			h.peers[Downstream].Write(p.next(100))        // and a record that is read along with the last of it
		}))
		h.turn()
		if moved := int(h.Bytes(Downstream)); moved == int(p.at) || Unread(h.near[Downstream]) > 0 {
			t.Fatalf("%s: %d of %d bytes moved and %d unread: the test shows nothing",
				tls.VersionName(version), moved, p.at, Unread(h.near[Downstream]))
		}
		if h.Drained() {
			t.Errorf("%s: drained with %d bytes in crypto/tls", tls.VersionName(version), p.at-h.Bytes(Downstream))
		}
		h.moves(Downstream, int(p.at))
		if !h.Drained() {
			t.Errorf("%s: not drained when everything was moved", tls.VersionName(version))
		}
	}
}

// A FIN that was reported before a short read has to be found without another
// event.
func TestStreamFindsTheFINBehindAShortRead(t *testing.T) {
	overTLS(t, func(t *testing.T, l layout, version uint16) {
		h := newTLSHand(t, overTCP, l, version)
		h.settle()
		h.send(l.side, h.taps[l.side].capture(func() { h.peers[l.side].Write([]byte("last words")) }))
		h.closeFar(l.side, false)
		eventually(t, "the FIN", func() bool { return h.look(l.side)&poller.RdHup != 0 })
		h.turn() // the events of this turn are the last there are
		if !h.State().Ended(l.side) {
			t.Error("the FIN was not found")
		}
	})
}

// RFC 8446 5.2: the peer is told bad_record_mac, and nothing of a forged
// record gets to the other side.
func TestStreamForgedAtEveryByte(t *testing.T) {
	overTLS(t, func(t *testing.T, l layout, version uint16) {
		other := l.side.Other()
		for at, size := 0, 1; at < size; at += 3 {
			h := newTLSHand(t, overTCP, l, version)
			h.says(l.side, []byte("genuine"))
			got := h.hears(other, 7)
			record := h.taps[l.side].capture(func() { h.peers[l.side].Write([]byte("forged")) })
			size = len(record)
			record[at] ^= 1
			h.send(l.side, record)
			if at == 3 || at == 4 { // a length: the record may never be whole
				h.closeFar(l.side, false)
			}
			if st := h.over(); st != PassReset || h.StreamError(l.side) == nil {
				t.Errorf("byte %d of %d: status %d, %v", at, size, st, h.StreamError(l.side))
			}
			more, err := h.received(other) // ciphertext, if any; not read to an end
			if string(got) != "genuine" || len(more) != 0 || err != nil {
				t.Errorf("byte %d of %d: the other side got %d bytes more, %v", at, size, len(more), err)
			}
			if at == 3 || at == 4 {
				continue
			}
			h.FlushAlerts()
			_, err = h.peers[l.side].Read(make([]byte, 1))
			if err == nil || !strings.Contains(err.Error(), "remote error") {
				t.Errorf("byte %d of %d: the peer was told %v", at, size, err)
			}
		}
	})
}

// An alert of the peer ends its stream with what it says.
func TestStreamAlertOfThePeer(t *testing.T) {
	overTLS(t, func(t *testing.T, l layout, version uint16) {
		h := newTLSHand(t, overTCP, l, version)
		// A record that the peer cannot read makes it send one.
		sysWrite(h.near[l.side], []byte{23, 3, 3, 0, 20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20})
		if _, err := h.peers[l.side].Read(make([]byte, 1)); err == nil {
			t.Fatal("the peer took it")
		}
		h.wantEnd(PassReset, l.side)
		if err := h.StreamError(l.side); err == nil || !strings.Contains(err.Error(), "bad record MAC") {
			t.Errorf("%v", err)
		}
	})
}

func TestStreamReset(t *testing.T) {
	overTLS(t, func(t *testing.T, l layout, version uint16) {
		h := newTLSHand(t, overTCP, l, version)
		h.says(l.side, []byte("before"))
		got := h.hears(l.side.Other(), 6)
		h.closeFar(l.side, true)
		h.wantEnd(PassReset, l.side)
		if err := h.StreamError(l.side); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("after %q: %v", got, err)
		}
	})
}

// What came before a reset gets to the other side.
func TestStreamDeliversWhatCameBeforeAReset(t *testing.T) {
	overTLS(t, func(t *testing.T, l layout, version uint16) {
		h := newTLSHand(t, overTCP, l, version)
		h.settle()
		h.send(l.side, h.taps[l.side].capture(func() { h.peers[l.side].Write([]byte("last words")) }))
		eventually(t, "acknowledgement", func() bool { return Unacked(h.far[l.side]) == 0 })
		h.closeFar(l.side, true)
		eventually(t, "the reset", func() bool { return h.look(l.side)&poller.Err != 0 })
		if got := h.hears(l.side.Other(), 10); string(got) != "last words" {
			t.Errorf("%q", got)
		}
		h.wantEnd(PassReset, l.side)
	})
}

// The same when the reset was noticed by writing: the socket says it once, and
// then that it has ended.
func TestStreamResetNoticedByWriting(t *testing.T) {
	overTLS(t, func(t *testing.T, l layout, version uint16) {
		other := l.side.Other()
		h := newTLSHand(t, overTCP, l, version)
		h.settle() // nothing to read
		h.closeFar(l.side, true)
		eventually(t, "the reset", func() bool { return h.look(l.side)&poller.Err != 0 })
		if h.encrypts(other) {
			h.send(other, h.taps[other].capture(func() { h.peers[other].Write([]byte("x")) }))
		} else {
			h.send(other, []byte("x"))
		}
		h.Events(other, poller.In)
		h.Turn(h.m) // without the event of the reset
		// A client's bytes are moved before the endpoint is read, so a turn that
		// finds the endpoint gone may also read it to its end.
		if !h.State().IsReset(l.side) || l.side == Downstream && h.State().Ended(l.side) {
			t.Fatal("the reset was not noticed by writing")
		}
		if st := h.over(); st != PassReset || h.BareFIN(l.side) {
			t.Errorf("status %d, %v", st, h.StreamError(l.side))
		}
	})
}

// A client that is there no more has not reset anything: its socket says so. A
// window that stays closed for TCP_USER_TIMEOUT ends a socket in the same way.
func TestStreamTimedOut(t *testing.T) {
	h := newTLSHand(t, overTCP, layout{Downstream, false}, tls.VersionTLS13)
	check(t, unix.SetsockoptInt(h.near[Downstream], unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 1))
	var sent pattern
	eventually(t, "the end", func() bool {
		h.fill(Upstream, &sent)
		return h.settle() != Waiting
	})
	if errno := h.Errno(Downstream); errno != syscall.ETIMEDOUT || h.FirstGone() != Downstream {
		t.Errorf("errno %v, %v", errno, h.StreamError(Downstream))
	}
}

// A side that was reset has not finished: the other must not be told that it
// has.
func TestStreamIsNotToldCloseNotifyForAReset(t *testing.T) {
	overTLS(t, func(t *testing.T, l layout, version uint16) {
		h := newTLSHand(t, overTCP, l, version)
		h.closeFar(l.side.Other(), true)
		h.wantEnd(PassReset, l.side.Other())
		h.FlushAlerts()
		CloseReset(h.near[l.side])
		h.near[l.side] = -1
		if _, err := h.peers[l.side].Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("it was told %v", err)
		}
	})
}

// A connection that the gateway closes by itself, for its idleness for example,
// tells its encrypted sides so.
func TestEndStreamsSaysCloseNotify(t *testing.T) {
	overTLS(t, func(t *testing.T, l layout, version uint16) {
		h := newTLSHand(t, overTCP, l, version)
		h.EndStreams()
		h.EndStreams() // once is enough
		h.hearsTheEnd(l.side)
		if other := l.side.Other(); l.both {
			h.hearsTheEnd(other)
		} else if b, err := h.received(other); len(b) != 0 || err != nil {
			t.Errorf("a plain side was told %q, %v", b, err)
		}
	})
	plain := newHand(t, overTCP, 0)
	plain.EndStreams()
	if b, err := plain.received(Downstream); len(b) != 0 || err != nil {
		t.Errorf("a plain client was told %q, %v", b, err)
	}
}

// What was read of a plain client before there was an endpoint is encrypted,
// ahead of what follows.
func TestStreamSendsWhatWasReadBefore(t *testing.T) {
	h := newTLSHand(t, overTCP, layout{side: Upstream}, tls.VersionTLS13)
	var p pattern
	want := p.next(70_000) // more than a scratch buffer
	h.Send(h.m, want[:69_000])
	h.says(Downstream, want[69_000:])
	if got := h.hears(Upstream, len(want)); !bytes.Equal(got, want) {
		t.Error("other bytes")
	}
	if n := h.Bytes(Downstream); n != uint64(len(want)) {
		t.Errorf("%d bytes counted", n)
	}
}

// One side may send without end and the other read nothing: what waits in the
// gateway stays one buffer.
func TestStreamSlowReaderTakesOneBuffer(t *testing.T) {
	for _, l := range layouts {
		t.Run(l.String(), func(t *testing.T) {
			h := newTLSHand(t, overTCP, l, tls.VersionTLS13)
			other := l.side.Other()
			check(t, unix.SetsockoptInt(h.near[l.side], unix.SOL_SOCKET, unix.SO_SNDBUF, 64<<10))
			var sent, want pattern
			total := 0
			fill := func() {
				total += h.floodsFrom(other, &sent)
				h.settle()
			}
			for range 50 {
				fill()
			}
			out := h.streams[l.side].wire.out
			if out == nil || out.len() > maxBacklog || len(out.data) > maxBacklog {
				t.Fatalf("waits: %+v", out)
			}
			if !h.State().has(stateQueued, l.side) {
				t.Error("not known to be queued")
			}
			// When it has gone the next one is small: less is read at a time.
			const piece = 40 << 10
			eventually(t, "a small buffer", func() bool {
				if got := h.hears(l.side, piece); !bytes.Equal(got, want.next(piece)) {
					t.Fatal("other bytes")
				}
				fill()
				out := h.streams[l.side].wire.out
				return out != nil && out.class == 1 && h.flows[other].slow
			})
			h.taps[l.side].others = func() { // what the other peer kept can go now
				h.flushFar(other)
				h.turn()
			}
			rest := total - int(want.at)
			if got := h.hears(l.side, rest); !bytes.Equal(got, want.next(rest)) {
				t.Error("other bytes")
			}
			h.settle()
			if h.streams[l.side].wire.out != nil || !h.Drained() {
				t.Error("a buffer is held")
			}
		})
	}
}

func TestStreamRunsNoGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	overTLS(t, func(t *testing.T, l layout, version uint16) {
		h := newTLSHand(t, overTCP, l, version)
		h.says(l.side, []byte("x"))
		h.hears(l.side.Other(), 1)
		eventually(t, "no goroutine", func() bool { return runtime.NumGoroutine() <= before+1 }) // the subtest's
		if v := h.streams[l.side].ConnectionState().Version; v != version {
			t.Errorf("version %#x", v)
		}
	})
}

// The pair of a plain connection has nothing of streams but a pointer.
func TestPlainPairHasNoStreams(t *testing.T) {
	h := newHand(t, overTCP, 0)
	if h.streams != nil {
		t.Error("it has")
	}
	if n := testing.AllocsPerRun(10, func() { h.Init(h.m, h.near[Downstream], h.near[Upstream], Streams{}) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// floodsFrom has a peer send until the kernel takes no more, and gives how many
// bytes of plaintext that were. What an encrypted peer could not send of its
// last record it keeps.
func (h *tlsHand) floodsFrom(side Side, p *pattern) (n int) {
	if h.peers[side] == nil {
		return h.fill(side, p)
	}
	for h.flushFar(side) {
		b := p.next(maxRecord)
		h.unsent = h.taps[side].capture(func() { h.peers[side].Write(b) })
		n += len(b)
	}
	return n
}

// flushFar sends what an encrypted peer kept and tells whether all of it went.
func (h *tlsHand) flushFar(side Side) bool {
	for len(h.unsent) > 0 {
		n, errno := sysWrite(h.far[side], h.unsent)
		if errno == syscall.EAGAIN {
			return false
		}
		h.unsent = h.unsent[n:]
	}
	return true
}
