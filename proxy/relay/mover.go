package relay

import (
	"sync/atomic"
	"time"
)

const (
	// scratchSize is the most that one read of a copying direction takes.
	// 64 KiB stay in the second-level cache between the read and the write.
	scratchSize = 64 << 10
	// streamScratchSize is the same for bulk of a terminated connection,
	// which never goes through a pipe. Every write wakes the peer, which
	// costs more than what larger pieces lose in the cache: 6 to 9% of the
	// CPU time beside 64 KiB.
	streamScratchSize = 256 << 10
)

// Mover is what one worker needs to move the bytes of all its pairs. It
// belongs to the worker; only the counters may be read by others.
type Mover struct {
	scratch []byte // of streamScratchSize
	buffers buffers
	pipes   pipeCache
	splice  bool
	now     time.Duration

	copied  atomic.Uint64
	spliced atomic.Uint64
}

// NewMover makes a mover. pipes is shared by the workers of the process; with
// splice unset everything is copied.
func NewMover(pipes *Pipes, splice bool) *Mover {
	return &Mover{
		scratch: make([]byte, streamScratchSize),
		pipes:   pipeCache{shared: pipes},
		splice:  splice,
	}
}

// SetNow tells the mover its worker's clock. It has to be called before the
// turns of a batch.
func (m *Mover) SetNow(now time.Duration) { m.now = now }

// SetSplice says whether bytes may be spliced. Directions that are spliced now
// go on until they have reason to copy.
func (m *Mover) SetSplice(splice bool) { m.splice = splice }

// Copied and Spliced give the bytes that were moved either way. Any goroutine
// may call them.
func (m *Mover) Copied() uint64  { return m.copied.Load() }
func (m *Mover) Spliced() uint64 { return m.spliced.Load() }

// count adds to a counter that only this worker writes: a plain addition
// published with an atomic store needs no locked instruction.
func count(c *atomic.Uint64, n int) { c.Store(c.Load() + uint64(n)) }

// Trim gives back what was cached and not needed for the given time.
func (m *Mover) Trim(idle time.Duration) { m.pipes.trim(m.now, idle) }

// Trimmable tells whether anything is cached that Trim would give back.
func (m *Mover) Trimmable() bool { return len(m.pipes.free) > 0 }
