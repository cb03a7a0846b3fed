package upstream

import "testing"

// The first numbers of SplitMix64 from the seed 1234567, as published with
// other implementations.
func TestRandIsSplitMix64(t *testing.T) {
	t.Parallel()
	r := NewRand(1234567)
	for i, want := range []uint64{
		6457827717110365317, 3203168211198807973, 9817491932198370423,
		4593380528125082431, 16408922859458223821,
	} {
		if got := r.next(); got != want {
			t.Errorf("number %d is %d, want %d", i, got, want)
		}
	}
}

func TestBelowStaysBelow(t *testing.T) {
	t.Parallel()
	f := func(name string, n uint64) {
		t.Helper()
		r := NewRand(11)
		for range 1000 {
			if got := r.below(n); got >= n {
				t.Fatalf("%s: %d is not below %d", name, got, n)
			}
		}
	}
	f("one", 1)
	f("three", 3)
	f("more than half of all", 1<<63+1)
	f("all but one", 1<<64-1)
}
