// Package tlsutil turns what a configuration says about TLS into a
// [tls.Config] that cannot be talked out of it.
//
// A filter chain that terminates TLS names certificates, versions, perhaps a
// client authentication. The Load functions read those files once, when the
// configuration is loaded, and refuse what is not entirely understood: a CA
// file in which one block cannot be read is an error, never a shorter list of
// CAs. [NewServerConfig] then builds the chain's tls.Config from values that
// are already in memory, so that no handshake ever reads a file. A [Server] is
// for a chain whose files are replaced while it serves: whoever has read them
// again gives it another set of values, and each handshake goes by one set.
//
//	cert, err := tlsutil.LoadCertificate("api.pem", "api.key")
//	cas, err := tlsutil.LoadCAs("clients.pem")
//	cfg, err := tlsutil.NewServerConfig(tlsutil.ServerOptions{
//		Certificates: []*tlsutil.Certificate{cert},
//		ClientAuth:   &tlsutil.ClientAuth{Required: true, CAs: cas},
//	})
//	conn := tls.Server(routed, cfg)
//
// # What holds for every connection
//
// The client policy (a chain of certificates up to one of the CAs, no
// revocation, an allowed name) is judged in VerifyConnection, the one hook
// which crypto/tls calls for full and for resumed handshakes alike. A session
// ticket carries its client certificate with it, so a resumed connection is
// judged by today's clock and today's policy.
//
// A ticket is good only where it would have been issued: every tls.Config, or
// Server for as long as its policy and the names of its certificates stay,
// has keys of its own, which crypto/tls replaces daily and drops after a
// week, and keys shared through files are bound to the policy and to the
// names of the certificates before they are used (ticket.go). A tls.Config
// must therefore not be cloned into another policy: Clone copies the keys.
//
// The policy belongs to one server name. The gateway has chosen the chain
// with its own reading of the ClientHello, crypto/tls reads the hello again,
// and two readers that disagree have let clients in by a door that had no
// lock (CVE-2026-32305, CVE-2022-23632 and their kin in other proxies). A
// connection that implements [RoutedConn] makes the handshake fail when the
// two names differ.
//
// # To endpoints
//
// [NewClientConfig] is the other half: the tls.Config with which the gateway
// speaks to a cluster's endpoints. They are verified unless the configuration
// says in so many words that they are not.
//
// # Not here
//
// Names in the subject's common name are never looked at. TLS below 1.2,
// renegotiation, early data (0-RTT) and suites without forward secrecy are
// not offered. A client that sends early data all the same, with a ticket of
// the server that had the name before, is refused with unsupported_extension,
// where RFC 8446 §4.2.10 would have its data skipped: crypto/tls gives no way
// around it. Revocation of clients is by CRL file; that of endpoints is not
// checked, and OCSP is not asked.
package tlsutil
