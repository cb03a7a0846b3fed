package proxy

import (
	"encoding/binary"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"sluice/config"
	"sluice/proxy/upstream"
)

// setsockopt sets an integer option. It is used for options that every kernel
// this runs on has, on sockets that are ours: it cannot fail.
func setsockopt(fd, level, name int, value int32) {
	unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name),
		uintptr(unsafe.Pointer(&value)), unsafe.Sizeof(value), 0)
}

// setKeepalive sets keep-alive on a TCP descriptor (tcp(7)).
func setKeepalive(fd int, k config.Keepalive) {
	setsockopt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	setsockopt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, seconds(k.Idle))
	setsockopt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, seconds(k.Interval))
	setsockopt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPCNT, int32(k.Probes))
}

// seconds rounds up: the kernel counts keep-alive in whole ones, and 0 is
// refused.
func seconds(d time.Duration) int32 { return int32(max((d+time.Second-1)/time.Second, 1)) }

// sockaddr is a socket address as the kernel takes and gives it.
type sockaddr struct {
	raw unix.RawSockaddrAny
}

// set writes the endpoint's address and gives its family and length.
func (s *sockaddr) set(ep *upstream.Endpoint) (family int, length uintptr) {
	if ep.Address.Path != "" {
		un := (*unix.RawSockaddrUnix)(unsafe.Pointer(&s.raw))
		un.Family = unix.AF_UNIX
		path := unsafe.Slice((*byte)(unsafe.Pointer(&un.Path)), len(un.Path))
		n := copy(path[:len(path)-1], ep.Address.Path)
		return unix.AF_UNIX, unsafe.Offsetof(un.Path) + uintptr(n) + 1
	}
	return s.setTCP(ep.Address.AddrPort)
}

func (s *sockaddr) setTCP(ap netip.AddrPort) (family int, length uintptr) {
	if ap.Addr().Is4() {
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(&s.raw))
		in.Family, in.Addr = unix.AF_INET, ap.Addr().As4()
		putPort(&in.Port, ap.Port())
		return unix.AF_INET, unsafe.Sizeof(*in)
	}
	in := (*unix.RawSockaddrInet6)(unsafe.Pointer(&s.raw))
	in.Family, in.Addr = unix.AF_INET6, ap.Addr().As16()
	putPort(&in.Port, ap.Port())
	return unix.AF_INET6, unsafe.Sizeof(*in)
}

// addrPort reads a TCP address; it is invalid for any other family. An IPv4
// client of a dual-stack socket is given as an IPv4 address.
func (s *sockaddr) addrPort() netip.AddrPort {
	switch s.raw.Addr.Family {
	case unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(&s.raw))
		return netip.AddrPortFrom(netip.AddrFrom4(in.Addr), port(&in.Port))
	case unix.AF_INET6:
		in := (*unix.RawSockaddrInet6)(unsafe.Pointer(&s.raw))
		return netip.AddrPortFrom(netip.AddrFrom16(in.Addr).Unmap(), port(&in.Port))
	}
	return netip.AddrPort{}
}

// Ports are in network byte order.
func putPort(p *uint16, v uint16) {
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(p))[:], v)
}

func port(p *uint16) uint16 { return binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(p))[:]) }

// localAddress gives a TCP descriptor's own address; invalid for others.
func localAddress(fd int) netip.AddrPort {
	var sa sockaddr
	length := uint32(unsafe.Sizeof(sa.raw))
	if _, _, errno := unix.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd),
		uintptr(unsafe.Pointer(&sa.raw)), uintptr(unsafe.Pointer(&length))); errno != 0 {
		return netip.AddrPort{}
	}
	return sa.addrPort()
}
