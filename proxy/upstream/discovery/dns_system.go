package discovery

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// systemFiles are where the system says how it looks names up. They are small
// and read each time, so that a change needs no restart.
type systemFiles struct {
	resolvConf, hosts string // paths; empty: the usual ones
}

// config reads resolv.conf. Without the file, or without a server in it, the
// server is the one on this machine (resolv.conf(5)).
func (s systemFiles) config() (*dns.ClientConfig, error) {
	path := s.resolvConf
	if path == "" {
		path = "/etc/resolv.conf"
	}
	c, err := dns.ClientConfigFromFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		c, err = &dns.ClientConfig{Port: "53", Ndots: 1}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if len(c.Servers) == 0 {
		c.Servers = []string{"127.0.0.1"}
	}
	return c, nil
}

func (s systemFiles) servers() ([]netip.AddrPort, error) {
	c, err := s.config()
	if err != nil {
		return nil, err
	}
	var servers []netip.AddrPort
	for _, server := range c.Servers {
		if ap, err := netip.ParseAddrPort(net.JoinHostPort(server, c.Port)); err == nil {
			servers = append(servers, ap)
		}
	}
	if len(servers) == 0 {
		return nil, errors.New("resolv.conf names no server by an IP address")
	}
	return servers, nil
}

// names gives the names to ask for, in order: with a resolver of its own, and
// for a name out of DNS, only the name itself; else as the search list of the
// system says.
func (r *resolver) names(host string, absolute bool) ([]string, error) {
	if _, ok := dns.IsDomainName(host); !ok {
		return nil, fmt.Errorf("%q is not a name that DNS can hold", host)
	}
	if absolute || len(r.servers) > 0 {
		return []string{dns.Fqdn(host)}, nil
	}
	c, err := r.system.config()
	if err != nil {
		return nil, err
	}
	names := slices.DeleteFunc(c.NameList(host), func(name string) bool {
		_, ok := dns.IsDomainName(name)
		return !ok // a search list may hold ".", which does not go behind a name
	})
	return names, nil
}

// hosts gives the addresses of a name in /etc/hosts, without an error where
// there is no such file or line. It applies where the system's servers do.
func (r *resolver) hosts(host string) []netip.Addr {
	if len(r.servers) > 0 {
		return nil
	}
	path := r.system.hosts
	if path == "" {
		path = "/etc/hosts"
	}
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	return readHosts(f, host)
}

// readHosts reads hosts(5).
func readHosts(f io.Reader, host string) []netip.Addr {
	var ips []netip.Addr
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(line)
		if len(fields) < 2 || !slices.ContainsFunc(fields[1:], func(name string) bool { return key(name) == key(host) }) {
			continue
		}
		if ip, _ := netip.ParseAddr(fields[0]); connectable(ip.Unmap()) {
			ips = append(ips, ip.Unmap())
		}
	}
	return ips
}
