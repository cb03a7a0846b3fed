package tlsutil

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"sluice/tlsutil/clienthello"
)

// ServerOptions says how one filter chain terminates TLS. The zero value of
// each field but Certificates is a secure default. NewServerConfig keeps what
// the fields point to, so it must not change afterwards.
type ServerOptions struct {
	Certificates []*Certificate // at least one; the order decides among equals
	MinVersion   uint16         // 0: TLS 1.2
	MaxVersion   uint16         // 0: TLS 1.3
	CipherSuites []uint16       // of TLS 1.2; nil: crypto/tls's secure default
	Curves       []tls.CurveID  // nil: crypto/tls's default; the order has no meaning
	ALPN         []string       // in order of preference; nil: ALPN is not negotiated
	ClientAuth   *ClientAuth    // nil: no certificate is asked of the client
	// TicketKeys are session ticket keys shared with other gateways, the one
	// to encrypt with first; see [LoadTicketKeys]. nil: keys of the chain's
	// own, rotated daily.
	TicketKeys [][32]byte
	Time       func() time.Time // the clock by which certificates expire; nil: time.Now
}

// ClientAuth asks the client for a certificate. One that is sent must pass in
// either mode: CAs, CRLs and AllowedSANs apply to every connection, resumed
// ones included.
type ClientAuth struct {
	Required    bool              // false: a client may send none
	CAs         *x509.CertPool    // from LoadCAs; nil or empty is an error, never the system's
	CRLs        []*RevocationList // from LoadCRL, which checked them; nil: revocation is not checked
	AllowedSANs []string          // see CheckSANPattern; empty: every certificate the CAs signed
}

// RoutedConn is what a connection given to [tls.Server] may implement to tell
// for which server name its filter chain was chosen. The handshake then fails
// unless crypto/tls reads the same name in the ClientHello, so that no
// disagreement between two parsers can put a client under another name's
// policy. The comparison ignores letter case and a trailing dot, and an IP
// address is no name (RFC 6066 §3).
//
// ok is false when the gateway saw no name, and then crypto/tls must see none
// either. A name that changes in a second ClientHello is refused by
// crypto/tls itself (RFC 8446 §4.1.2).
type RoutedConn interface {
	RoutedServerName() (name string, ok bool)
}

// NewServerConfig builds the tls.Config of a chain. It may be used by any
// number of connections at a time; it must not be changed, nor cloned for
// another policy. The errors are about options that contradict each other and
// say what to change.
//
// A client that offers ALPN protocols of which the chain has none is refused
// with no_application_protocol (RFC 7301 §3.2), with crypto/tls's exception
// for one that offers http/1.1 where the chain has h2 but not http/1.1: it is
// served as if it had not offered any.
func NewServerConfig(o ServerOptions) (*tls.Config, error) {
	cfg, _, err := newServerConfig(o)
	return cfg, err
}

// newServerConfig gives the digest of what tickets vouch for, too.
func newServerConfig(o ServerOptions) (*tls.Config, []byte, error) {
	if o.MinVersion == 0 {
		o.MinVersion = tls.VersionTLS12
	}
	if o.MaxVersion == 0 {
		o.MaxVersion = tls.VersionTLS13
	}
	if o.Time == nil {
		o.Time = time.Now
	}
	if err := o.check(); err != nil {
		return nil, nil, err
	}
	cfg := &tls.Config{
		Time:               o.Time,
		MinVersion:         o.MinVersion,
		MaxVersion:         o.MaxVersion,
		CipherSuites:       slices.Clone(o.CipherSuites),
		CurvePreferences:   slices.Clone(o.Curves),
		NextProtos:         slices.Clone(o.ALPN),
		GetCertificate:     newChooser(o.Certificates).choose,
		GetConfigForClient: refuseOtherName,
		// Small first records help a browser to paint early and cost a
		// gateway of bulk traffic system calls.
		DynamicRecordSizingDisabled: true,
	}
	var policy *clientPolicy
	if o.ClientAuth != nil {
		var err error
		if policy, err = newClientPolicy(o.ClientAuth, o.Time); err != nil {
			return nil, nil, err
		}
		cfg.ClientCAs = o.ClientAuth.CAs
		cfg.ClientAuth = tls.VerifyClientCertIfGiven
		if o.ClientAuth.Required {
			cfg.ClientAuth = tls.RequireAndVerifyClientCert
		}
		cfg.VerifyConnection = policy.verify
	}
	digest := policyDigest(o.Certificates, policy)
	if len(o.TicketKeys) > 0 {
		keys, err := boundTicketKeys(o.TicketKeys, digest)
		if err != nil {
			return nil, nil, err
		}
		cfg.SetSessionTicketKeys(keys)
	}
	return cfg, digest, nil
}

// refuseOtherName is the check that RoutedConn describes. It sits in
// GetConfigForClient because that is called before anything is answered.
func refuseOtherName(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	conn, ok := hello.Conn.(RoutedConn)
	if !ok {
		return nil, nil
	}
	routed, ok := conn.RoutedServerName()
	if !ok {
		routed = ""
	}
	asked := canonicalName(hello.ServerName)
	if clienthello.IsAddress([]byte(asked)) {
		asked = "" // crypto/tls gives it as the name
	}
	if canonicalName(routed) != asked {
		return nil, fmt.Errorf("the connection was routed as %q, but its handshake asks for %q", routed, hello.ServerName)
	}
	return nil, nil
}

// check finds options with which handshakes would fail, or mean something
// else than they say.
func (o *ServerOptions) check() error {
	if len(o.Certificates) == 0 {
		return errors.New("no certificate to terminate TLS with; add a certificate block")
	}
	if err := checkVersions(o.MinVersion, o.MaxVersion); err != nil {
		return err
	}
	if err := checkALPN(o.ALPN); err != nil {
		return err
	}
	if o.MaxVersion == tls.VersionTLS12 && len(o.Curves) > 0 && !slices.ContainsFunc(o.Curves, CurveForTLS12) {
		return errors.New("ecdh_curves has only curves of TLS 1.3 and max_version is 1.2; add X25519 or P-256, or raise max_version")
	}
	return o.checkSuites()
}

// checkVersions refuses a range of versions that is not safe, or empty.
func checkVersions(lowest, highest uint16) error {
	for _, v := range []uint16{lowest, highest} {
		if v != tls.VersionTLS12 && v != tls.VersionTLS13 {
			return fmt.Errorf("%s is not supported; use TLS 1.2 or 1.3", tls.VersionName(v))
		}
	}
	if lowest > highest {
		return errors.New("min_version is above max_version; raise max_version or lower min_version")
	}
	return nil
}

// checkALPN refuses protocols that cannot be sent.
func checkALPN(protocols []string) error {
	for _, p := range protocols {
		// The length is one byte on the wire (RFC 7301 §3.1).
		if len(p) == 0 || len(p) > 255 {
			return fmt.Errorf("ALPN protocol %q has %d bytes; a protocol has 1 to 255", p, len(p))
		}
	}
	return nil
}

// checkSuites refuses a list of suites that no certificate can be used with.
func (o *ServerOptions) checkSuites() error {
	if len(o.CipherSuites) == 0 {
		return nil
	}
	var forRSA, forECDSA bool
	for _, id := range o.CipherSuites {
		name := tls.CipherSuiteName(id)
		if _, err := ParseCipherSuite(name); err != nil {
			return fmt.Errorf("cipher_suites: %w", err)
		}
		if suiteForRSA(name) {
			forRSA = true
		} else {
			forECDSA = true
		}
	}
	if o.MinVersion > tls.VersionTLS12 {
		return nil
	}
	for _, c := range o.Certificates {
		if isRSA(&c.Certificate) && forRSA || !isRSA(&c.Certificate) && forECDSA {
			return nil
		}
	}
	if forRSA {
		return errors.New("cipher_suites has only RSA suites and no certificate has an RSA key; add a suite with ECDSA in its name")
	}
	return errors.New("cipher_suites has only ECDSA suites and every certificate has an RSA key; add a suite with RSA in its name")
}
