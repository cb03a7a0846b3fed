package tlsutil

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ClientOptions says how TLS is spoken to the endpoints of a cluster. The zero
// value of each field is a secure default. NewClientConfig keeps what the
// fields point to, so it must not change afterwards.
type ClientOptions struct {
	// ServerName is sent as SNI and must be in the endpoint's certificate. An
	// IP address is looked for among the certificate's addresses and is not
	// sent (RFC 6066 §3). "": the caller sets it in a clone of the config, or
	// asks [ClientConfigs]; without one every handshake fails, unless nothing
	// is verified.
	ServerName  string
	CAs         *x509.CertPool // nil: those of the machine, read now; empty is an error
	Certificate *Certificate   // for endpoints that ask for one; nil: none is sent
	ALPN        []string       // in order of preference; nil: ALPN is not offered
	MinVersion  uint16         // 0: TLS 1.2
	MaxVersion  uint16         // 0: TLS 1.3
	// InsecureSkipVerify takes whatever certificate is shown. CAs must be nil
	// then, so that nobody takes them for the ones that are asked.
	InsecureSkipVerify bool
	Sessions           tls.ClientSessionCache // nil: sessions are not resumed
	Time               func() time.Time       // the clock by which certificates expire; nil: time.Now
}

// NewClientConfig builds the tls.Config of a cluster. It may be used by any
// number of connections at a time, and cloned to set the ServerName or the
// ClientSessionCache. The errors are about options that contradict each other,
// or a machine without CAs, and say what to change.
//
// An endpoint that shows a certificate which is not good for the name makes the
// handshake fail with a [tls.CertificateVerificationError].
func NewClientConfig(o ClientOptions) (*tls.Config, error) {
	if o.MinVersion == 0 {
		o.MinVersion = tls.VersionTLS12
	}
	if o.MaxVersion == 0 {
		o.MaxVersion = tls.VersionTLS13
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.CAs == nil && !o.InsecureSkipVerify {
		var err error
		if o.CAs, err = SystemCAs(); err != nil {
			return nil, err
		}
	}
	cfg := &tls.Config{
		ServerName:         o.ServerName,
		RootCAs:            o.CAs,
		NextProtos:         slices.Clone(o.ALPN),
		MinVersion:         o.MinVersion,
		MaxVersion:         o.MaxVersion,
		InsecureSkipVerify: o.InsecureSkipVerify,
		ClientSessionCache: o.Sessions,
		Time:               o.Time,
		// As for servers: small first records cost system calls.
		DynamicRecordSizingDisabled: true,
	}
	if o.Certificate != nil {
		// Not Certificates, from which crypto/tls sends none when the endpoint
		// names other CAs: an endpoint that refuses a certificate says more
		// than one that got none.
		cert := &o.Certificate.Certificate
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
	}
	return cfg, nil
}

// check finds options with which handshakes would fail, or mean something else
// than they say.
func (o *ClientOptions) check() error {
	if err := checkVersions(o.MinVersion, o.MaxVersion); err != nil {
		return err
	}
	if err := checkALPN(o.ALPN); err != nil {
		return err
	}
	switch {
	case o.CAs == nil:
	case o.InsecureSkipVerify:
		return errors.New("insecure_skip_verify takes any certificate, so the CAs would not be asked; leave out one of the two")
	case o.CAs.Equal(x509.NewCertPool()):
		return errors.New("the list of CAs is empty, so no endpoint would be trusted; give the ones that sign the endpoints' certificates")
	}
	return nil
}

// SystemCAs gives the CAs that the machine trusts. A machine without any is an
// error: nothing could be verified.
func SystemCAs() (*x509.CertPool, error) {
	const fix = "install the system's CA certificates (the package ca-certificates), or give a ca_file"
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("reading the machine's CAs: %w; %s", err, fix)
	}
	if pool.Equal(x509.NewCertPool()) {
		return nil, errors.New("this machine has no CAs; " + fix)
	}
	return pool, nil
}
