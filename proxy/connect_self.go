package proxy

import (
	"fmt"
	"net/netip"
	"os"
	"syscall"

	"sluice/proxy/relay"
	"sluice/proxy/upstream"
)

// An endpoint on this machine that nobody listens on is not always refused: when
// the kernel happens to give the connection the endpoint's own port, it connects
// it to itself (RFC 9293 3.5, simultaneous open). The client would get back what
// it says, and the endpoint could not start again, its port being taken.

// portRange is the ports, both ends among them, that the kernel gives to
// connections.
type portRange struct{ first, last uint16 }

// localPortRange reads it (ip(7), ip_local_port_range). Where it cannot be read
// every port may be one.
func localPortRange() portRange {
	var r portRange
	b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err == nil {
		_, err = fmt.Sscan(string(b), &r.first, &r.last)
	}
	if err != nil {
		return portRange{1, 1<<16 - 1}
	}
	return r
}

func (r portRange) holds(port uint16) bool { return r.first <= port && port <= r.last }

// noteLocal takes note of the address that the connection to the endpoint has
// here, and refuses one that is connected to itself. Without records the address
// is only asked for where that can be.
func (c *conn) noteLocal(ep *upstream.Endpoint) syscall.Errno {
	remote := ep.Address.AddrPort
	c.record.upstreamLocal = compactAddr{} // of an attempt before
	if !remote.IsValid() || c.w.records == nil && !c.w.gateway.localPorts.holds(remote.Port()) {
		return 0
	}
	local := localAddress(int(c.fds[relay.Upstream]))
	if local == netip.AddrPortFrom(remote.Addr().WithZone(""), remote.Port()) {
		return syscall.ECONNREFUSED
	}
	c.record.upstreamLocal = compact(local)
	return 0
}
