package tlsutil

import "crypto/tls"

// chooser picks the certificate of a handshake. It is built once and never
// changed.
type chooser struct {
	// unnamed is for clients whose name no certificate has, or who ask for
	// none: the certificates that share a name with the configuration's first,
	// the ones to prefer first, then the others in the configuration's order.
	unnamed []*tls.Certificate
	byName  map[string][]*tls.Certificate // canonical names and wildcards; the ones to prefer first
}

// newChooser takes at least one certificate.
func newChooser(certs []*Certificate) *chooser {
	ch := &chooser{byName: make(map[string][]*tls.Certificate)}
	// RSA last: its signatures cost many times as much and its chains are
	// longer. Among equals the configuration's order stays.
	var preferred []*Certificate
	for _, rsa := range []bool{false, true} {
		for _, c := range certs {
			if isRSA(&c.Certificate) == rsa {
				preferred = append(preferred, c)
			}
		}
	}
	for _, c := range preferred {
		for _, name := range c.names() {
			ch.byName[name] = append(ch.byName[name], &c.Certificate)
		}
	}
	siblings := map[*tls.Certificate]bool{&certs[0].Certificate: true}
	for _, name := range certs[0].names() {
		for _, c := range ch.byName[name] {
			siblings[c] = true
		}
	}
	for _, c := range preferred {
		if siblings[&c.Certificate] {
			ch.unnamed = append(ch.unnamed, &c.Certificate)
		}
	}
	for _, c := range certs {
		if !siblings[&c.Certificate] {
			ch.unnamed = append(ch.unnamed, &c.Certificate)
		}
	}
	return ch
}

// choose gives the first certificate that the client can verify: of those
// with the name it asked for, then of those with a wildcard for it. Where it
// can verify none of these it gets the first all the same: any other has the
// wrong name, and crypto/tls asks for more than it needs (for TLS 1.2 the
// certificate's own curve among the key exchanges of the configuration).
//
// A client whose name no certificate has gets one nonetheless, the
// configuration's first or one of the same names if it can verify any of those;
// to judge that is its right, and its error names the certificate. It
// implements tls.Config.GetCertificate.
func (ch *chooser) choose(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	// Without a name SupportsCertificate looks at the algorithms alone; names
	// are the index's business.
	nameless := *hello
	nameless.ServerName = ""

	name := canonicalName(hello.ServerName)
	wildcard, _ := wildcardFor(name)
	lists := [...][]*tls.Certificate{ch.byName[name], ch.byName[wildcard]}
	if len(lists[0])+len(lists[1]) == 0 {
		lists[0] = ch.unnamed
	}
	var first *tls.Certificate
	for _, candidates := range lists {
		for _, c := range candidates {
			if nameless.SupportsCertificate(c) == nil {
				return c, nil
			}
			if first == nil {
				first = c
			}
		}
	}
	// If the two have really nothing in common crypto/tls finds out and says
	// so with the alert that is right for it.
	return first, nil
}
