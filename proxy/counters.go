package proxy

import "sluice/proxy/status"

// Counters is a look at everything that the gateway counts, as a plain tree for
// whoever exports it. What is an uint64 only grows for as long as the process
// lives, through reloads; the rest is as of now. What a reload has taken out of
// the configuration is not listed any more, but stays in the totals of what it
// was part of, and goes on where it was when its name comes back.
//
// The numbers are read one after the other while workers go on counting, so two
// of them may differ by what happened in between.
type Counters struct {
	Process   Stats
	Listeners []ListenerCounters // in the order of the configuration
	Clusters  []ClusterCounters  // in the order of the configuration
}

// ListenerCounters is what is counted of a listener.
type ListenerCounters struct {
	Name    string
	Traffic status.Traffic // refused connections included

	Hellos       []Count        // by the word of the record's field hello; every word is there
	NoMatch      uint64         // connections that no filter chain took: one of the terminations
	Terminations []Terminations // by reason; every reason is there
	Limits       []Count        // refusals by a limit or an access list, by reason; every one is there
	Handshake    Histogram      // TLS handshakes with clients that succeeded
	Chains       []ChainCounters
}

// ChainCounters is what is counted of a filter chain.
type ChainCounters struct {
	Name         string         // "default" for the default_filter_chain
	Traffic      status.Traffic // of the connections that it has taken
	Destinations []DestinationCounters
}

// DestinationCounters is what is counted of a filter chain's connections to one
// cluster.
type DestinationCounters struct {
	Cluster string
	Traffic status.Traffic
}

// ClusterCounters is what is counted of a cluster.
type ClusterCounters struct {
	Name          string
	Traffic       status.Traffic // of the connections that were routed to it
	Pending       int64          // connections that wait for a place now
	Queued        uint64         // connections that have waited for a place
	Overflows     uint64         // connections for which there was no place, and none to wait
	QueueTimeouts uint64

	// Attempts are attempts to connect that are over, by the word of the
	// record's attempts that says how; every word is there, "other" for the
	// kernel's less common errors. "connected" is one that has succeeded.
	Attempts []Count
	Retries  uint64 // attempts that followed on another one of the same connection
	// Replays are retries after an endpoint had ended a connection before it had
	// sent a byte (retry_early_reset): by "early_reset" and "early_close". These
	// attempts had been counted as "connected".
	Replays []Count
	Connect Histogram // attempts that have succeeded, TLS with the endpoint included

	BecameHealthy   uint64 // changes of endpoints, found by checks; a first good check is none
	BecameUnhealthy uint64
	Ejections       uint64
	Endpoints       []EndpointCounters
}

// EndpointCounters is what is counted of an endpoint, since it was made. One that
// was removed and comes back begins anew.
type EndpointCounters struct {
	Name, Address string
	Traffic       status.Traffic // Active has the attempts under way in it
	Attempts      uint64         // connects begun
	Failures      uint64         // of them that failed by the endpoint's fault
	EarlyEnds     uint64         // connections that it ended before it had sent a byte
	Ejections     uint64

	Health  string // unchecked healthy unhealthy: what checks say
	State   string // ready drain maint: what an operator set
	Ejected bool
	Serving bool // it may get connections now
}

// Count is how often something has happened, by its word.
type Count struct {
	Word  string
	Count uint64
}

// Terminations is how many connections have ended for a reason, by the side that
// ended them.
type Terminations struct {
	Reason                        string
	Gateway, Downstream, Upstream uint64
}

// Histogram is how long something took, in seconds.
type Histogram struct {
	Count   uint64
	Sum     float64
	Buckets []Bucket // the shortest first; what took longer than the last is only in Count
}

// Bucket is how often something took at most so many seconds: what is in a
// bucket is in those after it, too.
type Bucket struct {
	Seconds float64
	Count   uint64
}
