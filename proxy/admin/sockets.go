package admin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"syscall"

	"github.com/rs/zerolog"

	"sluice/config"
	"sluice/proxy/handoff"
)

// How many connections an address may have. More wait in the queue of the
// socket.
const (
	maxAdminConnections   = 64
	maxMetricsConnections = 16
)

// Sockets are the addresses of a configuration, bound. Clients can connect, and
// wait for [Sockets.Serve].
type Sockets struct {
	admin           config.Admin
	metrics         config.Metrics
	live            live
	adminListener   net.Listener // nil: there is none
	metricsListener net.Listener // nil: there is none

	// The sockets of these, without what limits and encrypts their connections.
	adminSocket, metricsSocket net.Listener
}

// Bind binds the addresses of a configuration. It is done before the gateway
// starts, so that an address that is taken is noticed before anybody is let in.
//
// Where there is no admin block, its address may be taken: by another gateway, or
// by another program that likes the port. The gateway then goes without, and a
// warning says so.
//
// What the process before this one has handed over for an address is used, and
// not bound; given may be nil.
func Bind(cfg *config.Config, given *handoff.Sockets, log zerolog.Logger) (*Sockets, error) {
	s := &Sockets{admin: cfg.Admin, metrics: cfg.Metrics}
	s.live.apply(cfg.Admin)
	if s.admin.Enabled {
		err := s.bindAdmin(given)
		switch {
		case err == nil:
		case !s.admin.Written:
			log.Warn().Err(err).Msgf("there is no admin server: nothing is said about it in the configuration, and its usual address is not to be had; " +
				"write admin { address = \"127.0.0.1:...\" } for one on another port, or admin { enabled = false }")
		default:
			return nil, fmt.Errorf("the admin address %s: %w", shown(s.admin.Address, s.admin.AddressHidden), err)
		}
	}
	if a := s.metrics.Address; a != nil {
		ln, err := inherited(given, metricsName, *a)
		if ln == nil && err == nil {
			ln, err = bindTCP(*a)
		}
		if err != nil {
			s.Close()
			return nil, fmt.Errorf("the metrics address %s: %w", shown(*a, s.metrics.AddressHidden), err)
		}
		s.metricsSocket, s.metricsListener = ln, limit(ln, maxMetricsConnections)
	}
	return s, nil
}

// Close closes sockets that are not served.
func (s *Sockets) Close() {
	for _, ln := range []net.Listener{s.adminListener, s.metricsListener} {
		if ln != nil {
			ln.Close()
		}
	}
}

// Addresses gives what was bound, with the ports that the kernel chose; "" for
// what there is not.
func (s *Sockets) Addresses() (admin, metrics string) {
	if s.adminListener != nil {
		admin = s.adminListener.Addr().String()
		if s.admin.Address.Network == config.Unix {
			admin = s.admin.Address.String()
		}
	}
	if s.metricsListener != nil {
		metrics = s.metricsListener.Addr().String()
	}
	return admin, metrics
}

// Descriptors is how many descriptors the sockets and their connections may need
// at once.
func (s *Sockets) Descriptors() int {
	n := 0
	if s.adminListener != nil {
		n += 1 + maxAdminConnections
	}
	if s.metricsListener != nil {
		n += 1 + maxMetricsConnections
	}
	return n
}

func (s *Sockets) bindAdmin(given *handoff.Sockets) error {
	ln, err := inherited(given, adminName, s.admin.Address)
	switch {
	case ln != nil || err != nil:
	case s.admin.Address.Network == config.Unix:
		ln, err = bindUnix(s.admin)
	default:
		ln, err = bindTCP(s.admin.Address)
	}
	if err != nil {
		return err
	}
	s.adminSocket, s.adminListener = ln, limit(ln, maxAdminConnections)
	if s.isEncrypted() {
		s.adminListener = tls.NewListener(s.adminListener, &tls.Config{GetConfigForClient: s.live.tlsConfig})
	}
	return nil
}

// isEncrypted reports whether the admin address speaks TLS.
func (s *Sockets) isEncrypted() bool { return len(s.admin.Certificates) > 0 }

func bindTCP(a config.Address) (net.Listener, error) {
	network := "tcp6"
	switch {
	case a.Dual:
		network = "tcp"
	case a.AddrPort.Addr().Is4():
		network = "tcp4"
	}
	ln, err := net.Listen(network, a.String())
	return ln, bindError(err)
}

// bindUnix binds a unix socket for those whom its mode and group let. One that
// nobody listens on is left over from a process that did not end well, and is
// replaced.
func bindUnix(a config.Admin) (net.Listener, error) {
	path := a.Address.Path
	conn, err := net.Dial("unix", path)
	if err == nil {
		conn.Close()
	} else if errors.Is(err, syscall.ECONNREFUSED) && isSocket(path) {
		// The same error comes for a file that is no socket, which is not ours
		// to remove.
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("removing a socket that is left over: %w", pathless(err))
		}
	}
	// Nobody else gets in before it has its group and mode.
	ln, err := listenPrivately(path)
	if err != nil {
		if errors.Is(err, syscall.EADDRINUSE) && !isSocket(path) {
			return nil, errors.New("there is a file there that is no socket: remove it or choose another path")
		}
		return nil, bindError(err)
	}
	if a.GID >= 0 {
		err = os.Chown(path, -1, a.GID)
	}
	if err == nil {
		err = os.Chmod(path, a.Mode)
	}
	if err != nil {
		ln.Close()
		return nil, fmt.Errorf("setting group and mode of the socket: %w", pathless(err))
	}
	return ln, nil
}

// listenPrivately makes a unix socket that only its owner may connect to: bind
// gives the file the mode that the descriptor has. To ask the umask for it would
// be to change it for the whole process.
func listenPrivately(path string) (net.Listener, error) {
	private := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if e := c.Control(func(fd uintptr) { err = syscall.Fchmod(int(fd), 0o600) }); e != nil {
			return e
		}
		return os.NewSyscallError("fchmod", err)
	}}
	return private.Listen(context.Background(), "unix", path)
}

func isSocket(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode().Type() == fs.ModeSocket
}

// bindError says what can be done about an address that is not to be had. The
// address is not in it.
func bindError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EADDRINUSE):
		return errors.New("address in use: another program listens there already")
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return errors.New("this machine does not have that address")
	case errors.Is(err, syscall.EACCES):
		return errors.New("permission denied: ports below net.ipv4.ip_unprivileged_port_start need CAP_NET_BIND_SERVICE, and a unix socket needs a directory that may be written to")
	case errors.Is(err, syscall.ENOENT):
		return errors.New("the directory of the unix socket is not there: make it, for instance with RuntimeDirectory= of the unit")
	}
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		return op.Err
	}
	return err
}

// pathless is an error without the path in it, which may not be for showing.
func pathless(err error) error {
	if e := (*fs.PathError)(nil); errors.As(err, &e) {
		return fmt.Errorf("%s: %w", e.Op, e.Err)
	}
	return err
}

func shown(a config.Address, hidden bool) string {
	if hidden {
		return "(not shown, from env() or file())"
	}
	return a.String()
}

// limited is a listener with at most so many connections at a time.
type limited struct {
	net.Listener
	places    chan struct{}
	closed    chan struct{}
	closeOnce sync.Once
}

func limit(ln net.Listener, n int) net.Listener {
	return &limited{Listener: ln, places: make(chan struct{}, n), closed: make(chan struct{})}
}

// Accept implements [net.Listener]. It waits for a place first.
func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.places
		return nil, err
	}
	return &placed{Conn: conn, places: l.places}, nil
}

// Close implements [net.Listener].
func (l *limited) Close() error {
	l.closeOnce.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// placed is a connection that has a place until it is closed.
type placed struct {
	net.Conn
	places chan struct{}
	once   sync.Once
}

// Close implements [net.Conn].
func (c *placed) Close() error {
	c.once.Do(func() { <-c.places })
	return c.Conn.Close()
}
