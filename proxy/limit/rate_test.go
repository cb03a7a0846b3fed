package limit

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// naiveBucket is a token bucket as one would explain it. Tokens are counted in
// nanoseconds of the time that one takes to come, so that nothing is rounded.
type naiveBucket struct {
	tokens, one, most time.Duration
	at                time.Duration
}

func newNaiveBucket(perSecond, burst int) *naiveBucket {
	one := time.Second / time.Duration(perSecond)
	return &naiveBucket{tokens: one * time.Duration(burst), one: one, most: one * time.Duration(burst)}
}

func (b *naiveBucket) take(now time.Duration) bool {
	b.tokens = min(b.tokens+now-b.at, b.most)
	b.at = now
	if b.tokens < b.one {
		return false
	}
	b.tokens -= b.one
	return true
}

func TestBucketIsATokenBucket(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct{ perSecond, burst int }{{1, 1}, {1, 7}, {20, 40}, {1000, 1}, {1000, 2000}, {1_000_000, 100}} {
		var b Bucket
		naive, rate := newNaiveBucket(c.perSecond, c.burst), NewRate(float64(c.perSecond), c.burst)
		now, taken := time.Duration(0), 0
		for i := range 20_000 {
			switch rnd.IntN(10) {
			case 0:
				now += naive.most / 2 // a rest
			case 1:
				now += naive.one // exactly
			default:
				now += rand.N(naive.one)
			}
			want := naive.take(now)
			if got := b.Take(now, rate); got != want {
				t.Fatalf("rate %d, burst %d: take %d at %v is %v, want %v", c.perSecond, c.burst, i, now, got, want)
			}
			if want {
				taken++
			}
		}
		if taken == 0 {
			t.Errorf("rate %d, burst %d: nothing was ever taken", c.perSecond, c.burst)
		}
	}
}

func TestBucketGivesItsBurstAndThenTheRate(t *testing.T) {
	t.Parallel()
	var b Bucket
	r := NewRate(2, 3)
	for i, c := range []struct {
		at   time.Duration
		want bool
	}{
		{0, true}, {0, true}, {0, true}, {0, false},
		{499 * time.Millisecond, false}, {500 * time.Millisecond, true}, {500 * time.Millisecond, false},
		{time.Hour, true}, {time.Hour, true}, {time.Hour, true}, {time.Hour, false},
	} {
		if got := b.Take(c.at, r); got != c.want {
			t.Errorf("take %d, at %v: %v, want %v", i, c.at, got, c.want)
		}
	}
}

func TestNoRateIsNoLimit(t *testing.T) {
	t.Parallel()
	var b Bucket
	for range 1000 {
		if !b.Take(0, Rate{}) {
			t.Fatal("refused without a limit")
		}
	}
}

// TestExtremeRatesDoNotOverflow at the edges of what a configuration takes.
func TestExtremeRatesDoNotOverflow(t *testing.T) {
	t.Parallel()
	const year = 365 * 24 * time.Hour
	for _, perSecond := range []float64{MinPerSecond, 0.3, MaxPerSecond} {
		var b Bucket
		r := NewRate(perSecond, MaxBurst)
		for i := range MaxBurst {
			if !b.Take(10*year, r) {
				t.Fatalf("rate %v: number %d of the burst was refused", perSecond, i+1)
			}
		}
		if b.Take(10*year, r) {
			t.Errorf("rate %v: one more than the burst was let through", perSecond)
		}
	}
}

func TestImpossibleRatesPanic(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		perSecond float64
		burst     int
	}{{0, 1}, {-1, 1}, {1, 0}, {2 * MaxPerSecond, 1}, {1, MaxBurst + 1}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("rate %v with burst %d did not panic", c.perSecond, c.burst)
				}
			}()
			NewRate(c.perSecond, c.burst)
		}()
	}
}

func TestBucketIsExactUnderConcurrency(t *testing.T) {
	t.Parallel()
	const burst = 10_000
	var b Bucket
	var taken atomic.Int64
	r := NewRate(1, burst)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range burst / 4 {
				if b.Take(0, r) {
					taken.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := taken.Load(); n != burst {
		t.Errorf("%d were let through at once, want the burst of %d", n, burst)
	}
}
