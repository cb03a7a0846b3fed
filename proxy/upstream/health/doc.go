// Package health checks the endpoints of clusters: it connects to each again
// and again, as a client would, and says which of them may serve.
//
//	checker := health.New(check, observer)
//	checker.Watch(endpoints)          // these from now on, and no others
//	...
//	checker.Close()
//
// A [Check] is what is done: connect (and say something, and hear something),
// a TLS handshake, or an HTTP request. A [Checker] does it for the endpoints of
// one cluster, each in a goroutine of its own, with ordinary blocking calls:
// nothing of it runs on the workers, and an endpoint that hangs holds up no
// other.
//
// # What a result means
//
// The first result of an endpoint decides at once, either way. Until then it is
// unchecked, and serves: a gateway that starts neither waits for checks nor
// refuses its first clients for want of one. Afterwards it takes
// HealthyThreshold results in a row to make an unhealthy endpoint healthy, and
// UnhealthyThreshold for the other way. A check that passed also ends an
// ejection of an endpoint that is healthy.
//
// A check that failed for want of the gateway's own (descriptors, ports,
// memory, a right) says nothing about the endpoint and counts neither way; the
// observer is told of the trouble.
//
// # Time
//
// Checks are Interval apart, from begin to begin, or follow at once on one that
// took longer; each interval is longer or shorter by up to Jitter of it, so that
// gateways that were started together do not check together for long. The first
// ones of a cluster are spread over that same part of an interval. How many run
// at a time is bounded by a [Gate], because each takes a descriptor; the time
// spent there counts as nobody's.
//
// # Not here
//
// What becomes of the connections of an endpoint that is unhealthy is for the
// owner of the connections to say, when its observer is told. Failures that
// clients' connections meet with are counted by package upstream.
package health
