package admin

import (
	"net"
	"os"
	"syscall"

	"sluice/config"
	"sluice/proxy/handoff"
)

// An upgrade hands the admin and metrics sockets over like those of listeners:
// whoever asks while it happens is answered, by the one process or the other.

// The names of handed-over sockets begin with these.
const (
	adminName   = "admin "
	metricsName = "metrics "
)

// HandOver gives the sockets for a new process. They stay open, and this
// process's, until [Server.Leave].
func (s *Sockets) HandOver() (list []handoff.Socket) {
	add := func(name string, ln net.Listener, a *config.Address) {
		if ln == nil {
			return
		}
		if fd := descriptorOf(ln); fd >= 0 {
			list = append(list, handoff.Socket{Name: name + a.String(), FDs: []int{fd}})
		}
	}
	add(adminName, s.adminSocket, &s.admin.Address)
	add(metricsName, s.metricsSocket, s.metrics.Address)
	return list
}

// descriptorOf gives the descriptor of a listener, which is valid until that is
// closed; -1 when it is closed already.
func descriptorOf(ln net.Listener) int {
	found := -1
	raw, err := ln.(syscall.Conn).SyscallConn()
	if err == nil {
		// The error is that it is closed.
		_ = raw.Control(func(fd uintptr) { found = int(fd) })
	}
	return found
}

// inherited gives the socket that was handed over for an address; nil when there
// is none.
func inherited(given *handoff.Sockets, name string, a config.Address) (net.Listener, error) {
	socket, ok := given.Take(name + a.String())
	if !ok {
		return nil, nil
	}
	file := os.NewFile(uintptr(socket.FDs[0]), name)
	defer file.Close() // the listener has a descriptor of its own
	return net.FileListener(file)
}

// Own says that no other process has the sockets any more: the path of a unix
// socket is this one's to remove.
func (s *Server) Own() {
	if ln, ok := s.sockets.adminSocket.(*net.UnixListener); ok {
		ln.SetUnlinkOnClose(true)
	}
}

// Leave is [Server.Close] for a process whose sockets another one has: the path
// of a unix socket stays.
func (s *Server) Leave() {
	if ln, ok := s.sockets.adminSocket.(*net.UnixListener); ok {
		ln.SetUnlinkOnClose(false)
	}
	s.Close()
}
