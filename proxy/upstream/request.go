package upstream

import "slices"

// Request is a connection in search of an endpoint.
type Request struct {
	Rand *Rand // of the worker that asks
	Key  Key   // what Maglev goes by; NoKey: chance
	// Tried is the endpoints to avoid for as long as there are others. Those
	// may be full: then the request goes into the queue, where there is one.
	Tried []*Endpoint
	// Strict avoids them altogether.
	Strict bool
}

func (r *Request) tried(e *Endpoint) bool { return len(r.Tried) > 0 && slices.Contains(r.Tried, e) }

// Refusal is why there is no endpoint for a request.
type Refusal uint8

// The refusals.
const (
	Granted     Refusal = iota // none: there is an endpoint, or will be
	NoEndpoints                // the cluster has none
	NoneServing                // none is ready and not unhealthy
	Full                       // the cluster, or each that serves, has all the connections it may have
)
