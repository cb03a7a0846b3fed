package config

import (
	"crypto/x509"
	"time"

	"github.com/hashicorp/hcl/v2"

	"sluice/tlsutil"
)

// material keeps what was read from certificate files during one load, so
// that a certificate of ten thousand chains is read once and all of them see
// the same one even while it is being replaced on disk.
type material struct {
	certificates map[[2]string]loaded[*tlsutil.Certificate]
	pools        map[string]loaded[*x509.CertPool]
	lists        map[[2]string]loaded[[]*x509.RevocationList]
	system       map[string]loaded[*x509.CertPool] // of the machine; at ""
}

type loaded[T any] struct {
	value T
	err   error
}

func newMaterial() *material {
	return &material{
		certificates: map[[2]string]loaded[*tlsutil.Certificate]{},
		pools:        map[string]loaded[*x509.CertPool]{},
		lists:        map[[2]string]loaded[[]*x509.RevocationList]{},
		system:       map[string]loaded[*x509.CertPool]{},
	}
}

func once[K comparable, T any](seen map[K]loaded[T], key K, load func() (T, error)) (T, error) {
	x, ok := seen[key]
	if !ok {
		x.value, x.err = load()
		seen[key] = x
	}
	return x.value, x.err
}

func (m *material) certificate(certFile, keyFile string) (*tlsutil.Certificate, error) {
	return once(m.certificates, [2]string{certFile, keyFile}, func() (*tlsutil.Certificate, error) {
		return tlsutil.LoadCertificate(certFile, keyFile)
	})
}

func (m *material) cas(file string) (*x509.CertPool, error) {
	return once(m.pools, file, func() (*x509.CertPool, error) { return tlsutil.LoadCAs(file) })
}

func (m *material) systemCAs() (*x509.CertPool, error) {
	return once(m.system, "", tlsutil.SystemCAs)
}

func (m *material) crls(file, caFile string) ([]*x509.RevocationList, error) {
	return once(m.lists, [2]string{file, caFile}, func() ([]*x509.RevocationList, error) {
		return tlsutil.LoadCRL(file, caFile)
	})
}

// expirySoon is how long before its end a certificate is warned of: what
// renews certificates does so at 30 days of 90, or at a third of a lifetime,
// so one with less left was not renewed.
const expirySoon = 14 * 24 * time.Hour

// checkDates warns of a certificate that is of no use now or soon. It is no
// error, since a gateway that is restarted at three in the morning should
// serve the chains that still work, and the peers of this one, clients or
// endpoints, see the matter anyway.
func (l *loader) checkDates(at hcl.Range, c *tlsutil.Certificate, peers string) {
	const date = "2006-01-02 15:04 MST"
	switch end, begin := c.NotAfter().UTC(), c.Leaf.NotBefore.UTC(); {
	case c.Expired(l.now):
		l.warnf(at, "Certificate expired", "The certificate was good until %s; %s refuse it. Renew it.", end.Format(date), peers)
	case l.now.Before(begin):
		l.warnf(at, "Certificate not yet good", "The certificate is good from %s on; until then %s refuse it. Check the clock, or wait with it.", begin.Format(date), peers)
	case end.Sub(l.now) < expirySoon:
		l.warnf(at, "Certificate expires soon", "The certificate is good until %s. Renew it.", end.Format(date))
	}
}
