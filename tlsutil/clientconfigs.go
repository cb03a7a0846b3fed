package tlsutil

import (
	"container/list"
	"crypto/tls"
	"slices"
	"sync"
	"sync/atomic"
)

// ClientConfigs makes a cluster's tls.Config into one for each endpoint, server
// name and application protocol, and keeps the session of each for the next
// handshake.
//
// The server name depends on the client where the configuration does not fix
// it, and the protocol on what the client speaks. A session is of use only to the endpoint that issued it, since few share
// their ticket keys; crypto/tls would keep one for each name, and with several
// endpoints mostly the wrong one. Sharing the configs is also what makes them
// cost nothing to the connections that live long.
//
// As clients choose names, only what was used last is kept. The methods may
// be called by any goroutine.
type ClientConfigs struct {
	base *tls.Config
	most int

	mu   sync.Mutex // guards what follows
	uses map[use]*list.Element
	used *list.List // of *kept, the one used last in front
}

type use struct{ endpoint, name, protocol string }

type kept struct {
	use
	config *tls.Config
}

// NewClientConfigs keeps at most so many configs, at least one. Each takes about
// 3 KB once it has a session.
func NewClientConfigs(base *tls.Config, most int) *ClientConfigs {
	return &ClientConfigs{base: base, most: max(most, 1), uses: make(map[use]*list.Element), used: list.New()}
}

// For gives the config for a handshake with an endpoint, whatever identifies
// it, by a server name. When protocol is among the application protocols of the
// base config it is the only one that is offered; else, as when it is "", all are.
// The config must not be changed.
func (c *ClientConfigs) For(endpoint, serverName, protocol string) *tls.Config {
	if !slices.Contains(c.base.NextProtos, protocol) {
		protocol = ""
	}
	p := use{endpoint, serverName, protocol}
	c.mu.Lock()
	defer c.mu.Unlock()
	if at, ok := c.uses[p]; ok {
		c.used.MoveToFront(at)
		return at.Value.(*kept).config
	}
	if c.used.Len() >= c.most {
		oldest := c.used.Back()
		delete(c.uses, c.used.Remove(oldest).(*kept).use)
	}
	config := c.base.Clone()
	config.ServerName = serverName
	config.NextProtos = c.Offers(protocol)
	config.ClientSessionCache = &lastSession{}
	c.uses[p] = c.used.PushFront(&kept{p, config})
	return config
}

// Offers gives the application protocols that a config of For offers.
func (c *ClientConfigs) Offers(protocol string) []string {
	if slices.Contains(c.base.NextProtos, protocol) {
		return []string{protocol}
	}
	return c.base.NextProtos
}

// lastSession is the session cache of one config: whatever the
// key, it is the same. Tickets that come while bytes flow are put here by
// workers, so it takes no lock.
type lastSession struct {
	session atomic.Pointer[tls.ClientSessionState]
}

// Get is tls.ClientSessionCache's.
func (l *lastSession) Get(string) (*tls.ClientSessionState, bool) {
	s := l.session.Load()
	return s, s != nil
}

// Put is tls.ClientSessionCache's; nil takes the session away.
func (l *lastSession) Put(_ string, s *tls.ClientSessionState) { l.session.Store(s) }
