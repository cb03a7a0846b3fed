package config

import (
	"crypto/x509"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"sluice/config/filewatch"
	"sluice/tlsutil"
)

// material keeps what was read from certificate files during one load, so
// that a certificate of ten thousand chains is read once and all of them see
// the same one even while it is being replaced on disk.
type material struct {
	certificates map[[2]string]loaded[*tlsutil.Certificate]
	authorities  map[string]loaded[[]*x509.Certificate]
	lists        map[[2]string]loaded[[]*tlsutil.RevocationList]
	tickets      map[string]loaded[[][32]byte]     // by the names, a NUL byte between them
	system       map[string]loaded[*x509.CertPool] // of the machine; at ""

	stamps map[string]filewatch.Stamp // of each file before it was read first
}

type loaded[T any] struct {
	value T
	err   error
}

func newMaterial() *material {
	return &material{
		certificates: map[[2]string]loaded[*tlsutil.Certificate]{},
		authorities:  map[string]loaded[[]*x509.Certificate]{},
		lists:        map[[2]string]loaded[[]*tlsutil.RevocationList]{},
		tickets:      map[string]loaded[[][32]byte]{},
		system:       map[string]loaded[*x509.CertPool]{},
		stamps:       map[string]filewatch.Stamp{},
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

// stamp takes the stamps of files that are about to be read.
func (m *material) stamp(files ...string) {
	for _, file := range files {
		if _, done := m.stamps[file]; !done {
			m.stamps[file] = filewatch.StampOf(file)
		}
	}
}

func (m *material) certificate(certFile, keyFile string) (*tlsutil.Certificate, error) {
	return once(m.certificates, [2]string{certFile, keyFile}, func() (*tlsutil.Certificate, error) {
		m.stamp(certFile, keyFile)
		return tlsutil.LoadCertificate(certFile, keyFile)
	})
}

func (m *material) caCertificates(file string) ([]*x509.Certificate, error) {
	return once(m.authorities, file, func() ([]*x509.Certificate, error) {
		m.stamp(file)
		return tlsutil.LoadCACertificates(file)
	})
}

func (m *material) cas(file string) (*x509.CertPool, []*x509.Certificate, error) {
	list, err := m.caCertificates(file)
	if err != nil {
		return nil, nil, err
	}
	pool, err := tlsutil.NewCAPool(file, list)
	return pool, list, err
}

// endpointCAs is cas for those who sign the certificates of endpoints. There may
// be any number of them: no list of their names is sent.
func (m *material) endpointCAs(file string) (*x509.CertPool, []*x509.Certificate, error) {
	list, err := m.caCertificates(file)
	if err != nil {
		return nil, nil, err
	}
	return poolOf(list), list, nil
}

func poolOf(list []*x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, ca := range list {
		pool.AddCert(ca)
	}
	return pool
}

func (m *material) systemCAs() (*x509.CertPool, error) {
	return once(m.system, "", tlsutil.SystemCAs)
}

func (m *material) crls(file, caFile string) ([]*tlsutil.RevocationList, error) {
	return once(m.lists, [2]string{file, caFile}, func() ([]*tlsutil.RevocationList, error) {
		m.stamp(file, caFile)
		return tlsutil.LoadCRL(file, caFile)
	})
}

func (m *material) ticketKeys(files []string) ([][32]byte, error) {
	return once(m.tickets, strings.Join(files, "\x00"), func() ([][32]byte, error) {
		m.stamp(files...)
		return tlsutil.LoadTicketKeys(files)
	})
}

// expirySoon is how long before its end a certificate is warned of: what
// renews certificates does so at 30 days of 90, or at a third of a lifetime,
// so one with less left was not renewed.
const expirySoon = 14 * 24 * time.Hour

const dateLayout = "2006-01-02 15:04 MST"

// checkDates warns of a certificate that is of no use now or soon. It is no
// error, since a gateway that is restarted at three in the morning should
// serve the chains that still work, and the peers of this one, clients or
// endpoints, see the matter anyway.
func (l *loader) checkDates(at hcl.Range, c *tlsutil.Certificate, peers string) {
	switch end, begin := c.NotAfter().UTC(), c.Leaf.NotBefore.UTC(); {
	case c.Expired(l.now):
		l.warnf(at, "Certificate expired", "The certificate was good until %s; %s refuse it. Renew it.", end.Format(dateLayout), peers)
	case l.now.Before(begin):
		l.warnf(at, "Certificate not yet good", "The certificate is good from %s on; until then %s refuse it. Check the clock, or wait with it.", begin.Format(dateLayout), peers)
	case end.Sub(l.now) < expirySoon:
		l.warnf(at, "Certificate expires soon", "The certificate is good until %s. Renew it.", end.Format(dateLayout))
	}
}

// checkAuthorities is checkDates for those who sign the certificates of peers.
func (l *loader) checkAuthorities(at hcl.Range, cas []*x509.Certificate, peers string) {
	for _, ca := range cas {
		name := ca.Subject.String()
		switch end, begin := ca.NotAfter.UTC(), ca.NotBefore.UTC(); {
		case l.now.After(end):
			l.warnf(at, "CA expired", "The CA %q was good until %s; %s with its certificates are refused. Add its successor, and take it out.", name, end.Format(dateLayout), peers)
		case l.now.Before(begin):
			l.warnf(at, "CA not yet good", "The CA %q is good from %s on; until then %s with its certificates are refused. Check the clock, or wait with it.", name, begin.Format(dateLayout), peers)
		case end.Sub(l.now) < expirySoon:
			l.warnf(at, "CA expires soon", "The CA %q is good until %s. Add its successor.", name, end.Format(dateLayout))
		}
	}
}

// checkRevocation warns of issuers whose latest list is out of date: their
// clients are refused, since it may not say what was revoked since.
func (l *loader) checkRevocation(at hcl.Range, lists []*tlsutil.RevocationList) {
	for _, list := range latestLists(lists) {
		if next := list.NextUpdate; !next.IsZero() && l.now.After(next) {
			l.warnf(at, "Revocation list out of date", "The list of the CA %q was due to be replaced by %s; clients with its certificates are refused. Fetch it again.", list.Issuer.String(), next.UTC().Format(dateLayout))
		}
	}
}

// latestLists gives the one of each issuer that is good the longest, in the order
// of the issuers.
func latestLists(lists []*tlsutil.RevocationList) (all []*tlsutil.RevocationList) {
	latest := map[string]*tlsutil.RevocationList{} // by name and key
	for _, list := range lists {
		issuer := list.Issuer.String() + string(list.AuthorityKeyId)
		if have := latest[issuer]; have == nil || !have.NextUpdate.IsZero() && (list.NextUpdate.IsZero() || list.NextUpdate.After(have.NextUpdate)) {
			latest[issuer] = list
		}
	}
	for _, issuer := range slices.Sorted(maps.Keys(latest)) {
		all = append(all, latest[issuer])
	}
	return all
}
