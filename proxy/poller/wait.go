package poller

import (
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

// A worker waits in one of two ways. While there is something to do now and then
// it keeps its P (RawSyscall), and a wait is one system call and no trip through
// the scheduler. After holdFor without anything it lets the P go (Syscall), and
// then nothing of the process runs until something is ready.
//
// A tick, every holdFor, ends the first kind, so that whoever must stop the world
// or wants the P waits for no longer than that even where the runtime's own
// signals (proposal 24543) are turned off. It is a timer for all waits: a timeout
// for each makes them measurably dearer.
//
// To let the P go and have it again costs some 60 us of CPU, for the most part of
// the runtime's monitor thread, which then looks every 20 us for a while. With
// holdFor that is at most half a percent of the time. With 2 ms a gateway of two
// workers and 500 connections a second paid for it at every connection, which
// made them half as dear again.
const holdFor = 10 * time.Millisecond

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

// epoll is a worker's epoll descriptor and what it knows of its waits.
type epoll struct {
	epfd     int
	tickfd   int // a timerfd
	holding  bool
	quiet    bool // nothing has come since the last tick
	released bool // in the last wait others could have the P
	events   [eventBatch]unix.EpollEvent
}

func (p *epoll) init() (err error) {
	if p.epfd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	if p.tickfd, err = newTimer(); err != nil {
		unix.Close(p.epfd)
		return err
	}
	if err := p.addOwn(p.tickfd, tickToken); err != nil {
		p.close()
		return err
	}
	return nil
}

// addOwn registers a descriptor of the worker itself. It is edge-triggered and
// never read: each message and each expiry is an edge.
func (p *epoll) addOwn(fd int, token int32) error {
	return epollAdd(p.epfd, fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: token})
}

func newTimer() (int, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	return fd, os.NewSyscallError("timerfd_create", err)
}

// setTimer makes a timerfd expire once.
func setTimer(fd int, in time.Duration) {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(in))}
	if err := unix.TimerfdSettime(fd, 0, &spec, nil); err != nil {
		panic("BUG: poller: timerfd_settime: " + err.Error())
	}
}

func (p *epoll) close() {
	unix.Close(p.tickfd)
	unix.Close(p.epfd)
}

// wait takes what is ready, and when block is set and nothing is, waits until
// something is. It may give nothing even so: a signal ends any wait.
func (p *epoll) wait(block bool) []unix.EpollEvent {
	p.released = false
	if !block {
		return p.take(syscall.RawSyscall6, 0)
	}
	for p.holding {
		events := p.take(syscall.RawSyscall6, -1)
		if len(events) == 0 {
			return nil // a signal, with which the runtime wants the P, is nothing that has come
		}
		if len(events) > 1 || events[0].Fd != tickToken {
			p.quiet = false
			return events
		}
		p.holding = !p.quiet
		p.quiet = true
		if p.holding {
			p.armTick()
		}
	}
	events := p.take(syscall.Syscall6, -1)
	p.released, p.holding, p.quiet = true, true, false
	p.armTick()
	return events
}

// armTick sets the next tick. A timerfd with an interval would want to be read.
func (p *epoll) armTick() { setTimer(p.tickfd, holdFor) }

// take is one epoll_wait through one of the two ways into the kernel. A timeout
// of -1 is none.
func (p *epoll) take(call syscallFunc, timeout int) []unix.EpollEvent {
	n, _, errno := call(unix.SYS_EPOLL_PWAIT, uintptr(p.epfd),
		uintptr(unsafe.Pointer(&p.events[0])), eventBatch, uintptr(timeout), 0, 0)
	if errno != 0 {
		if errno == unix.EINTR {
			return nil
		}
		panic("BUG: poller: epoll_pwait: " + errno.Error())
	}
	return p.events[:n]
}

type syscallFunc func(trap, a1, a2, a3, a4, a5, a6 uintptr) (r1, r2 uintptr, err syscall.Errno)

// yieldAfter is how long a worker holds its P before it lets others have their
// turn.
const yieldAfter = 8 * time.Millisecond

// yieldToScheduler gives the P away once, and makes one system call that the
// scheduler hears of. Otherwise the worker makes none to its knowledge: whoever
// else is runnable on its P would wait for the preemption by the runtime's
// monitor thread. But the monitor sleeps, for up to a minute, once every P was
// idle, and only such a system call wakes it.
func yieldToScheduler() {
	syscall.Syscall(unix.SYS_GETPID, 0, 0, 0)
	runtime.Gosched()
}
