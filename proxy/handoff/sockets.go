package handoff

import (
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// Socket is the listening sockets of one address, in their order.
type Socket struct {
	// Name says what they are for, in words that the next binary will use, too.
	Name string
	// Lent says that a service manager has them as well: the path of a unix
	// socket is not to be removed.
	Lent bool
	FDs  []int
}

// Sockets are listening sockets that a process was given. Whoever needs one
// takes it and owns it then. Any goroutine may call its methods; a nil pointer is
// none.
type Sockets struct {
	mu        sync.Mutex // guards what follows
	list      []Socket
	activated []Activation
}

// NewSockets holds sockets, which it takes over.
func NewSockets(list []Socket, activated []Activation) *Sockets {
	return &Sockets{list: list, activated: activated}
}

// Take gives the sockets of that name; true when there is one at least.
func (s *Sockets) Take(name string) (Socket, bool) {
	if s == nil {
		return Socket{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.list, func(o Socket) bool { return o.Name == name })
	if i < 0 {
		return Socket{}, false
	}
	found := s.list[i]
	s.list = slices.Delete(s.list, i, i+1)
	return found, len(found.FDs) > 0
}

// TakeActivated gives the first socket of the service manager's that match
// accepts.
func (s *Sockets) TakeActivated(match func(Activation) bool) (Activation, bool) {
	if s == nil {
		return Activation{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.activated, match)
	if i < 0 {
		return Activation{}, false
	}
	found := s.activated[i]
	s.activated = slices.Delete(s.activated, i, i+1)
	return found, true
}

// Each calls f for every descriptor that nobody has taken, until it tells false.
func (s *Sockets) Each(f func(fd int) bool) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.list {
		for _, fd := range o.FDs {
			if !f(fd) {
				return
			}
		}
	}
	for _, a := range s.activated {
		if !f(a.FD) {
			return
		}
	}
}

// Discard closes what nobody has taken, and gives the names: of handed over
// sockets, and of those of the service manager.
func (s *Sockets) Discard() (names, activated []string) {
	if s == nil {
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.list {
		closeAll(o.FDs)
		names = append(names, o.Name)
	}
	for _, a := range s.activated {
		unix.Close(a.FD)
		activated = append(activated, a.Name)
	}
	s.list, s.activated = nil, nil
	return names, activated
}
