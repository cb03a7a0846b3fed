package main

import (
	"crypto/tls"
	"net"
	"time"
)

// dial opens a connection through the proxy and sends the request. With a cache
// of sessions it resumes the last one.
func (g *generator) dial(r request, sessions tls.ClientSessionCache) (net.Conn, error) {
	dialer := net.Dialer{Timeout: answerGrace, KeepAlive: -1} // without system calls that no proxy sees
	raw, err := dialer.DialContext(g.ended, "tcp", g.Target)
	if err != nil {
		return nil, err
	}
	if err := raw.SetDeadline(g.deadline); err != nil {
		raw.Close()
		return nil, err
	}
	c := raw
	if g.tls != nil {
		config := g.tls
		if sessions != nil {
			config = config.Clone()
			config.ClientSessionCache = sessions
		}
		c = tls.Client(raw, config)
	}
	g.mu.Lock()
	g.open[c] = struct{}{}
	over := g.ended.Err()
	g.mu.Unlock()
	if over != nil {
		g.hangUp(c)
		return nil, over
	}
	message := make([]byte, 0, len(g.prologue)+requestSize)
	if _, err := c.Write(r.append(append(message, g.prologue...))); err != nil {
		g.hangUp(c)
		return nil, err
	}
	return c, nil
}

// hangUp closes a connection as a client does that has what it wants.
func (g *generator) hangUp(c net.Conn) {
	g.mu.Lock()
	delete(g.open, c)
	g.mu.Unlock()
	_ = c.Close()
}

// drop resets a connection: nothing of it lingers into the next measurement.
func (g *generator) drop(c net.Conn) {
	raw := c
	if t, ok := c.(*tls.Conn); ok {
		raw = t.NetConn()
	}
	if t, ok := raw.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	g.mu.Lock()
	delete(g.open, c)
	g.mu.Unlock()
	_ = raw.Close()
}

// isUp tells start that one more connection works.
func (g *generator) isUp(c net.Conn) {
	if t, ok := c.(*tls.Conn); ok {
		s := t.ConnectionState()
		g.mu.Lock()
		g.version = tls.VersionName(s.Version) + " " + tls.CipherSuiteName(s.CipherSuite) + " " + s.CurveID.String()
		g.mu.Unlock()
	}
	select {
	case g.connected <- struct{}{}:
	default: // start has them all: this one replaces one that failed
	}
}

// due waits for the next connection of a fixed rate and says from when on its
// latency counts: from when it was due, if all workers were busy then, for a
// client that comes does not wait because others wait (coordinated omission).
// What the generator's own timer oversleeps is not charged to the proxy.
func (g *generator) due() (from time.Time, ok bool) {
	at := g.base.Add(time.Duration(float64(g.scheduled.Add(1)) / g.Rate * float64(time.Second)))
	if late := time.Until(at); late > 0 {
		g.sleep(late)
		at = time.Now()
	}
	return at, g.ended.Err() == nil
}
