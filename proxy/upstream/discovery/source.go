package discovery

import (
	"cmp"
	"context"
	"slices"
	"time"

	"sluice/proxy/upstream"
)

// Found is one endpoint that a source has found.
type Found struct {
	Address  upstream.Address
	Weight   int // 1 to upstream.MaxWeight
	Priority int // lower first; not negative
	// Host is the name that led to the address, in lower case and without a
	// trailing dot: the one looked up, or the target of an SRV record. Empty
	// for a file.
	Host string
}

// Source is where the endpoints of a cluster are written down.
type Source interface {
	// Run looks, tells sink, and goes on looking until ctx is done. It leaves
	// no goroutine and no descriptor behind.
	Run(ctx context.Context, sink Sink)
	// String names the source for the log, such as "dns api.internal".
	String() string
}

// Sink takes what a source finds. A source calls it from the goroutine of its
// Run only, one call at a time, and never after ctx is done.
type Sink interface {
	// Found is told the whole set, sorted by address and without an address
	// twice, each time it was read, also when it is what it was before. The
	// slice is the sink's. missing says what could not be read and stands in
	// the set as it was before, or not at all; nil when nothing is missing.
	Found(set []Found, missing error)
	// Failed is told why the set could not be read. What was found last goes
	// on being true.
	Failed(err error)
}

// settle sorts a set and leaves out all but the first of each address.
func settle(set []Found) []Found {
	slices.SortStableFunc(set, func(a, b Found) int {
		return cmp.Or(a.Address.AddrPort.Compare(b.Address.AddrPort), cmp.Compare(a.Address.Path, b.Address.Path))
	})
	return slices.CompactFunc(set, func(a, b Found) bool { return a.Address == b.Address })
}

// sleep waits for d, or until ctx is done; it tells whether it is not.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
