package config

// examine reports what is wrong in a block that is one too many. What it says
// is not used.
func (b *block) examine() {
	switch b.kind {
	case "inspect":
		readInspect(b, &Listener{})
	case "tcp_keepalive":
		readKeepalive(b)
	case "default_filter_chain":
		decodeChain(b, FateKeep)
	case "match":
		decodeMatch(b)
	case "tls":
		switch {
		case b.schema.has("min_version"): // of a chain
			decodeTLS(b)
		case b.schema.has("server_name"): // of a cluster
			readUpstreamTLS(b)
		default:
			readAdminTLS(b)
		}
	case "certificate": // of a cluster: a chain may have several
		decodeCertificate(b, "endpoints")
	case "proxy_protocol":
		if b.schema.has("trusted") { // of a listener and not of a cluster
			(&listenerDecl{Listener: &Listener{}, addressesBad: true}).readProxyProtocol(b)
		} else {
			readProxyHeader(b)
		}
	case "accept_limit":
		readAcceptLimit(b)
	case "per_source":
		readPerSource(b)
	case "access":
		readAccess(b)
	case "health_check":
		readHealthCheck(b)
	case "outlier_detection":
		readOutlier(b)
	case "limits":
		readLimits(b)
	case "client_auth":
		decodeClientAuth(b)
	case "session_tickets":
		decodeTicketKeys(b)
	case "given":
		decodeGiven(b, &testDecl{})
	case "expect":
		decodeExpect(b, &testDecl{})
	case "route":
		decodeRoute(b)
	}
}
