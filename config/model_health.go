package config

import (
	"net/netip"
	"time"
)

// HealthCheck is how the endpoints of a cluster are checked.
type HealthCheck struct {
	Type               string        // tcp tls http
	Interval           time.Duration // from begin to begin, or as long as a check takes
	Timeout            time.Duration
	Jitter             int // percent of Interval
	HealthyThreshold   int // at least 1
	UnhealthyThreshold int // at least 1

	Send   string // tcp: bytes
	Expect string // tcp: bytes

	Path             string // http
	Host             string // tls, http; "": the endpoint's
	ExpectedStatuses []StatusRange

	Port uint16 // 0: the endpoint's own
}

// StatusRange is a range of HTTP statuses, both ends included.
type StatusRange struct {
	First, Last int
}

// ConnectionFate is what happens to the live connections of what changed: an
// endpoint, or a filter chain.
type ConnectionFate string

// The fates; the words are the configuration's.
const (
	FateKeep  ConnectionFate = "keep"  // nothing
	FateDrain ConnectionFate = "drain" // they leave, spread over the drain timeout
	FateClose ConnectionFate = "close" // they end at once
)

// Discovery is where endpoints of a cluster are looked up. Exactly one of DNS
// and File is set.
type Discovery struct {
	Pos  Pos
	DNS  *DNSDiscovery
	File string // absolute path of a JSON file
}

// DNSDiscovery finds endpoints in DNS. It stands for a discovery block, or for
// an endpoint that was given by host name.
type DNSDiscovery struct {
	Host      string // lower case, without a trailing dot unless one was written
	Port      uint16 // 0 with SRV
	SRV       bool
	Refresh   time.Duration
	MinTTL    time.Duration
	Resolvers []netip.AddrPort // empty: the system's

	// What an endpoint block says of every address that its name has; SRV
	// records say weight and priority themselves.
	Name           string // "": the addresses alone are the names
	Weight         int    // at least 1
	Priority       int
	MaxConnections int // of each; 0: no limit
}
