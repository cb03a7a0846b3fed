package proxy

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"sluice/config"
)

// socketGroup is one address of a listener, bound: a socket per worker, which
// the kernel spreads connections over (SO_REUSEPORT), or one that all workers
// share, as for a unix socket. The number is fixed when the address is first
// bound, and may be another one than that of workers after an upgrade.
type socketGroup struct {
	index   int // in the snapshot's sockets; while it is open no other group has it
	key     addressKey
	address config.Address
	bound   netip.AddrPort // with the port that the kernel chose; invalid for a unix socket
	fds     []int

	inherited bool // from another process, which has the options set
	lent      bool // a service manager has it as well
	keepPath  bool // of a unix socket: it is not (or not yet) ours to remove
}

// isUnix tells a unix socket from a TCP one.
func (g *socketGroup) isUnix() bool { return g.address.Network == config.Unix }

// String gives the address in use.
func (g *socketGroup) String() string {
	a := g.address
	a.AddrPort = g.bound
	return a.String()
}

// bind opens the sockets of one address. overlaps says that the gateway itself
// has a socket that is in the way, and will close it or share the port with it.
func bind(spec *config.Listener, a config.Address, workers int, overlaps bool) (*socketGroup, error) {
	g := &socketGroup{address: a}
	var err error
	if a.Network == config.Unix {
		err = g.bindUnix(spec)
	} else {
		err = g.bindTCP(spec, workers, overlaps)
	}
	if err != nil {
		g.close()
		return nil, fmt.Errorf("listening on %s: %w", a, err)
	}
	return g, nil
}

// bindTCP binds the first socket without SO_REUSEPORT: a gateway that is
// already on the address must be noticed, and not shared with in silence. The
// option is set before anybody else could take the port.
func (g *socketGroup) bindTCP(spec *config.Listener, workers int, overlaps bool) error {
	g.bound = g.address.AddrPort
	for i := range workers {
		fd, err := g.socket(spec)
		if err != nil {
			return err
		}
		g.fds = append(g.fds, fd)
		if i > 0 || overlaps {
			if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
				return os.NewSyscallError("setsockopt SO_REUSEPORT", err)
			}
		}
		if err := unix.Bind(fd, toSockaddr(g.bound)); err != nil {
			return bindError(err)
		}
		if i == 0 {
			g.bound = netip.AddrPortFrom(g.bound.Addr(), localAddress(fd).Port())
			if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
				return os.NewSyscallError("setsockopt SO_REUSEPORT", err)
			}
		}
	}
	return nil
}

// listen lets connections in. It comes after every address of the
// configuration was bound, so that a gateway that cannot start has not
// accepted anything.
func (g *socketGroup) listen(spec *config.Listener) error {
	if g.inherited {
		return nil // it listens, and whose it still is has decided for how many
	}
	for _, fd := range g.fds {
		if err := unix.Listen(fd, backlog(spec)); err != nil {
			return fmt.Errorf("listening on %s: %w", g, bindError(err))
		}
	}
	return nil
}

func toSockaddr(ap netip.AddrPort) unix.Sockaddr {
	if ap.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(ap.Port()), Addr: ap.Addr().As16()}
}

func bindError(err error) error {
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return errors.New("address in use: another program listens there already")
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return errors.New("this machine does not have that address (freebind = true listens all the same)")
	case errors.Is(err, unix.EACCES):
		return errors.New("permission denied: ports below net.ipv4.ip_unprivileged_port_start need CAP_NET_BIND_SERVICE")
	}
	return os.NewSyscallError("bind", err)
}

// socket makes a listening socket with the options that the sockets accepted
// from it inherit: that spares a system call per option and connection.
func (g *socketGroup) socket(spec *config.Listener) (int, error) {
	family := unix.AF_INET
	if g.bound.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if family == unix.AF_INET6 {
		only := int32(1)
		if g.address.Dual {
			only = 0
		}
		setsockopt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only)
	}
	if spec.Freebind {
		setsockopt(fd, unix.IPPROTO_IP, unix.IP_FREEBIND, 1)
	}
	setsockopt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	setFixedOptions(fd)
	setListenerOptions(fd, spec)
	return fd, nil
}

// setFixedOptions sets what every connection needs.
func setFixedOptions(fd int) {
	setsockopt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	setsockopt(fd, unix.SOL_SOCKET, unix.SO_OOBINLINE, 1)
}

// setListenerOptions sets what a reload may change.
func setListenerOptions(fd int, spec *config.Listener) {
	if spec.Keepalive.Enabled {
		setKeepalive(fd, spec.Keepalive)
	} else {
		setsockopt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 0)
	}
	setsockopt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int32(spec.UserTimeout.Milliseconds()))
}

// setOptions gives sockets that stay the options that their listener has now,
// and the queue its length (a second listen does that).
func (g *socketGroup) setOptions(spec *config.Listener) {
	for _, fd := range g.fds {
		if !g.isUnix() {
			setListenerOptions(fd, spec)
		}
		unix.Listen(fd, backlog(spec))
	}
}

// socketsOf gives the sockets that a worker accepts from, one of so many, which
// are numbered from 0. shared says that others accept from them, too.
func (g *socketGroup) socketsOf(worker, workers int) (fds []int, shared bool) {
	if len(g.fds) < workers {
		return g.fds[worker%len(g.fds):][:1], true
	}
	for i := worker; i < len(g.fds); i += workers {
		fds = append(fds, g.fds[i])
	}
	return fds, false
}

// bindUnix binds a unix socket. A socket file that nobody listens on is left
// over from a process that did not end well, and is replaced.
func (g *socketGroup) bindUnix(spec *config.Listener) error {
	path := g.address.Path
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	sa := &unix.SockaddrUnix{Name: path}
	// The same error comes for a file that is no socket, which is not ours to
	// remove: bind fails on it.
	if unix.Connect(fd, sa) == unix.ECONNREFUSED && isSocket(path) {
		if err := os.Remove(path); err != nil {
			unix.Close(fd)
			return fmt.Errorf("removing a socket that is left over: %w", err)
		}
	}
	unix.Close(fd) // it may be connected by now
	if fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return os.NewSyscallError("socket", err)
	}
	if err := unix.Bind(fd, sa); err != nil {
		unix.Close(fd)
		if errors.Is(err, unix.EADDRINUSE) && !isSocket(path) {
			return fmt.Errorf("there is a file that is no socket at %s: remove it or choose another path", path)
		}
		return bindError(err)
	}
	g.fds = append(g.fds, fd)
	return nil
}

func isSocket(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode().Type() == os.ModeSocket
}

// close closes the sockets. The workers must have stopped watching them.
func (g *socketGroup) close() {
	for _, fd := range g.fds {
		unix.Close(fd)
	}
	if g.isUnix() && len(g.fds) > 0 && !g.lent && !g.keepPath {
		os.Remove(g.address.Path)
	}
	g.fds = nil
}

// backlog is the length of the accept queue.
func backlog(spec *config.Listener) int {
	if spec.Backlog > 0 {
		return spec.Backlog
	}
	b, err := os.ReadFile("/proc/sys/net/core/somaxconn")
	if err != nil {
		return unix.SOMAXCONN
	}
	n, err := strconv.Atoi(string(b[:max(len(b)-1, 0)]))
	if err != nil {
		return unix.SOMAXCONN
	}
	return n
}

// descriptorLimit is how many descriptors the process may have.
func descriptorLimit() int {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		panic("BUG: proxy: getrlimit: " + err.Error())
	}
	return int(min(r.Cur, 1<<30))
}

// isTransient tells errors of accept that concern one connection, which is
// gone by then, from those that concern the gateway (accept(2)).
func isTransient(errno syscall.Errno) bool {
	switch errno {
	case syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM:
		return false
	}
	return true
}
