package handoff

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// The versions of what is said. version grows with every change that another
// version has to know of; whatever speaks oldest understands us.
const (
	version = 1
	oldest  = 1
)

const (
	// maxDescriptors go with one message. The kernel's limit is 253
	// (SCM_MAX_FD); names with more are sent in parts.
	maxDescriptors = 128
	// maxMessage is far above what is said; packets of this size pass with
	// the kernel's default buffers.
	maxMessage = 64 << 10
)

// kind is what a message is.
type kind string

const (
	kindOffer    kind = "offer"
	kindSockets  kind = "sockets"
	kindElder    kind = "elder"
	kindOffered  kind = "offered"
	kindReady    kind = "ready"
	kindRefused  kind = "refused"
	kindGo       kind = "go"
	kindServing  kind = "serving"
	kindYours    kind = "yours"
	kindOwner    kind = "owner"
	kindLeaving  kind = "leaving"
	kindQuestion kind = "question"
)

// message is one packet. Which fields it has depends on its kind.
type message struct {
	Kind       kind     `json:"kind"`
	Version    int      `json:"version,omitempty"`    // offer, ready
	Oldest     int      `json:"oldest,omitempty"`     // offer, ready
	Generation int      `json:"generation,omitempty"` // offer: of the new process; elder: its own
	PID        int      `json:"pid,omitempty"`        // offer, ready: the speaker; elder: its own
	Name       string   `json:"name,omitempty"`       // sockets
	Lent       bool     `json:"lent,omitempty"`       // sockets
	Reason     string   `json:"reason,omitempty"`     // refused, leaving
	Dropped    []string `json:"dropped,omitempty"`    // serving

	Question  string          `json:"question,omitempty"`
	Arguments json.RawMessage `json:"arguments,omitempty"`

	fds []int // received with it; who takes the message owns them
}

// closeFDs closes what came with a message that nobody takes.
func (m *message) closeFDs() {
	closeAll(m.fds)
	m.fds = nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// send sends a message with descriptors, which stay the caller's.
func send(c *net.UnixConn, m message, fds ...int) error {
	b, err := json.Marshal(m)
	if err != nil {
		panic("BUG: handoff: a message that is no JSON: " + err.Error())
	}
	if len(b) > maxMessage {
		return fmt.Errorf("a message of %d bytes is too long", len(b))
	}
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	_, _, err = c.WriteMsgUnix(b, rights, nil)
	return err
}

// errTruncated says that a message was longer than any that this version knows.
var errTruncated = errors.New("a message is longer than this version can read")

// receive waits for a message. Its error is io.EOF when the other side is gone.
func receive(c *net.UnixConn) (message, error) {
	b := make([]byte, maxMessage)
	oob := make([]byte, unix.CmsgSpace(4*maxDescriptors))
	n, oobn, flags, _, err := c.ReadMsgUnix(b, oob)
	if errors.Is(err, syscall.ECONNRESET) {
		// It went with something of ours unread, which is told first, and once.
		// What it has said is still there.
		n, oobn, flags, _, err = c.ReadMsgUnix(b, oob)
	}
	if err != nil {
		return message{}, err
	}
	fds, err := descriptors(oob[:oobn])
	if err == nil && flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
		err = errTruncated
	}
	return decode(b[:n], fds, err)
}

// decode reads a message and takes over its descriptors.
func decode(b []byte, fds []int, err error) (message, error) {
	var m message
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil {
		closeAll(fds)
		return message{}, fmt.Errorf("reading a message of the other process: %w", err)
	}
	m.fds = fds
	return m, nil
}

// descriptors gives those that came with a message (they are closed on exec: the
// net package asks for that).
func descriptors(oob []byte) (all []int, err error) {
	list, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, os.NewSyscallError("parsing a control message", err)
	}
	for i := range list {
		fds, err := unix.ParseUnixRights(&list[i])
		if err != nil {
			continue // nothing that is known, and no descriptors
		}
		all = append(all, fds...)
	}
	return all, nil
}

// understood says why a speaker of the versions cannot be understood; nil: it
// can.
func (m *message) understood() error {
	switch {
	case m.Oldest > version:
		return fmt.Errorf("the other process (version %d of the hand-over) is too new for this one, which speaks version %d: restart instead of upgrading", m.Version, version)
	case m.Version < oldest:
		return fmt.Errorf("the other process (version %d of the hand-over) is too old for this one, which speaks versions %d to %d: restart instead of upgrading", m.Version, oldest, version)
	}
	return nil
}

// connOf makes a descriptor, which it takes over, a connection.
func connOf(fd int, name string) (*net.UnixConn, error) {
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, fmt.Errorf("%s is no unix socket", name)
	}
	return u, nil
}

// pair makes two ends that are connected: a connection, and a descriptor for
// somebody else.
func pair(kind int, name string) (*net.UnixConn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	c, err := connOf(fds[0], name)
	if err != nil {
		unix.Close(fds[1])
		return nil, nil, err
	}
	return c, os.NewFile(uintptr(fds[1]), name), nil
}
