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
	reasonDescriptorLimit
	reasonIdleTimeout
	reasonHalfCloseTimeout
	reasonMaxDuration
	reasonDrain
	reasonShutdown
)

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
	reasonNoHealthyEndpoint: "no_healthy_endpoint", // none is ready, healthy and not ejected
	reasonOverflow:          "cluster_overflow",    // max_connections, and max_pending where some may wait
	reasonQueueTimeout:      "queue_timeout",
	reasonClosedInQueue:     "closed_in_queue", // the client left while it waited for a place
	reasonConnectFailed:     "connect_failed",
	reasonResources:         "out_of_resources", // descriptors, ports or memory of the gateway's own
	reasonDescriptorLimit:   "descriptor_limit",
	reasonIdleTimeout:       "idle_timeout",
	reasonHalfCloseTimeout:  "half_close_timeout",
	reasonMaxDuration:       "max_duration",
	reasonDrain:             "drain",
	reasonShutdown:          "shutdown",
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
	reasonIdleTimeout:       "SI",
	reasonHalfCloseTimeout:  "SI",
	reasonMaxDuration:       "DT",
	reasonDrain:             "LR",
	reasonShutdown:          "LR",
}

// Origin is who ended a connection.
type Origin uint8

// The origins.
const (
	byGateway Origin = iota
	byDownstream
	byUpstream
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
