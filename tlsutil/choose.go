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
// with the name it asked for, then of those with a wildcard for it, then of
// all. A client whose name no certificate has gets one nonetheless; to judge
// that is its right, and its error names the certificate. It implements
// tls.Config.GetCertificate.
func (ch *chooser) choose(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	// Without a name SupportsCertificate looks at the algorithms alone; names
	// are the index's business.
	nameless := *hello
	nameless.ServerName = ""

	name := canonicalName(hello.ServerName)
	wildcard, _ := wildcardFor(name)
	for _, candidates := range [...][]*tls.Certificate{ch.byName[name], ch.byName[wildcard], ch.all} {
		for _, c := range candidates {
			if nameless.SupportsCertificate(c) == nil {
				return c, nil
			}
		}
	}
	// crypto/tls finds that the two have nothing in common and says so with
	// the alert that is right for it.
	return ch.all[0], nil
}
