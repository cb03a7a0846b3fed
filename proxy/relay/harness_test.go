package relay

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"sluice/proxy/poller"
)

// TestMain fails the package when its tests leave goroutines or descriptors
// behind.
func TestMain(m *testing.M) {
	r, w, err := os.Pipe() // the runtime's own epoll descriptor is opened once, for good
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

func openFDs() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		panic(err)
	}
	return len(entries)
}

// patience is how long a test waits for what must come. It never passes.
const patience = 15 * time.Second

func await[T any](t testing.TB, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("%s: nothing came", what)
	}
	return v
}

// eventually waits until the condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: it has not happened", what)
		}
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// network says over what a test's two sides talk to the pair.
type network string

const (
	overUnix network = "unix"
	overTCP  network = "tcp"
)

// roomy is a buffer size that holds whatever a test wants to have waiting in
// the kernel. It is within what anybody may set (net.core.rmem_max).
const roomy = 200 << 10

// dial gives a socket as the gateway has it, non-blocking and with urgent bytes
// in line, and its peer, non-blocking too. A buffer size of 0 leaves the
// kernel's.
func (n network) dial(t testing.TB, bufferSize int) (near, far int) {
	t.Helper()
	if n == overUnix {
		p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		check(t, err)
		near, far = p[0], p[1]
	} else {
		near, far = dialTCP(t, bufferSize)
	}
	check(t, unix.SetsockoptInt(near, unix.SOL_SOCKET, unix.SO_OOBINLINE, 1))
	if bufferSize != 0 {
		for _, fd := range []int{near, far} {
			check(t, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, bufferSize))
			check(t, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, bufferSize))
		}
	}
	return near, far
}

// dialTCP sets the receive buffers before the window is negotiated.
func dialTCP(t testing.TB, bufferSize int) (near, far int) {
	t.Helper()
	socket := func() int {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		check(t, err)
		if bufferSize != 0 {
			check(t, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, bufferSize))
		}
		return fd
	}
	ln := socket()
	defer unix.Close(ln)
	check(t, unix.Bind(ln, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	check(t, unix.Listen(ln, 1))
	at, err := unix.Getsockname(ln)
	check(t, err)
	far = socket()
	check(t, unix.Connect(far, at))
	near, _, err = unix.Accept4(ln, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	check(t, err)
	check(t, unix.SetNonblock(far, true))
	for _, fd := range []int{near, far} {
		check(t, unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1))
	}
	return near, far
}

// hand is a pair whose turns the test gives itself, with the readiness that
// poll(2) reports: nothing happens unless the test says so.
type hand struct {
	*Pair
	t     testing.TB
	m     *Mover
	pipes *Pipes
	near  [2]int
	far   [2]int // -1 when the test has closed it
}

func newHand(t testing.TB, n network, bufferSize int) *hand {
	t.Helper()
	h := &hand{Pair: &Pair{}, t: t, pipes: &Pipes{}}
	h.m = NewMover(h.pipes, true)
	for side := range h.near {
		h.near[side], h.far[side] = n.dial(t, bufferSize)
	}
	h.Init(h.m, h.near[Downstream], h.near[Upstream], Streams{})
	t.Cleanup(h.end)
	return h
}

// end closes everything and sees that the pair gave everything back.
func (h *hand) end() {
	h.Release(h.m)
	h.m.Trim(0)
	if h.pipes.Open() != 0 || h.pipes.InUse() != 0 {
		h.t.Errorf("%d pipes open and %d in use after the end", h.pipes.Open(), h.pipes.InUse())
	}
	for side := range h.near {
		unix.Close(h.near[side])
		if h.far[side] >= 0 {
			unix.Close(h.far[side])
		}
	}
}

// look gives what poll(2) says of a side. Its bits are epoll's.
func (h *hand) look(side Side) poller.Events {
	fds := []unix.PollFd{{Fd: int32(h.near[side]), Events: unix.POLLIN | unix.POLLOUT | unix.POLLPRI | unix.POLLRDHUP}}
	_, err := unix.Poll(fds, 0)
	for err == unix.EINTR {
		_, err = unix.Poll(fds, 0)
	}
	check(h.t, err)
	return poller.Events(fds[0].Revents)
}

// turn tells the pair what is ready and gives it one turn.
func (h *hand) turn() Status {
	for _, side := range []Side{Downstream, Upstream} {
		h.Events(side, h.look(side))
	}
	return h.Turn(h.m)
}

// settle gives turns until nothing can move.
func (h *hand) settle() Status {
	h.t.Helper()
	for range 10_000 {
		if st := h.turn(); st != Again {
			return st
		}
	}
	h.t.Fatal("it never settles")
	return Again
}

// moves gives turns until n bytes of a side have been moved.
func (h *hand) moves(from Side, n int) {
	h.t.Helper()
	eventually(h.t, fmt.Sprintf("moving %d bytes of %v", n, from), func() bool {
		h.settle()
		return h.Bytes(from) >= uint64(n)
	})
}

// send writes bytes at a far end, all of them or it is a failure.
func (h *hand) send(from Side, b []byte) {
	h.t.Helper()
	if n, err := unix.Write(h.far[from], b); n != len(b) || err != nil {
		h.t.Fatalf("sending %d bytes: %d, %v", len(b), n, err)
	}
}

// fill writes at a far end until the kernel takes no more, and gives how much
// that was.
func (h *hand) fill(from Side, pattern *pattern) (n int) {
	b := make([]byte, 64<<10)
	for {
		pattern.peek(b)
		w, err := unix.Write(h.far[from], b)
		if err != nil {
			return n
		}
		pattern.skip(w)
		n += w
	}
}

// flood has one far end write and the other read without pause until the
// returned func is called, which waits for both.
func (h *hand) flood(from Side) (stop func()) {
	var stopped atomic.Bool
	var wg sync.WaitGroup
	keep := func(fd int, events int16, call func(int, []byte) (int, syscall.Errno)) {
		buf := make([]byte, 256<<10)
		for !stopped.Load() {
			if _, errno := call(fd, buf); errno == syscall.EAGAIN {
				unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: events}}, 10)
			}
		}
	}
	wg.Go(func() { keep(h.far[from], unix.POLLOUT, sysWrite) })
	wg.Go(func() { keep(h.far[from.Other()], unix.POLLIN, sysRead) })
	return func() {
		stopped.Store(true)
		wg.Wait()
	}
}

// received reads what has arrived at a far end, and the error that ended it:
// nil when there may be more, io.EOF, or the kernel's.
func (h *hand) received(at Side) (b []byte, err error) {
	buf := make([]byte, 64<<10)
	for {
		n, errno := sysRead(h.far[at], buf)
		switch {
		case errno == syscall.EAGAIN:
			return b, nil
		case errno != 0:
			return b, errno
		case n == 0:
			return b, io.EOF
		}
		b = append(b, buf[:n]...)
	}
}

// arrives waits until n bytes have arrived at a far end and gives them.
func (h *hand) arrives(at Side, n int) (b []byte) {
	h.t.Helper()
	eventually(h.t, fmt.Sprintf("%d bytes", n), func() bool {
		more, err := h.received(at)
		if b = append(b, more...); len(b) < n && err != nil {
			h.t.Fatalf("%v after %d of %d bytes", err, len(b), n)
		}
		return len(b) >= n
	})
	return b
}

// closeFar closes a far end, with a reset if asked for.
func (h *hand) closeFar(side Side, reset bool) {
	if reset {
		CloseReset(h.far[side])
	} else {
		unix.Close(h.far[side])
	}
	h.far[side] = -1
}

// pattern is an endless sequence of bytes in which no two places look alike
// for long: what is lost, doubled or swapped shows.
type pattern struct{ at uint64 }

func (p *pattern) peek(b []byte) {
	for i := range b {
		x := (p.at + uint64(i)) * 0x9e3779b97f4a7c15
		b[i] = byte(x >> 56)
	}
}

func (p *pattern) skip(n int) { p.at += uint64(n) }

func (p *pattern) next(n int) []byte {
	b := make([]byte, n)
	p.peek(b)
	p.skip(n)
	return b
}
