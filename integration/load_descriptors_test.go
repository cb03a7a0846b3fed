package integration

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// crowd is more clients than a gateway with few descriptors can take.
type crowd struct {
	served []net.Conn
	ended  int // resets and FINs before an echo
}

// gather connects n clients at once, each of which stays when it was served.
func gather(t *testing.T, v visitor, n int) *crowd {
	t.Helper()
	cr := &crowd{}
	var mu sync.Mutex // guards cr
	if err := many(n, func(int) error {
		c, err := v.roundTrip()
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil:
			cr.served = append(cr.served, c)
		case isTimeout(err):
			return fmt.Errorf("it hangs: %w", err)
		default:
			cr.ended++
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return cr
}

func (cr *crowd) leave(t *testing.T) {
	t.Helper()
	for _, c := range cr.served {
		if err := leave(c); err != nil {
			t.Error(err)
		}
	}
	cr.served = nil
}

// TestDescriptorsRunOut gives the gateway so few descriptors that, with the
// first number, it refuses clients by its own count of connections, and with
// the others the kernel refuses it descriptors: for the next client, or for the
// endpoint of the last one.
func TestDescriptorsRunOut(t *testing.T) {
	const clients = 100
	for _, limit := range []int{200, 44, 45} {
		for _, kind := range []string{plainKind, terminatedKind} {
			t.Run(fmt.Sprintf("%d_descriptors_%s", limit, kind), func(t *testing.T) {
				t.Parallel()
				p := loadGateway(t, echoBackend(t), "60s", `runtime { workers = 2 }`, descriptorLimit(limit))
				v := newVisitor(p, kind)
				before := settledDescriptors(t, p)
				for round := range 3 {
					cr := gather(t, v, clients)
					if len(cr.served) == 0 || cr.ended == 0 {
						t.Fatalf("%d of %d clients were served, want some and not all", len(cr.served), clients)
					}
					used := cpuOver(p, time.Second)
					t.Logf("round %d: %d served, %d turned away; %d descriptors of %d (%d without clients); %v of CPU in 1 s",
						round+1, len(cr.served), cr.ended, p.descriptors(), limit, before, used)
					if used > 200*time.Millisecond && !raceEnabled {
						t.Errorf("the gateway used %v of CPU in a second in which nothing happened", used)
					}
					for _, c := range cr.served { // they are none the worse
						if err := echoed(c, []byte("still there")); err != nil {
							t.Error(err)
						}
					}
					cr.leave(t)
					eventually(t, "the descriptors from before", func() bool { return p.descriptors() <= before })
				}
				expectTurnedAway(t, p)
				cr := gather(t, v, 5) // service is normal again
				if cr.ended > 0 {
					t.Errorf("after the load %d of 5 clients were turned away", cr.ended)
				}
				cr.leave(t)
			})
		}
	}
}

// expectTurnedAway checks that those who were turned away have their reason in
// a record, or were counted in the service log.
func expectTurnedAway(t *testing.T, p *process) {
	t.Helper()
	reasons := make(map[string]int)
	for _, rec := range p.records.all() {
		reasons[within(rec, "termination", "reason")]++
	}
	logged := strings.Contains(p.stderr.String(), "accepting a connection")
	t.Logf("records by reason: %v; the service log tells of accepts that failed: %v", reasons, logged)
	if reasons["descriptor_limit"]+reasons["out_of_resources"] == 0 && !logged {
		t.Error("nothing tells why clients were turned away")
	}
	for reason := range reasons {
		switch reason {
		case "finished", "reset", "descriptor_limit", "out_of_resources":
		default:
			t.Errorf("a connection ended with the reason %q", reason)
		}
	}
}

// cpuOver gives the CPU time that the gateway uses in the next d.
func cpuOver(p *process, d time.Duration) time.Duration {
	before := p.cpu()
	<-time.After(d)
	return p.cpu() - before
}
