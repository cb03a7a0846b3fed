package config

import "slices"

// checkUpstreamTLS checks what leads to a cluster that speaks TLS to its
// endpoints.
func (l *loader) checkUpstreamTLS(c *chainDecl, ref clusterRef, d *clusterDecl) {
	if d.TLS == nil || c.TLS != nil {
		return
	}
	m := &c.Match
	if m.TransportProtocol == TransportTLS || m.impliesTLS() {
		l.errorf(ref.at, "TLS inside TLS", "The chain passes its clients' TLS through, and the cluster has a tls block (%s), so its endpoints would get TLS inside TLS. To decrypt here and encrypt again, add a tls block with a certificate to the chain; to pass TLS through, lead to a cluster without one.", posOf(d.tlsAt))
		return
	}
	if d.tlsBad || d.TLS.ServerName != "" || d.TLS.InsecureSkipVerify || d.nameless || !d.hasNameless() {
		return
	}
	d.nameless = true
	l.errorf(d.tlsAt, "Missing server_name", "Nothing says which name the certificates of the endpoints must have: these are given by address or found as such (a host name that is written down would do, the targets of SRV records do not), and the clients of the filter_chain at %s, which does not decrypt, give no name. Write server_name = \"...\".", c.Pos)
}

// hasNameless tells whether an endpoint of the cluster may have no name that the
// configuration gives it.
func (c *Cluster) hasNameless() bool {
	return len(c.Endpoints) > 0 || slices.ContainsFunc(c.Discoveries, func(d Discovery) bool {
		return d.DNS == nil || d.DNS.SRV
	})
}
