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
		decodeChain(b)
	case "match":
		decodeMatch(b)
	case "tls":
		if b.schema.has("min_version") { // of a chain and not of a cluster
			decodeTLS(b)
		}
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
