package relay

import (
	"bytes"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestBuffersComeInClasses(t *testing.T) {
	for _, c := range []struct{ need, size int }{
		{0, 4 << 10}, {1, 4 << 10}, {4 << 10, 4 << 10}, {4<<10 + 1, 17 << 10},
		{17 << 10, 17 << 10}, {17<<10 + 1, 68 << 10}, {68 << 10, 68 << 10}, {68<<10 + 1, 272 << 10}, {272<<10 + 1, 272<<10 + 1}, {1 << 20, 1 << 20},
	} {
		var bs buffers
		b := bs.get(c.need)
		if b.len() != 0 || b.room() != c.size {
			t.Errorf("for %d bytes: holds %d, room for %d", c.need, b.len(), b.room())
		}
	}
}

func TestBuffersAreUsedAgainAndEmpty(t *testing.T) {
	var bs buffers
	b := bs.get(100)
	b.add([]byte("something"))
	b.start += 4
	bs.put(b)
	again := bs.get(4 << 10)
	if again != b {
		t.Error("not used again")
	}
	if again.len() != 0 || again.room() != 4<<10 {
		t.Errorf("holds %q", again.bytes())
	}
	if bs.get(100) == again {
		t.Error("given to two")
	}
	if bs.get(17<<10) == again {
		t.Error("given out as another class")
	}
}

func TestBuffersKeepsABoundedNumber(t *testing.T) {
	var bs buffers
	for _, size := range append(bufferSizes[:], 1<<20) {
		var all []*buffer
		for range 3 * keepBuffers[0] {
			all = append(all, bs.get(size))
		}
		for _, b := range all {
			bs.put(b)
		}
	}
	for class, free := range bs.free {
		if len(free) != keepBuffers[class] {
			t.Errorf("class %d: %d kept", class, len(free))
		}
	}
}

// crypto/tls writes record by record; only the first write knows how many.
func TestWireTakeGrows(t *testing.T) {
	f := func(name string, reserve int, writes []int, wantSize int) {
		t.Helper()
		var bs buffers
		w := NewWire(-1, WireOptions{})
		w.attach(&end{}, &bs)
		w.reserve = reserve
		var p, want pattern
		total := 0
		for _, n := range writes {
			if got, err := w.Write(p.next(n)); got != n || err != nil {
				t.Fatalf("%s: %d, %v", name, got, err)
			}
			total += n
		}
		if !bytes.Equal(w.out.bytes(), want.next(total)) {
			t.Errorf("%s: other bytes", name)
		}
		if len(w.out.data) != wantSize {
			t.Errorf("%s: %d bytes of memory", name, len(w.out.data))
		}
		w.release()
		if w.out != nil {
			t.Errorf("%s: not released", name)
		}
	}
	const record = 16<<10 + 22
	f("an alert", 0, []int{24}, 4<<10)
	f("reserved", 64<<10+5*recordOverhead, []int{record, record, record, record}, 68<<10)
	f("not reserved", 0, []int{100, record, record}, 68<<10)
	f("to the brim", 0, []int{4 << 10}, 4<<10)
	f("one more", 0, []int{4 << 10, 1}, 17<<10)
	f("bulk", 256<<10+17*recordOverhead, []int{record, record}, 272<<10)
	f("past every class", 0, []int{272 << 10, record}, 272<<10+record)
}

func TestWireTakeAfterAPartialFlush(t *testing.T) {
	var bs buffers
	w := NewWire(-1, WireOptions{})
	w.attach(&end{}, &bs)
	var p, want pattern
	w.take(p.next(4 << 10))
	w.out.start += 4000 // what the socket took
	want.next(4000)
	w.take(p.next(1000)) // no room behind, though there would be before
	if !bytes.Equal(w.out.bytes(), want.next(96+1000)) {
		t.Error("other bytes")
	}
	w.release()
}

func TestPipesAreOpenedKeptAndTrimmed(t *testing.T) {
	shared := &Pipes{}
	c := pipeCache{shared: shared}
	want := func(when string, open, inUse int) {
		t.Helper()
		if shared.Open() != open || shared.InUse() != inUse {
			t.Errorf("%s: %d open and %d in use instead of %d and %d", when, shared.Open(), shared.InUse(), open, inUse)
		}
	}
	var all []*pipe
	for range keepPipes + 2 {
		all = append(all, c.get(0))
	}
	want("all taken", keepPipes+2, keepPipes+2)
	for _, p := range all {
		c.put(p, time.Second)
	}
	want("all given back", keepPipes, 0)
	p := c.get(2 * time.Second)
	want("one taken from the cache", keepPipes, 1)
	p.n = 1
	c.put(p, 3*time.Second)
	want("one given back with bytes in it", keepPipes-1, 0)
	c.trim(4*time.Second-1, time.Second)
	want("used too lately to trim", keepPipes-1, 0)
	c.trim(4*time.Second, time.Second)
	want("trimmed", 0, 0)
}

// Past the limit of the process a worker is refused, copies for a while, and
// does not ask the kernel each time.
func TestPipesAreBounded(t *testing.T) {
	shared := &Pipes{}
	shared.open.Store(MaxPipes)
	c := pipeCache{shared: shared}
	if c.get(0) != nil {
		t.Fatal("one more than the limit")
	}
	if shared.Open() != MaxPipes || shared.InUse() != 0 {
		t.Errorf("%d open, %d in use", shared.Open(), shared.InUse())
	}
	shared.open.Store(0)
	if c.get(pipeRetry-1) != nil {
		t.Error("tried again at once")
	}
	p := c.get(pipeRetry)
	if p == nil {
		t.Fatal("not tried again later")
	}
	c.put(p, pipeRetry)
	c.trim(pipeRetry, 0)
}

func TestPipeHasItsSize(t *testing.T) {
	f := func(open, want int) {
		t.Helper()
		c := pipeCache{shared: &Pipes{}}
		c.shared.open.Store(int64(open))
		p := c.get(0)
		n, err := unix.Write(p.w, make([]byte, 2*want))
		if n != want || p.size != want || err != nil {
			t.Errorf("with %d pipes open it takes %d bytes and says %d, %v", open, n, p.size, err)
		}
		p.n = n
		c.put(p, 0)
	}
	f(0, bigPipeSize)
	f(bigPipes-1, bigPipeSize)
	f(bigPipes, pipeSize)
}
