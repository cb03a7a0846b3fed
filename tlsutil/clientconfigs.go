package tlsutil

import (
	"container/list"
	"crypto/tls"
	"sync"
	"sync/atomic"
)

// ClientConfigs makes a cluster's tls.Config into one for each pair of endpoint
// and server name, and keeps the session of each for the next handshake.
//
// The server name depends on the client where the configuration does not fix
// it. A session is of use only to the endpoint that issued it, since few share
// their ticket keys; crypto/tls would keep one for each name, and with several
// endpoints mostly the wrong one. Sharing the configs is also what makes them
// cost nothing to the connections that live long.
//
// As clients choose names, only the pairs used last are kept. The methods may
// be called by any goroutine.
type ClientConfigs struct {
	base *tls.Config
	most int

	mu    sync.Mutex // guards what follows
	pairs map[pair]*list.Element
	used  *list.List // of *kept, the one used last in front
}

type pair struct{ endpoint, name string }

type kept struct {
	pair
	config *tls.Config
}

// NewClientConfigs keeps the configs of at most so many pairs, at least one.
// Each takes about 3 KB once it has a session.
func NewClientConfigs(base *tls.Config, most int) *ClientConfigs {
	return &ClientConfigs{base: base, most: max(most, 1), pairs: make(map[pair]*list.Element), used: list.New()}
}

// For gives the config for a handshake with an endpoint, whatever identifies
// it, by a server name. It must not be changed.
func (c *ClientConfigs) For(endpoint, serverName string) *tls.Config {
	p := pair{endpoint, serverName}
	c.mu.Lock()
	defer c.mu.Unlock()
	if at, ok := c.pairs[p]; ok {
		c.used.MoveToFront(at)
		return at.Value.(*kept).config
	}
	if c.used.Len() >= c.most {
		oldest := c.used.Back()
		delete(c.pairs, c.used.Remove(oldest).(*kept).pair)
	}
	config := c.base.Clone()
	config.ServerName = serverName
	config.ClientSessionCache = &lastSession{}
	c.pairs[p] = c.used.PushFront(&kept{p, config})
	return config
}

// lastSession is a session cache for one endpoint under one name: whatever the
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
