package main

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Buckets of a histogram: 64 to each power of two, so that a value is known to
// 1.6%, up to 2^36 ns (68 s); what is longer counts as that.
const (
	subBits    = 6
	subBuckets = 1 << subBits
	topBit     = 36
	buckets    = (topBit - subBits + 1) * subBuckets
)

// histogram counts durations. The zero value is ready; it may be used from many
// goroutines at once.
type histogram struct {
	counts [buckets]atomic.Int64
}

func (h *histogram) add(d time.Duration) { h.counts[bucketOf(d)].Add(1) }

// bucketOf is d itself below subBuckets ns; above, the power of two and the
// subBits bits that follow the first.
func bucketOf(d time.Duration) int {
	v := uint64(max(d, 0))
	if v < subBuckets {
		return int(v)
	}
	shift := bits.Len64(v) - subBits - 1
	return min((shift+1)<<subBits+int(v>>shift)-subBuckets, buckets-1)
}

// lowest is the smallest duration of a bucket.
func lowest(bucket int) time.Duration {
	if bucket < subBuckets {
		return time.Duration(bucket)
	}
	shift := bucket>>subBits - 1
	return time.Duration(subBuckets+bucket&(subBuckets-1)) << shift
}

// quantile is the smallest duration that a share q of all durations does not
// exceed; zero when there are none.
func (h *histogram) quantile(q float64) time.Duration {
	var total int64
	for i := range h.counts {
		total += h.counts[i].Load()
	}
	if total == 0 {
		return 0
	}
	rank := max(int64(q*float64(total)+0.5), 1)
	for i := range h.counts {
		rank -= h.counts[i].Load()
		if rank <= 0 {
			return lowest(i)
		}
	}
	return lowest(buckets - 1)
}
