package config

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	kindListen   = `an address such as "0.0.0.0:443", ":443" or "unix:/run/x.sock"`
	kindEndpoint = `an address such as "10.0.0.11:8443", "api.internal:8443" or "unix:/run/x.sock"`
	kindPrefix   = `a prefix such as "10.0.0.0/8"`
)

// maxUnixPath is what sockaddr_un holds, less the closing zero.
const maxUnixPath = 107

// parseListen reads where to listen: "ip:port", ":port" for both families,
// "unix:/path". Port 0 lets the kernel choose.
func parseListen(s, dir string) (Address, error) {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		return parseUnix(path, dir)
	}
	host, port, err := splitAddress(s, `":443" or "0.0.0.0:443"`)
	switch {
	case err != nil:
		return Address{}, err
	case host == "":
		return Address{AddrPort: netip.AddrPortFrom(netip.IPv6Unspecified(), port), Dual: true}, nil
	case host == "*":
		return Address{}, fmt.Errorf("is not an address: write \":%d\" to listen on all of them", port)
	case host == "localhost":
		return Address{}, fmt.Errorf("is a name: write an IP address, \"127.0.0.1:%d\" or \"[::1]:%d\"", port, port)
	}
	return joinAddress(host, port, "a listener")
}

// parseEndpoint reads where to connect: "ip:port" or "unix:/path".
func parseEndpoint(s, dir string) (Address, error) {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		return parseUnix(path, dir)
	}
	host, port, err := splitAddress(s, `"10.0.0.11:8443"`)
	switch {
	case err != nil:
		return Address{}, err
	case host == "":
		return Address{}, fmt.Errorf("has no IP address: write \"127.0.0.1:%d\" for this machine", port)
	}
	a, err := joinAddress(host, port, "an endpoint")
	switch {
	case err != nil:
		return Address{}, err
	case port == 0:
		return Address{}, errors.New("has port 0, to which nothing can connect: write a port from 1 to 65535")
	case a.AddrPort.Addr().IsUnspecified():
		return Address{}, errors.New("is no address to connect to: write the one of the endpoint, 127.0.0.1 or [::1] for this machine")
	}
	return a, nil
}

// splitAddress cuts off the port and takes the brackets off an IPv6 address.
func splitAddress(s, example string) (host string, port uint16, err error) {
	if scheme, _, ok := strings.Cut(s, "://"); ok {
		return "", 0, fmt.Errorf("has a scheme in it: leave out \"%s://\" and write an address and a port such as %s", scheme, example)
	}
	if ip, ok := addressAlone(s); ok {
		return "", 0, noPort(s, ip)
	}
	if n, err := strconv.ParseUint(s, 10, 16); err == nil {
		return "", 0, fmt.Errorf("is a port alone: write an address and a port such as %s", strings.ReplaceAll(example, "443", strconv.FormatUint(n, 10)))
	}
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return "", 0, fmt.Errorf("has no port: write an address and a port such as %s", example)
	}
	n, err := strconv.ParseUint(s[i+1:], 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("has no port that is a number from 1 to 65535: write an address and a port such as %s", example)
	}
	host = s[:i]
	if inner, ok := strings.CutPrefix(host, "["); ok {
		host, ok = strings.CutSuffix(inner, "]")
		if !ok || !strings.Contains(host, ":") {
			return "", 0, fmt.Errorf("has brackets that do not hold an IPv6 address: write an address and a port such as %s", example)
		}
	} else if strings.Contains(host, ":") {
		return "", 0, fmt.Errorf("is ambiguous: write the IPv6 address in brackets, such as \"[%s]:%d\"", host, n)
	}
	return host, uint16(n), nil
}

// addressAlone reads an IP address, in brackets or without.
func addressAlone(s string) (netip.Addr, bool) {
	if inner, ok := strings.CutPrefix(s, "["); ok {
		if s, ok = strings.CutSuffix(inner, "]"); !ok {
			return netip.Addr{}, false
		}
	}
	ip, err := netip.ParseAddr(s)
	return ip, err == nil
}

// noPort is the error for an address alone. An IPv6 address without brackets may
// well have the port as its last part.
func noPort(s string, ip netip.Addr) error {
	if ip.Zone() != "" {
		return withZone(ip)
	}
	whole := netip.AddrPortFrom(ip, 443).String()
	if i := strings.LastIndexByte(s, ':'); i >= 0 {
		host, err := netip.ParseAddr(s[:i])
		port, perr := strconv.ParseUint(s[i+1:], 10, 16)
		if err == nil && perr == nil {
			return fmt.Errorf("is ambiguous: write the IPv6 address in brackets, %q, or %q if it has no port",
				netip.AddrPortFrom(host, uint16(port)).String(), whole)
		}
	}
	return fmt.Errorf("has no port: write one behind it, such as %q", whole)
}

func joinAddress(host string, port uint16, what string) (Address, error) {
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return Address{}, fmt.Errorf("has no IP address: %s needs one, names are not looked up", what)
	}
	if ip.Is4In6() {
		return Address{}, fmt.Errorf("is an IPv4 address in IPv6 form: write %q", netip.AddrPortFrom(ip.Unmap(), port).String())
	}
	if ip.Zone() != "" {
		return Address{}, withZone(ip)
	}
	return Address{AddrPort: netip.AddrPortFrom(ip, port)}, nil
}

func withZone(ip netip.Addr) error {
	return fmt.Errorf("has a zone, %q, which is not supported: write an address that is not link-local", ip.Zone())
}

func parseUnix(path, dir string) (Address, error) {
	switch {
	case path == "":
		return Address{}, errors.New(`has no path: write "unix:/run/x.sock"`)
	case path[0] == '@' || strings.ContainsRune(path, 0):
		return Address{}, errors.New(`is an abstract socket, which anybody may bind: write the path of a file, "unix:/run/x.sock"`)
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	path = filepath.Clean(path)
	if len(path) > maxUnixPath {
		return Address{}, fmt.Errorf("is too long: the path of a unix socket has at most %d bytes, and this one has %d", maxUnixPath, len(path))
	}
	return Address{Network: Unix, Path: path}, nil
}

// parsePrefix reads "10.0.0.0/8"; bits behind the prefix must be zero, since
// whoever writes 10.1.0.0/8 means either 10.0.0.0/8 or 10.1.0.0/16.
func parsePrefix(s string) (netip.Prefix, error) {
	if ip, err := netip.ParseAddr(s); err == nil {
		ip = ip.WithZone("").Unmap()
		return netip.Prefix{}, fmt.Errorf("has no length: write \"%s/%d\" for this address alone", ip, ip.BitLen())
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return netip.Prefix{}, errors.New(`is not a prefix: write an address and a length such as "10.0.0.0/8" or "2001:db8::/32"`)
	case p.Addr().Is4In6():
		return netip.Prefix{}, errors.New(`is an IPv4 address in IPv6 form: write it as IPv4, such as "10.0.0.0/8"`)
	case p.Masked() != p:
		return netip.Prefix{}, fmt.Errorf("has bits set behind its length: write %q, or a longer prefix", p.Masked().String())
	}
	return p, nil
}
