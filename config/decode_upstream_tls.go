package config

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

const kindUpstreamName = `a name such as "api.internal"`

// decodeUpstreamTLS decodes the tls block of a cluster and loads what it names;
// nil without one.
func (d *clusterDecl) decodeUpstreamTLS(b *block) {
	failures := b.failures
	t, there := b.one("tls")
	if !there {
		return
	}
	d.tlsAt = t.def
	d.TLS = readUpstreamTLS(t)
	d.tlsBad = b.failures != failures || !t.complete()
}

func readUpstreamTLS(t *block) *UpstreamTLS {
	u := &UpstreamTLS{
		ServerName:         parsed(t, "server_name", "", kindUpstreamName, parseUpstreamName),
		ALPN:               parsedList(t, "alpn_protocols", kindALPN, parseALPN),
		InsecureSkipVerify: t.boolean("insecure_skip_verify", false),
	}
	u.decodeCAs(t)
	if c, ok := t.one("certificate"); ok {
		u.Certificate = decodeCertificate(c, "endpoints")
		u.PathsHidden = c.hidden
		if cert := u.Certificate; cert != nil && !forClients(cert.Leaf) {
			t.warnf(c.attrs["cert_file"].Expr.Range(), "Not a client certificate", "The certificate was not issued for clients (its extended key usage lacks clientAuth), so endpoints that check will refuse it. Have it issued for that use.")
		}
	}
	u.PathsHidden = u.PathsHidden || t.hidden
	return u
}

// decodeCAs finds who is trusted to sign the endpoints' certificates.
func (t *UpstreamTLS) decodeCAs(b *block) {
	failures := b.failures
	file := b.file("ca_file")
	var err error
	switch {
	case b.failures != failures:
	case t.InsecureSkipVerify && file != "":
		b.errorf(b.attrs["ca_file"].NameRange, "Contradiction", "insecure_skip_verify takes whatever certificate an endpoint shows, so the CAs would not be asked. Leave insecure_skip_verify out to verify with them, which is what you want outside of experiments.")
	case t.InsecureSkipVerify:
	case file != "":
		t.CAFile = file
		if t.CAs, t.Authorities, err = b.material.endpointCAs(file); err != nil {
			b.unusable("ca_file", err)
			return
		}
		b.checkAuthorities(b.attrs["ca_file"].Expr.Range(), t.Authorities, "endpoints")
	default:
		if t.CAs, err = b.material.systemCAs(); err != nil {
			b.errorf(b.def, "No CAs", "%s", stopped(sentence(err.Error())))
		}
	}
}

// parseUpstreamName reads the name that is sent to endpoints and looked for in
// their certificates. The errors continue a sentence that begins with it.
func parseUpstreamName(s string) (string, error) {
	if ip, err := netip.ParseAddr(s); err == nil && ip.Zone() == "" {
		return ip.Unmap().String(), nil
	}
	switch {
	case s == "":
		return "", nil // the default
	case strings.HasPrefix(s, "*"):
		return "", errors.New("is a wildcard: write the one name that is sent to the endpoints and stands in their certificates; a wildcard there covers it")
	case isLiteral(s):
		return "", errors.New("has more than the address in it: write the IP address alone, without port, zone and brackets")
	case strings.Contains(s, ":") && !strings.Contains(s, "://"):
		return "", fmt.Errorf("has a port in it: write the name alone, %q", bareHost(s))
	}
	return parseServerName(s)
}

// forClients tells whether a certificate may be shown by a client (RFC 5280
// §4.2.1.12): one without the extension may be used for anything.
func forClients(c *x509.Certificate) bool {
	return len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) == 0 ||
		slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth) || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny)
}
