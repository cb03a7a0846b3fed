package tlsutil

import "crypto/tls"

// chooser picks the certificate of a handshake. It is built once and never
// changed.
type chooser struct {
	all    []*tls.Certificate            // in the order of the configuration
	byName map[string][]*tls.Certificate // canonical names and wildcards; the ones to prefer first
}

func newChooser(certs []*Certificate) *chooser {
	ch := &chooser{byName: make(map[string][]*tls.Certificate)}
	for _, c := range certs {
		ch.all = append(ch.all, &c.Certificate)
	}
	// RSA last: its signatures cost many times as much and its chains are
	// longer. Among equals the configuration's order stays.
	for _, rsa := range []bool{false, true} {
		for _, c := range certs {
			if isRSA(&c.Certificate) != rsa {
				continue
			}
			for _, name := range c.names() {
				ch.byName[name] = append(ch.byName[name], &c.Certificate)
			}
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
// A client whose name no certificate has gets the first of all that it can
// verify; to judge that is its right, and its error names the certificate. It
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
		lists[0] = ch.all
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
