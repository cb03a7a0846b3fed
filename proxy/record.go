package proxy

import (
	"crypto/tls"
	"encoding/binary"
	"net/netip"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"sluice/proxy/relay"
	"sluice/proxy/upstream"
	"sluice/tlsutil"
)

// record is what a connection's access record will say, gathered on the way.
// It is held for the life of the connection, so times are in microseconds in
// 32 bits (71 minutes, more is cut), text is shared with other connections, and
// what few connections have is in [extras].
type record struct {
	id        uint64
	accepted  time.Duration // on the worker's clock
	sni, alpn *string       // nil: none. alpn: the client's offer, joined by commas
	received  uint32        // from the client, up to the relay
	peek      uint32
	handshake uint32
	connect   uint32
	firstByte uint32

	source, destination, upstreamLocal compactAddr

	hello   helloWord
	flowing bool // its bytes are counted as they flow
}

// extras is what few connections have.
type extras struct {
	nextPeriodic time.Duration // when the next periodic record is due; 0: never
	leaving      Reason        // why it leaves, when drainAt is set
	failed       []failedAttempt
	queued       uint32            // microseconds of waiting for a place in the cluster
	proxied      *proxiedRecord    // nil: no PROXY header was taken
	terminated   *terminatedRecord // nil: there was no handshake
	originated   *originatedRecord // nil: TLS is not spoken to the endpoint
	reset        resetting         // while phaseResetting
	ending       Termination       // once decided, until it is finished
	killed       bool              // an operator ended it, while it was being set up
}

// extra gives the connection's extras, to add to them.
func (c *conn) extra() *extras {
	if c.extras == nil {
		c.extras = &extras{}
	}
	return c.extras
}

// failedAttempt is an endpoint that was tried in vain.
type failedAttempt struct {
	endpoint *upstream.Endpoint
	errno    syscall.Errno
	took     uint32 // microseconds
	err      error  // what TLS said; nil: the errno is all there is
}

// noteFailed takes note of the attempt under way, which came to nothing. err is
// what TLS said; nil: result is all there is.
func (c *conn) noteFailed(result syscall.Errno, err error) {
	c.countAttempt(attemptResultOf(result))
	x := c.extra()
	x.failed = append(x.failed, failedAttempt{c.endpoint, result, microseconds(c.w.Clock() - c.setup.attemptBegan), err})
}

// failed lists the endpoints that were tried in vain, in order.
func (c *conn) failed() []failedAttempt {
	if c.extras == nil {
		return nil
	}
	return c.extras.failed
}

// terminated is what the handshake agreed on; nil: there was none.
func (c *conn) terminated() *terminatedRecord {
	if c.extras == nil {
		return nil
	}
	return c.extras.terminated
}

// nextPeriodic is when the next periodic record is due; 0 for never.
func (c *conn) nextPeriodic() time.Duration {
	if c.extras == nil {
		return 0
	}
	return c.extras.nextPeriodic
}

// compactAddr is an address in 19 bytes, where a netip.AddrPort takes 32.
type compactAddr struct {
	ip   [16]byte
	port [2]byte
	kind uint8 // 0: none, as of a unix socket; 4 or 6
}

func compact(ap netip.AddrPort) compactAddr {
	if !ap.IsValid() {
		return compactAddr{}
	}
	a := compactAddr{ip: ap.Addr().As16(), kind: 6}
	binary.BigEndian.PutUint16(a.port[:], ap.Port())
	if ap.Addr().Is4() {
		a.kind = 4
	}
	return a
}

func (a compactAddr) addrPort() netip.AddrPort {
	if a.kind == 0 {
		return netip.AddrPort{}
	}
	ip := netip.AddrFrom16(a.ip)
	if a.kind == 4 {
		ip = ip.Unmap()
	}
	return netip.AddrPortFrom(ip, binary.BigEndian.Uint16(a.port[:]))
}

// terminatedRecord is what a TLS handshake agreed on.
type terminatedRecord struct {
	version  uint16
	cipher   uint16
	resumed  bool
	alpn     string
	peerSANs []string
}

func newTerminatedRecord(cs tls.ConnectionState) *terminatedRecord {
	return &terminatedRecord{
		version: cs.Version, cipher: cs.CipherSuite, resumed: cs.DidResume,
		alpn: cs.NegotiatedProtocol, peerSANs: tlsutil.PeerSANs(&cs),
	}
}

// microseconds cuts a duration to what the record holds; 0 stands for what
// did not happen, so what did takes at least 1.
func microseconds(d time.Duration) uint32 {
	return uint32(min(max(d.Microseconds(), 1), 1<<32-1))
}

// recordType is the occasion of a record.
type recordType uint8

const (
	recordStart recordType = iota
	recordConnected
	recordPeriodic
	recordEnd
	recordTypes
)

// String gives the word of the record's type field.
func (t recordType) String() string {
	return [...]string{"start", "connected", "periodic", "end"}[t]
}

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
	e := b.logger.Log()
	r := &c.record
	b.time(e, "time", time.Now())
	e.Str("type", t.String()).Uint64("id", r.id).Str("listener", c.listener.name)
	b.address(e, "source", r.source.addrPort())
	c.logProxied(e, b)
	b.address(e, "destination", r.destination.addrPort())
	c.logHello(e)
	c.logRoute(e, b)
	if t >= recordPeriodic {
		c.logBytes(e)
	}
	until := ending.at
	if until == 0 {
		until = c.w.Clock()
	}
	e.Float64("duration_ms", float64((until-r.accepted).Microseconds())/1000)
	if t == recordEnd {
		logTermination(e, ending)
	}
	e.Send()
	b.wrote()
}

// logProxied says what came in a PROXY header. The source is the header's then.
func (c *conn) logProxied(e *zerolog.Event, b *recordBuffer) {
	if c.extras == nil || c.extras.proxied == nil {
		return
	}
	p := c.extras.proxied
	b.address(e, "direct_source", p.direct.addrPort())
	d := zerolog.Dict().Uint8("version", p.version)
	optional(d, "authority", p.authority)
	optional(d, "unique_id", p.uniqueID)
	e.Dict("proxy_protocol", d)
}

func (c *conn) logHello(e *zerolog.Event) {
	r := &c.record
	if r.sni != nil {
		e.Str("sni", *r.sni)
	}
	if r.alpn != nil {
		e.Str("alpn", *r.alpn)
	}
	optional(e, "hello", r.hello.String())
	milliseconds(e, "peek_ms", r.peek)
}

func (c *conn) logRoute(e *zerolog.Event, b *recordBuffer) {
	r := &c.record
	if c.chain != nil {
		e.Str("filter_chain", c.chain.name)
		e.Str("tls", c.chain.tlsWord(r.hello))
	}
	milliseconds(e, "handshake_ms", r.handshake)
	if t := c.terminated(); t != nil {
		e.Str("tls_version", tls.VersionName(t.version)).Str("cipher", tls.CipherSuiteName(t.cipher)).Bool("resumed", t.resumed)
		optional(e, "negotiated_alpn", t.alpn)
		if len(t.peerSANs) > 0 {
			e.Strs("peer_sans", t.peerSANs)
		}
	}
	if c.cluster != nil {
		e.Str("cluster", c.cluster.Name)
	}
	if c.endpoint != nil {
		e.Str("endpoint", c.endpoint.Name())
		b.address(e, "upstream_local", r.upstreamLocal.addrPort())
	}
	c.logOriginated(e)
	c.logAttempts(e)
	if c.extras != nil {
		milliseconds(e, "queue_ms", c.extras.queued)
	}
	milliseconds(e, "connect_ms", r.connect)
	milliseconds(e, "first_byte_ms", r.firstByte)
}

// logOriginated says how TLS is spoken to the endpoint.
func (c *conn) logOriginated(e *zerolog.Event) {
	if c.extras == nil || c.extras.originated == nil {
		return
	}
	t := c.extras.originated
	e.Str("upstream_tls_version", tls.VersionName(t.version)).Str("upstream_cipher", tls.CipherSuiteName(t.cipher)).Bool("upstream_resumed", t.resumed)
	optional(e, "upstream_alpn", t.alpn)
	milliseconds(e, "upstream_handshake_ms", t.took)
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
func (c *conn) logAttempts(e *zerolog.Event) {
	failed, connect := c.failed(), c.record.connect
	if len(failed) == 0 && connect == 0 {
		return
	}
	list := zerolog.Arr()
	for _, a := range failed {
		connect -= min(a.took, connect)
		d := zerolog.Dict().Str("endpoint", a.endpoint.Name()).Str("result", attemptWord(a.errno))
		if a.err != nil {
			d.Str("error", capped(a.err.Error(), maxErrorLength))
		}
		list.Dict(milliseconds(d, "ms", a.took))
	}
	if c.endpoint != nil && c.record.connect > 0 {
		d := zerolog.Dict().Str("endpoint", c.endpoint.Name()).Str("result", "connected")
		list.Dict(milliseconds(d, "ms", max(connect, 1)))
	}
	e.Array("attempts", list)
}

func (c *conn) logBytes(e *zerolog.Event) {
	received, sent := c.bytes()
	e.Uint64("bytes_received", received).Uint64("bytes_sent", sent)
	if c.record.connect > 0 {
		e.Dict("mode", zerolog.Dict().
			Str("received", modeWord(&c.pair, relay.Downstream)).
			Str("sent", modeWord(&c.pair, relay.Upstream)))
	}
}

// modeWord says how a direction was moved: splice when it ever was.
func modeWord(p *relay.Pair, from relay.Side) string {
	if _, spliced := p.Mode(from); spliced {
		return relay.Splice.String()
	}
	return relay.Copy.String()
}

func logTermination(e *zerolog.Event, t Termination) {
	e.Str("flags", t.Flags())
	e.Dict("termination", zerolog.Dict().Str("reason", t.Reason.String()).Str("side", t.By.String()))
	optional(e, "error", capped(t.Detail, maxErrorLength))
}

// maxErrorLength caps text that may quote what a client sent.
const maxErrorLength = 300

func capped(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

func optional(e *zerolog.Event, key, value string) {
	if value != "" {
		e.Str(key, value)
	}
}

// milliseconds adds a time when there was one.
func milliseconds(e *zerolog.Event, key string, us uint32) *zerolog.Event {
	if us == 0 {
		return e
	}
	return e.Float64(key, float64(us)/1000)
}
