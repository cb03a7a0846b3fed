package proxy

import (
	"crypto/tls"
	"encoding/binary"
	"strconv"

	"sluice/config"
	"sluice/proxy/proxyheader"
	"sluice/proxy/relay"
)

// The PROXY protocol towards endpoints. The header is made when the cluster is
// known and goes out in front of the first bytes, in the same write; where there
// are none yet, by itself as soon as the endpoint is connected. Every attempt
// sends the same.

// headerFor makes the header for the connection's cluster; nil when that wants
// none.
func (c *conn) headerFor(spec *config.ProxyHeader) []byte {
	if spec == nil {
		return nil
	}
	s := c.setup
	var state *tls.ConnectionState
	if st := s.streams[relay.Downstream]; spec.TLVs.SSL && st != nil {
		cs := st.ConnectionState()
		state = &cs
	}
	m := proxyheader.Message{
		Version: spec.Version, Source: s.source, Destination: s.destination,
		TLVs: ownTLVs(&spec.TLVs, c.record.sni, c.protocolInUse(), c.uniqueID, state), Checksum: spec.TLVs.CRC32C,
	}
	if spec.PassThroughTLVs && len(s.tlvs) > 0 {
		// What the gateway knows itself it does not take from others.
		var own []proxyheader.Type
		for t := range m.TLVs.All() {
			own = append(own, t)
		}
		m.TLVs = append(m.TLVs, proxyheader.TLVs(s.tlvs).PassedOn(own...)...)
	}
	return m.Format()
}

// ownTLVs gives those of the wanted TLVs for which there is something to say.
// sni is nil, and protocol "", when there is none; cs is the terminated
// handshake's, or nil.
func ownTLVs(want *config.ProxyTLVs, sni *string, protocol string, uniqueID func() []byte, cs *tls.ConnectionState) proxyheader.TLVs {
	var tlvs proxyheader.TLVs
	if want.Authority && sni != nil {
		tlvs = tlvs.Append(proxyheader.Authority, []byte(*sni))
	}
	if want.ALPN && protocol != "" {
		tlvs = tlvs.Append(proxyheader.ALPN, []byte(protocol))
	}
	if want.UniqueID {
		tlvs = tlvs.Append(proxyheader.UniqueID, uniqueID())
	}
	if want.SSL && cs != nil {
		tlvs = tlvs.Append(proxyheader.SSL, sslTLV(cs))
	}
	return tlvs
}

// protocolInUse gives the application protocol, "" when it is not known: what a
// terminated handshake agreed on. Of a passed through one only the client's offer
// is known, and the endpoint's answer comes after the header: it is in use for
// certain only when it is the only one offered.
func (c *conn) protocolInUse() string {
	if t := c.terminated(); t != nil {
		return t.alpn
	}
	if c.setup.oneProtocol {
		return *c.record.alpn
	}
	return ""
}

// uniqueID names the connection among those of all gateways: 16 hexadecimal
// digits that are the gateway's since it was started, a hyphen, and the id of the
// access record, in decimal.
func (c *conn) uniqueID() []byte {
	b := make([]byte, 0, 16+1+20)
	b = appendHex(b, c.w.gateway.instance)
	b = append(b, '-')
	return strconv.AppendUint(b, c.record.id, 10)
}

func appendHex(b []byte, n uint64) []byte {
	const digits = "0123456789abcdef"
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, digits[n>>shift&15])
	}
	return b
}

// The bits of an SSL TLV's first byte (PROXY 2.2.6).
const (
	sslClientSSL      = 1 << iota // the client speaks TLS to us
	sslClientCertConn             // it showed a certificate in this handshake
	sslClientCertSess             // it showed one when the session began
)

// maxCommonName is the longest common name that is passed on. X.520 allows 64
// characters; one that is cut off would be somebody else's name.
const maxCommonName = 256

// sslTLV is the value of an SSL TLV for a terminated connection.
func sslTLV(cs *tls.ConnectionState) []byte {
	client := byte(sslClientSSL)
	verify := uint32(1) // "zero if the client presented a certificate and it was successfully verified"
	sub := proxyheader.TLVs(nil).
		Append(proxyheader.SSLVersion, []byte(opensslVersion(cs.Version))).
		Append(proxyheader.SSLCipher, []byte(opensslCipher(cs.CipherSuite)))
	if len(cs.PeerCertificates) > 0 {
		// A chain takes none that it did not verify.
		client, verify = client|sslClientCertSess, 0
		if !cs.DidResume {
			client |= sslClientCertConn
		}
		if cn := cs.PeerCertificates[0].Subject.CommonName; cn != "" && len(cn) <= maxCommonName {
			sub = sub.Append(proxyheader.SSLCN, []byte(cn))
		}
	}
	return append(binary.BigEndian.AppendUint32([]byte{client}, verify), sub...)
}
