package proxy

import (
	"context"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"sluice/proxy/upstream"
)

// dialerFrom connects as the cluster's connections do, but with an ordinary
// net.Conn, for health checks. A check has no client whose address it could have,
// so a transparent source is the kernel's choice there.
func dialerFrom(from *source) func(context.Context, upstream.Address) (net.Conn, error) {
	return func(ctx context.Context, a upstream.Address) (net.Conn, error) {
		d := net.Dialer{KeepAlive: -1} // a check is over before one would be sent
		if a.Path != "" {
			return d.DialContext(ctx, "unix", a.Path)
		}
		if from != nil && from.address.IsValid() {
			if from.address.Is4() != a.AddrPort.Addr().Is4() {
				return nil, syscall.EAFNOSUPPORT
			}
			d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from.address, 0))
			d.Control = bindWithoutPort
		}
		return d.DialContext(ctx, "tcp", a.AddrPort.String())
	}
}

// bindWithoutPort leaves the port to connect; see bindSource.
func bindWithoutPort(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) { setsockopt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1) })
}
