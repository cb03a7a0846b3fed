package config

import (
	"errors"
	"net/netip"
	"slices"
)

// The words of a cluster's proxy_protocol, in the order of [ProxyTLVs].
const (
	tlvAuthority = "authority"
	tlvALPN      = "alpn"
	tlvUniqueID  = "unique_id"
	tlvSSL       = "ssl"
	tlvCRC32C    = "crc32c"
)

const (
	// defaultProxyVersion is the one that can carry everything.
	defaultProxyVersion = 2
	// trustUnix stands among prefixes for the peers of unix sockets, as in
	// nginx's set_real_ip_from.
	trustUnix = "unix:"
)

// decodeProxyProtocol reads the proxy_protocol of a listener, whose addresses
// have been read; nil when there is none, so that no header is looked for.
func (d *listenerDecl) decodeProxyProtocol(b *block) *ProxyProtocol {
	if p, ok := b.one("proxy_protocol"); ok {
		return d.readProxyProtocol(p)
	}
	return nil
}

func (d *listenerDecl) readProxyProtocol(p *block) *ProxyProtocol {
	failures := p.failures
	out := &ProxyProtocol{Required: p.word("mode", "require", "require", "optional") == "require"}
	trusted, there := listOf(p, "trusted", func(s setting) (netip.Prefix, bool) {
		return parseSetting(s, kindPrefix, parseTrusted)
	})
	for _, prefix := range trusted {
		if prefix.IsValid() {
			out.Trusted = append(out.Trusted, prefix)
		} else {
			out.TrustUnix = true
		}
	}
	tcp := slices.ContainsFunc(d.Addresses, func(a Address) bool { return a.Network == TCP })
	const example = "such as trusted = [\"10.0.0.0/8\"]"
	switch {
	case p.failures != failures:
	case !there && p.complete():
		p.errorf(p.def, "Missing trusted", "Who sends a header can claim any address, so it has to be said who may: write the addresses of the proxies in front, "+example+".")
	case there && len(trusted) == 0:
		p.errorf(p.attrs["trusted"].Expr.Range(), "Nobody is trusted", "No peer could send a header: write the addresses of the proxies in front, "+example+", or leave the block out.")
	case there && !tcp && !d.addressesBad && !out.TrustUnix:
		p.errorf(p.attrs["trusted"].Expr.Range(), "Nobody is trusted", "The listener %q has unix sockets only, whose peers have no IP address: write trusted = [%q].", d.Name, trustUnix)
	}
	return out
}

// parseTrusted is parsePrefix, and gives the invalid prefix for the peers of
// unix sockets.
func parseTrusted(s string) (netip.Prefix, error) {
	if s == trustUnix {
		return netip.Prefix{}, nil
	}
	return parsePrefix(s)
}

// decodeProxyHeader reads the proxy_protocol of a cluster; nil when there is
// none, so that no header is sent.
func decodeProxyHeader(b *block) *ProxyHeader {
	if p, ok := b.one("proxy_protocol"); ok {
		return readProxyHeader(p)
	}
	return nil
}

func readProxyHeader(p *block) *ProxyHeader {
	words := []string{tlvAuthority, tlvALPN, tlvUniqueID, tlvSSL, tlvCRC32C}
	tlvs, _ := listOf(p, "tlvs", func(s setting) (string, bool) {
		return parseSetting(s, quotedOr(words), func(word string) (string, error) {
			if !slices.Contains(words, word) {
				return "", errUnknownWord(word, words)
			}
			return word, nil
		})
	})
	h := &ProxyHeader{
		Version:         uint8(p.integer("version", defaultProxyVersion, 1, 2)),
		PassThroughTLVs: p.boolean("pass_through_tlvs", false),
		TLVs: ProxyTLVs{
			Authority: slices.Contains(tlvs, tlvAuthority),
			ALPN:      slices.Contains(tlvs, tlvALPN),
			UniqueID:  slices.Contains(tlvs, tlvUniqueID),
			SSL:       slices.Contains(tlvs, tlvSSL),
			CRC32C:    slices.Contains(tlvs, tlvCRC32C),
		},
	}
	if h.Version == 1 {
		const advice = "Version 1 is a line of text that holds addresses and nothing else. Leave %s out, or write version = 2."
		if len(tlvs) > 0 {
			p.errorf(p.attrs["tlvs"].NameRange, "TLVs in version 1", advice, "tlvs")
		}
		if h.PassThroughTLVs {
			p.errorf(p.attrs["pass_through_tlvs"].NameRange, "TLVs in version 1", advice, "pass_through_tlvs")
		}
	}
	return h
}

// decodeSource reads from where a cluster's endpoints are connected.
func decodeSource(b *block, c *Cluster) {
	c.SourceTransparent = b.boolean("source_transparent", false)
	s, ok := b.setting("source_address")
	if !ok {
		return
	}
	c.SourceAddress, ok = parseSetting(s, kindIP, parseSourceAddress)
	if !ok || !c.SourceAddress.IsValid() {
		return
	}
	if c.SourceTransparent {
		s.errorf(s.at, "Two kinds of source", "source_address stands beside source_transparent, with which the client's own address is the source. Leave one of the two out.")
		return
	}
	for _, e := range c.Endpoints {
		if e.Address.Network == TCP && e.Address.AddrPort.Addr().Is4() != c.SourceAddress.Is4() {
			s.errorf(s.at, "Source of another family", "The endpoint %s cannot be connected from %s: one is an IPv4 address and the other an IPv6 address. Put the endpoints of each family into a cluster of its own.",
				shown(e.Address.String(), b.hidden), shown(c.SourceAddress.String(), s.secret))
			return
		}
	}
}

const kindIP = `an IP address such as "10.0.0.5"`

// parseSourceAddress reads an address without a port; the kernel chooses that
// anew for every connection. Empty is none.
func parseSourceAddress(s string) (netip.Addr, error) {
	if s == "" {
		return netip.Addr{}, nil
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return netip.Addr{}, errors.New("has a port, and the kernel chooses that: write \"" + ap.Addr().String() + "\"")
	}
	if p, err := netip.ParsePrefix(s); err == nil {
		return netip.Addr{}, errors.New("is a prefix: write one address, such as \"" + p.Addr().String() + "\"")
	}
	ip, err := netip.ParseAddr(s)
	switch {
	case err != nil:
		return netip.Addr{}, errors.New(`is not an IP address: write one of this machine's, such as "10.0.0.5"`)
	case ip.Is4In6():
		return netip.Addr{}, errors.New("is an IPv4 address in IPv6 form: write \"" + ip.Unmap().String() + "\"")
	case ip.Zone() != "":
		return netip.Addr{}, errors.New("has a zone, which is not supported: write an address that is not link-local")
	case ip.IsUnspecified() || ip.IsMulticast():
		return netip.Addr{}, errors.New(`is no address to connect from: write one of this machine's, or leave source_address out`)
	}
	return ip, nil
}
