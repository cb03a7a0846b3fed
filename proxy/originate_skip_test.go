package proxy

import (
	"fmt"
	"io"
	"net"
	"testing"

	"sluice/proxy/poller"
	"sluice/proxy/relay"
)

// busyWorker keeps its worker busy from when a connection was dialed until it is
// let go, so that the worker comes late to see what became of that.
type busyWorker struct {
	poller.Slot
	w     *worker
	until <-chan struct{}
}

func (b *busyWorker) Ready() {
	dialed := false
	b.w.each(func(c *conn) { dialed = dialed || c.fds[relay.Upstream] >= 0 })
	if !dialed {
		b.w.Again(&b.Slot)
		return
	}
	<-b.until
	b.w.Close(&b.Slot)
}

// TestOriginationIsNotSkippedForAnAnswer: what an endpoint, or somebody in its
// place, says in the clear and resets after is no answer to the client, though a
// plain endpoint's would be.
func TestOriginationIsNotSkippedForAnAnswer(t *testing.T) {
	o := newOriginating(t)
	for name, header := range map[string]string{"no header": "", "a header": "proxy_protocol { version = 1 }"} {
		t.Run(name, func(t *testing.T) {
			said := make(chan struct{})
			endpoint := backend(t, func(c net.Conn) {
				io.WriteString(c, "forged")
				c.(*net.TCPConn).SetLinger(0)
				c.Close()
				close(said)
			})
			g := startGateway(t, fmt.Sprintf(`
runtime { workers = 1 }
listener "plain" {
  address = "127.0.0.1:0"
  filter_chain "plain" {
    route { cluster = "one" }
  }
}
cluster "one" {
  endpoints            = [%q]
  max_connect_attempts = 1
  %s
  tls {
    server_name = "good.test"
    ca_file     = %q
  }
}
`, endpoint, header, o.caFile))
			g.onEach(func(_ int, w *worker) error {
				b := &busyWorker{w: w, until: said}
				w.Open(&b.Slot, b)
				w.Again(&b.Slot)
				return nil
			})
			c := dial(t, g.address("plain"))
			if b, _ := io.ReadAll(c); len(b) > 0 {
				t.Errorf("the client got %q from an endpoint that was not verified", b)
			}
			if r := g.records.decoded(t); r.results() != "reset" || r.Termination.Reason != "connect_failed" || r.Sent != 0 {
				t.Errorf("%+v", r)
			}
		})
	}
}
