package proxy

import (
	"fmt"
	"testing"
	"time"
)

// Below panic_threshold health is ignored: a connection that is given to an
// unhealthy endpoint for that is not ended for its being unhealthy.
func TestPanicIgnoresHealthForNewConnections(t *testing.T) {
	t.Parallel()
	for _, fate := range []string{"close", "drain"} {
		t.Run(fate, func(t *testing.T) {
			t.Parallel()
			checked := newSwitchable(t)
			checked.off()
			g := startKept(t, `runtime { drain_timeout = "2ms" }`+plainTo(fmt.Sprintf(`
  endpoints             = [%q]
  panic_threshold       = 50
  on_endpoint_unhealthy = %q
  health_check {
    interval = "10ms"
    port     = %d
  }`, echoes(t), fate, checked.port())))
			u := g.upkeeps["one"]
			until(t, "what becomes of connections that are there to be over", func() bool {
				for e := range u.cluster.Endpoints() {
					s, _ := u.checker.Status(e)
					return s.Failed > 1 // the first one found it unhealthy
				}
				return false
			})
			c := dial(t, g.address("plain"))
			for began := time.Now(); time.Since(began) < 300*time.Millisecond; { // some turns of the timer wheel
				if !echoed(t, c) {
					reason, _ := g.ended(t)
					t.Fatalf("the connection has ended for %s", reason)
				}
			}
			c.Close()
			if reason, _ := g.ended(t); reason != "finished" {
				t.Errorf("it ended for %s", reason)
			}
		})
	}
}
