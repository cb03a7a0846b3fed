package limit

import (
	"fmt"
	"math"
	"sync/atomic"
	"time"
)

// The largest rate and burst. A nanosecond is the unit of time here: beyond
// this rate rounding to it would be felt, and no machine accepts connections as
// fast. The smallest rate keeps the time that a whole burst takes within an
// int64.
const (
	MaxPerSecond = 1_000_000
	MinPerSecond = 0.001
	MaxBurst     = 1_000_000
)

// Rate is how many may come in a second on average, and how many at once. The
// zero value is no limit.
type Rate struct {
	interval time.Duration // in which a bucket gains one
	depth    time.Duration // in which an empty one becomes full: burst intervals
}

// NewRate makes a Rate. Values that a checked configuration cannot contain
// (see the constants; a burst below 1) make it panic.
func NewRate(perSecond float64, burst int) Rate {
	if !(perSecond >= MinPerSecond && perSecond <= MaxPerSecond) || burst < 1 || burst > MaxBurst {
		panic(fmt.Sprintf("BUG: limit: a rate of %v with a burst of %d", perSecond, burst))
	}
	interval := time.Duration(math.Round(float64(time.Second) / perSecond))
	return Rate{interval, interval * time.Duration(burst)}
}

// Limited tells whether there is a limit.
func (r Rate) Limited() bool { return r.interval > 0 }

// take takes one out of a bucket that will be full at the given time, and gives
// when it will be so after that. ok is false when the bucket is empty.
//
// This is the generic cell rate algorithm in its virtual scheduling form (ITU-T
// I.371, annex A): a token bucket of which only one number is kept, and of
// which nobody has to fill anything.
func (r Rate) take(full, now time.Duration) (then time.Duration, ok bool) {
	then = max(full, now) + r.interval
	return then, then-now <= r.depth
}

// Bucket is a token bucket, full at first. It takes 8 bytes and no lock; its
// methods may be called by any goroutine.
//
// It keeps a time, not a number of tokens. When the rate becomes another one,
// begin with a new Bucket: an old one may be empty for as long as under the
// old rate.
type Bucket struct{ full atomic.Int64 } // when it will be full

// Take takes one, if there is one.
func (b *Bucket) Take(now time.Duration, r Rate) bool {
	if !r.Limited() {
		return true
	}
	for {
		full := b.full.Load()
		then, ok := r.take(time.Duration(full), now)
		if !ok {
			return false
		}
		if b.full.CompareAndSwap(full, int64(then)) {
			return true
		}
	}
}
