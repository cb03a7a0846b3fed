package proxy

import (
	"github.com/gaissmai/bart"

	"sluice/config"
	"sluice/proxy/proxyheader"
)

// The PROXY protocol towards clients. Whether a header is looked for does not
// depend on what comes, but on the listener and on who the peer is; PROXY 5 says
// why. On a listener with proxy_protocol:
//
//	peer           require               optional
//	trusted        needs a header        takes one when it is there
//	anybody else   reset at once         a header ends the connection
//
// Whoever is not reset at once has to speak before anything else happens, since
// the first bytes tell, and has the one deadline over header, hello and
// handshake for it. In mode optional that is so for clients without a header,
// too: a protocol in which the server speaks first needs mode require, with which
// the header comes first, or a listener of its own. HAProxy has no optional mode,
// and Envoy waits in the same way and closes at the deadline. To go on at the
// deadline, or before, would let a slow proxy's clients in under its own address,
// and its header through to the endpoint as data.

// proxyProtocol says who sends headers; nil stands for a listener without.
type proxyProtocol struct {
	required bool
	trusted  bart.Lite
	unix     bool // peers of unix sockets are trusted
}

func compileProxyProtocol(spec *config.ProxyProtocol) *proxyProtocol {
	if spec == nil {
		return nil
	}
	p := &proxyProtocol{required: spec.Required, unix: spec.TrustUnix}
	for _, prefix := range spec.Trusted {
		p.trusted.Insert(prefix)
	}
	return p
}

// trusts tells whether a peer may send a header.
func (p *proxyProtocol) trusts(peer addrPort) bool {
	if !peer.IsValid() {
		return p.unix
	}
	return p.trusted.Lookup(peer.Addr().WithZone(""))
}

// proxyHeader takes the header off the front of what the client sends. From
// then on source and destination are what the header says.
func (c *conn) proxyHeader() Termination {
	p, s := c.listener.proxyProtocol, c.setup
	if p == nil {
		return Termination{}
	}
	trusted := p.trusts(s.source)
	if t := p.before(trusted); t.Ended() {
		return c.refusedFor(t)
	}
	s.headerDue = true
	for {
		if t := c.readHello(proxyheader.MaxV2); t.Ended() {
			return t
		}
		h, outcome := c.w.headers.Parse(s.buf)
		if outcome == proxyheader.NeedMore {
			continue
		}
		if t := p.after(trusted, outcome, h.Reason); t.Ended() {
			return c.refusedFor(t)
		}
		s.headerDue = false
		if outcome == proxyheader.Found {
			c.takeHeader(&h)
		}
		return Termination{}
	}
}

// before says why a peer is turned away whatever it sends.
func (p *proxyProtocol) before(trusted bool) Termination {
	if !trusted && p.required {
		return Termination{Reason: reasonProxyHeaderUntrusted, Detail: "the peer is not among those trusted to send a PROXY header, and nobody else is served"}
	}
	return Termination{}
}

// after says why a peer is turned away that has sent a header, or something
// else. malformed is what is wrong with a header that is.
func (p *proxyProtocol) after(trusted bool, outcome proxyheader.Outcome, malformed string) Termination {
	switch {
	case outcome == proxyheader.Absent && p.required:
		return Termination{Reason: reasonProxyHeaderRequired, Detail: "the first bytes are not those of a PROXY header"}
	case outcome == proxyheader.Absent:
		return Termination{}
	case !trusted:
		return Termination{Reason: reasonProxyHeaderUntrusted, Detail: "a PROXY header from a peer that is not trusted to send one"}
	case outcome == proxyheader.Malformed:
		return Termination{Reason: reasonProxyHeaderMalformed, Detail: malformed}
	}
	return Termination{}
}

// takeHeader believes a header. What it takes is not the client's and does not
// count as received.
func (c *conn) takeHeader(h *proxyheader.Header) {
	s, r := c.setup, &c.record
	proxied := &proxiedRecord{direct: r.source, version: h.Version}
	c.extra().proxied = proxied
	if h.Source.IsValid() {
		s.source, s.destination = h.Source, h.Destination
		r.source, r.destination = compact(h.Source), compact(h.Destination)
	}
	if len(h.TLVs) > 0 {
		s.tlvs = append(s.tlvs, h.TLVs...)
		proxied.note(h.TLVs)
	}
	r.received -= uint32(h.Size)
	s.buf = s.buf[:copy(s.buf, s.buf[h.Size:])]
	if len(s.buf) == 0 {
		c.dropHelloBuffer() // it may be long until the client says something
	}
}

// proxiedRecord is what the access record says of a header. Behind few listeners
// there is one.
type proxiedRecord struct {
	direct    compactAddr // the peer
	version   uint8
	authority string
	uniqueID  string
}

// note takes over what the record shows of the TLVs.
func (r *proxiedRecord) note(tlvs proxyheader.TLVs) {
	if v, ok := tlvs.Get(proxyheader.Authority); ok {
		r.authority = capped(string(v), maxAuthority)
	}
	if v, ok := tlvs.Get(proxyheader.UniqueID); ok {
		r.uniqueID = capped(string(v), maxUniqueID)
	}
}

// What a header's text takes in the record at most: a host name (RFC 1035
// 2.3.4), and a unique ID (PROXY 2.2.5).
const (
	maxAuthority = 255
	maxUniqueID  = 128
)
