package relay

import (
	"crypto/tls"
	"syscall"
	"testing"

	"sluice/proxy/poller"
)

// mill sends pieces through a hand and takes them at the other end, without
// any garbage of its own.
type mill struct {
	*hand
	out, in []byte
}

func newMill(t testing.TB, size int, mode Mode) *mill {
	t.Helper()
	h := newHand(t, overTCP, roomy)
	h.flows[Downstream].mode = mode
	return &mill{hand: h, out: make([]byte, size), in: make([]byte, size)}
}

// pass moves one piece all the way.
func (m *mill) pass() {
	for sent, got := 0, 0; got < len(m.out); {
		if sent < len(m.out) {
			n, _ := sysWrite(m.far[Downstream], m.out[sent:])
			sent += n
		}
		m.Events(Downstream, poller.In)
		m.Events(Upstream, poller.Out)
		for m.Turn(m.m) == Again {
		}
		for {
			n, errno := sysRead(m.far[Upstream], m.in)
			if got += n; errno == syscall.EAGAIN || got == len(m.out) {
				break
			}
		}
	}
}

// A turn makes no garbage, whether it copies, splices or stalls.
func TestTurnsDoNotAllocate(t *testing.T) {
	f := func(name string, m *mill) {
		t.Helper()
		m.pass() // the caches are filled once
		if n := testing.AllocsPerRun(50, m.pass); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	f("copying 64 bytes", newMill(t, 64, Copy))
	f("copying 64 KiB", newMill(t, 64<<10, Copy))
	spliced := newMill(t, 100<<10, Splice)
	f("splicing 100 KiB", spliced)
	if spliced.m.Spliced() == 0 {
		t.Error("nothing was spliced")
	}

	stalled := newHand(t, overTCP, 4<<10)
	stalled.m.splice = false
	out, in := make([]byte, 64<<10), make([]byte, 64<<10)
	stalls := 0
	op := func() {
		sysWrite(stalled.far[Downstream], out)
		stalled.Events(Downstream, poller.In)
		stalled.Events(Upstream, poller.Out)
		for stalled.Turn(stalled.m) == Again {
		}
		if !stalled.Drained() {
			stalls++
			sysRead(stalled.far[Upstream], in)
		}
	}
	for stalls < 20 {
		op()
	}
	if n := testing.AllocsPerRun(50, op); n != 0 || stalls < 30 {
		t.Errorf("stalling: %v allocations, %d stalls", n, stalls)
	}
}

// benchmarkPass includes what the test does at the far ends: a write and a read
// of the same size, with their copies.
func benchmarkPass(b *testing.B, size int, mode Mode) {
	b.ReportAllocs()
	b.SetBytes(int64(size))
	m := newMill(b, size, mode)
	m.m.splice = mode == Splice
	for b.Loop() {
		m.flows[Downstream].mode = mode
		m.pass()
	}
}

func BenchmarkCopy64B(b *testing.B)     { benchmarkPass(b, 64, Copy) }
func BenchmarkCopy64KiB(b *testing.B)   { benchmarkPass(b, 64<<10, Copy) }
func BenchmarkCopy256KiB(b *testing.B)  { benchmarkPass(b, 256<<10, Copy) }
func BenchmarkSplice64KiB(b *testing.B) { benchmarkPass(b, 64<<10, Splice) }

func BenchmarkSplice256KiB(b *testing.B) { benchmarkPass(b, 256<<10, Splice) }

// BenchmarkIdleTurn is an event that brings nothing.
func BenchmarkIdleTurn(b *testing.B) {
	b.ReportAllocs()
	h := newHand(b, overUnix, 0)
	for b.Loop() {
		h.Turn(h.m)
	}
}

func BenchmarkStateNext(b *testing.B) {
	st := State(0)
	for b.Loop() {
		st.next()
	}
}

// benchmarkStream is a record of the client's to the endpoint and one back.
func benchmarkStream(b *testing.B, l layout, size int) {
	b.ReportAllocs()
	b.SetBytes(2 * int64(size))
	h := newTLSHand(b, overTCP, l, tls.VersionTLS13)
	out, in := make([]byte, size), make([]byte, size)
	other := l.side.Other()
	for b.Loop() {
		h.peers[l.side].Write(out)
		for got := 0; got < size; {
			h.settle()
			if h.peers[other] != nil {
				h.hears(other, size)
				break
			}
			n, _ := sysRead(h.far[other], in)
			got += n
		}
		h.says(other, out)
		h.hears(l.side, size)
	}
}

func BenchmarkStream64B(b *testing.B)   { benchmarkStream(b, layout{side: Downstream}, 64) }
func BenchmarkStream16KiB(b *testing.B) { benchmarkStream(b, layout{side: Downstream}, 16<<10) }

func BenchmarkStreamBoth64B(b *testing.B)   { benchmarkStream(b, layout{Downstream, true}, 64) }
func BenchmarkStreamBoth16KiB(b *testing.B) { benchmarkStream(b, layout{Downstream, true}, 16<<10) }
