package proxy

import (
	"fmt"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"sluice/config"
)

// source is from where a cluster's TCP endpoints are connected; nil leaves it to
// the kernel. Nothing that goes wrong with it is an endpoint's fault.
type source struct {
	address     netip.Addr // fixed, or
	transparent bool       // the client's own
}

func compileSource(spec *config.Cluster) *source {
	if !spec.SourceAddress.IsValid() && !spec.SourceTransparent {
		return nil
	}
	return &source{address: spec.SourceAddress, transparent: spec.SourceTransparent}
}

// bindSource binds a socket that is about to be connected. The kernel chooses
// the port with the connection, when it knows the other end: a port is then only
// taken for that one (ip(7), IP_BIND_ADDRESS_NO_PORT), and 64,000 connections are
// possible to each endpoint rather than to all together.
func (c *conn) bindSource(fd, family int) syscall.Errno {
	from := c.cluster.source
	if from == nil || family == unix.AF_UNIX {
		return 0
	}
	address, ok := from.of(&c.setup.facts, family == unix.AF_INET)
	if from.transparent {
		if errno := setTransparent(fd, family); errno != 0 {
			return errno
		}
	}
	if !ok {
		return syscall.EAFNOSUPPORT
	}
	setsockopt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1) // also for IPv6
	var sa sockaddr
	_, length := sa.setTCP(netip.AddrPortFrom(address, 0))
	_, _, errno := unix.RawSyscall(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&sa.raw)), length)
	if errno != 0 && !ownTrouble(errno) {
		errno = syscall.EADDRNOTAVAIL
	}
	return errno
}

// of gives the address from which an endpoint is connected for a client; ok is
// false when it is none of the endpoint's family.
func (from *source) of(f *facts, v4 bool) (address netip.Addr, ok bool) {
	address = from.address
	if from.transparent {
		address = f.source.Addr().Unmap()
	}
	return address, address.IsValid() && address.Is4() == v4
}

// setTransparent lets a socket have an address that is not this machine's
// (ip(7), IP_TRANSPARENT).
func setTransparent(fd, family int) syscall.Errno {
	level, name := unix.IPPROTO_IP, unix.IP_TRANSPARENT
	if family == unix.AF_INET6 {
		level, name = unix.IPPROTO_IPV6, unix.IPV6_TRANSPARENT
	}
	on := int32(1)
	_, _, errno := unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name),
		uintptr(unsafe.Pointer(&on)), unsafe.Sizeof(on), 0)
	return errno
}

// mayBeTransparent tells why a configuration with source_transparent cannot
// work here. It is better known at the start than from every connection.
func mayBeTransparent(cfg *config.Config) error {
	for _, cl := range cfg.Clusters {
		if !cl.SourceTransparent {
			continue
		}
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("cluster %q: source_transparent: %w", cl.Name, err)
		}
		defer unix.Close(fd)
		switch errno := setTransparent(fd, unix.AF_INET); errno {
		case 0:
			return nil
		case syscall.EPERM:
			return fmt.Errorf("cluster %q: source_transparent needs the capability CAP_NET_ADMIN (AmbientCapabilities in a systemd unit)", cl.Name)
		default:
			return fmt.Errorf("cluster %q: source_transparent: %w", cl.Name, errno)
		}
	}
	return nil
}
