package handoff

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Question is what a process asks one that drains.
type Question struct {
	Name      string
	Arguments json.RawMessage // nil: none
}

// answered is how an answer is written.
type answered struct {
	Answer json.RawMessage `json:"answer,omitempty"`
	Error  string          `json:"error,omitempty"`
}

// Reply is what one generation has answered.
type Reply struct {
	Generation int
	PID        int
	Answer     json.RawMessage
	Err        error // nil: Answer is valid
}

// Elders are the generations before this process that still drain. Any goroutine
// may call its methods; a nil pointer is none.
type Elders struct {
	mu   sync.Mutex // guards what follows
	list []*elder   // the oldest first
}

// elder is one of them.
type elder struct {
	Generation int
	PID        int
	conn       *net.UnixConn // shared with every generation after it
}

func (e *Elders) add(el *elder) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, el)
}

// take adds one that was handed over.
func (e *Elders) take(m *message) error {
	if len(m.fds) != 1 {
		m.closeFDs()
		return fmt.Errorf("generation %d is handed over with %d descriptors instead of 1", m.Generation, len(m.fds))
	}
	conn, err := connOf(m.fds[0], "elder")
	if err != nil {
		return err
	}
	e.add(&elder{Generation: m.Generation, PID: m.PID, conn: conn})
	return nil
}

// all gives those that there are.
func (e *Elders) all() []*elder {
	if e == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.list)
}

// forget drops one that is gone.
func (e *Elders) forget(gone *elder) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if i := slices.Index(e.list, gone); i >= 0 {
		e.list = slices.Delete(e.list, i, i+1)
		gone.conn.Close()
	}
}

// Close lets go of all of them, which does nothing to them.
func (e *Elders) Close() {
	for _, el := range e.all() {
		e.forget(el)
	}
}

// offerTo hands those that have not ended to a successor.
func (e *Elders) offerTo(c *net.UnixConn) error {
	for _, el := range e.all() {
		raw, err := el.conn.SyscallConn()
		if err != nil {
			continue // closed meanwhile: it is gone
		}
		gone := false
		var sent error
		if err := raw.Control(func(fd uintptr) {
			if gone = hasEnded(int(fd)); !gone {
				sent = send(c, message{Kind: kindElder, Generation: el.Generation, PID: el.PID}, int(fd))
			}
		}); err != nil {
			continue
		}
		if gone {
			e.forget(el)
		}
		if sent != nil {
			return sent
		}
	}
	return nil
}

// hasEnded tells whether the other side of a pair is closed.
func hasEnded(fd int) bool {
	n, _, err := unix.Recvfrom(fd, make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return err == nil && n == 0 || err == unix.ECONNRESET
}

// askTimeout is how long a generation may take to answer: it is as busy as its
// connections make it, and the asker has others to ask.
const askTimeout = 5 * time.Second

// Ask asks all of them at once and gives the replies in the order of generations.
// Those that are gone are left out.
func (e *Elders) Ask(ctx context.Context, q Question) []Reply {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	list := e.all()
	replies := make([]Reply, len(list))
	var asking sync.WaitGroup
	for i, el := range list {
		asking.Go(func() {
			answer, err := el.ask(ctx, q)
			replies[i] = Reply{el.Generation, el.PID, answer, err}
		})
	}
	asking.Wait()
	kept := replies[:0]
	for i, r := range replies {
		if errors.Is(r.Err, errGone) {
			e.forget(list[i])
			continue
		}
		kept = append(kept, r)
	}
	return kept
}

// errGone says that a generation has ended.
var errGone = errors.New("the process has ended")

// ask asks one. The answer comes over a pair of its own, so that no other
// asker's can be taken for it, however many processes hold the elder's.
func (el *elder) ask(ctx context.Context, q Question) (json.RawMessage, error) {
	ours, theirs, err := pair(unix.SOCK_STREAM, "answer")
	if err != nil {
		return nil, err
	}
	defer ours.Close()
	m := message{Kind: kindQuestion, Question: q.Name, Arguments: q.Arguments}
	if deadline, ok := ctx.Deadline(); ok {
		if err := ours.SetReadDeadline(deadline); err != nil {
			return nil, err
		}
		if err := el.conn.SetWriteDeadline(deadline); err != nil {
			return nil, errGone // forgotten meanwhile
		}
	}
	err = send(el.conn, m, int(theirs.Fd()))
	theirs.Close()
	if err != nil {
		if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, net.ErrClosed) {
			return nil, errGone
		}
		return nil, fmt.Errorf("asking generation %d: %w", el.Generation, err)
	}
	var a answered
	if err := json.NewDecoder(ours).Decode(&a); err != nil {
		return nil, fmt.Errorf("the answer of generation %d: %w", el.Generation, err)
	}
	if a.Error != "" {
		return nil, fmt.Errorf("generation %d: %s", el.Generation, a.Error)
	}
	return a.Answer, nil
}
