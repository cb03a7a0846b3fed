package proxy

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"sluice/proxy/poller"
	"sluice/proxy/relay"
	"sluice/proxy/upstream"
)

// connect finds an endpoint that answers and passes the hello on to it.
func (c *conn) connect() Termination {
	c.setup.began = c.w.Clock()
	c.cluster = c.chain.pick(c.w.rand, c.setup.key(c.chain.hashOn))
	c.countCluster()
	c.setup.header = c.headerFor(c.cluster.header)
	if t := c.choose(); t.Ended() {
		return t
	}
	return c.reach()
}

// reach tries the endpoint that was chosen, and then others, each that was not
// tried yet while there is one.
func (c *conn) reach() Termination {
	s := c.setup
	for {
		if s.attempts++; s.attempts > 1 {
			count(&c.clusterCell().retries)
		}
		s.attemptBegan, s.attemptError = c.w.Clock(), nil
		errno, t := c.attempt(c.endpoint)
		if t.Ended() {
			return t
		}
		if errno == 0 {
			now := c.w.Clock()
			c.record.connect = microseconds(now - s.began)
			c.countConnected(now)
			c.connected()
			return Termination{}
		}
		c.attemptFailed(errno)
		if impossible(errno) && len(s.tried) < c.cluster.Choices() {
			s.attempts-- // the others are still to be had
		}
		last := s.attempts >= c.cluster.maxAttempts
		switch {
		case exhausted(errno), last && ownTrouble(errno):
			return c.refused(reasonResources, c.attemptDetail(errno))
		case errno == errTLSName && (last || len(s.tried) >= c.cluster.Choices()):
			return c.refusedFor(Termination{Reason: reasonConnectFailed, Attempts: s.attempts > 1, Detail: c.attemptDetail(errno)})
		case last:
			return c.refusedFor(Termination{
				Reason: reasonConnectFailed, By: byUpstream, Attempts: s.attempts > 1, Detail: c.attemptDetail(errno),
			})
		}
		if t := c.choose(); t.Ended() {
			return t
		}
	}
}

// attemptFailed lets go of an endpoint that was tried in vain.
func (c *conn) attemptFailed(errno syscall.Errno) {
	s, ep := c.setup, c.endpoint
	s.tried = append(s.tried, ep)
	if !impossible(errno) || len(c.failed()) < c.cluster.maxAttempts { // the record is not to grow with the cluster
		c.noteFailed(errno, s.attemptError)
	}
	c.close(relay.Upstream, relay.CloseReset)
	c.endpoint = nil
	switch {
	case ownTrouble(errno), impossible(errno):
	case c.maybeForClient():
		ep.AttemptFailedFor(s.source.Addr())
	default:
		ep.AttemptFailed()
	}
	ep.Release()
}

// maybeForClient tells whether another client's attempt, which has just failed,
// might have succeeded: the endpoint may not take connections from this one's
// address, or does not have the name that this one asks for.
func (c *conn) maybeForClient() bool {
	if from := c.cluster.source; from != nil && from.transparent {
		return true
	}
	return c.setup.attemptError != nil && c.cluster.tls.asksForClientsName(c.chain, c.record.sni)
}

// attempt connects to one endpoint and passes on the bytes read so far. It
// gives why that failed, or the connection's end when the client is gone.
func (c *conn) attempt(ep *upstream.Endpoint) (syscall.Errno, Termination) {
	s := c.setup
	s.endpointSays, s.forwarded, s.unsent = 0, 0, nil // of an attempt before
	var name string
	if c.cluster.tls != nil {
		var ok bool
		if name, ok = c.endpointName(ep); !ok {
			c.setup.attemptError = errNoEndpointName
			return errTLSName, Termination{}
		}
	}
	errno := c.dial(ep)
	if errno == syscall.EINPROGRESS && ep.Address.AddrPort.Addr().IsLoopback() {
		errno = c.forwardToLoopback(ep)
	}
	if errno == syscall.EINPROGRESS {
		var t Termination
		if errno, t = c.awaitConnect(); t.Ended() {
			return 0, t
		}
	}
	if errno == 0 && s.forwarded == 0 {
		errno = c.noteLocal(ep)
	}
	if errno == 0 && s.forwarded == 0 {
		errno = c.forwardHello()
	}
	if errno != 0 && c.cluster.tls == nil && relay.Unread(int(c.fds[relay.Upstream])) > 0 {
		// It has answered and is gone again. What it said is the client's,
		// and must not be thrown away for another endpoint's answer. Where TLS
		// is due nothing that was said before it is anybody's.
		s.endpointSays |= poller.Err
		return 0, Termination{}
	}
	if errno == 0 && c.cluster.tls != nil {
		return c.originate(ep, name)
	}
	return errno, Termination{}
}

// awaitConnect waits until the endpoint has answered, or connect_timeout has
// passed. A client that finishes meanwhile is served all the same; one that is
// gone ends the attempt.
func (c *conn) awaitConnect() (syscall.Errno, Termination) {
	if d := c.cluster.connectTimeout; d > 0 {
		c.setupDeadline(c.w.Clock() + d)
		defer c.setupDeadline(0)
	}
	for {
		news := c.await()
		c.setup.clientSays |= c.Take(relay.Downstream)
		ev := c.Take(relay.Upstream)
		switch {
		case news == newsDeaf:
			return 0, c.deaf()
		case c.setup.clientSays&poller.Err != 0:
			return 0, c.clientGone(syscall.ECONNRESET)
		case ev&(poller.Err|poller.Hup) != 0:
			return connectError(int(c.fds[relay.Upstream])), Termination{}
		case ev&poller.Out != 0:
			c.setup.endpointSays = ev
			return 0, Termination{}
		case news == newsTimeUp:
			return syscall.ETIMEDOUT, Termination{}
		case news == newsDrained:
			return 0, c.drained()
		case news == newsKilled:
			return 0, c.shutDown()
		}
	}
}

// connectError gives why a connection was not made. On a socket that is still
// connecting SO_ERROR says so, and nothing else would.
func connectError(fd int) syscall.Errno {
	v, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil || v == 0 {
		return syscall.ECONNREFUSED
	}
	return syscall.Errno(v)
}

// forwardHello passes on what was read of the client, behind the PROXY header
// when there is one: with one write in almost every case. Where the hello is to
// be encrypted it has to wait, and the header goes ahead of the handshake.
func (c *conn) forwardHello() syscall.Errno {
	s := c.setup
	first := s.buf
	if c.cluster.tls != nil {
		first = nil
	}
	if len(s.header) > 0 {
		first = append(append(c.w.scratch()[:0], s.header...), first...)
	}
	if len(first) == 0 {
		return 0
	}
	n, errno := relay.Write(int(c.fds[relay.Upstream]), first)
	if errno != 0 && errno != syscall.EAGAIN {
		return errno
	}
	if n < len(s.header) {
		return syscall.ENOBUFS // a new socket takes that much, unless the kernel is out of memory
	}
	n -= len(s.header) // which is not the client's and does not count
	s.forwarded, s.unsent = n, s.buf[n:]
	return 0
}

// forwardToLoopback passes the hello on without waiting to be told that the
// endpoint is connected: over loopback the kernel is done with the handshake
// when connect(2) returns, though it says EINPROGRESS. It gives that again
// where there is nothing to pass on, or the endpoint's queue is full. A PROXY
// header waits: it has to go out whole.
func (c *conn) forwardToLoopback(ep *upstream.Endpoint) syscall.Errno {
	if len(c.setup.buf) == 0 || len(c.setup.header) > 0 {
		return syscall.EINPROGRESS
	}
	if errno := c.noteLocal(ep); errno != 0 {
		return errno
	}
	if errno := c.forwardHello(); errno != 0 {
		return errno
	}
	if c.setup.forwarded == 0 {
		return syscall.EINPROGRESS
	}
	return 0
}

// dial begins a connection to the endpoint: EINPROGRESS when it has to be
// waited for.
func (c *conn) dial(ep *upstream.Endpoint) syscall.Errno {
	var sa sockaddr
	family, length := sa.set(ep)
	fd, _, errno := unix.RawSyscall(unix.SYS_SOCKET, uintptr(family), unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if errno != 0 {
		return errno
	}
	c.fds[relay.Upstream] = int32(fd)
	if c.w.gateway.spares.wanted() {
		return syscall.EMFILE // what asked for it closes it
	}
	if family != unix.AF_UNIX {
		setsockopt(int(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	// Urgent data stays in the stream, where the relay finds it. Unix sockets
	// have it too (MSG_OOB, since Linux 5.15).
	setsockopt(int(fd), unix.SOL_SOCKET, unix.SO_OOBINLINE, 1)
	if errno := c.bindSource(int(fd), family); errno != 0 {
		return errno
	}
	_, _, connecting := unix.RawSyscall(unix.SYS_CONNECT, fd, uintptr(unsafe.Pointer(&sa.raw)), length)
	if connecting != 0 && connecting != syscall.EINPROGRESS {
		return connecting
	}
	if err := c.w.Register(&c.Slot, relay.Upstream, int(fd)); err != nil {
		return syscall.ENOMEM
	}
	return connecting
}

// ownTrouble tells failures of the gateway's own machine from an endpoint's:
// they say nothing about it.
func ownTrouble(errno syscall.Errno) bool {
	switch errno {
	case syscall.EADDRNOTAVAIL, syscall.EAFNOSUPPORT, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EACCES, syscall.EPERM,
		errTLSOverload:
		return true
	}
	return false
}

// impossible tells that this connection can never be made to this endpoint, as
// the configuration is and whatever the endpoint does. Nothing was sent, so that
// is no attempt while there are endpoints of another kind.
func impossible(errno syscall.Errno) bool {
	return errno == syscall.EAFNOSUPPORT || errno == errTLSName
}

// exhausted tells own trouble that another endpoint would not change. Ports
// run out per destination, so EADDRNOTAVAIL is not among it.
func exhausted(errno syscall.Errno) bool {
	switch errno {
	case syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, errTLSOverload:
		return true
	}
	return false
}

// connected takes note of the endpoint that answered.
func (c *conn) connected() {
	c.endpoint.AttemptSucceeded()
	if k := c.cluster.keepalive; k.Enabled && k.Idle <= keepaliveAfter {
		c.setKeepalive()
	}
	c.log(recordConnected, Termination{})
}

// setKeepalive sets keep-alive on the endpoint's side.
func (c *conn) setKeepalive() {
	c.keepalive = true
	k, fd := c.cluster.keepalive, int(c.fds[relay.Upstream])
	if !k.Enabled || c.endpoint.Address.Path != "" {
		return
	}
	setKeepalive(fd, k)
}
