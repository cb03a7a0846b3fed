package relay

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// AckTimeout bounds how long a reset is held back for bytes that the other
// side has not acknowledged.
const AckTimeout = 10 * time.Second

// Unacked gives the number of bytes that the descriptor's peer has not
// acknowledged yet (SIOCOUTQ, tcp(7)); for a unix socket, that it has not read.
func Unacked(fd int) int {
	n, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
	if err != nil {
		return 0
	}
	return n
}

// Unread gives the number of bytes that have arrived at the descriptor and were
// not read yet (SIOCINQ, tcp(7), unix(7)). The peer takes them for delivered.
func Unread(fd int) int {
	n, err := unix.IoctlGetInt(fd, unix.SIOCINQ)
	if err != nil {
		return 0
	}
	return n
}

// CloseReset closes a TCP descriptor so that its peer gets a reset. Whatever
// was not sent is thrown away. A unix socket knows no reset and is just closed.
func CloseReset(fd int) {
	unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: 0})
	sysClose(fd)
}

// CloseFIN closes a descriptor so that its peer gets a FIN after everything
// that was sent. If unread bytes are in the receive queue the kernel makes a
// reset of it (RFC 1122 4.2.2.13); [Discard] reads them first.
func CloseFIN(fd int) { sysClose(fd) }

// ShutdownWrite sends a FIN and leaves the descriptor open for reading.
func ShutdownWrite(fd int) { sysShutdownWrite(fd) }

// Discard reads and drops what has arrived, at most a turn's budget. It gives
// Finished when the peer has finished or is gone, so that the descriptor can be
// closed, and otherwise what a turn of a pair would.
func (m *Mover) Discard(fd int) Status {
	for budget := turnBudget; budget > 0; {
		n, errno := sysRead(fd, m.scratch[:scratchSize])
		if errno == syscall.EAGAIN {
			return Waiting
		}
		if errno != 0 || n == 0 {
			return Finished
		}
		budget -= n
	}
	return Again
}

// Read is one recv(2) that does not block. It gives EAGAIN as an errno, which
// is how the set-up of a connection learns that it has to wait.
func Read(fd int, b []byte) (int, syscall.Errno) { return sysRead(fd, b) }

// Write is one send(2) that does not block.
func Write(fd int, b []byte) (int, syscall.Errno) { return sysWrite(fd, b) }
