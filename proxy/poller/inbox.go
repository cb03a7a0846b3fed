package poller

import (
	"encoding/binary"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// inbox takes functions from other goroutines for the worker to call.
//
// The eventfd is registered edge-triggered and never read: every write is an
// edge of its own, which spares a read per message.
type inbox struct {
	fd int

	mu     sync.Mutex // guards what follows
	queue  []func()
	closed bool

	taken []func() // the worker's; swapped with queue so that neither is garbage
}

func (in *inbox) init() (err error) {
	in.fd, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	return os.NewSyscallError("eventfd", err)
}

// eventfdOne is a count of 1. It has to be small: a write that would take the
// counter past its 64 bits is refused and wakes nobody.
var eventfdOne = binary.NativeEndian.AppendUint64(nil, 1)

// post queues f and wakes the worker when the queue was empty.
func (in *inbox) post(f func()) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed {
		return false
	}
	in.queue = append(in.queue, f)
	if len(in.queue) == 1 {
		unix.Write(in.fd, eventfdOne) // EAGAIN means that it is readable already
	}
	return true
}

// take gives what was queued. The slice is valid until the next call.
func (in *inbox) take() []func() {
	in.mu.Lock()
	defer in.mu.Unlock()
	clear(in.taken)
	in.taken, in.queue = in.queue, in.taken[:0]
	return in.taken
}

// close refuses further messages and gives the ones nobody took.
func (in *inbox) close() []func() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.closed = true
	unix.Close(in.fd)
	return in.queue
}
