package relay

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
)

// transfer is what one far end sends, and how its peer takes it.
type transfer struct {
	bytes int
	chunk int // of a write
	slow  bool
}

// exchange sends transfers both ways at once, each followed by a FIN, and
// checks them with a checksum. It returns when both have arrived.
func exchange(t *testing.T, ends [2]net.Conn, transfers [2]transfer) {
	t.Helper()
	var wg sync.WaitGroup
	for _, from := range bothSides {
		src, dst, tr := patient(t, ends[from]), ends[from.Other()], transfers[from]
		var p pattern
		if from == Upstream {
			p.at = 1 << 40 // other bytes the other way
		}
		all := p.next(tr.bytes)
		wg.Go(func() {
			for rest := all; len(rest) > 0; {
				n, err := src.Write(rest[:min(tr.chunk, len(rest))])
				if err != nil {
					t.Errorf("%v wrote %d bytes: %v", from, tr.bytes-len(rest), err)
					return
				}
				rest = rest[n:]
			}
			if err := closeWrite(src); err != nil {
				t.Errorf("%v: FIN: %v", from, err)
			}
		})
		wg.Go(func() {
			sum := sha256.New()
			n, err := copySlowly(sum, dst, tr.slow)
			if err != nil || n != tr.bytes {
				t.Errorf("from %v: %d of %d bytes, %v", from, n, tr.bytes, err)
			} else if want := sha256.Sum256(all); !bytes.Equal(sum.Sum(nil), want[:]) {
				t.Errorf("from %v: other bytes", from)
			}
		})
	}
	wg.Wait()
}

// copySlowly reads to the end. A slow reader takes little at a time and lets
// others run in between.
func copySlowly(to io.Writer, c net.Conn, slow bool) (total int, err error) {
	buf := make([]byte, 64<<10)
	if slow {
		buf = buf[:3000]
	}
	for {
		n, err := c.Read(buf)
		to.Write(buf[:n])
		total += n
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		if slow {
			runtime.Gosched()
		}
	}
}

func TestTrafficBothWaysIsByteExact(t *testing.T) {
	const mib = 1 << 20
	for _, n := range []network{overUnix, overTCP} {
		for _, bufferSize := range []int{0, 4 << 10, 64 << 10} {
			for name, transfers := range map[string][2]transfer{
				"nothing":                {{0, 1, false}, {0, 1, false}},
				"small both ways":        {{50_000, 100, false}, {50_000, 77, false}},
				"bulk up":                {{2 * mib, 256 << 10, false}, {0, 1, false}},
				"bulk both ways":         {{2 * mib, 256 << 10, false}, {2 * mib, 100_000, false}},
				"a slow endpoint":        {{mib / 4, 256 << 10, true}, {mib / 4, 1000, false}},
				"slow at both ends":      {{mib / 4, 100_000, true}, {mib / 4, 100_000, true}},
				"bulk up, small answers": {{2 * mib, 64 << 10, false}, {10_000, 10, false}},
			} {
				t.Run(fmt.Sprintf("%s buffers %d %s", n, bufferSize, name), func(t *testing.T) {
					l := newRig(t).link(n, bufferSize, nil)
					exchange(t, l.far, transfers)
					o := l.ends()
					if o.status != Finished {
						t.Errorf("status %d", o.status)
					}
					for _, from := range bothSides {
						if o.bytes[from] != uint64(transfers[from].bytes) {
							t.Errorf("from %v: %d of %d bytes counted", from, o.bytes[from], transfers[from].bytes)
						}
						if bulk := transfers[from].bytes >= 2*mib; bulk && bufferSize == 0 && n == overTCP && !o.spliced[from] {
							t.Errorf("from %v: bulk was never spliced", from)
						}
					}
				})
			}
		}
	}
}

// Many pairs of one worker share its scratch buffer, its pipes and buffers.
func TestTrafficOfManyPairsDoesNotMix(t *testing.T) {
	r := newRig(t)
	var wg sync.WaitGroup
	var links []*link
	for range 20 {
		links = append(links, r.link(overTCP, 16<<10, nil))
	}
	for i, l := range links {
		wg.Go(func() {
			exchange(t, l.far, [2]transfer{{30_000 * (i + 1), 50_000, i%2 == 0}, {20_000 * (20 - i), 64 << 10, i%3 == 0}})
		})
	}
	wg.Wait()
	for _, l := range links {
		if o := l.ends(); o.status != Finished {
			t.Errorf("status %d", o.status)
		}
	}
}

// When the pipes run out in the middle of everything, bytes flow all the same.
func TestTrafficWithFewPipes(t *testing.T) {
	r := newRig(t)
	r.pipes.open.Store(MaxPipes - 1)
	var wg sync.WaitGroup
	var links []*link
	for range 8 {
		links = append(links, r.link(overTCP, 64<<10, nil))
	}
	for _, l := range links {
		wg.Go(func() {
			exchange(t, l.far, [2]transfer{{1 << 20, 256 << 10, true}, {1 << 20, 256 << 10, true}})
		})
	}
	wg.Wait()
	for _, l := range links {
		l.ends()
	}
	if n := r.pipes.Open(); n > MaxPipes {
		t.Errorf("%d pipes", n)
	}
	r.do(func() { r.m.Trim(0) })
	r.pipes.open.Store(0)
}
