package integration

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// bulk is a load of connections over which both ends send as fast as they can.
// How fast they read is up to the test. What an end has sent is compared with
// what the other ends have got by its SHA-256.
type bulk struct {
	size   int64         // how much each end sends
	small  bool          // the ends have small socket buffers
	enough atomic.Bool   // sends no more than it has
	pace   chan struct{} // each is a leave for one end to read a little; closed: to read everything

	written atomic.Int64 // bytes that all ends together got rid of

	mu             sync.Mutex // guards what follows
	sent, received [2][]string
	errs           []error
}

// The ends of a bulk load.
const (
	clientEnd = iota
	endpointEnd
)

// aLittle is what a slow end reads at a time.
const aLittle = 256 << 10

// smallBuffer keeps hundreds of stalled connections, each of them four sockets,
// from using up the memory that the kernel has for all TCP of the machine. Past
// that it resets connections (tcp(7), tcp_mem).
const smallBuffer = 64 << 10

// newBulk makes a load of which each end sends and reads size bytes at once.
func newBulk(size int64) *bulk {
	b := &bulk{size: size, pace: make(chan struct{})}
	close(b.pace)
	return b
}

// newSlowBulk makes a load of which each end sends without end, and reads when
// it is told to.
func newSlowBulk() *bulk {
	return &bulk{size: 1 << 40, small: true, pace: make(chan struct{})}
}

// release lets every end read everything, and send no more.
func (b *bulk) release() {
	b.enough.Store(true)
	close(b.pace)
}

// play is one end of one connection. It returns when both have finished.
func (b *bulk) play(c net.Conn, opening []byte, end int) {
	c.SetDeadline(time.Now().Add(5 * time.Minute))
	if socket, ok := c.(*net.TCPConn); ok && b.small {
		socket.SetReadBuffer(smallBuffer)
		socket.SetWriteBuffer(smallBuffer)
	}
	var sending sync.WaitGroup
	var sent, got string
	var sendErr error
	sending.Go(func() { sent, sendErr = b.send(c, opening) })
	got, err := b.receive(c)
	if err != nil {
		c.Close() // nobody reads any more: the sender must not wait for that
	}
	sending.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range []error{sendErr, err} {
		if e != nil {
			b.errs = append(b.errs, e)
		}
	}
	b.sent[end] = append(b.sent[end], sent)
	b.received[end] = append(b.received[end], got)
}

// bulkBlock is random and repeats, with a number in each repetition.
const bulkBlock = 64 << 10

func (b *bulk) send(c net.Conn, opening []byte) (sum string, err error) {
	h := sha256.New()
	block := make([]byte, bulkBlock)
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], rand.Uint64())
	rand.NewChaCha8(seed).Read(block)
	put := func(p []byte) error {
		h.Write(p)
		n, err := c.Write(p)
		b.written.Add(int64(n))
		return err
	}
	if len(opening) > 0 {
		if err := put(opening); err != nil {
			return "", fmt.Errorf("sending the opening: %w", err)
		}
	}
	for left, i := b.size, uint64(0); left > 0 && !b.enough.Load(); i++ {
		binary.LittleEndian.PutUint64(block, i)
		p := block[:min(left, bulkBlock)]
		if err := put(p); err != nil {
			return "", fmt.Errorf("sending block %d: %w", i, err)
		}
		left -= int64(len(p))
	}
	return fmt.Sprintf("%x", h.Sum(nil)), finish(c)
}

func (b *bulk) receive(c net.Conn) (sum string, err error) {
	h := sha256.New()
	buf := make([]byte, bulkBlock)
	for range b.pace {
		if _, err := io.CopyBuffer(h, io.LimitReader(c, aLittle), buf); err != nil {
			return "", fmt.Errorf("receiving a little: %w", err)
		}
	}
	if n, err := io.CopyBuffer(h, onlyReader{c}, buf); err != nil {
		return "", fmt.Errorf("receiving: %w after %d bytes", err, n)
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}

// awaitStall waits until no end gets rid of anything any more. There is no
// event for that: 300 ms are hundreds of times what the gateway and the kernel
// need for another byte.
func (b *bulk) awaitStall(t *testing.T) {
	t.Helper()
	last, since := b.written.Load(), time.Now()
	eventually(t, "all senders are stalled", func() bool {
		if now := b.written.Load(); now != last {
			last, since = now, time.Now()
		}
		return last > 0 && time.Since(since) > 300*time.Millisecond
	})
}

// start opens n connections and plays the clients' ends. The function that it
// gives waits for their end.
func (b *bulk) start(t *testing.T, v visitor, n int) (wait func()) {
	t.Helper()
	var playing sync.WaitGroup
	for range n {
		c, opening, err := v.open()
		if err != nil {
			t.Fatal(err)
		}
		playing.Go(func() {
			defer c.Close()
			b.play(c, opening, clientEnd)
		})
	}
	return playing.Wait
}

// check compares what was sent with what arrived, once everything has ended.
func (b *bulk) check(t *testing.T, n int) {
	t.Helper()
	eventually(t, "both ends of every connection have ended", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.received[endpointEnd]) == n
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, err := range b.errs {
		t.Error(err)
	}
	for from, name := range []string{"clients", "endpoints"} {
		sent, received := slices.Sorted(slices.Values(b.sent[from])), slices.Sorted(slices.Values(b.received[1-from]))
		if !slices.Equal(sent, received) {
			t.Errorf("what the %s sent is not what the other ends got:\nsent     %v\nreceived %v", name, sent, received)
		}
	}
}

// bulkWays are the ways in which bytes are moved.
var bulkWays = []struct{ name, kind, runtime, mode string }{
	{"copied", plainKind, `runtime { splice = "off" }`, "copy"},
	{"spliced", plainKind, ``, "splice"},
	{"passed_through", passedKind, ``, "splice"},
	{"terminated", terminatedKind, ``, "copy"},
	{"encrypted_again", reencryptedKind, ``, "copy"},
}

// TestBulkArrivesIntact sends 1 GiB each way at once.
func TestBulkArrivesIntact(t *testing.T) {
	for _, way := range bulkWays {
		t.Run(way.name, func(t *testing.T) {
			b := newBulk(loadSize[int64](1 << 30))
			p := loadGatewayOf(t, way.kind, backend(t, func(c net.Conn) { b.play(c, nil, endpointEnd) }), "60s", way.runtime)
			before, began := p.rss(), time.Now()
			b.start(t, newVisitor(p, way.kind), 1)()
			took := time.Since(began)
			b.check(t, 1)
			rec := p.waitRecord(func(rec event) bool { return text(rec, "type") == "end" })
			expectFields(t, rec, map[string]string{
				"flags": "", "termination.reason": "finished", "mode.received": way.mode, "mode.sent": way.mode,
			})
			if got := int64(number(rec, "bytes_sent")); got != b.size {
				t.Errorf("the record says %d bytes sent, want %d", got, b.size)
			}
			t.Logf("%d MiB each way in %v; CPU of the gateway %v; RSS %d KiB before, at most %d KiB",
				b.size>>20, took.Round(time.Millisecond), p.cpu(), before>>10, p.status("VmHWM"))
			expectFlat(t, before, p.status("VmHWM")<<10)
		})
	}
}

// mostGrowth bounds what bulk may add to the memory of the gateway. The race
// detector keeps shadows of everything.
const mostGrowth = 64 << 20

func expectFlat(t *testing.T, before, after int64) {
	t.Helper()
	if after-before > mostGrowth && !raceEnabled {
		t.Errorf("the gateway's memory grew from %d to %d KiB, want less than %d more", before>>10, after>>10, mostGrowth>>10)
	}
}

// TestSlowReadersCostNoMemory has sixteen connections on which both ends send
// without end and read a little only when everything has come to a halt.
func TestSlowReadersCostNoMemory(t *testing.T) {
	for _, way := range bulkWays {
		t.Run(way.name, func(t *testing.T) {
			const n, rounds = 16, 5
			b := newSlowBulk()
			p := loadGatewayOf(t, way.kind, backend(t, func(c net.Conn) { b.play(c, nil, endpointEnd) }), "60s", way.runtime)
			before := p.rss()
			wait := b.start(t, newVisitor(p, way.kind), n)
			var figures []int64
			for range rounds {
				b.awaitStall(t)
				figures = append(figures, p.rss()>>10)
				for range 2 * n {
					b.pace <- struct{}{}
				}
			}
			b.awaitStall(t)
			b.release()
			wait()
			b.check(t, n)
			t.Logf("%d connections, stalled both ways; RSS %d KiB before, %v KiB when stalled, at most %d KiB",
				n, before>>10, figures, p.status("VmHWM"))
			expectFlat(t, before, p.status("VmHWM")<<10)
		})
	}
}
