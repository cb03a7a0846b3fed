package proxy

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"sluice/config"
	"sluice/proxy/status"
	"sluice/tlsutil/clienthello"
)

// A question leaves out what its asker does not care about. Here it becomes a
// connection that could be, or an error that says why there is none.

// unixPeer is what a question says of the peer of a unix socket, which has no
// address.
const unixPeer = "unix:"

// inWords gives `"a", "b" and "c"`.
func inWords(list []string, and string) string {
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = fmt.Sprintf("%q", s)
	}
	if last := len(quoted) - 1; last > 0 {
		return strings.Join(quoted[:last], ", ") + " " + and + " " + quoted[last]
	}
	return strings.Join(quoted, "")
}

// parseParty reads an address, with a port or without (0), or "unix:".
func parseParty(what, text string) (addrPort, error) {
	if text == unixPeer {
		return addrPort{}, nil
	}
	ap, err := netip.ParseAddrPort(text)
	if err != nil {
		var ip netip.Addr
		if ip, err = netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")); err == nil {
			ap = netip.AddrPortFrom(ip, 0)
		}
	}
	switch {
	case err != nil:
		return addrPort{}, fmt.Errorf("the %s %q is no address: write one such as 192.0.2.1, 192.0.2.1:4711 or [2001:db8::1]:4711", what, text)
	case ap.Addr().Zone() != "":
		return addrPort{}, fmt.Errorf("the %s %q has a zone, which nothing is decided by: leave it out", what, text)
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), nil
}

// partyText is what parseParty reads.
func partyText(ap addrPort) string {
	switch {
	case !ap.IsValid():
		return unixPeer
	case ap.Port() == 0:
		return ap.Addr().String()
	}
	return ap.String()
}

// fillAddresses finds who the client is, who the peer is, and where it connects
// to.
func (e *explanation) fillAddresses(s *snapshot) error {
	q := &e.Question
	where := e.listening(s)
	e.anywhere = q.Source == ""
	var err error
	if q.Source == "" {
		e.source = e.someSource(where)
	} else if e.source, err = parseParty("source", q.Source); err != nil {
		return err
	}
	e.direct = e.source
	if q.DirectSource != "" {
		if e.direct, err = parseParty("direct source", q.DirectSource); err != nil {
			return err
		}
	}
	samePeer := e.direct.Addr() == e.source.Addr() && (e.direct.Port() == e.source.Port() || e.direct.Port() == 0 || e.source.Port() == 0)
	switch spec := e.ln.spec.ProxyProtocol; {
	case spec == nil && !samePeer:
		return fmt.Errorf("listener %q reads no PROXY headers, so the source is the peer: leave the direct source out", e.Listener)
	case spec == nil:
	case q.DirectSource == "" && spec.Required:
		e.direct, e.headed = addrPort{}, true
		if len(spec.Trusted) > 0 {
			e.direct = netip.AddrPortFrom(spec.Trusted[0].Addr(), 0)
		}
	case !samePeer:
		e.headed = true
	}
	if e.headed && !e.source.IsValid() {
		return errors.New("a PROXY header that gives the source gives an IP address: name one as the source")
	}
	if err := e.fillDestination(where); err != nil {
		return err
	}
	q.Source = partyText(e.source)
	if e.ln.proxyProtocol != nil {
		q.DirectSource = partyText(e.direct)
	} else {
		q.DirectSource = ""
	}
	return nil
}

// listening gives where the listener listens: with the ports that the kernel
// chose where there is a gateway.
func (e *explanation) listening(s *snapshot) []config.Address {
	list := slices.Clone(e.ln.spec.Addresses)
	i := 0
	for _, bound := range s.addresses { // none in a plan
		if bound.Listener != e.ln.name {
			continue
		}
		if a := &list[i]; a.Network == config.TCP {
			a.AddrPort = netip.AddrPortFrom(a.AddrPort.Addr(), bound.port())
		}
		i++
	}
	return list
}

// someSource is a client on the machine itself, of a kind that can connect to
// the listener's first address.
func (e *explanation) someSource(where []config.Address) addrPort {
	first := where[0]
	if first.Network == config.Unix && e.ln.proxyProtocol == nil {
		return addrPort{}
	}
	if first.Network == config.TCP && first.AddrPort.Addr().Is6() && !first.Dual {
		return netip.AddrPortFrom(netip.IPv6Loopback(), 0)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)
}

// fillDestination checks the destination, or takes the first that the source can
// connect to. Behind a PROXY header it is whatever that says.
func (e *explanation) fillDestination(where []config.Address) error {
	q := &e.Question
	var given addrPort
	if path, isUnix := strings.CutPrefix(q.Destination, unixPeer); q.Destination != "" && !isUnix {
		ap, err := netip.ParseAddrPort(q.Destination)
		if err != nil {
			return fmt.Errorf("the destination %q is no address with a port: write one such as 192.0.2.1:443", q.Destination)
		}
		given = netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
	} else if isUnix && e.source.IsValid() {
		return fmt.Errorf("the destination unix:%s is a unix socket, to which a client with an address cannot connect", path)
	}
	if e.headed && given.IsValid() {
		if given.Addr().Is4() != e.source.Addr().Is4() {
			return fmt.Errorf("a PROXY header has source and destination of one family, and %s and %s are not", e.source.Addr(), given)
		}
		e.destination = given
		return nil
	}
	for _, a := range where {
		if to, ok := e.reaches(a, given); ok {
			e.destination, q.Destination = to, partyText(to)
			if !to.IsValid() {
				q.Destination = a.String()
			}
			return nil
		}
	}
	texts := make([]string, len(where))
	for i, a := range where {
		texts[i] = a.String()
	}
	switch {
	case e.headed: // from a header, nothing says where to
		e.destination = netip.AddrPortFrom(unspecified(e.source.Addr()), 0)
		q.Destination = e.destination.String()
		return nil
	case given.IsValid():
		return fmt.Errorf("nobody connects from %s to %s at listener %q, which listens on %s", partyText(e.source), given, e.Listener, strings.Join(texts, ", "))
	}
	return fmt.Errorf("nobody connects from %s to listener %q, which listens on %s", partyText(e.source), e.Listener, strings.Join(texts, ", "))
}

func unspecified(like netip.Addr) netip.Addr {
	if like.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// reaches tells whether the source can connect to an address of the listener,
// and what its destination is then: the one that is asked for, when it is valid.
// Where the listener has all addresses of the machine and none is asked for, it
// is the unspecified one.
func (e *explanation) reaches(a config.Address, given addrPort) (to addrPort, ok bool) {
	if a.Network == config.Unix || !e.source.IsValid() {
		return addrPort{}, a.Network == config.Unix && !e.source.IsValid()
	}
	ip := a.AddrPort.Addr()
	if !a.Dual && ip.Is4() != e.source.Addr().Is4() {
		return addrPort{}, false
	}
	if !ip.IsUnspecified() {
		to = a.AddrPort
	} else {
		to = netip.AddrPortFrom(unspecified(e.source.Addr()), a.AddrPort.Port())
	}
	if !given.IsValid() {
		return to, true
	}
	ok = (given.Port() == to.Port() || to.Port() == 0) &&
		(given.Addr() == to.Addr() || to.Addr().IsUnspecified() && given.Addr().Is4() == to.Addr().Is4())
	return given, ok
}

// somethingElse is what a client says that does not speak TLS.
const somethingElse = "HELO example.com\r\n"

// fillHello makes what the client says first: the question's hello, a real one
// with the question's names in it, or what is none.
func (e *explanation) fillHello(*snapshot) error {
	q := &e.Question
	if len(q.Hello) > 0 {
		return e.takeHello()
	}
	named := q.ServerName != "" || len(q.ApplicationProtocols) > 0
	switch q.TransportProtocol {
	case "":
		q.TransportProtocol = "raw_buffer"
		if named {
			q.TransportProtocol = "tls"
		}
	case "tls", "raw_buffer":
	default:
		return fmt.Errorf(`the transport protocol %q is neither "tls" nor "raw_buffer"`, q.TransportProtocol)
	}
	if q.TransportProtocol == "raw_buffer" {
		if named {
			return errors.New("only TLS connections have a server name and application protocols, and raw_buffer is all others")
		}
		e.says = []byte(somethingElse)
		return nil
	}
	var err error
	e.says, err = helloWith(q)
	return err
}

// takeHello takes the question's hello, and fills in what it says.
func (e *explanation) takeHello() error {
	q := &e.Question
	var h clienthello.Hello
	switch outcome := h.Parse(q.Hello, make([]byte, maxHello), e.ln.maxHello); {
	case outcome == clienthello.NeedMore:
		return fmt.Errorf("the hello is cut off: it has %d bytes, and is not complete", len(q.Hello))
	case outcome.Complete():
		q.TransportProtocol = "tls"
		q.ServerName = string(h.ServerName())
		q.ApplicationProtocols = nil
		for name := range h.ALPN() {
			q.ApplicationProtocols = append(q.ApplicationProtocols, string(name))
		}
	case outcome == clienthello.NotTLS:
		q.TransportProtocol, q.ServerName, q.ApplicationProtocols = "raw_buffer", "", nil
	}
	e.says = q.Hello
	return nil
}

// helloWith gives a ClientHello as crypto/tls makes it.
func helloWith(q *status.Question) ([]byte, error) {
	name := q.ServerName
	if clienthello.IsAddress([]byte(name)) {
		return nil, fmt.Errorf("clients send no IP address as a server name (RFC 6066 §3): leave %q out", name)
	}
	if strings.Contains(name, "*") {
		return nil, fmt.Errorf("clients ask for one name, and %q is a pattern: write a name that it stands for", name)
	}
	for _, p := range q.ApplicationProtocols {
		if len(p) == 0 || len(p) > 255 {
			return nil, fmt.Errorf("the application protocol %q is none: a name has 1 to 255 bytes (RFC 7301 §3.1)", p)
		}
	}
	var c speaker
	tls.Client(&c, &tls.Config{ServerName: name, NextProtos: slices.Clone(q.ApplicationProtocols), InsecureSkipVerify: true}).Handshake()
	var h clienthello.Hello
	outcome := h.Parse(c.said, make([]byte, maxHello), maxHello)
	switch {
	case !outcome.Complete() && h.Reason() != "":
		return nil, fmt.Errorf("no client can ask for %q: %s", name, h.Reason())
	case !outcome.Complete() || (len(h.ServerName()) == 0) != (name == ""):
		return nil, fmt.Errorf("no client can ask for %q", name)
	}
	return c.said, nil
}

// speaker takes what one side of a handshake says, and answers with nothing but
// heard.
type speaker struct {
	net.Conn
	said, heard []byte
}

var errSilence = errors.New("nobody answers")

// Write implements [net.Conn].
func (c *speaker) Write(b []byte) (int, error) {
	c.said = append(c.said, b...)
	return len(b), nil
}

// Read implements [net.Conn].
func (c *speaker) Read(b []byte) (int, error) {
	if len(c.heard) == 0 {
		return 0, errSilence
	}
	n := copy(b, c.heard)
	c.heard = c.heard[n:]
	return n, nil
}
