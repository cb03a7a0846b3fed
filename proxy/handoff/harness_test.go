package handoff

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience is only ever used up by a test that fails.
const patience = 20 * time.Second

// halves makes the two ends of a hand-over, in this process.
func halves(t *testing.T) (old, next *net.UnixConn) {
	t.Helper()
	old, file, err := pair(unix.SOCK_SEQPACKET, "test")
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Dup(int(file.Fd()))
	file.Close()
	if err == nil {
		next, err = connOf(fd, "test")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { old.Close(); next.Close() })
	return old, next
}

// successorOf is the old side of a hand-over without a process behind it.
func successorOf(t *testing.T, conn *net.UnixConn, offer Offer, answer Answer) *Successor {
	t.Helper()
	s := &Successor{PID: 2, conn: conn, answer: answer, messages: make(chan message, 16), exited: make(chan struct{})}
	s.talking.Go(s.read)
	s.talking.Go(func() { s.offer(offer) })
	t.Cleanup(s.Close)
	return s
}

// generation is a process that was handed over to and hands over itself, for as
// far as it talks.
type generation struct {
	*Successor   // as its own successor sees it; nil before there is one
	*Predecessor // nil: it is the first
}

// succeed makes the next generation, up to where it is the one.
func (g *generation) succeed(t *testing.T, number int, answer Answer) *generation {
	t.Helper()
	old, next := halves(t)
	offer := Offer{Generation: number}
	if g.Predecessor != nil {
		offer.Elders = g.Elders
	}
	g.Successor = successorOf(t, old, offer, answer)
	p, err := inherit(next)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Elders.Close)
	takeOver(t, g.Successor, p)
	return &generation{Predecessor: p}
}

// takeOver takes all steps of a hand-over.
func takeOver(t *testing.T, s *Successor, p *Predecessor) {
	t.Helper()
	ctx := t.Context()
	over := make(chan error, 1)
	go func() {
		err := p.Ready(ctx)
		if err == nil {
			p.Serving(nil)
			<-p.Owned()
			p.Owner()
		}
		over <- err
	}()
	err := s.AwaitReady(ctx)
	if err == nil {
		_, err = s.Go(ctx)
	}
	if err == nil {
		err = s.Yours(ctx)
	}
	if err := errors.Join(err, <-over); err != nil {
		t.Fatal(err)
	}
}

// nothing gives a descriptor of something, and closes it with the test.
func nothing(t *testing.T) int {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return int(f.Fd())
}

// inode tells what a descriptor is of.
func inode(t *testing.T, fd int) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

// openDescriptors counts those of this process.
func openDescriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
