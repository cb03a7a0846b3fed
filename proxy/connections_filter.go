package proxy

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"sluice/proxy/status"
	"sluice/proxy/upstream"
)

// ErrFilter is what is wrong with a filter of connections; the error that wraps
// it says what and what to write instead.
var ErrFilter = errors.New("bad filter")

// connectionFilter is a filter of connections in a form in which asking it costs a
// few comparisons: a worker asks it for each of its connections.
type connectionFilter struct {
	after                    uint64
	limit                    int
	sni                      string // in lower case; below: all names that end in it
	below                    bool
	source                   netip.Prefix
	listener, chain, cluster string
	endpoint                 string           // its name
	address                  upstream.Address // or its address
	byEndpoint               bool
}

// newConnectionFilter gives an error that wraps [ErrFilter] for a filter that
// cannot be meant.
func newConnectionFilter(f status.ConnectionFilter) (*connectionFilter, error) {
	c := &connectionFilter{after: f.After, limit: f.Limit, listener: f.Listener, chain: f.Chain, cluster: f.Cluster, endpoint: f.Endpoint, byEndpoint: f.Endpoint != ""}
	switch {
	case c.limit == 0:
		c.limit = status.DefaultLimit
	case c.limit < 0 || c.limit > status.MaxLimit:
		return nil, fmt.Errorf("%w: limit is %d: write 1 to %d, and ask for the next page with after", ErrFilter, f.Limit, status.MaxLimit)
	}
	c.sni = strings.TrimSuffix(strings.ToLower(f.SNI), ".")
	if rest, wildcard := strings.CutPrefix(c.sni, "*."); wildcard {
		c.sni, c.below = "."+rest, true
	}
	if f.Source != "" {
		var err error
		if c.source, err = parseSource(f.Source); err != nil {
			return nil, fmt.Errorf("%w: source is %q: write an address (10.1.2.3) or a prefix (10.0.0.0/8)", ErrFilter, f.Source)
		}
	}
	if path, unix := strings.CutPrefix(f.Endpoint, "unix:"); unix {
		c.address.Path = path
	} else if ap, err := netip.ParseAddrPort(f.Endpoint); err == nil {
		c.address.AddrPort = ap
	}
	return c, nil
}

// parseSource reads an address, or a prefix, in the form in which sources are
// compared.
func parseSource(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Unmap().WithZone("").Prefix(a.Unmap().BitLen())
	}
	p, err := netip.ParsePrefix(s)
	return p.Masked(), err
}

// takes tells whether the filter lets a connection through. The connection's
// worker calls it.
func (f *connectionFilter) takes(c *conn) bool {
	r := &c.record
	switch {
	case r.id <= f.after:
	case f.listener != "" && f.listener != c.listener.name:
	case f.chain != "" && (c.chain == nil || f.chain != c.chain.name):
	case f.cluster != "" && (c.cluster == nil || f.cluster != c.cluster.Name):
	case f.sni != "" && !f.takesName(r.sni):
	case f.source.IsValid() && !f.source.Contains(r.source.addrPort().Addr().Unmap().WithZone("")):
	case f.byEndpoint && (c.endpoint == nil || c.endpoint.Address != f.address && c.endpoint.Name() != f.endpoint):
	default:
		return true
	}
	return false
}

func (f *connectionFilter) takesName(name *string) bool {
	switch {
	case name == nil:
		return false
	case f.below:
		return strings.HasSuffix(*name, f.sni)
	}
	return *name == f.sni
}
