package proxy

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"sluice/tlsutil/certgen"
)

// The sizes of the load tests. Under the race detector the same ground is
// covered by fewer connections.
func loadSize(n int) int {
	if raceEnabled {
		return n / 10
	}
	return n
}

// loadConfig has a chain that passes TLS through and one that terminates it,
// both to one endpoint. Records are off, so that nothing but connections is
// measured, and deadlines far off, so that a slow machine is not a failure.
func loadConfig(t *testing.T, endpoint string) string {
	t.Helper()
	cert, key, err := certgen.NewAuthority("load").WriteFiles(t.TempDir(), "terminated",
		certgen.Options{Names: []string{"terminated.test"}})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`
access_log { enabled = false }
runtime { workers = 2 }
listener "tls" {
  address = "127.0.0.1:0"
  inspect { timeout = "60s" }
  filter_chain "passed" {
    match { server_names = ["passed.test"] }
    route { cluster = "echo" }
  }
  filter_chain "terminated" {
    match { server_names = ["terminated.test"] }
    tls {
      certificate {
        cert_file = %q
        key_file  = %q
      }
    }
    route { cluster = "echo" }
  }
}
cluster "echo" {
  connect_timeout = "60s"
  endpoints       = [%q]
}
`, cert, key, endpoint)
}

// footprint is what the process has of everything that a connection could
// leave behind.
type footprint struct {
	descriptors int
	goroutines  int
	heap        uint64 // bytes alive, after a collection
	stacks      uint64
}

func measure(t *testing.T) footprint {
	t.Helper()
	runtime.GC()
	runtime.GC() // what pools held over the first one goes with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return footprint{countDescriptors(t), runtime.NumGoroutine(), m.HeapAlloc, m.StackInuse}
}

func countDescriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list) - 1 // the directory itself was open
}

// eventually waits until f finds nothing wrong. It is for what ends without
// an event that a test could wait for.
func eventually(t *testing.T, f func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		if err = f(); err == nil {
			return
		}
		<-time.After(5 * time.Millisecond)
	}
	t.Fatalf("after 20 s: %v", err)
}

// kindsOfConnection are the two ways in which a connection can be relayed.
var kindsOfConnection = []struct {
	name       string
	terminated bool
}{
	{"passed through", false},
	{"terminated", true},
}

// keptCoroutines is how many finished coroutines, which the runtime counts as
// goroutines, two workers may keep for the next set-ups.
const keptCoroutines = 2 * 64

// TestIdleConnectionCostsTwoDescriptors holds many connections at once and
// looks at what they cost while no bytes flow, and at what is left afterwards.
func TestIdleConnectionCostsTwoDescriptors(t *testing.T) {
	for _, kind := range kindsOfConnection {
		t.Run(kind.name, func(t *testing.T) {
			peer := startPeer(t)
			g := startGateway(t, loadConfig(t, peer.endpoint(t)))
			visit := Visit{Address: g.address("tls"), N: loadSize(5000), Terminated: kind.terminated}
			warmUp(t, g, peer, visit)

			before := measure(t)
			peer.do(t, "Open", visit)
			eventually(t, func() error { return settled(g, visit.N) })
			idle := measure(t)
			if got, want := idle.descriptors-before.descriptors, 2*visit.N; got != want {
				t.Errorf("%d connections have %d descriptors, want %d", visit.N, got, want)
			}
			if more := idle.goroutines - before.goroutines; more > keptCoroutines {
				t.Errorf("%d idle connections have %d goroutines, want none", visit.N, more)
			}
			heap := int64(idle.heap) - int64(before.heap)
			stacks := int64(idle.stacks) - int64(before.stacks)
			t.Logf("%s: %d bytes of live heap and %d of stack per idle connection",
				kind.name, heap/int64(visit.N), stacks/int64(visit.N))
			if most := mostHeap(kind.terminated); heap/int64(visit.N) > most && !raceEnabled {
				t.Errorf("an idle connection holds %d bytes of heap, want at most %d", heap/int64(visit.N), most)
			}

			peer.do(t, "Leave", true)
			nothingLeft(t, g, before)
		})
	}
}

// mostHeap bounds the live heap of an idle connection: what is measured and
// half as much again.
func mostHeap(terminated bool) int64 {
	if terminated {
		return 12 << 10
	}
	return 1 << 10
}

// TestConnectionsInSequenceLeaveNothing lets ten thousand come and go.
func TestConnectionsInSequenceLeaveNothing(t *testing.T) {
	for _, kind := range kindsOfConnection {
		t.Run(kind.name, func(t *testing.T) {
			peer := startPeer(t)
			g := startGateway(t, loadConfig(t, peer.endpoint(t)))
			visit := Visit{Address: g.address("tls"), N: loadSize(10000), Terminated: kind.terminated}
			warmUp(t, g, peer, visit)

			before := measure(t)
			accepted := g.Stats().Accepted
			began := time.Now()
			peer.do(t, "Visits", visit)
			t.Logf("%s: %d connections in %v", kind.name, visit.N, time.Since(began).Round(time.Millisecond))
			nothingLeft(t, g, before)
			if got := g.Stats().Accepted - accepted; got != uint64(visit.N) {
				t.Errorf("%d connections were accepted, want %d", got, visit.N)
			}
		})
	}
}

// warmUp has the gateway make what it makes only once.
func warmUp(t *testing.T, g *gatewayUnderTest, peer *peerProcess, visit Visit) {
	t.Helper()
	visit.N = 200
	peer.do(t, "Visits", visit)
	eventually(t, func() error { return settled(g, 0) })
}

// settled tells whether the gateway relays n connections and does nothing else.
func settled(g *gatewayUnderTest, n int) error {
	if s := g.Stats(); s.Active != n || s.Slots != n || s.Coroutines != 0 || s.PipesOpen != 0 || s.PipesInUse != 0 {
		return fmt.Errorf("with %d connections the gateway has %+v", n, s)
	}
	return nil
}

// nothingLeft waits until the process has what it had before.
func nothingLeft(t *testing.T, g *gatewayUnderTest, before footprint) {
	t.Helper()
	eventually(t, func() error {
		if err := settled(g, 0); err != nil {
			return err
		}
		if n := countDescriptors(t); n != before.descriptors {
			return fmt.Errorf("%d descriptors, before there were %d", n, before.descriptors)
		}
		if n := runtime.NumGoroutine(); n > before.goroutines+keptCoroutines {
			return fmt.Errorf("%d goroutines, before there were %d", n, before.goroutines)
		}
		return nil
	})
}
