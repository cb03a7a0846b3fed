package proxy

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// TestAnswerBeforeAResetIsDelivered: an endpoint that says why it does not
// serve and resets has answered, however late the gateway comes to look. Many
// at a time, so that it often comes late.
func TestAnswerBeforeAResetIsDelivered(t *testing.T) {
	const banner = "too many connections"
	g := startGateway(t, `
listener "tcp" {
  address = "127.0.0.1:0"
  filter_chain "one" {
    route { cluster = "one" }
  }
}
cluster "one" { endpoints = ["`+backend(t, func(c net.Conn) {
		c.Write([]byte(banner))
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	})+`"] }
`)
	const clients, rounds = 16, 40
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for range rounds {
				c, err := net.Dial("tcp", g.address("tcp"))
				if errors.Is(err, syscall.ECONNRESET) {
					continue // all of it was there before net.Dial looked
				}
				if err != nil {
					t.Error(err)
					continue
				}
				b, err := io.ReadAll(c)
				if string(b) != banner || !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("the client got %q and %v, want the banner and a reset", b, err)
				}
				c.Close()
			}
		})
	}
	wg.Wait()
	for range clients * rounds {
		if record := g.records.next(t); strings.Count(record, `"result"`) != 1 || !strings.Contains(record, `"reason":"reset","side":"upstream"`) {
			t.Errorf("want one attempt and a reset by the endpoint: %s", record)
		}
	}
}
