package limit

import (
	"sync"
	"sync/atomic"
	"testing"
)

func TestConnectionsStopAtTheLimit(t *testing.T) {
	t.Parallel()
	var c Connections
	for i := range 3 {
		if !c.Enter(3) {
			t.Fatalf("number %d was refused", i+1)
		}
	}
	if c.Enter(3) {
		t.Error("a fourth was let in")
	}
	if !c.Enter(0) || c.Active() != 4 {
		t.Errorf("without a limit: %d active, want 4", c.Active())
	}
	if left := c.Leave(); left != 3 {
		t.Errorf("%d are left, want 3", left)
	}
	if c.Enter(3) { // the limit may have been lowered meanwhile
		t.Error("one was let in at the limit")
	}
	c.Leave()
	if !c.Enter(3) {
		t.Error("one was refused below the limit")
	}
}

func TestConnectionsThatWereNotEnteredPanic(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("leaving unentered did not panic")
		}
	}()
	new(Connections).Leave()
}

// TestConnectionsAreExactUnderConcurrency: as many hold on as may, never more,
// and nobody is refused while there is room.
func TestConnectionsAreExactUnderConcurrency(t *testing.T) {
	t.Parallel()
	// One, so that every step is at the limit, even on two CPUs.
	const most, goroutines, rounds = 1, 8, 50_000
	var c Connections
	var inside, refused atomic.Int64
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for range rounds {
				if !c.Enter(most) {
					refused.Add(1)
					continue
				}
				if n := inside.Add(1); n > most {
					t.Errorf("%d inside, at most %d may be", n, most)
				}
				inside.Add(-1)
				c.Leave()
			}
		})
	}
	wg.Wait()
	if c.Active() != 0 {
		t.Errorf("%d are left", c.Active())
	}
	// As many goroutines as places: nobody may be refused, however the others
	// come and go.
	refused.Store(0)
	const places = 4
	for range places {
		wg.Go(func() {
			for range rounds {
				if !c.Enter(places) {
					refused.Add(1)
					continue
				}
				c.Leave()
			}
		})
	}
	wg.Wait()
	if n := refused.Load(); n > 0 {
		t.Errorf("%d were refused, and there was always room", n)
	}
}
