package status

import (
	"net/netip"
	"slices"
	"strings"
)

// ListenerFilter says which listeners, and which of their filter chains, are
// meant. An empty field, of this and of the other filters, means all.
type ListenerFilter struct {
	Address string // of the listener: without its port, with it, or the path of a unix socket
	Port    string // of the listener
	Type    string // of the chain: passthrough terminated, what it does with TLS
	Chain   string // the chain's name
}

// RouteFilter says which routes are meant.
type RouteFilter struct {
	Name string // "chain", or "listener/chain"
	SNI  string // a server name that the route's domains hold for, or one of them as it is written
}

// ClusterFilter says which clusters are meant.
type ClusterFilter struct {
	Name string
	FQDN string // a part of its name, or of what its discovery asks for
	Port string // of its endpoints
}

// EndpointFilter says which endpoints are meant.
type EndpointFilter struct {
	Address string // without its port, with it, or the endpoint's name
	Port    string
	Cluster string
	Status  string // healthy unhealthy unchecked drain maint, or ejected
}

// SecretFilter says which certificates are meant.
type SecretFilter struct {
	Name string // "listener/chain", either of the two, or "cluster"
}

// FilterListeners gives the listeners that are meant, in their order. Of a
// listener only those chains are left that are meant; one of which none is left
// is not among them. What it is given stays as it is.
func FilterListeners(all []Listener, f ListenerFilter) []Listener {
	kept := []Listener{}
	for _, ln := range all {
		if f.Address != "" && !slices.ContainsFunc(ln.Addresses, func(a string) bool { return hasAddress(a, f.Address) }) ||
			f.Port != "" && !slices.ContainsFunc(ln.Addresses, func(a string) bool { return Port(a) == f.Port }) {
			continue
		}
		if f.Type != "" || f.Chain != "" {
			chains := keep(ln.FilterChains, func(c *FilterChain) bool {
				return (f.Type == "" || strings.EqualFold(c.TLS, f.Type)) && (f.Chain == "" || c.Name == f.Chain)
			})
			if len(chains) == 0 {
				continue
			}
			ln.FilterChains = chains
		}
		kept = append(kept, ln)
	}
	return kept
}

// FilterRoutes gives the routes that are meant, in their order.
func FilterRoutes(all []Route, f RouteFilter) []Route {
	return keep(all, func(r *Route) bool {
		return (f.Name == "" || r.Name == f.Name || r.Listener+"/"+r.Name == f.Name) &&
			(f.SNI == "" || slices.ContainsFunc(r.Domains, func(d string) bool { return domainHolds(d, f.SNI) }))
	})
}

// FilterClusters gives the clusters that are meant, in their order.
func FilterClusters(all []Cluster, f ClusterFilter) []Cluster {
	return keep(all, func(c *Cluster) bool {
		return (f.Name == "" || c.Name == f.Name) &&
			(f.Port == "" || c.Port == f.Port) &&
			(f.FQDN == "" || strings.Contains(c.Name, f.FQDN) ||
				slices.ContainsFunc(c.Discovery, func(d string) bool { return strings.Contains(d, f.FQDN) }))
	})
}

// FilterEndpoints gives the endpoints that are meant, in their order.
func FilterEndpoints(all []Endpoint, f EndpointFilter) []Endpoint {
	return keep(all, func(e *Endpoint) bool {
		return (f.Address == "" || e.Name == f.Address || hasAddress(e.Address, f.Address)) &&
			(f.Port == "" || Port(e.Address) == f.Port) &&
			(f.Cluster == "" || e.Cluster == f.Cluster) &&
			(f.Status == "" || strings.EqualFold(e.Status, f.Status) || strings.EqualFold(e.Outlier, f.Status))
	})
}

// FilterSecrets gives the certificates that are meant, in their order.
func FilterSecrets(all []Secret, f SecretFilter) []Secret {
	return keep(all, func(s *Secret) bool {
		listener, chain, _ := strings.Cut(s.Name, "/")
		return f.Name == "" || s.Name == f.Name || listener == f.Name || chain == f.Name
	})
}

// FilterConnections gives a page of the connections that are meant, in the order
// of their IDs, which all must be in. Its total is the number of all.
func FilterConnections(all []Connection, f ConnectionFilter) Connections {
	page := Connections{Connections: []Connection{}, Total: len(all)}
	limit := f.Limit
	if limit == 0 {
		limit = DefaultLimit
	}
	for i := range all {
		if all[i].ID <= f.After || !f.Holds(&all[i]) {
			continue
		}
		if len(page.Connections) == limit {
			page.Next = page.Connections[limit-1].ID
			break
		}
		page.Connections = append(page.Connections, all[i])
	}
	return page
}

// Holds tells whether a connection is meant, wherever After says that the page
// begins.
func (f *ConnectionFilter) Holds(c *Connection) bool {
	return (f.SNI == "" || nameHolds(f.SNI, c.SNI)) &&
		(f.Source == "" || sourceHolds(f.Source, c.Source)) &&
		(f.Listener == "" || c.Listener == f.Listener) &&
		(f.Chain == "" || c.FilterChain == f.Chain) &&
		(f.Cluster == "" || c.Cluster == f.Cluster) &&
		(f.Endpoint == "" || c.Endpoint == f.Endpoint || c.EndpointAddress == f.Endpoint)
}

// keep gives those for which f is true, in a list that is not null.
func keep[T any](all []T, f func(*T) bool) []T {
	kept := []T{}
	for i := range all {
		if f(&all[i]) {
			kept = append(kept, all[i])
		}
	}
	return kept
}

// Host gives the address without its port: "::1" of "[::1]:443". A unix socket
// is given as it is.
func Host(address string) string {
	if i := portAt(address); i >= 0 {
		return strings.TrimSuffix(strings.TrimPrefix(address[:i], "["), "]")
	}
	return address
}

// Port gives the port of an address, and "" of a unix socket.
func Port(address string) string {
	if i := portAt(address); i >= 0 {
		return address[i+1:]
	}
	return ""
}

// portAt is where the colon before the port is, or -1.
func portAt(address string) int {
	if strings.HasPrefix(address, "unix:") {
		return -1
	}
	return strings.LastIndexByte(address, ':')
}

func hasAddress(address, want string) bool {
	return address == want || Host(address) == strings.TrimSuffix(strings.TrimPrefix(want, "["), "]") ||
		address == "unix:"+want
}

// domainHolds tells whether one of a route's domains, which may be a wildcard,
// holds for a name.
func domainHolds(domain, name string) bool {
	return domain == "*" || nameHolds(domain, name)
}

// nameHolds tells whether name is pattern, or below it when that has a leading
// "*.". Case is as little a difference as it is in a match, and a trailing dot.
func nameHolds(pattern, name string) bool {
	pattern, name = strings.TrimSuffix(strings.ToLower(pattern), "."), strings.ToLower(name)
	return pattern == name || strings.HasPrefix(pattern, "*.") && strings.HasSuffix(name, pattern[1:]) && len(name) >= len(pattern)
}

// sourceHolds tells whether a source address with its port is the address that
// is wanted, or in the prefix.
func sourceHolds(want, source string) bool {
	ap, err := netip.ParseAddrPort(source)
	if err != nil {
		return false // the peer of a unix socket
	}
	addr := ap.Addr().Unmap().WithZone("")
	if prefix, err := netip.ParsePrefix(want); err == nil {
		return prefix.Masked().Contains(addr)
	}
	wanted, err := netip.ParseAddr(want) // it can be written in several ways
	return err == nil && wanted.Unmap().WithZone("") == addr
}
