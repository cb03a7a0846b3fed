package handoff

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// environment tells a process that it has a predecessor, and the number of the
// descriptor over which that talks.
const environment = "SLUICE_HANDOFF"

// Offer is what a process hands over.
type Offer struct {
	Generation int      // of the successor
	Sockets    []Socket // stay the caller's, too
	Elders     *Elders  // generations that still drain; may be nil
}

// Answer answers a question of a successor, with JSON. It is called by
// goroutines of the [Successor].
type Answer func(q Question) ([]byte, error)

// Successor is the process that is to take over, seen by the old one. Its
// methods may be called by any goroutine, one after the other.
type Successor struct {
	PID int

	conn     *net.UnixConn
	process  *os.Process
	answer   Answer
	messages chan message
	exited   chan struct{}
	exit     error          // valid once exited is closed
	talking  sync.WaitGroup // what uses the connection, but for answers
}

// Start starts the command, whose process is to call [Inherit], and offers it
// the sockets. Its standard input and outputs, arguments and environment are the
// caller's business. Without an error the caller has to call Close in the end.
func Start(cmd *exec.Cmd, offer Offer, answer Answer) (*Successor, error) {
	conn, theirs, err := pair(unix.SOCK_SEQPACKET, "hand-over")
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	cmd.Env = append(cmd.Environ(), environment+"="+strconv.Itoa(3+len(cmd.ExtraFiles)))
	cmd.ExtraFiles = append(cmd.ExtraFiles, theirs)
	if err := cmd.Start(); err != nil {
		conn.Close()
		return nil, err
	}
	s := &Successor{
		PID: cmd.Process.Pid, process: cmd.Process, conn: conn, answer: answer,
		messages: make(chan message, 16), exited: make(chan struct{}),
	}
	go s.watch(cmd) // it ends with the process, which may outlive this one
	s.talking.Go(s.read)
	s.talking.Go(func() { s.offer(offer) })
	return s, nil
}

// watch waits for the process to end.
func (s *Successor) watch(cmd *exec.Cmd) {
	defer close(s.exited)
	s.exit = cmd.Wait()
}

// offer sends what there is. An error of it is noticed as the end of the process
// or as its silence.
func (s *Successor) offer(o Offer) {
	m := message{Kind: kindOffer, Version: version, Oldest: oldest, Generation: o.Generation, PID: os.Getpid()}
	if send(s.conn, m) != nil {
		return
	}
	for _, socket := range o.Sockets {
		for fds := socket.FDs; len(fds) > 0; {
			n := min(len(fds), maxDescriptors)
			if send(s.conn, message{Kind: kindSockets, Name: socket.Name, Lent: socket.Lent}, fds[:n]...) != nil {
				return
			}
			fds = fds[n:]
		}
	}
	if o.Elders.offerTo(s.conn) != nil {
		return
	}
	_ = send(s.conn, message{Kind: kindOffered})
}

// read takes what the process says. Questions are answered at once.
func (s *Successor) read() {
	defer close(s.messages)
	for {
		m, err := receive(s.conn)
		if err != nil {
			return
		}
		if m.Kind == kindQuestion && len(m.fds) == 1 {
			go s.reply(m) // it ends by replyTimeout
			continue
		}
		m.closeFDs()
		select {
		case s.messages <- m:
		default: // far more than there is to say
		}
	}
}

// replyTimeout is how long the asker may take to read an answer.
const replyTimeout = 10 * time.Second

// reply answers a question into the descriptor that came with it.
func (s *Successor) reply(m message) {
	fd := m.fds[0]
	if err := unix.SetNonblock(fd, true); err != nil { // so that writing has a deadline
		unix.Close(fd)
		return
	}
	f := os.NewFile(uintptr(fd), "answer")
	defer f.Close()
	body, err := s.answer(Question{Name: m.Question, Arguments: m.Arguments})
	a := answered{Answer: body}
	if err != nil {
		a = answered{Error: err.Error()}
	}
	if f.SetWriteDeadline(time.Now().Add(replyTimeout)) != nil {
		return // it cannot be kept from waiting for ever
	}
	// An asker that has gone has no use for it.
	_ = json.NewEncoder(f).Encode(a)
}

// Gone is closed when the process has ended.
func (s *Successor) Gone() <-chan struct{} { return s.exited }

// AwaitReady returns when the process has done everything that can fail. The
// error says why it will not.
func (s *Successor) AwaitReady(ctx context.Context) error {
	m, err := s.expect(ctx, kindReady)
	if err != nil {
		return err
	}
	return m.understood()
}

// Go lets the process accept. It returns when it does, with the names of the
// sockets that it has no use for.
func (s *Successor) Go(ctx context.Context) (dropped []string, err error) {
	if err := send(s.conn, message{Kind: kindGo}); err != nil {
		return nil, s.why(err)
	}
	m, err := s.expect(ctx, kindServing)
	return m.Dropped, err
}

// Lasts waits for the time given, and tells with an error when the process has
// ended by then, or wants to.
func (s *Successor) Lasts(ctx context.Context, d time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	_, err := s.expect(ctx, "")
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// Yours tells the process that it is the one now, and returns when it has said so
// to whom it concerns.
func (s *Successor) Yours(ctx context.Context) error {
	if err := send(s.conn, message{Kind: kindYours}); err != nil {
		return s.why(err)
	}
	_, err := s.expect(ctx, kindOwner)
	return err
}

// ErrLeaving says that the process will not take over and ends by itself, with
// whatever it has accepted.
var ErrLeaving = errors.New("the new process gives up")

// expect waits for a message of that kind, and passes over those that it does not
// know.
func (s *Successor) expect(ctx context.Context, k kind) (message, error) {
	messages, exited := s.messages, s.exited
	var last <-chan time.Time
	for {
		select {
		case m, ok := <-messages:
			switch {
			case !ok && exited == nil:
				return message{}, s.why(nil)
			case !ok:
				messages = nil // it has closed its end: then it ends, or says nothing any more
			case m.Kind == kindRefused || m.Kind == kindLeaving:
				return m, fmt.Errorf("%w: %s", ErrLeaving, m.Reason)
			case m.Kind == k:
				return m, nil
			}
		case <-exited:
			if messages == nil {
				return message{}, s.why(nil)
			}
			// What it has said before comes first. Whatever it has started may
			// hold its end open, however.
			exited, last = nil, time.After(time.Second)
		case <-last:
			return message{}, s.why(nil)
		case <-ctx.Done():
			return message{}, ctx.Err()
		}
	}
}

// why says how the process ended, or the error when it has not.
func (s *Successor) why(err error) error {
	select {
	case <-s.exited:
	case <-time.After(time.Second): // the pair ends a moment before the process does
		return err
	}
	if s.exit == nil {
		return fmt.Errorf("the new process (PID %d) ended by itself, with exit status 0", s.PID)
	}
	return fmt.Errorf("the new process (PID %d) ended: %w", s.PID, s.exit)
}

// Signal sends the process a signal, if it still runs.
func (s *Successor) Signal(sig os.Signal) {
	_ = s.process.Signal(sig) // one that has ended needs none
}

// Kill ends the process and returns when it has ended.
func (s *Successor) Kill() {
	_ = s.process.Kill() // it may have ended by itself
	<-s.exited
}

// Close lets go of the process, which is not touched: its questions are not
// answered any more. The offered sockets are not used after it.
func (s *Successor) Close() {
	s.conn.Close()
	s.talking.Wait()
}
