package relay

import (
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestUnacked(t *testing.T) {
	near, far := overTCP.dial(t, 4<<10)
	defer unix.Close(near)
	defer unix.Close(far)
	if n := Unacked(near); n != 0 {
		t.Errorf("%d before anything was sent", n)
	}
	buf := make([]byte, 64<<10)
	for {
		if _, errno := sysWrite(near, buf); errno != 0 {
			break
		}
	}
	if Unacked(near) == 0 {
		t.Error("the peer reads nothing, yet everything is acknowledged")
	}
	if n := Unacked(-1); n != 0 {
		t.Errorf("%d of no socket", n)
	}
}

func TestUnread(t *testing.T) {
	for _, n := range []network{overUnix, overTCP} {
		near, far := n.dial(t, 0)
		defer unix.Close(near)
		defer unix.Close(far)
		if n := Unread(near); n != 0 {
			t.Errorf("%d before anything was sent", n)
		}
		if n, errno := Write(far, []byte("unread")); n != 6 || errno != 0 {
			t.Errorf("writing: %d, %v", n, errno)
		}
		eventually(t, "the bytes", func() bool { return Unread(near) == 6 })
		if n, errno := Read(near, make([]byte, 10)); n != 6 || errno != 0 {
			t.Errorf("reading: %d, %v", n, errno)
		}
		if n, errno := Read(near, make([]byte, 10)); n != 0 || errno != syscall.EAGAIN {
			t.Errorf("reading what is not there: %d, %v", n, errno)
		}
		if n := Unread(near); n != 0 {
			t.Errorf("%d after everything was read", n)
		}
	}
	if n := Unread(-1); n != 0 {
		t.Errorf("%d of no socket", n)
	}
}

func TestShutdownWriteLeavesItOpenForReading(t *testing.T) {
	near, far := overTCP.dial(t, 0)
	defer unix.Close(near)
	defer unix.Close(far)
	ShutdownWrite(near)
	eventually(t, "the FIN", func() bool {
		n, errno := Read(far, make([]byte, 1))
		return n == 0 && errno == 0
	})
	Write(far, []byte("x"))
	eventually(t, "a byte", func() bool { n, _ := Read(near, make([]byte, 1)); return n == 1 })
}

// How a descriptor is closed decides what its peer is told, also with bytes on
// their way: a FIN comes behind them, a reset throws them away.
func TestCloseFINAndCloseReset(t *testing.T) {
	for name, c := range map[string]struct {
		how  func(int)
		want syscall.Errno
	}{"FIN": {CloseFIN, 0}, "reset": {CloseReset, syscall.ECONNRESET}} {
		near, far := overTCP.dial(t, 4<<10)
		sent := 0
		for {
			n, errno := Write(near, make([]byte, 64<<10))
			if sent += n; errno != 0 {
				break
			}
		}
		c.how(near)
		got, end := 0, syscall.Errno(0)
		eventually(t, name, func() bool {
			n, errno := Read(far, make([]byte, 64<<10))
			got += n
			if end = errno; errno == syscall.EAGAIN {
				return false
			}
			return errno != 0 || n == 0
		})
		if end != c.want || (c.want == 0) != (got == sent) {
			t.Errorf("%s: %d of %d bytes, then %v", name, got, sent, end)
		}
		unix.Close(far)
	}
}

func TestDiscard(t *testing.T) {
	near, far := overTCP.dial(t, roomy)
	defer unix.Close(near)
	m := NewMover(&Pipes{}, false)
	sysWrite(far, make([]byte, 100_000))
	eventually(t, "the bytes", func() bool {
		n, err := unix.IoctlGetInt(near, unix.TIOCINQ)
		return err == nil && n == 100_000
	})
	if got := m.Discard(near); got != Waiting {
		t.Errorf("status %d, but the peer has not ended", got)
	}
	if n, _ := unix.IoctlGetInt(near, unix.TIOCINQ); n != 0 {
		t.Errorf("%d bytes are left", n)
	}
	unix.Close(far)
	eventually(t, "the end", func() bool { return m.Discard(near) == Finished })
}

func TestTrim(t *testing.T) {
	m := NewMover(&Pipes{}, true)
	if m.Trimmable() {
		t.Error("before there is anything")
	}
	m.SetNow(time.Second)
	m.pipes.put(m.pipes.get(0), 0)
	if !m.Trimmable() {
		t.Error("not with a pipe in the cache")
	}
	m.Trim(2 * time.Second)
	if !m.Trimmable() {
		t.Error("trimmed too early")
	}
	m.Trim(time.Second)
	if m.Trimmable() || m.pipes.shared.Open() != 0 {
		t.Error("not trimmed")
	}
}
