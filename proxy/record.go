package proxy

import (
	"crypto/tls"
	"encoding/binary"
	"net/netip"
	"syscall"
	"time"

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
	ja4       *string       // nil: there is no hello
	received  uint32        // from the client, up to the relay
	peek      uint32
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
	handshake    uint32            // microseconds of the client's, also of one that failed
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

// compactAddr is an address in 18 bytes, where a netip.AddrPort takes 32. The zero
// value is none, as of a unix socket. IPv4 is mapped into IPv6, which nothing is
// lost by: addresses that come mapped are unmapped wherever the gateway reads
// them.
type compactAddr struct {
	ip   [16]byte
	port [2]byte
}

func compact(ap netip.AddrPort) compactAddr {
	if !ap.IsValid() {
		return compactAddr{}
	}
	a := compactAddr{ip: ap.Addr().As16()}
	binary.BigEndian.PutUint16(a.port[:], ap.Port())
	return a
}

func (a compactAddr) addrPort() netip.AddrPort {
	if a == (compactAddr{}) {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(netip.AddrFrom16(a.ip).Unmap(), binary.BigEndian.Uint16(a.port[:]))
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
