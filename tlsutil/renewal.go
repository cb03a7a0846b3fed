package tlsutil

import (
	"bytes"
	"crypto/tls"
	"sync/atomic"
)

// Server terminates TLS for one filter chain while its certificates, CAs,
// revocation lists and ticket keys are replaced. A handshake sees one set of them
// from its begin to its end, and connections go on with the one that they were
// made under.
//
// Tickets outlive a replacement that leaves what they vouch for as it is, such as
// a renewal for the same names: keys of the chain's own are those of the tls.Config
// that handshakes are begun with, and go on being rotated by crypto/tls. Where
// something else is vouched for they are made anew.
//
// The methods may be called by any goroutine; of Use one call at a time.
type Server struct {
	tickets atomic.Pointer[ticketEra]
}

// ticketEra is as long as tickets vouch for the same.
type ticketEra struct {
	digest []byte
	outer  *tls.Config                // has the ticket keys, when they are the chain's own
	inner  atomic.Pointer[tls.Config] // everything else; never changed once it is here
}

// NewServer is [NewServerConfig] for what is replaced later.
func NewServer(o ServerOptions) (*Server, error) {
	s := &Server{}
	r, err := s.Prepare(o)
	if err != nil {
		return nil, err
	}
	s.Use(r)
	return s, nil
}

// Config gives the tls.Config to begin a handshake with. It must not be changed or
// cloned, and not be kept for later handshakes.
func (s *Server) Config() *tls.Config { return s.tickets.Load().outer }

// Replacement is what is to take the place of what is in use.
type Replacement struct {
	digest []byte
	outer  *tls.Config
	inner  *tls.Config
}

// Prepare makes a Replacement, which touches nothing before it is used. The errors
// are those of [NewServerConfig].
func (s *Server) Prepare(o ServerOptions) (*Replacement, error) {
	inner, digest, err := newServerConfig(o)
	if err != nil {
		return nil, err
	}
	return &Replacement{digest, &tls.Config{Time: inner.Time}, inner}, nil
}

// Use puts a Replacement in place for the handshakes that begin from now on.
func (s *Server) Use(r *Replacement) {
	if era := s.tickets.Load(); era != nil && bytes.Equal(era.digest, r.digest) {
		era.inner.Store(r.inner)
		return
	}
	era := &ticketEra{digest: r.digest, outer: r.outer}
	era.inner.Store(r.inner)
	era.outer.GetConfigForClient = era.configFor
	s.tickets.Store(era)
}

// configFor implements tls.Config.GetConfigForClient: crypto/tls goes by what it
// gives for the whole handshake, but for ticket keys, which it takes from the outer
// one unless this one was given some.
func (era *ticketEra) configFor(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if _, err := refuseOtherName(hello); err != nil {
		return nil, err
	}
	return era.inner.Load(), nil
}
