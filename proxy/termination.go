package proxy

import (
	"time"

	"sluice/proxy/relay"
)

// Reason is why a connection ended. Its word stands in the access record and,
// as a label, in the metrics; it does not change between versions.
type Reason uint8

// The reasons. Those up to reasonReset end a connection whose bytes flowed by
// what its sides did; the others are decisions of the gateway or failures
// before the relay.
const (
	reasonNone Reason = iota
	reasonFinished
	reasonReset
	reasonTimedOut

	reasonClosedEarly
	reasonHelloTimeout
	reasonHelloMalformed
	reasonHelloTooLarge
	reasonNoMatch
	reasonHandshakeTimeout
	reasonHandshakeFailed
	reasonTLSError
	reasonNoEndpoint
	reasonNoHealthyEndpoint
	reasonOverflow
	reasonQueueTimeout
	reasonClosedInQueue
	reasonConnectFailed
	reasonResources

	// The refusals, by limits and access lists: see firstRefusal.
	reasonDescriptorLimit
	reasonProcessLimit
	reasonListenerLimit
	reasonAcceptRate
	reasonAccessDenied
	reasonSourceConnections
	reasonSourceRate

	reasonIdleTimeout
	reasonHalfCloseTimeout
	reasonMaxDuration
	reasonDrain
	reasonEndpointUnhealthy
	reasonEndpointRemoved
	reasonConfigChanged
	reasonShutdown
	reasonKilled

	reasonProxyHeaderUntrusted
	reasonProxyHeaderRequired
	reasonProxyHeaderMalformed
	reasonProxyHeaderTimeout
)

// The refusals follow each other.
const (
	firstRefusal   = reasonDescriptorLimit
	lastRefusal    = reasonSourceRate
	refusalReasons = lastRefusal - firstRefusal + 1
)

// isRefusal tells whether a connection that ended so was refused by a limit or
// an access list of its listener or chain, or of the process.
func (r Reason) isRefusal() bool { return r >= firstRefusal && r <= lastRefusal }

// refusalDetails name the limit by its words in the configuration.
var refusalDetails = [refusalReasons]string{
	reasonDescriptorLimit - firstRefusal:   "the descriptor limit of the process allows no more connections",
	reasonProcessLimit - firstRefusal:      "runtime.max_connections is reached",
	reasonListenerLimit - firstRefusal:     "the listener's max_connections is reached",
	reasonAcceptRate - firstRefusal:        "the listener's accept_limit is reached",
	reasonAccessDenied - firstRefusal:      "access does not let the source in",
	reasonSourceConnections - firstRefusal: "the source has reached per_source.max_connections",
	reasonSourceRate - firstRefusal:        "the source has reached per_source.rate",
}

// refusal is the end of a connection that is refused.
func refusal(r Reason) Termination {
	return Termination{Reason: r, Detail: refusalDetails[r-firstRefusal]}
}

var reasonWords = [...]string{
	reasonNone:              "",
	reasonFinished:          "finished",            // both sides sent a FIN
	reasonReset:             "reset",               // the side reset the connection
	reasonTimedOut:          "timed_out",           // the side answered neither data nor keep-alives
	reasonClosedEarly:       "closed_before_hello", // the client left before its hello was complete
	reasonHelloTimeout:      "hello_timeout",
	reasonHelloMalformed:    "malformed_hello",
	reasonHelloTooLarge:     "hello_too_large",
	reasonNoMatch:           "no_filter_chain_match",
	reasonHandshakeTimeout:  "handshake_timeout",
	reasonHandshakeFailed:   "tls_handshake_failed",
	reasonTLSError:          "tls_error", // a broken record or an alert, after the handshake
	reasonNoEndpoint:        "no_endpoint",
	reasonNoHealthyEndpoint: "no_healthy_endpoint", // none is ready and not unhealthy
	reasonOverflow:          "cluster_overflow",    // max_connections, and max_pending where some may wait
	reasonQueueTimeout:      "queue_timeout",
	reasonClosedInQueue:     "closed_in_queue", // the client left while it waited for a place
	reasonConnectFailed:     "connect_failed",
	reasonResources:         "out_of_resources", // descriptors, ports or memory of the gateway's own

	reasonDescriptorLimit:   "descriptor_limit",
	reasonProcessLimit:      "process_limit",
	reasonListenerLimit:     "listener_limit",
	reasonAcceptRate:        "accept_rate",
	reasonAccessDenied:      "access_denied",
	reasonSourceConnections: "source_connections",
	reasonSourceRate:        "source_rate",

	reasonIdleTimeout:       "idle_timeout",
	reasonHalfCloseTimeout:  "half_close_timeout",
	reasonMaxDuration:       "max_duration",
	reasonDrain:             "drain",
	reasonEndpointUnhealthy: "endpoint_unhealthy", // on_endpoint_unhealthy
	reasonEndpointRemoved:   "endpoint_removed",   // on_endpoint_removed
	reasonConfigChanged:     "config_changed",     // on_change
	reasonShutdown:          "shutdown",
	reasonKilled:            "killed", // by an operator, through the admin API

	reasonProxyHeaderUntrusted: "proxy_header_untrusted", // from a peer that may not send one, or that has to and may not
	reasonProxyHeaderRequired:  "proxy_header_required",  // something else came
	reasonProxyHeaderMalformed: "proxy_header_malformed",
	reasonProxyHeaderTimeout:   "proxy_header_timeout", // or not even the bytes that tell whether there is one
}

// String gives the word of the access record.
func (r Reason) String() string { return reasonWords[r] }

// flags are Envoy's response flags, where they fit, for those who know them.
var reasonFlags = [...]string{
	reasonClosedEarly:       "DC",
	reasonHelloTimeout:      "LR",
	reasonHelloMalformed:    "LR",
	reasonHelloTooLarge:     "LR",
	reasonNoMatch:           "NR",
	reasonHandshakeTimeout:  "LR",
	reasonHandshakeFailed:   "LR",
	reasonTLSError:          "LR",
	reasonNoEndpoint:        "UH",
	reasonNoHealthyEndpoint: "UH",
	reasonOverflow:          "UO",
	reasonQueueTimeout:      "UO",
	reasonClosedInQueue:     "DC",
	reasonConnectFailed:     "UF",
	reasonResources:         "OM",

	reasonDescriptorLimit:   "OM",
	reasonProcessLimit:      "OM",
	reasonListenerLimit:     "OM", // Envoy has the listener's limit in its overload manager, too
	reasonAcceptRate:        "RL",
	reasonAccessDenied:      "LR",
	reasonSourceConnections: "RL",
	reasonSourceRate:        "RL",

	reasonIdleTimeout:       "SI",
	reasonHalfCloseTimeout:  "SI",
	reasonMaxDuration:       "DT",
	reasonDrain:             "LR",
	reasonEndpointUnhealthy: "LR",
	reasonEndpointRemoved:   "LR",
	reasonConfigChanged:     "LR",
	reasonShutdown:          "LR",
	reasonKilled:            "LR",

	reasonProxyHeaderUntrusted: "LR",
	reasonProxyHeaderRequired:  "LR",
	reasonProxyHeaderMalformed: "LR",
	reasonProxyHeaderTimeout:   "LR",
}

// Origin is who ended a connection.
type Origin uint8

// The origins.
const (
	byGateway Origin = iota
	byDownstream
	byUpstream
	origins
)

// String gives the word of the access record.
func (o Origin) String() string {
	return [...]string{"gateway", "downstream", "upstream"}[o]
}

func originOf(s relay.Side) Origin {
	if s == relay.Downstream {
		return byDownstream
	}
	return byUpstream
}

// Termination is why, and by whom, a connection ended. The zero value means
// that it has not ended: a step of the path that gives it goes on.
type Termination struct {
	Reason Reason
	By     Origin
	// Attempts is set when every connection attempt was used up.
	Attempts bool
	// Detail is what an error said, for the record's error field.
	Detail string

	// at is when it was decided, on the worker's clock, where closing takes
	// time after that; 0 stands for now.
	at time.Duration
}

// Ended tells whether the connection has ended.
func (t Termination) Ended() bool { return t.Reason != reasonNone }

// Flags gives Envoy's codes, "" when nothing was out of the ordinary.
func (t Termination) Flags() string {
	switch {
	case t.Reason == reasonReset || t.Reason == reasonTimedOut:
		if t.By == byUpstream {
			return "UC"
		}
		return "DC"
	case t.Reason == reasonHandshakeFailed && t.By == byDownstream:
		return "DC"
	case t.Reason == reasonConnectFailed && t.Attempts:
		return "UF,URX"
	case int(t.Reason) < len(reasonFlags):
		return reasonFlags[t.Reason]
	}
	return ""
}
