package handoff

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// offerTimeout is how long a predecessor may take to say what it hands over,
// which it has at hand.
const offerTimeout = 10 * time.Second

// Predecessor is the process whose place this one takes. Its methods may be
// called by any goroutine, one after the other.
type Predecessor struct {
	Generation int      // of this process
	PID        int      // the predecessor's
	Sockets    *Sockets // what it hands over
	Elders     *Elders  // it, and those before it that still drain: to be asked once Owned is closed

	conn    *net.UnixConn
	granted chan struct{} // closed: this process may accept
	owned   chan struct{}
}

// Inherit gives the predecessor of this process, nil when it has none. It has to
// be called once, before the process starts others.
func Inherit() (*Predecessor, error) {
	value, ok := os.LookupEnv(environment)
	if !ok {
		return nil, nil
	}
	if err := os.Unsetenv(environment); err != nil {
		return nil, err
	}
	fd, err := strconv.Atoi(value)
	if err == nil {
		err = isPair(fd)
	}
	if err != nil {
		return nil, fmt.Errorf("%s is %q in the environment, but there is no process that hands over there (%w): unset it", environment, value, err)
	}
	unix.CloseOnExec(fd)
	conn, err := connOf(fd, "hand-over")
	if err != nil {
		return nil, err
	}
	return inherit(conn)
}

// isPair tells with an error when the descriptor is none of a hand-over.
func isPair(fd int) error {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return os.NewSyscallError("getsockopt", err)
	}
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return os.NewSyscallError("getsockopt", err)
	}
	if kind != unix.SOCK_SEQPACKET || domain != unix.AF_UNIX {
		return errors.New("it is another kind of socket")
	}
	return nil
}

func inherit(conn *net.UnixConn) (*Predecessor, error) {
	p := &Predecessor{conn: conn, granted: make(chan struct{}), owned: make(chan struct{})}
	err := conn.SetReadDeadline(time.Now().Add(offerTimeout))
	if err == nil {
		err = p.takeOffer()
	}
	if err == nil {
		err = conn.SetReadDeadline(time.Time{})
	}
	if err != nil {
		p.Sockets.Discard()
		p.Elders.Close()
		conn.Close()
		return nil, fmt.Errorf("taking over from the process before: %w", err)
	}
	p.Elders.add(&elder{Generation: p.Generation - 1, PID: p.PID, conn: conn})
	go p.read() // it ends when Owned is closed
	return p, nil
}

// takeOffer takes everything up to "offered".
func (p *Predecessor) takeOffer() error {
	p.Elders = &Elders{}
	parts := make(map[string]int)
	var list []Socket
	defer func() { p.Sockets = NewSockets(list, nil) }()
	for {
		m, err := receive(p.conn)
		if err != nil {
			return err
		}
		switch m.Kind {
		case kindOffer:
			p.Generation, p.PID = m.Generation, m.PID
			if err := m.understood(); err != nil {
				_ = send(p.conn, message{Kind: kindRefused, Reason: err.Error()}) // it is told by our end, too
				return err
			}
		case kindSockets:
			if i, ok := parts[m.Name]; ok {
				list[i].FDs = append(list[i].FDs, m.fds...)
				continue
			}
			parts[m.Name] = len(list)
			list = append(list, Socket{Name: m.Name, Lent: m.Lent, FDs: m.fds})
		case kindElder:
			if err := p.Elders.take(&m); err != nil {
				return err
			}
		case kindOffered:
			return nil
		default:
			m.closeFDs()
		}
	}
}

// read takes what the predecessor says. When it is gone, everything is this
// process's.
func (p *Predecessor) read() {
	defer close(p.owned)
	granted := false
	for {
		m, err := receive(p.conn)
		if err == nil {
			m.closeFDs()
		}
		if !granted && (err != nil || m.Kind == kindGo) {
			granted = true
			close(p.granted)
		}
		if err != nil {
			return
		}
		if m.Kind == kindYours {
			return
		}
	}
}

// Ready says that everything that can fail has been done, and returns when this
// process may accept: the predecessor says so, or is gone.
func (p *Predecessor) Ready(ctx context.Context) error {
	// A predecessor that is gone cannot be told.
	_ = send(p.conn, message{Kind: kindReady, Version: version, Oldest: oldest, PID: os.Getpid()})
	select {
	case <-p.granted:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Serving says that this process accepts, and which sockets it has no use for.
func (p *Predecessor) Serving(dropped []string) {
	_ = send(p.conn, message{Kind: kindServing, Dropped: dropped}) // who is gone needs not know
}

// Owner says that this process has told whom it concerns that it is the one: the
// predecessor cleans up after itself then. Owned is closed before.
func (p *Predecessor) Owner() {
	_ = send(p.conn, message{Kind: kindOwner}) // who is gone needs not know
}

// Leaving says that this process will not take over after all. It has no effect
// once Owned is closed.
func (p *Predecessor) Leaving(reason string) {
	_ = send(p.conn, message{Kind: kindLeaving, Reason: reason})
}

// Owned is closed when the predecessor drains, or is gone: this process is the
// one now.
func (p *Predecessor) Owned() <-chan struct{} { return p.owned }
