package config

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// Defaults and bounds of discovery.
const (
	// defaultRefresh is how late a change is noticed at most.
	defaultRefresh = 10 * time.Second
	// defaultMinTTL keeps a record with TTL 0 from being asked for all the time.
	defaultMinTTL = time.Second
	// shortestRefresh is what a resolver can be asked to bear.
	shortestRefresh = 10 * time.Millisecond
)

const (
	kindHost     = `a host name such as "api.internal"`
	kindResolver = `the address of a resolver such as "10.0.0.53:53"`
)

// attributesOfDiscovery are those of each kind of discovery block.
var attributesOfDiscovery = map[string][]string{
	"dns":  {"host", "port", "type", "refresh", "min_ttl", "resolvers"},
	"file": {"path"},
}

// decodeDiscoveries reads the discovery blocks of a cluster.
func decodeDiscoveries(b *block) []Discovery {
	var list []Discovery
	seen := map[string]hcl.Range{}
	for _, d := range b.all("discovery") {
		if !isLabel(d.label) {
			continue // it was reported
		}
		if attributesOfDiscovery[d.label] == nil {
			d.errorf(d.at, "Unknown discovery", "%q is not known. %s", d.label, orWords(d.label, []string{"dns", "file"}))
			continue
		}
		failures := d.failures
		d.checkDiscovery()
		found := Discovery{Pos: posOf(d.def)}
		key := ""
		if d.label == "dns" {
			found.DNS = decodeDNS(d)
			key = fmt.Sprint("dns ", found.DNS.Host, " ", found.DNS.Port, " ", found.DNS.SRV, " ", found.DNS.Resolvers)
		} else {
			found.File = d.required("path")
			key = "file " + found.File
		}
		if d.failures != failures {
			continue
		}
		if first, twice := seen[key]; twice {
			d.errorf(d.at, "Duplicate discovery", "The same is looked up at %s. Leave one out.", posOf(first))
			continue
		}
		seen[key] = d.at
		list = append(list, found)
	}
	return list
}

// checkDiscovery reports attributes that are those of the other kind.
func (b *block) checkDiscovery() {
	for _, kind := range []string{"dns", "file"} {
		if kind == b.label {
			continue
		}
		for _, name := range attributesOfDiscovery[kind] {
			if b.has(name) {
				b.errorf(b.attrs[name].NameRange, "Unused "+name, "%s belongs to discovery %q. Known in discovery %q: %s.", name, kind, b.label, strings.Join(attributesOfDiscovery[b.label], ", "))
			}
		}
	}
}

func decodeDNS(b *block) *DNSDiscovery {
	d := &DNSDiscovery{
		Host:    parsed(b, "host", "", kindHost, parseHost),
		Port:    uint16(b.integer("port", 0, 1, 65_535)),
		SRV:     b.word("type", "a", "a", "srv") == "srv",
		Refresh: b.atLeast("refresh", defaultRefresh, shortestRefresh),
		Weight:  1,
	}
	d.Resolvers = parsedList(b, "resolvers", kindResolver, parseResolver)
	d.MinTTL = b.atLeast("min_ttl", min(defaultMinTTL, d.Refresh), shortestRefresh)
	if d.MinTTL > d.Refresh {
		b.errorf(b.attrs["min_ttl"].Expr.Range(), "Invalid min_ttl", "It is longer than refresh, %s, which is the longest pause between two looks. Write at most that.", shown(strconv.Quote(d.Refresh.String()), b.hidden))
	}
	switch {
	case !b.has("host") && b.complete():
		b.errorf(b.def, "Missing host", "There is nothing to look up: write host = \"api.internal\".")
	case d.SRV && b.has("port"):
		b.errorf(b.attrs["port"].NameRange, "Unused port", "SRV records say the port themselves. Leave port out, or write type = \"a\".")
	case !d.SRV && !b.has("port") && b.complete() && b.has("host"):
		b.errorf(b.def, "Missing port", "The addresses of %s need a port: write port = 8443. SRV records have one: write type = \"srv\" for those.", shown(d.Host, b.hidden))
	}
	return d
}

// hostPort is an endpoint that is given by name.
type hostPort struct {
	host string
	port uint16
}

func (h hostPort) String() string { return fmt.Sprintf("%s:%d", h.host, h.port) }

// discovery is what the name stands for: discovery "dns" with its defaults.
func (h hostPort) discovery(pos Pos, like Endpoint, name string) Discovery {
	return Discovery{Pos: pos, DNS: &DNSDiscovery{
		Host: h.host, Port: h.port, Refresh: defaultRefresh, MinTTL: defaultMinTTL,
		Name: name, Weight: like.Weight, Priority: like.Priority, MaxConnections: like.MaxConnections,
	}}
}

// parseHost reads a host name, for use with DNS and as the name of a peer.
func parseHost(s string) (string, error) {
	name := strings.TrimSuffix(s, ".")
	switch {
	case name == "":
		return "", errors.New(`is empty: write a name such as "api.internal"`)
	case isLiteral(name):
		return "", errors.New("is an IP address: write it among the endpoints, where it needs no looking up")
	case strings.ContainsAny(s, "/:"):
		return "", fmt.Errorf("is more than a name: write the name alone, %q", bareHost(s))
	case strings.Contains(name, "*"):
		return "", errors.New("has a wildcard in it, which is not a name of anything")
	case len(name) > maxServerName:
		return "", fmt.Errorf("has %d bytes: a name has at most %d", len(name), maxServerName)
	}
	last := ""
	for label := range strings.SplitSeq(name, ".") {
		if err := checkLabel(label); err != nil {
			return "", err
		}
		last = label
	}
	if _, err := strconv.ParseUint(last, 10, 64); err == nil {
		return "", errors.New("ends in a number, as an IP address does, and is none: check the numbers")
	}
	return strings.ToLower(s), nil
}

func parseResolver(s string) (netip.AddrPort, error) {
	if ip, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return netip.AddrPort{}, fmt.Errorf("has no port: write %q", netip.AddrPortFrom(ip, 53).String())
	}
	ap, err := netip.ParseAddrPort(s)
	if err != nil || ap.Port() == 0 || ap.Addr().IsUnspecified() {
		return netip.AddrPort{}, errors.New(`is not the address of a resolver: write an IP address and a port such as "10.0.0.53:53"`)
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), nil
}

// parseEndpointSetting reads an endpoint: an address, or (second) a host name
// with a port.
func parseEndpointSetting(s setting, dir string) (Address, hostPort, bool) {
	var h hostPort
	a, ok := parseSetting(s, kindEndpoint, func(text string) (a Address, err error) {
		if h, err = parseHostPort(text); err == nil && h.host == "" {
			a, err = parseEndpoint(text, dir)
		}
		return a, err
	})
	return a, h, ok
}

// parseHostPort reads "api.internal:8443". It gives none, and no error, for
// what is not meant to be a name.
func parseHostPort(s string) (hostPort, error) {
	i := strings.LastIndexByte(s, ':')
	if i <= 0 || strings.HasPrefix(s, "unix:") || strings.Contains(s, "://") || strings.ContainsAny(s[:i], ":[]") {
		return hostPort{}, nil
	}
	port, err := strconv.ParseUint(s[i+1:], 10, 16)
	if _, isIP := netip.ParseAddr(s[:i]); err != nil || isIP == nil {
		return hostPort{}, nil
	}
	host, err := parseHost(s[:i])
	switch {
	case err != nil:
		return hostPort{}, fmt.Errorf("does not begin with an address or a host name: %q %w", s[:i], err)
	case port == 0:
		return hostPort{}, errors.New("has port 0, to which nothing can connect: write a port from 1 to 65535")
	}
	return hostPort{host, uint16(port)}, nil
}

// endpointList gathers the endpoints of a cluster, each of which may stand
// there once.
type endpointList struct {
	endpoints   []Endpoint
	discoveries []Discovery // of those that are given by name

	addresses map[string]hcl.Range // as they are written
	names     map[string]hcl.Range
}

// add takes an endpoint: one by name when host has one. A name of "" is for one
// that was given none.
func (l *endpointList) add(s setting, e Endpoint, host hostPort, hidden bool) {
	address := e.Address.String()
	if host.host != "" {
		address = host.String()
	}
	if first, twice := l.addresses[address]; twice {
		s.errorf(s.at, "Duplicate endpoint", "The address %s is an endpoint of this cluster already, at %s. Leave one out, or raise the weight of the other.",
			shown(address, hidden), posOf(first))
		return
	}
	name := e.Name
	if name == "" {
		name = address
	}
	if first, twice := l.names[name]; twice {
		s.errorf(s.at, "Duplicate endpoint name", "Another endpoint of this cluster has the name %s, at %s. Give it a name of its own.",
			shown(strconv.Quote(name), hidden), posOf(first))
		return
	}
	l.addresses[address], l.names[name] = s.at, s.at
	if host.host != "" {
		l.discoveries = append(l.discoveries, host.discovery(posOf(s.at), e, e.Name))
		return
	}
	e.Name = name
	l.endpoints = append(l.endpoints, e)
}

// decodeEndpoints reads the short form, then the blocks.
func decodeEndpoints(b *block) *endpointList {
	l := &endpointList{addresses: map[string]hcl.Range{}, names: map[string]hcl.Range{}}
	dir := b.directory("endpoints")
	b.elements("endpoints", func(s setting) {
		if a, host, ok := parseEndpointSetting(s, dir); ok {
			l.add(s, Endpoint{Address: a, Weight: 1}, host, s.secret)
		}
	})
	for _, e := range b.all("endpoint") {
		if !isLabel(e.label) {
			continue // it was reported
		}
		s := setting{loader: b.loader, name: "endpoint", value: cty.StringVal(e.label), at: e.at, secret: e.secret}
		a, host, ok := parseEndpointSetting(s, directoryOf(e.def.Filename))
		spec := Endpoint{
			Address:        a,
			Weight:         e.weight(),
			Priority:       e.integer("priority", 0, 0, maxPriority),
			MaxConnections: e.integer("max_connections", 0, 0, maxConnections),
		}
		if ok {
			spec.Name = parsed(e, "name", "", "a name", notEmpty)
			l.add(s, spec, host, e.hidden)
		}
	}
	return l
}
