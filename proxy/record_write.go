package proxy

import (
	"crypto/tls"
	"time"

	"sluice/proxy/relay"
)

// log writes the connection's record, when records of that type are asked for
// and it is none of very many refusals.
func (c *conn) log(t recordType, ending Termination) {
	b := c.w.records
	if b == nil || !b.wants(t) {
		return
	}
	if ending.Reason.isTallied() && !b.single(c.listener.admission.live, ending.Reason, c.record.source.addrPort()) {
		return
	}
	c.write(b, t, ending)
}

// write writes the connection's record.
func (c *conn) write(b *recordBuffer, t recordType, ending Termination) {
	r := &c.record
	b.begin()
	b.time("time", time.Now())
	b.str("type", t.String())
	b.uint("id", r.id)
	b.str("listener", c.listener.name)
	b.address("source", r.source.addrPort())
	c.logProxied(b)
	b.address("destination", r.destination.addrPort())
	c.logHello(b)
	c.logRoute(b)
	if t >= recordPeriodic {
		c.logBytes(b)
	}
	until := ending.at
	if until == 0 {
		until = c.w.Clock()
	}
	b.milliseconds("duration_ms", uint64(max(until-r.accepted, 0).Microseconds()))
	if t == recordEnd {
		logTermination(b, ending)
	}
	b.end()
	b.wrote()
}

// logProxied says what came in a PROXY header. The source is the header's then.
func (c *conn) logProxied(b *recordBuffer) {
	if c.extras == nil || c.extras.proxied == nil {
		return
	}
	p := c.extras.proxied
	b.address("direct_source", p.direct.addrPort())
	b.open("proxy_protocol", '{')
	b.uint("version", uint64(p.version))
	b.optional("authority", p.authority)
	b.optional("unique_id", p.uniqueID)
	b.close('}')
}

func (c *conn) logHello(b *recordBuffer) {
	r := &c.record
	if r.sni != nil {
		b.str("sni", *r.sni)
	}
	if r.alpn != nil {
		b.str("alpn", *r.alpn)
	}
	if r.ja4 != nil {
		b.str("ja4", *r.ja4)
	}
	b.optional("hello", r.hello.String())
	b.took("peek_ms", r.peek)
}

func (c *conn) logRoute(b *recordBuffer) {
	r := &c.record
	if c.chain != nil {
		b.str("filter_chain", c.chain.name)
		b.str("tls", c.chain.tlsWord(r.hello))
	}
	if c.extras != nil {
		b.took("handshake_ms", c.extras.handshake)
	}
	if t := c.terminated(); t != nil {
		b.str("tls_version", tls.VersionName(t.version))
		b.str("cipher", tls.CipherSuiteName(t.cipher))
		b.bool("resumed", t.resumed)
		b.optional("negotiated_alpn", t.alpn)
		if len(t.peerSANs) > 0 {
			b.open("peer_sans", '[')
			for _, name := range t.peerSANs {
				b.item(name)
			}
			b.close(']')
		}
	}
	if c.cluster != nil {
		b.str("cluster", c.cluster.Name)
	}
	if c.endpoint != nil {
		b.str("endpoint", c.endpoint.Name())
		b.address("upstream_local", r.upstreamLocal.addrPort())
	}
	c.logOriginated(b)
	c.logAttempts(b)
	if c.extras != nil {
		b.took("queue_ms", c.extras.queued)
	}
	b.took("connect_ms", r.connect)
	b.took("first_byte_ms", r.firstByte)
}

// logOriginated says how TLS is spoken to the endpoint.
func (c *conn) logOriginated(b *recordBuffer) {
	if c.extras == nil || c.extras.originated == nil {
		return
	}
	t := c.extras.originated
	b.str("upstream_tls_version", tls.VersionName(t.version))
	b.str("upstream_cipher", tls.CipherSuiteName(t.cipher))
	b.bool("upstream_resumed", t.resumed)
	b.optional("upstream_alpn", t.alpn)
	b.took("upstream_handshake_ms", t.took)
}

// tlsWord says what the chain did to the TLS of a connection.
func (ch *chain) tlsWord(hello helloWord) string {
	switch {
	case ch.tls != nil:
		return "terminated"
	case hello.isTLS():
		return "passthrough"
	}
	return "none"
}

// logAttempts lists the endpoints tried, in order.
func (c *conn) logAttempts(b *recordBuffer) {
	failed, connect := c.failed(), c.record.connect
	if len(failed) == 0 && connect == 0 {
		return
	}
	b.open("attempts", '[')
	for _, a := range failed {
		connect -= min(a.took, connect)
		b.object()
		b.str("endpoint", a.endpoint.Name())
		b.str("result", attemptWord(a.errno))
		if a.err != nil {
			b.str("error", capped(a.err.Error(), maxErrorLength))
		}
		b.took("ms", a.took)
		b.close('}')
	}
	if c.endpoint != nil && c.record.connect > 0 {
		b.object()
		b.str("endpoint", c.endpoint.Name())
		b.str("result", "connected")
		b.took("ms", max(connect, 1))
		b.close('}')
	}
	b.close(']')
}

func (c *conn) logBytes(b *recordBuffer) {
	received, sent := c.bytes()
	b.uint("bytes_received", received)
	b.uint("bytes_sent", sent)
	if c.record.connect > 0 {
		b.open("mode", '{')
		b.str("received", modeWord(&c.pair, relay.Downstream))
		b.str("sent", modeWord(&c.pair, relay.Upstream))
		b.close('}')
	}
}

// modeWord says how a direction was moved: splice when it ever was.
func modeWord(p *relay.Pair, from relay.Side) string {
	if _, spliced := p.Mode(from); spliced {
		return relay.Splice.String()
	}
	return relay.Copy.String()
}

func logTermination(b *recordBuffer, t Termination) {
	b.str("flags", t.Flags())
	b.open("termination", '{')
	b.str("reason", t.Reason.String())
	b.str("side", t.By.String())
	b.close('}')
	b.optional("error", capped(t.Detail, maxErrorLength))
}

// maxErrorLength caps text that may quote what a client sent.
const maxErrorLength = 300

func capped(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}
