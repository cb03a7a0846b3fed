package proxy

import (
	"crypto/tls"
	"errors"
	"fmt"
	"syscall"

	"sluice/config"
	"sluice/proxy/relay"
	"sluice/proxy/upstream"
	"sluice/tlsutil"
)

// upstreamTLS is how TLS is spoken to a cluster's endpoints.
type upstreamTLS struct {
	configs    *tlsutil.ClientConfigs
	serverName string // "": the client's, else the endpoint's
	verifies   bool
}

// maxUpstreamSessions bounds for how many endpoints, server names and protocols
// a cluster keeps sessions: a hundred endpoints by ten names, in about 3 MB.
const maxUpstreamSessions = 1000

// newUpstreamTLS gives nil for a cluster without TLS.
func newUpstreamTLS(spec *config.UpstreamTLS) (*upstreamTLS, error) {
	if spec == nil {
		return nil, nil
	}
	base, err := tlsutil.NewClientConfig(clientOptions(spec))
	if err != nil {
		return nil, err
	}
	return &upstreamTLS{
		configs:    tlsutil.NewClientConfigs(base, maxUpstreamSessions),
		serverName: spec.ServerName,
		verifies:   !spec.InsecureSkipVerify,
	}, nil
}

func clientOptions(t *config.UpstreamTLS) tlsutil.ClientOptions {
	return tlsutil.ClientOptions{
		ServerName:         t.ServerName,
		CAs:                t.CAs,
		Certificate:        t.Certificate,
		ALPN:               t.ALPN,
		InsecureSkipVerify: t.InsecureSkipVerify,
	}
}

// The results of attempts that failed in TLS. They are no errnos, which end at
// 4095 (MAX_ERRNO of the kernel).
const (
	errTLSName        syscall.Errno = 1<<17 + iota // no name to ask the endpoint for
	errTLSCertificate                              // it is not who it should be
	errTLSHandshake                                // anything else
	errTLSOverload                                 // the gateway did not come to it in time
)

// endpointName is the name that the endpoint is asked for and that its
// certificate must have. ok is false when there is none and one is needed: then
// the attempt fails without a connection, and says nothing about the endpoint.
func (c *conn) endpointName(ep *upstream.Endpoint) (name string, ok bool) {
	return c.cluster.tls.nameOf(ep, c.chain, c.record.sni)
}

// nameOf is endpointName for a client whose chain is ch and whose server name is
// sni; nil: it gave none.
func (t *upstreamTLS) nameOf(ep *upstream.Endpoint, ch *chain, sni *string) (name string, ok bool) {
	switch {
	case t.serverName != "":
		return t.serverName, true
	case t.asksForClientsName(ch, sni):
		return *sni, true
	}
	return ep.Host(), ep.Host() != "" || !t.verifies
}

// asksForClientsName tells whether endpoints are asked for the name that the
// client asked for: only when its TLS was for the gateway. What a hello says that
// is passed on is for whoever is behind the endpoint.
func (t *upstreamTLS) asksForClientsName(ch *chain, sni *string) bool {
	return t.serverName == "" && ch.tls != nil && sni != nil
}

// agreedProtocol is the application protocol that a terminated client is going to
// speak; "" when there is none. An endpoint that is offered others might choose
// another one, and the two would not understand each other.
func (c *conn) agreedProtocol() string {
	if t := c.terminated(); t != nil {
		return t.alpn
	}
	return ""
}

var errNoEndpointName = errors.New("nothing says which name the endpoint's certificate must have: " +
	"the cluster has no server_name, the client named none, and the endpoint has no host name")

// originate encrypts what goes to the endpoint: it runs the TLS handshake, in
// which the gateway is the client, on a connection that was just made. As in
// terminate, that happens in a goroutine of its own, which gets the endpoint's
// descriptor for itself until it reports through the worker's inbox. A failure
// is one of the attempt; nothing of the client's has been sent by then.
//
// The connect timeout is over both, the connection and the handshake: an
// endpoint that accepts and stays silent is no better than one that does not
// answer. Time that passes for want of CPU is the gateway's own trouble.
func (c *conn) originate(ep *upstream.Endpoint, name string) (syscall.Errno, Termination) {
	s, fd := c.setup, int(c.fds[relay.Upstream])
	wire := relay.NewWire(fd, relay.WireOptions{
		Local:  netAddr(localAddress(fd)),
		Remote: netAddr(ep.Address.AddrPort),
		Gate:   c.w.gateway.handshakes,
	})
	began := c.w.Clock()
	if d := c.cluster.connectTimeout; d > 0 {
		c.setupDeadline(s.attemptBegan + d)
		defer c.setupDeadline(0)
	}
	var h handshake
	c.w.gateway.handshaking.Add(1)
	config := c.cluster.tls.configs.For(ep.Address.String(), name, c.agreedProtocol())
	go c.handshake(wire, relay.ClientHandshake, config, &h)
	c.w.Spawned()

	t := c.awaitHandshake(wire, &h, errOriginationTimeout)
	switch {
	case t.Reason == reasonShutdown:
		return 0, c.shutDown()
	case t.Reason == reasonDrain:
		return 0, c.drained()
	case t.Reason == reasonResources:
		return 0, c.deaf()
	case t.Ended():
		return 0, c.clientGone(syscall.ECONNRESET)
	case h.err != nil:
		s.endpointSays = 0
		return c.originationFailed(wire, h.err), Termination{}
	}
	s.streams[relay.Upstream] = h.stream
	s.forwarded, s.unsent = 0, s.buf
	c.extra().originated = newOriginatedRecord(h.stream.ConnectionState(), microseconds(c.w.Clock()-began))
	return 0, Termination{}
}

// originationFailed gives the result of an attempt whose handshake failed.
func (c *conn) originationFailed(wire *relay.Wire, err error) syscall.Errno {
	c.setup.attemptError = err
	switch {
	case err == errOriginationTimeout && wire.Starved():
		c.setup.attemptError = errOriginationOverload
		return errTLSOverload
	case err == errOriginationTimeout:
		return syscall.ETIMEDOUT
	}
	// Not with a reset, which could overtake the alert that says why.
	c.close(relay.Upstream, relay.CloseFIN)
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return errTLSCertificate
	}
	c.setup.attemptError = fmt.Errorf("TLS handshake: %w", err)
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		return errno // a reset, which may as well be found before the handshake
	}
	return errTLSHandshake
}

// attemptDetail says what an attempt failed with, in the words of whoever knows
// most about it.
func (c *conn) attemptDetail(errno syscall.Errno) string {
	if err := c.setup.attemptError; err != nil {
		return err.Error()
	}
	return errno.Error()
}

// originatedRecord is what a handshake with an endpoint agreed on.
type originatedRecord struct {
	version uint16
	cipher  uint16
	resumed bool
	alpn    string
	took    uint32 // microseconds
}

func newOriginatedRecord(cs tls.ConnectionState, took uint32) *originatedRecord {
	return &originatedRecord{cs.Version, cs.CipherSuite, cs.DidResume, cs.NegotiatedProtocol, took}
}
