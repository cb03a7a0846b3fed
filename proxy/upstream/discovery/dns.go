package discovery

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"sluice/proxy/upstream"
)

// Defaults of a [DNS] source.
const (
	// DefaultRefresh is how old an answer may get: a new endpoint is found
	// within this time.
	DefaultRefresh = 10 * time.Second
	// DefaultMinTTL keeps a record with TTL 0 from being asked for without end.
	DefaultMinTTL = time.Second
)

// maxFound bounds the endpoints of one DNS answer. A message of 64 KiB could
// hold four times as many, which is a mistake or an attack rather than a
// cluster.
const maxFound = 1000

// DNS finds endpoints in A and AAAA records, or in SRV records.
type DNS struct {
	Host string // the name, with or without a trailing dot
	Port uint16 // of every endpoint; not used with SRV
	SRV  bool   // Host has SRV records, which say port, weight and priority

	// Refresh is how long an answer is good for at most; a shorter TTL is
	// respected down to MinTTL. Zero is the default, here and below.
	Refresh time.Duration
	MinTTL  time.Duration

	// Resolvers are asked in this order, the next when one gives no usable
	// answer. Without any, names are looked up as the system does it.
	Resolvers []netip.AddrPort

	timeout time.Duration // of one query; zero: queryTimeout
	system  systemFiles   // the zero value is the system's own
}

// String implements [Source].
func (d *DNS) String() string {
	if d.SRV {
		return "dns srv " + d.Host
	}
	return fmt.Sprintf("dns %s:%d", d.Host, d.Port)
}

// Run implements [Source].
func (d *DNS) Run(ctx context.Context, sink Sink) {
	l := &lookup{host: d.Host, resolver: resolver{servers: d.Resolvers, timeout: d.timeout, system: d.system}}
	look := func(ctx context.Context) (reply, error) { return l.addresses(ctx, d.Port) }
	if d.SRV {
		look = l.services
	}
	r := rhythm{refresh: d.Refresh, minTTL: d.MinTTL}
	r.run(ctx, sink, look)
}

// rhythm says when to look again.
type rhythm struct {
	refresh, minTTL time.Duration
}

// lookupTimeout bounds one look, whatever it takes: the targets of SRV records
// are asked for one after the other.
const lookupTimeout = 30 * time.Second

// reply is what one look gave.
type reply struct {
	set     []Found
	ttl     time.Duration
	missing error // see [Sink]
}

// run looks again and again.
func (r rhythm) run(ctx context.Context, sink Sink, look func(context.Context) (reply, error)) {
	if r.refresh == 0 {
		r.refresh = DefaultRefresh
	}
	if r.minTTL == 0 {
		r.minTTL = DefaultMinTTL
	}
	failures := 0
	for {
		attempt, cancel := context.WithTimeout(ctx, lookupTimeout)
		got, err := look(attempt)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			failures++
			sink.Failed(err)
		default:
			failures = 0
			sink.Found(got.set, got.missing)
		}
		if !sleep(ctx, r.next(got.ttl, failures)) {
			return
		}
	}
}

// next gives the pause before the next look. After a failure that is short
// at first, and doubles: most failures are a lost packet or a restart.
func (r rhythm) next(ttl time.Duration, failures int) time.Duration {
	if failures > 0 {
		ttl = r.minTTL << min(failures-1, 16)
	}
	return max(min(ttl, r.refresh), min(r.minTTL, r.refresh))
}

// endpointAt makes an endpoint of an address that DNS gave.
func endpointAt(ip netip.Addr, port uint16, host string) Found {
	return Found{Address: upstream.Address{AddrPort: netip.AddrPortFrom(ip, port)}, Weight: 1, Host: host}
}
