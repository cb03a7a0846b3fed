package relay

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// None of these calls blocks: the descriptors are non-blocking. They go
// through RawSyscall, so the scheduler is not told of them, which saves some
// 50 ns each. EINTR cannot happen to a call that does not wait. All descriptors
// are sockets, for which recvfrom and sendto do less than read and write: 3% of
// the CPU time of an echo over 32 connections.

func sysRead(fd int, b []byte) (int, syscall.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

func sysWrite(fd int, b []byte) (int, syscall.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// sysSplice moves up to n bytes. No SPLICE_F_MORE: it holds small ends of a
// stream back for 200 ms (golang/go#10948). SPLICE_F_MOVE does nothing.
func sysSplice(from, to, n int) (int, syscall.Errno) {
	r, _, errno := unix.RawSyscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(n), unix.SPLICE_F_NONBLOCK)
	if errno != 0 {
		return 0, errno
	}
	return int(r), 0
}

func sysShutdownWrite(fd int) syscall.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), unix.SHUT_WR, 0)
	return errno
}

// sysClose closes a socket. It does not wait for bytes that were not sent:
// SO_LINGER is unset, or set to 0 seconds (socket(7)).
func sysClose(fd int) { unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }
