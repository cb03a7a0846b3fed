package proxyheader

import (
	"encoding/binary"
	"net"
	"net/netip"

	"github.com/pires/go-proxyproto"
)

// Message is a header to be sent.
type Message struct {
	Version uint8 // 1 or 2
	// Source and Destination are the addresses of the connection that is
	// passed on. When either is invalid, because there is none for a unix
	// socket, the header says so: UNKNOWN in version 1, LOCAL in version 2,
	// as HAProxy does it, since many receivers refuse PROXY without a family.
	Source, Destination netip.AddrPort
	// TLVs and Checksum are for version 2.
	TLVs     TLVs
	Checksum bool // add a CRC32C TLV at the end
}

// Format gives the bytes. A message that cannot be sent (another version,
// TLVs with version 1, more of them than 64 KiB) is a mistake of the caller's,
// and panics.
func (m *Message) Format() []byte {
	if m.Version != 1 && m.Version != 2 {
		panic("BUG: proxyheader: the PROXY protocol has versions 1 and 2")
	}
	h := proxyproto.HeaderProxyFromAddrs(m.Version, tcpAddr(m.Source), tcpAddr(m.Destination))
	tlvs := m.TLVs
	if m.Checksum {
		tlvs = append(tlvs[:len(tlvs):len(tlvs)], byte(CRC32C), 0, checksumLen, 0, 0, 0, 0)
	}
	if len(tlvs) > 0 {
		if m.Version != 2 {
			panic("BUG: proxyheader: TLVs with version 1")
		}
		list, err := proxyproto.SplitTLVs(tlvs)
		if err == nil {
			err = h.SetTLVs(list)
		}
		if err != nil {
			panic("BUG: proxyheader: " + err.Error())
		}
	}
	b, err := h.Format()
	if err != nil {
		panic("BUG: proxyheader: " + err.Error())
	}
	if m.Checksum {
		at := len(b) - checksumLen
		binary.BigEndian.PutUint32(b[at:], sum(b, at))
	}
	return b
}

// Local gives the header for a connection that the sender makes for itself, as
// a health check does: LOCAL in version 2. Version 1 knows no such thing, and
// some servers refuse UNKNOWN, so it names the addresses of that connection, as
// PROXY 2.1 advises.
func Local(version uint8, own, peer netip.AddrPort) []byte {
	m := Message{Version: version}
	if version == 1 {
		m.Source, m.Destination = own, peer
	}
	return m.Format()
}

// tcpAddr gives nil for an invalid address.
func tcpAddr(ap netip.AddrPort) net.Addr {
	if !ap.IsValid() {
		return nil
	}
	return net.TCPAddrFromAddrPort(ap)
}
