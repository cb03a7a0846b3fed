package poller

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// eventBatch is how many events one wait takes at most. 128 events are 1.5 KB
// and enough that the cost of the call is spread thin.
const eventBatch = 128

// epollAdd registers fd. epoll_ctl never blocks, so the scheduler is not told.
func epollAdd(epfd, fd int, ev *unix.EpollEvent) error {
	return epollCtl(epfd, unix.EPOLL_CTL_ADD, fd, ev)
}

func epollCtl(epfd, op, fd int, ev *unix.EpollEvent) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(epfd), uintptr(op), uintptr(fd),
		uintptr(unsafe.Pointer(ev)), 0, 0)
	if errno != 0 {
		return os.NewSyscallError("epoll_ctl", errno)
	}
	return nil
}

// nested is an epoll descriptor that is waited for in the runtime's poller.
type nested struct {
	file *os.File
	raw  syscall.RawConn
	// look is fetch as a func value, made once: a closure per wait would be
	// garbage per wait.
	look func(uintptr) bool

	epfd   int
	events [eventBatch]unix.EpollEvent
	n      int
	looks  int // in the current wait; more than one means that it parked
}

func (p *nested) init() error {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	// os.NewFile gives the descriptor to the runtime's poller only when it is
	// non-blocking. The flag has no other effect on an epoll descriptor.
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return os.NewSyscallError("fcntl", err)
	}
	p.epfd = fd
	p.file = os.NewFile(uintptr(fd), "epoll")
	p.raw, err = p.file.SyscallConn()
	if err != nil {
		p.file.Close()
		return fmt.Errorf("epoll descriptor in the runtime's poller: %w", err)
	}
	p.look = p.fetch
	return nil
}

// fetch takes what is ready now and tells whether there was anything.
func (p *nested) fetch(uintptr) bool {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.epfd),
		uintptr(unsafe.Pointer(&p.events[0])), eventBatch, 0, 0, 0)
	if errno != 0 {
		if errno == unix.EINTR {
			n = 0
		} else {
			panic("BUG: poller: epoll_pwait: " + errno.Error())
		}
	}
	p.n = int(n)
	p.looks++
	return n > 0
}

// wait takes what is ready, and when block is set and nothing is, parks the
// goroutine until something is. Nobody else may use the descriptor meanwhile.
func (p *nested) wait(block bool) []unix.EpollEvent {
	p.looks = 0
	if !block {
		p.fetch(0)
		return p.events[:p.n]
	}
	// The zero-timeout wait runs inside the callback: the runtime has then
	// already noted that it must not miss an edge that comes after it.
	if err := p.raw.Read(p.look); err != nil {
		panic("BUG: poller: waiting for the epoll descriptor: " + err.Error())
	}
	return p.events[:p.n]
}

// parked tells whether the last wait had to wait.
func (p *nested) parked() bool { return p.looks > 1 }

// yieldAfter is how long a worker runs without parking before it lets others
// have their turn.
const yieldAfter = 2 * time.Millisecond

// yieldToScheduler gives the P away once, and makes one system call that the
// scheduler hears of. A worker that always has something to do never parks,
// and to the scheduler it never makes a system call either: whoever else is
// runnable on its P would wait for the preemption by the runtime's monitor
// thread. But the monitor sleeps, for up to a minute, once every P was idle,
// and only such a system call wakes it.
func yieldToScheduler() {
	syscall.Syscall(unix.SYS_GETPID, 0, 0, 0)
	runtime.Gosched()
}

func (p *nested) close() error { return p.file.Close() }
