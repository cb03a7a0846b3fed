package relay

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// bigPipeSize is 256 slots. A slot takes one page or one fragment of a
	// packet. What does not fit waits for the next splice, and each splice
	// wakes whoever reads or writes at the other end: on loopback a stream
	// costs a quarter less CPU than through pipes of 256 KiB.
	bigPipeSize = 1 << 20
	// bigPipes is how many pipes are big. Workers use few at a time: one
	// holds bytes between turns only when the other side has stalled.
	bigPipes = 32
	// pipeSize of all others is 64 slots, or 92 KB of 1448-byte segments.
	pipeSize = 256 << 10
	// minPipeSize is the least that is worth using. Past the kernel's limit
	// of pipe pages per user (pipe(7), pipe-user-pages-soft) new pipes have
	// 8 KiB, through which splicing costs more than copying.
	minPipeSize = 64 << 10
	// MaxPipes for the process are together 64 MiB, the default of that limit.
	MaxPipes = 160
	// keepPipes is how many empty pipes a worker keeps.
	keepPipes = 8
	// pipeRetry is how long a worker copies after it could not get a pipe.
	pipeRetry = time.Second
)

// Pipes is what all workers of a process share about pipes. The zero value is
// ready. Any goroutine may use it.
type Pipes struct {
	// Limit is how many pipes there may be, each of two descriptors; 0 is
	// MaxPipes. It is set before the first mover is made.
	Limit int

	open  atomic.Int64
	inUse atomic.Int64
}

func (p *Pipes) limit() int64 {
	if p.Limit == 0 {
		return MaxPipes
	}
	return int64(p.Limit)
}

// Open gives the number of pipes that exist, each of two descriptors.
func (p *Pipes) Open() int { return int(p.open.Load()) }

// InUse gives the number of pipes that hold bytes of a connection.
func (p *Pipes) InUse() int { return int(p.inUse.Load()) }

// pipe is an empty pipe in a worker's cache, or one that holds bytes of a
// direction.
type pipe struct {
	r, w int
	size int // bytes that fit when every slot has a whole page
	n    int // bytes in it
}

// pipeCache is a worker's own pipes.
type pipeCache struct {
	shared   *Pipes
	free     []*pipe
	used     time.Duration // when one was last taken or given back
	notUntil time.Duration
}

// get gives an empty pipe, or nil when there is none worth having: then the
// direction goes on copying.
func (c *pipeCache) get(now time.Duration) *pipe {
	c.used = now
	if n := len(c.free); n > 0 {
		p := c.free[n-1]
		c.free = c.free[:n-1]
		c.shared.inUse.Add(1)
		return p
	}
	if now < c.notUntil {
		return nil
	}
	p := c.open()
	if p == nil {
		c.notUntil = now + pipeRetry
		return nil
	}
	c.shared.inUse.Add(1)
	return p
}

func (c *pipeCache) open() *pipe {
	number := c.shared.open.Add(1)
	if number > c.shared.limit() {
		c.shared.open.Add(-1)
		return nil
	}
	var fds [2]int
	if unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC) != nil {
		c.shared.open.Add(-1)
		return nil
	}
	p := &pipe{r: fds[0], w: fds[1]}
	// F_SETPIPE_SZ fails without CAP_SYS_RESOURCE when the user has used up
	// its pages, or the size is above pipe-max-size; what the pipe has then
	// decides.
	wanted := pipeSize
	if number <= bigPipes {
		wanted = bigPipeSize
	}
	if _, err := unix.FcntlInt(uintptr(p.w), unix.F_SETPIPE_SZ, wanted); err != nil && wanted > pipeSize {
		unix.FcntlInt(uintptr(p.w), unix.F_SETPIPE_SZ, pipeSize)
	}
	var err error
	if p.size, err = unix.FcntlInt(uintptr(p.w), unix.F_GETPIPE_SZ, 0); err != nil || p.size < minPipeSize {
		c.close(p)
		return nil
	}
	return p
}

// put takes a pipe back. One that still holds bytes is closed: they belong to
// a connection that has ended.
func (c *pipeCache) put(p *pipe, now time.Duration) {
	c.used = now
	c.shared.inUse.Add(-1)
	if p.n > 0 || len(c.free) >= keepPipes {
		c.close(p)
		return
	}
	c.free = append(c.free, p)
}

func (c *pipeCache) close(p *pipe) {
	unix.Close(p.r)
	unix.Close(p.w)
	c.shared.open.Add(-1)
}

// trim closes the free pipes when none was needed for a while, or at once when
// idle is 0.
func (c *pipeCache) trim(now, idle time.Duration) {
	if now-c.used < idle {
		return
	}
	for _, p := range c.free {
		c.close(p)
	}
	c.free = c.free[:0]
}
