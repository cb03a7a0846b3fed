package proxy

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"

	"sluice/config"
	"sluice/proxy/relay"
	"sluice/tlsutil"
)

// chainTLS is how a chain terminates TLS. It is the same object for as long as the
// configuration says the same of it.
type chainTLS struct {
	*tlsutil.Server
	materialUse
	spec atomic.Pointer[config.TLS] // with what its files had in them
}

func newChainTLS(spec *config.TLS) (*chainTLS, error) {
	server, err := tlsutil.NewServer(spec.ServerOptions())
	if err != nil {
		return nil, err
	}
	t := &chainTLS{Server: server, materialUse: materialUse{files: spec.Files()}}
	t.spec.Store(spec)
	return t, nil
}

// inUse gives the tls block with what its files had in them.
func (t *chainTLS) inUse() *config.TLS { return t.spec.Load() }

// renew implements [materialUser].
func (t *chainTLS) renew(material []*config.Material) (use func(), err error) {
	spec := t.inUse().With(material)
	next, err := t.Prepare(spec.ServerOptions())
	if err != nil {
		return nil, err
	}
	return func() {
		t.Use(next)
		t.spec.Store(spec)
	}, nil
}

// terminate decrypts: it runs the TLS handshake where the chain says so. The
// handshake burns CPU and waits for the client, so it runs in a goroutine of
// its own, which gets the client's descriptor for itself; this set-up only
// wakes it for events, and takes the outcome from the worker's inbox.
func (c *conn) terminate() Termination {
	if c.chain.tls == nil {
		c.setupDeadline(0)
		return Termination{}
	}
	s, began := c.setup, c.w.Clock()
	s.wire = relay.NewWire(int(c.fds[relay.Downstream]), relay.WireOptions{
		Prefix:     s.buf,
		Local:      netAddr(s.destination),
		Remote:     netAddr(s.source),
		ServerName: string(s.hello.ServerName()),
		Named:      len(s.hello.ServerName()) > 0,
		Gate:       c.w.gateway.handshakes,
	})
	var h handshake
	c.w.gateway.handshaking.Add(1)
	go c.handshake(s.wire, relay.Handshake, c.chain.tls.Config(), &h)
	c.w.Spawned()

	t := c.awaitHandshake(s.wire, &h, errHandshakeTimeout)
	c.extra().handshake = microseconds(c.w.Clock() - began)
	c.setupDeadline(0)
	s.buf = s.buf[:0]
	switch t.Reason {
	case reasonShutdown:
		return c.shutDown()
	case reasonDrain: // even when the handshake was faster
		return c.drained()
	case reasonResources:
		c.close(relay.Downstream, relay.CloseReset)
		return t
	}
	if h.err == nil {
		s.streams[relay.Downstream] = h.stream
		c.w.listenerCell(c.listener).handshake.observe(c.w.Clock() - began)
		c.extra().terminated = newTerminatedRecord(h.stream.ConnectionState())
		return Termination{}
	}
	t = handshakeFailure(h.err)
	if t.Reason != reasonHandshakeFailed && t.By == byDownstream { // nobody is there any more
		c.close(relay.Downstream, relay.CloseFIN)
		return t
	}
	c.lingerAfter(nil) // crypto/tls has sent the alert
	return t
}

// handshakeFailure is the end of a connection whose handshake failed, by
// whoever ended it: the client leaves, or refuses with an alert, or the gateway
// refuses.
func handshakeFailure(err error) Termination {
	if err == errHandshakeTimeout {
		return Termination{Reason: reasonHandshakeTimeout, Detail: err.Error()}
	}
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		return goneTermination(errno)
	}
	t := Termination{Reason: reasonHandshakeFailed, Detail: err.Error()}
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		t.By, t.Detail = byDownstream, "the client finished inside the handshake"
	}
	// crypto/tls says so of an alert that it was sent, and "local error" of
	// one that it sends.
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" {
		t.By = byDownstream
	}
	return t
}

// netAddr is the address as crypto/tls's callbacks expect it.
func netAddr(ap netip.AddrPort) net.Addr {
	if !ap.IsValid() {
		return &net.UnixAddr{Net: "unix"}
	}
	return net.TCPAddrFromAddrPort(ap)
}
