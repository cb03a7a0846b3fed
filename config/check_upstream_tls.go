package config

// checkUpstreamTLS checks what leads to a cluster that speaks TLS to its
// endpoints.
func (l *loader) checkUpstreamTLS(c *chainDecl, ref clusterRef, d *clusterDecl) {
	if d.TLS == nil || c.TLS != nil {
		return
	}
	m := &c.Match
	if m.TransportProtocol == TransportTLS || len(m.ServerNames)+len(m.ApplicationProtocols) > 0 {
		l.errorf(ref.at, "TLS inside TLS", "The chain passes its clients' TLS through, and the cluster has a tls block (%s), so its endpoints would get TLS inside TLS. To decrypt here and encrypt again, add a tls block with a certificate to the chain; to pass TLS through, lead to a cluster without one.", posOf(d.tlsAt))
		return
	}
	if d.tlsBad || d.TLS.ServerName != "" || d.TLS.InsecureSkipVerify || len(d.Endpoints) == 0 || d.nameless {
		return
	}
	d.nameless = true
	l.errorf(d.tlsAt, "Missing server_name", "Nothing says which name the certificates of the endpoints must have: these are given by address, and the clients of the filter_chain at %s, which does not decrypt, give no name. Write server_name = \"...\".", c.Pos)
}
