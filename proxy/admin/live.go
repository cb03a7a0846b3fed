package admin

import (
	"crypto/tls"
	"sync/atomic"

	"sluice/config"
	"sluice/tlsutil"
)

// live is what of the admin block a reload changes: tokens are replaced and
// certificates renewed while the gateway runs. Any goroutine may read it.
type live struct{ current atomic.Pointer[credentials] }

// credentials belong together.
type credentials struct {
	token        *config.Token
	certificates []*tlsutil.Certificate
	tls          *tls.Config // nil without certificates
}

// apply takes over an admin block. One without certificates keeps those that
// there are: the listener speaks TLS for as long as it is there.
func (l *live) apply(a config.Admin) {
	next := &credentials{token: a.Token, certificates: a.Certificates}
	if len(a.Certificates) > 0 {
		var err error
		next.tls, err = tlsutil.NewServerConfig(tlsutil.ServerOptions{Certificates: a.Certificates, ALPN: []string{"http/1.1"}})
		if err != nil {
			panic("BUG: admin: the configuration has let certificates through: " + err.Error())
		}
	} else if old := l.current.Load(); old != nil {
		next.certificates, next.tls = old.certificates, old.tls
	}
	l.current.Store(next)
}

func (l *live) token() *config.Token { return l.current.Load().token }

// tlsConfig is that of the certificates that there are now.
func (l *live) tlsConfig(*tls.ClientHelloInfo) (*tls.Config, error) { return l.current.Load().tls, nil }

// isName reports whether a certificate is for a name.
func (l *live) isName(name string) bool {
	for _, c := range l.current.Load().certificates {
		if c.Leaf.VerifyHostname(name) == nil {
			return true
		}
	}
	return false
}

// Apply takes over what a reload changes: the token, whose change ends all
// logins, and the certificates. What it gives says, in words, what else is
// different in the configuration and takes effect only when the process is
// started anew. Any goroutine may call it.
func (s *Server) Apply(cfg *config.Config) (unapplied []string) {
	was, is := s.sockets.admin, cfg.Admin
	if old := s.sockets.live.token(); old == nil != (is.Token == nil) || old != nil && *old != *is.Token {
		s.sessions.finishAll()
	}
	s.sockets.live.apply(is)
	const later = " of the admin server changes with the next upgrade or restart"
	switch {
	case was.Enabled != is.Enabled:
		unapplied = append(unapplied, "admin.enabled: whether there is an admin server changes with the next upgrade or restart")
	case !is.Enabled:
	default:
		if was.Address != is.Address {
			unapplied = append(unapplied, "admin.address: the address"+later)
		}
		if is.Address.Network == config.Unix && (was.Mode != is.Mode || was.GID != is.GID) {
			unapplied = append(unapplied, "admin.mode, admin.group: who may connect to the socket"+later)
		}
		if s.sockets.isEncrypted() != (len(is.Certificates) > 0) {
			unapplied = append(unapplied, "admin.tls: whether TLS is spoken"+later)
		}
	}
	old, next := s.sockets.metrics.Address, cfg.Metrics.Address
	if old == nil != (next == nil) || old != nil && *old != *next {
		unapplied = append(unapplied, "metrics.address: the address of the metrics changes with the next upgrade or restart")
	}
	return unapplied
}
