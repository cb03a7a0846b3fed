package proxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/proxy/relay"
	"sluice/tlsutil/certgen"
	"sluice/tlsutil/clienthello/hellotest"
)

// TestClientThatEpollDoesNotTake: nothing will be heard of it, so it must not be
// left waiting, in whatever step of its set-up that is found out. What stands in
// for a kernel that is out of memory or watches is a descriptor that the worker's
// epoll has already.
func TestClientThatEpollDoesNotTake(t *testing.T) {
	hello := hellotest.Builder{ServerNames: []string{"term.test"}}.Records()
	for _, row := range []struct {
		step, listener string
		says           []byte // by the client
	}{
		{step: "hello", listener: "tls"},
		{step: "handshake", listener: "tls", says: hello},
		{step: "queue", listener: "full"},
		{step: "connect", listener: "tcp"},
		{step: "handshake with the endpoint", listener: "originating"},
		{step: "relay", listener: "unix"},
	} {
		t.Run(row.step, func(t *testing.T) {
			g := startGateway(t, deafConfig(t))
			client, fd := acceptedPair(t)
			if row.listener == "full" {
				takesPlace := dial(t, g.address("full"))
				flow(t, takesPlace, takesPlace) // the endpoint echoes
			}
			if _, err := client.Write(row.says); err != nil {
				t.Fatal(err)
			}
			awaitAcknowledged(t, client)
			taken := &chore{w: g.workers[0]}
			g.onFirst(func(w *worker) {
				w.Open(&taken.Slot, taken)
				if err := w.Register(&taken.Slot, relay.Downstream, fd); err != nil {
					t.Error(err)
				}
				ln := g.listenerNamed(row.listener)
				if why := ln.admission.accept(g.Gateway, w.sharedNow()); why != reasonNone {
					t.Error(why)
				}
				w.open(fd, ln, addrPort{}, addrPort{})
			})
			if _, err := io.ReadAll(client); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the client got %v, want a reset", err)
			}
			record := g.records.next(t)
			if !strings.Contains(record, `"reason":"out_of_resources","side":"gateway"`) {
				t.Errorf("the record is %s", record)
			}
			g.onFirst(func(w *worker) { taken.cancel() })
		})
	}
}

// deafConfig has a listener for each way that a set-up can take.
func deafConfig(t *testing.T) string {
	t.Helper()
	cert, key, err := certgen.NewAuthority("deaf").WriteFiles(t.TempDir(), "term", certgen.Options{Names: []string{"term.test"}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "endpoint")
	ln, err := net.Listen("unix", path) // connected at once, without waiting
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return fmt.Sprintf(`
listener "tls" {
  address = "127.0.0.1:0"
  filter_chain "term" {
    match { server_names = ["term.test"] }
    tls {
      certificate {
        cert_file = %q
        key_file  = %q
      }
    }
    route { cluster = "tcp" }
  }
}
listener "tcp" {
  address = "127.0.0.1:0"
  filter_chain "all" {
    route { cluster = "tcp" }
  }
}
listener "unix" {
  address = "127.0.0.1:0"
  filter_chain "all" {
    route { cluster = "unix" }
  }
}
listener "full" {
  address = "127.0.0.1:0"
  filter_chain "all" {
    route { cluster = "full" }
  }
}
listener "originating" {
  address = "127.0.0.1:0"
  filter_chain "all" {
    route { cluster = "originating" }
  }
}
cluster "tcp" { endpoints = [%[3]q] }
cluster "unix" { endpoints = ["unix:%[4]s"] }
cluster "full" {
  endpoints = [%[3]q]
  limits {
    max_connections = 1
    max_pending     = 1
    queue_timeout   = "1h"
  }
}
cluster "originating" {
  endpoints = ["unix:%[4]s"]
  tls { insecure_skip_verify = true }
}
`, cert, key, backend(t, echo), path)
}

// acceptedPair gives a client and the descriptor of its other end, as the
// gateway accepts them. The descriptor is the caller's to give away.
func acceptedPair(t *testing.T) (client net.Conn, fd int) {
	t.Helper()
	accepted := make(chan net.Conn, 1)
	client = dial(t, backend(t, func(c net.Conn) { accepted <- c }))
	c := <-accepted
	defer c.Close() // the duplicate keeps the connection
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var dupErr error
	if err := raw.Control(func(own uintptr) { fd, dupErr = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0) }); err != nil || dupErr != nil {
		t.Fatal(err, dupErr)
	}
	return client, fd
}

// onFirst has the first worker call f, and waits until it has.
func (g *gatewayUnderTest) onFirst(f func(*worker)) {
	done := make(chan struct{})
	g.workers[0].Post(func() {
		defer close(done)
		f(g.workers[0])
	})
	<-done
}

func (g *gatewayUnderTest) listenerNamed(name string) *listener {
	for _, ln := range g.snapshot.Load().listeners {
		if ln.name == name {
			return ln
		}
	}
	panic("no listener " + name)
}
