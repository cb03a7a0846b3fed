package health

import (
	"context"
	"crypto/tls"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/proxy/upstream"
)

// Type is what a check does.
type Type uint8

// The types.
const (
	TCP  Type = iota // connects; sends and expects, when told to
	TLS              // connects and makes a TLS handshake
	HTTP             // sends a GET request, over TLS when there is a tls.Config
)

// String gives the word of the configuration.
func (t Type) String() string { return [...]string{"tcp", "tls", "http"}[t] }

// Check is how the endpoints of a cluster are checked. It must not change once
// a [Checker] has it.
type Check struct {
	Type     Type
	Interval time.Duration // from begin to begin; more than 0
	Timeout  time.Duration // of a whole check; more than 0
	Jitter   float64       // of the interval, 0 to 1

	HealthyThreshold   int // at least 1
	UnhealthyThreshold int // at least 1

	Send   []byte // TCP: sent after connecting; empty: nothing
	Expect []byte // TCP: must be part of what comes back; empty: nothing has to come

	Path     string        // HTTP: with a query, if there is one
	Host     string        // HTTP: of the Host header; empty: the endpoint's host name or address
	Statuses []StatusRange // HTTP: those that are good

	// TLS is needed for the type TLS, and makes HTTP go over TLS. Where it has
	// no ServerName, that is Host, or else the host name of the endpoint. Where
	// there is none at all, the certificate has to be one of the CAs, whatever
	// its names: connections go by those that their clients ask for.
	TLS *tls.Config
	// Renewed gives what TLS has become, for each attempt; nil: it stays as it is.
	Renewed func() *tls.Config

	Port uint16 // another port than the endpoint's own; 0: that
	// Preface gives what is sent before all else, such as a PROXY header; nil:
	// nothing.
	Preface func(net.Conn) []byte

	// Dial connects; nil is a plain net.Dialer.
	Dial func(context.Context, upstream.Address) (net.Conn, error)
	// Gate bounds the checks that run at a time; nil: nothing does.
	Gate Gate
}

// StatusRange is a range of HTTP statuses, both ends included.
type StatusRange struct {
	First, Last int
}

// String gives "200" or "200-299".
func (r StatusRange) String() string {
	if r.First == r.Last {
		return strconv.Itoa(r.First)
	}
	return strconv.Itoa(r.First) + "-" + strconv.Itoa(r.Last)
}

// wants tells whether a status is good.
func (c *Check) wants(status int) bool {
	return slices.ContainsFunc(c.Statuses, func(r StatusRange) bool { return r.First <= status && status <= r.Last })
}

func (c *Check) statusWords() string {
	words := make([]string, len(c.Statuses))
	for i, r := range c.Statuses {
		words[i] = r.String()
	}
	return strings.Join(words, ", ")
}

// address is where the endpoint is checked.
func (c *Check) address(e *upstream.Endpoint) upstream.Address {
	a := e.Address
	if c.Port != 0 && a.Path == "" {
		a.AddrPort = addrPort(a.AddrPort.Addr(), c.Port)
	}
	return a
}

// Gate bounds how many checks run at a time, over all checkers that have it.
type Gate chan struct{}

// NewGate makes a gate for n checks at a time.
func NewGate(n int) Gate { return make(Gate, n) }

// enter waits for a place; false when ctx is done before.
func (g Gate) enter(ctx context.Context) bool {
	if g == nil {
		return true
	}
	select {
	case g <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (g Gate) leave() {
	if g != nil {
		<-g
	}
}
