package config

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/netip"
	"time"

	"sluice/config/filewatch"
	"sluice/tlsutil"
)

// Config is one complete, checked configuration: everything in it can be
// used as it stands. It is inert (no sockets, no goroutines), is never
// changed after [Load] returned it, and may be shared freely.
type Config struct {
	Log       Log
	AccessLog AccessLog
	Runtime   Runtime
	Admin     Admin
	Metrics   Metrics
	Listeners []*Listener // in the order in which they were written
	Clusters  []*Cluster  // in the order in which they were written
	Tests     []*Test     // in the order in which they were written

	files  []File
	stamps map[string]filewatch.Stamp // of the files of certificates, before they were read
}

// Cluster returns the cluster of that name, or nil.
func (c *Config) Cluster(name string) *Cluster {
	for _, cl := range c.Clusters {
		if cl.Name == name {
			return cl
		}
	}
	return nil
}

// Pos says where in the user's files something was written, for
// diagnostics, explanations and the access log's neighbours.
type Pos struct {
	File string // as the user named it
	Line int    // from 1
}

// String gives "file:line".
func (p Pos) String() string { return fmt.Sprintf("%s:%d", p.File, p.Line) }

// Log is the service log: what the gateway says about itself.
type Log struct {
	Level  string // trace debug info warn error
	Format string // auto json console
}

// AccessLog is where and when the record of a connection is written.
type AccessLog struct {
	Enabled    bool
	Path       string // "stdout", "stderr" or an absolute file path
	PathHidden bool   // it came from env() or file(), and is not to be shown
	Start      bool   // a record when a connection was accepted
	Connected  bool   // a record when its endpoint was reached
	Periodic   bool   // a record every Interval
	End        bool   // a record at its end
	Interval   time.Duration
}

// Runtime is what holds for the whole process.
type Runtime struct {
	Workers        int           // 0: GOMAXPROCS, which respects cgroups
	Splice         bool          // false for splice = "off"
	MaxConnections int           // of the process; 0: what the descriptor limit allows
	DrainTimeout   time.Duration // 0: a drain waits as long as it takes
	Watch          bool          // reload when the files of the configuration change
	ReadinessDelay time.Duration // at shutdown, from not being ready to not accepting
	PIDFile        string        // absolute; "": none
	PIDFileHidden  bool          // it came from env() or file(), and is not to be shown
}

// Listener is a named set of addresses with the filter chains that decide
// what happens to a connection accepted there.
type Listener struct {
	Name string
	Pos  Pos
	// Addresses are at least one. A socket that a service manager has opened (see
	// package handoff) is used for the address that is the same; where there is
	// none, the sockets that are named as the listener are, in their order.
	Addresses       []Address
	Freebind        bool
	Backlog         int // 0: net.core.somaxconn
	Keepalive       Keepalive
	UserTimeout     time.Duration // TCP_USER_TIMEOUT; 0: the kernel's
	InspectTimeout  time.Duration // one deadline over hello and TLS handshake; 0: none
	InspectMaxBytes int           // largest ClientHello, records included
	MaxConnections  int           // 0: no limit
	AcceptLimit     Rate          // of new connections
	PerSource       PerSource
	Access          Access
	ProxyProtocol   *ProxyProtocol // nil: no headers are read
	Chains          []*FilterChain
	Default         *FilterChain // nil: OnNoMatch
	OnNoMatch       Refusal
	OnChange        ConnectionFate // of its connections, when a reload takes the listener away
}

// Rate is a limit on how fast something may come. The zero value is none.
type Rate struct {
	PerSecond float64 // on average; 0: no limit
	Burst     int     // at once; at least 1
}

// PerSource limits what a single source may have: an IPv4 address, or the /64
// of an IPv6 address.
type PerSource struct {
	MaxConnections int // 0: no limit
	Rate           Rate
}

// Access says who may come: those in Allow, or everybody when that is empty,
// but for those in Deny. No prefix stands for IPv4 addresses in IPv6 form.
type Access struct {
	Allow, Deny []netip.Prefix
}

// ProxyProtocol says which peers of a listener send PROXY protocol headers. One
// from anybody else ends the connection.
type ProxyProtocol struct {
	Required  bool           // mode = "require": without a header there is no connection
	Trusted   []netip.Prefix // who may send one; not empty, unless TrustUnix is set
	TrustUnix bool           // so may whoever can connect to a unix socket of the listener
}

// Network is the kind of an [Address].
type Network uint8

// The networks that can be listened on and connected to.
const (
	TCP Network = iota
	Unix
)

// Address is where to listen or connect.
type Address struct {
	Network Network
	// AddrPort is the TCP address. With Dual set it is [::]:port and IPv4
	// is accepted on the same socket; otherwise an IPv6 socket is IPv6 only.
	AddrPort netip.AddrPort
	Dual     bool
	Path     string // of a unix socket, absolute
}

// String gives the address as a user would write it.
func (a Address) String() string {
	switch {
	case a.Network == Unix:
		return "unix:" + a.Path
	case a.Dual:
		return fmt.Sprintf(":%d", a.AddrPort.Port())
	}
	return a.AddrPort.String()
}

// Keepalive is the TCP keep-alive of one side.
type Keepalive struct {
	Enabled  bool
	Idle     time.Duration
	Interval time.Duration
	Probes   int
}

// Refusal is what a client sees when it is turned away.
type Refusal uint8

// The ways to turn a client away.
const (
	RefuseReset Refusal = iota // RST
	RefuseClose                // FIN
	// RefuseTLSAlert is a fatal TLS alert, then FIN. A client whose hello was
	// not read, or that does not speak TLS, gets the FIN alone.
	RefuseTLSAlert
)

// String gives the word that stands in the configuration.
func (r Refusal) String() string {
	return [...]string{"reset", "close", "tls_alert"}[r]
}

// FilterChain says which connections it takes and what happens to them.
type FilterChain struct {
	Name              string // "default" for the default_filter_chain
	Pos               Pos
	Match             Match
	Access            Access // after the match
	TLS               *TLS   // nil: TLS is passed through
	Route             Route
	OnUpstreamFailure Refusal
	OnChange          ConnectionFate // of its connections, when a reload changes the chain or takes it away
}

// TransportProtocol is what the first bytes of a connection look like.
type TransportProtocol uint8

// The transport protocols a match may ask for.
const (
	TransportAny TransportProtocol = iota
	TransportTLS
	TransportRawBuffer
)

// String gives the word that stands in the configuration.
func (t TransportProtocol) String() string {
	return [...]string{"", "tls", "raw_buffer"}[t]
}

// Match is a predicate over a connection: all criteria must hold, the
// elements of one are alternatives, and an empty one always holds.
type Match struct {
	DestinationPort      uint16 // 0: any
	DestinationPrefixes  []netip.Prefix
	ServerNames          []string // lower case, no trailing dot; "*.x" is a wildcard
	TransportProtocol    TransportProtocol
	ApplicationProtocols []string
	DirectSourcePrefixes []netip.Prefix
	SourcePrefixes       []netip.Prefix
	SourcePorts          []uint16
	JA4                  []string // fingerprints of hellos
}

// impliesTLS reports whether the match asks for something that only a TLS hello
// has.
func (m *Match) impliesTLS() bool {
	return len(m.ServerNames)+len(m.ApplicationProtocols)+len(m.JA4) > 0
}

// TLS terminates a chain's connections. The files were read and checked
// when the configuration was loaded; what was checked is what is used.
type TLS struct {
	Certificates []*tlsutil.Certificate
	MinVersion   uint16 // tls.VersionTLS12 or 13
	MaxVersion   uint16
	CipherSuites []uint16      // TLS 1.2; nil: Go's secure default
	Curves       []tls.CurveID // nil: Go's default
	ALPN         []string
	ClientAuth   *ClientAuth // nil: no client certificate is asked for
	TicketKeys   [][32]byte  // nil: own keys, rotated

	TicketKeyFiles []string // absolute; those of TicketKeys
	PathsHidden    bool     // one of the files' came from env() or file(), and none is to be shown
}

// ServerOptions gives what [tlsutil.NewServerConfig] takes.
func (t *TLS) ServerOptions() tlsutil.ServerOptions {
	o := tlsutil.ServerOptions{
		Certificates: t.Certificates,
		MinVersion:   t.MinVersion,
		MaxVersion:   t.MaxVersion,
		CipherSuites: t.CipherSuites,
		Curves:       t.Curves,
		ALPN:         t.ALPN,
		TicketKeys:   t.TicketKeys,
	}
	if a := t.ClientAuth; a != nil {
		o.ClientAuth = &tlsutil.ClientAuth{
			Required: a.Required, CAs: a.CAs, CRLs: a.CRLs, AllowedSANs: a.AllowedSANs,
		}
	}
	return o
}

// ClientAuth asks for a client certificate.
type ClientAuth struct {
	Required    bool // false: a client may send none, but a bad one is refused
	CAs         *x509.CertPool
	CRLs        []*tlsutil.RevocationList
	Authorities []*x509.Certificate // those in CAs, in the order of their file
	CAFile      string              // absolute
	CRLFile     string              // absolute; "": revocation is not checked
	AllowedSANs []string            // empty: any that a CA signed; "*.x" is a one-label wildcard
}

// Route names where a chain's connections go.
type Route struct {
	Clusters         []WeightedCluster // one for the short form
	HashOn           HashKey           // of the choice among several; HashNone: chance
	IdleTimeout      time.Duration     // 0: none, here and below
	HalfCloseTimeout time.Duration
	MaxDuration      time.Duration
}

// WeightedCluster is one alternative of a route.
type WeightedCluster struct {
	Name   string
	Weight int // at least 1
}

// Cluster is a named group of endpoints.
type Cluster struct {
	Name               string
	Pos                Pos
	LBPolicy           string        // least_connections round_robin random maglev first
	HashOn             HashKey       // with maglev, else HashNone
	SlowStart          time.Duration // 0: none
	PanicThreshold     int           // percent; 0: never
	RetryEarlyReset    bool
	ConnectTimeout     time.Duration
	MaxConnectAttempts int // at least 1
	Endpoints          []Endpoint
	Limits             Limits
	Outlier            *OutlierDetection // nil: none
	Keepalive          Keepalive
	TLS                *UpstreamTLS // nil: endpoints get the bytes as they are
	ProxyHeader        *ProxyHeader // nil: none is sent
	SourceAddress      netip.Addr   // connect from there; invalid: the kernel's choice
	SourceTransparent  bool         // connect from the client's own address (IP_TRANSPARENT)

	Discoveries         []Discovery
	HealthCheck         *HealthCheck // nil: none
	OnEndpointUnhealthy ConnectionFate
	OnEndpointRemoved   ConnectionFate
}

// ProxyHeader is the PROXY protocol header that endpoints are sent.
type ProxyHeader struct {
	Version         uint8 // 1 or 2
	TLVs            ProxyTLVs
	PassThroughTLVs bool // those of the header that the client's side sent
}

func (h *ProxyHeader) usesHello() bool { return h != nil && (h.TLVs.Authority || h.TLVs.ALPN) }

// ProxyTLVs says which TLVs a header has, where there is something to put into
// them.
type ProxyTLVs struct {
	Authority bool // the client's server name
	ALPN      bool // the application protocol
	UniqueID  bool // the connection's
	SSL       bool // TLS towards the client, where it is terminated
	CRC32C    bool // a checksum
}

// UsesHello tells whether connections to the cluster depend on what the
// ClientHello says, so that it has to be read. Whatever else in a cluster does
// adds its condition here.
func (c *Cluster) UsesHello() bool {
	return c.HashOn == HashServerName || c.ProxyHeader.usesHello()
}

// HashKey is what a choice that is the same for the same client is made by.
type HashKey string

// The hash keys; the words are the configuration's.
const (
	HashNone       HashKey = ""
	HashSourceIP   HashKey = "source_ip"
	HashServerName HashKey = "server_name"
)

// Endpoint is one address of a cluster.
type Endpoint struct {
	Address        Address
	Name           string // the address when none was given
	Weight         int    // at least 1
	Priority       int    // lower first
	MaxConnections int    // 0: no limit
}

// UpstreamTLS is how TLS is spoken to the endpoints of a cluster. The files were
// read and checked when the configuration was loaded.
type UpstreamTLS struct {
	// ServerName is sent as SNI and must be in the endpoint's certificate: a
	// host name in lower case, or an IP address. "": the SNI of a client whose
	// TLS was terminated, else the endpoint's host name.
	ServerName         string
	CAs                *x509.CertPool       // nil with InsecureSkipVerify
	Authorities        []*x509.Certificate  // those in CAs, in the order of CAFile; nil: the machine's
	CAFile             string               // absolute; "": the machine's CAs
	Certificate        *tlsutil.Certificate // nil: none
	ALPN               []string             // in order of preference; of a client that agreed on one, it alone is offered
	InsecureSkipVerify bool
	PathsHidden        bool // as in TLS
}

// Limits is how many connections a cluster takes.
type Limits struct {
	MaxConnections int           // 0: no limit
	MaxPending     int           // that may wait for a place; 0: none
	QueueTimeout   time.Duration // of one that waits; 0: none
}

// OutlierDetection is when an endpoint is held off for what its connections
// met with.
type OutlierDetection struct {
	ConsecutiveFailures int
	BaseEjectionTime    time.Duration
	MaxEjectionTime     time.Duration
	MaxEjectionPercent  int // 1 to 100
}
