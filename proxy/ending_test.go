package proxy

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"

	"sluice/proxy/relay"
)

// TestKillHidesNoUnreadBytes: bytes that the gateway's kernel has acknowledged,
// and that no turn has read yet, are lost when the gateway closes. A FIN would
// tell the other side that it has everything, so it has to be a reset. The
// workers are held up so that the bytes stay unread.
func TestKillHidesNoUnreadBytes(t *testing.T) {
	for _, from := range []relay.Side{relay.Downstream, relay.Upstream} {
		t.Run(originOf(from).String(), func(t *testing.T) {
			accepted := make(chan net.Conn, 1)
			g := startGateway(t, `
listener "tcp" {
  address = "127.0.0.1:0"
  filter_chain "one" {
    route { cluster = "one" }
  }
}
cluster "one" { endpoints = ["`+backend(t, func(c net.Conn) { accepted <- c })+`"] }
`)
			client := dial(t, g.address("tcp"))
			endpoint := <-accepted
			defer endpoint.Close()
			flow(t, client, endpoint)
			sender, receiver := client, endpoint
			if from == relay.Upstream {
				sender, receiver = endpoint, client
			}

			arrived, killed := make(chan struct{}), make(chan struct{}, len(g.workers))
			for _, w := range g.workers {
				w.Post(func() {
					<-arrived
					w.each((*conn).kill)
					killed <- struct{}{}
				})
			}
			if _, err := sender.Write([]byte("lost")); err != nil {
				t.Fatal(err)
			}
			awaitAcknowledged(t, sender)
			close(arrived)
			for range g.workers {
				<-killed
			}
			if b, err := io.ReadAll(receiver); !errors.Is(err, syscall.ECONNRESET) || len(b) > 0 {
				t.Errorf("the receiver got %q and %v, want a reset", b, err)
			}
		})
	}
}

// flow passes a byte each way, so that the connection is relayed.
func flow(t *testing.T, a, b net.Conn) {
	t.Helper()
	for _, pair := range [][2]net.Conn{{a, b}, {b, a}} {
		if _, err := pair[0].Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(pair[1], make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
}

// awaitAcknowledged waits until the kernel at the other end has everything.
func awaitAcknowledged(t *testing.T, c net.Conn) {
	t.Helper()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		n := 0
		if err := raw.Control(func(fd uintptr) { n = relay.Unacked(int(fd)) }); err != nil {
			return err
		}
		if n > 0 {
			return errors.New("bytes are not acknowledged")
		}
		return nil
	})
}
