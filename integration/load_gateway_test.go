package integration

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"sync"
	"testing"

	"sluice/tlsutil/certgen"
	"sluice/tlsutil/clienthello/hellotest"
)

// loadSize is how much of something a load test takes: a tenth of it under the
// race detector, where the same ground takes about ten times as long.
func loadSize[N int | int64](n N) N {
	if raceEnabled {
		return n / 10
	}
	return n
}

// loadGateway runs a gateway with a listener of plain TCP, and one with a chain
// that passes TLS through and one that terminates it, all to one endpoint. more
// is added to the configuration. Deadlines are far off, so that a slow machine
// is not a failure; inspect is the "tls" listener's.
func loadGateway(t *testing.T, endpoint, inspect, more string, opts ...option) *process {
	t.Helper()
	cert, key := newAuthority(t, "load").files("terminated", certgen.Options{Names: []string{"terminated.test"}})
	return startSluice(t, fmt.Sprintf(`
listener "plain" {
  address = "127.0.0.1:0"
  filter_chain "plain" {
    route { cluster = "load" }
  }
}
listener "tls" {
  address = "127.0.0.1:0"
  inspect { timeout = %q }
  filter_chain "passed" {
    match { server_names = ["passed.test"] }
    route { cluster = "load" }
  }
  filter_chain "terminated" {
    match { server_names = ["terminated.test"] }
    tls {
      certificate {
        cert_file = %q
        key_file  = %q
      }
    }
    route { cluster = "load" }
  }
}
cluster "load" {
  connect_timeout = "60s"
  endpoints       = [%q]
}
%s
`, inspect, cert, key, endpoint, more), opts...)
}

// loadGatewayOf is loadGateway for connections of one kind. One that encrypts
// again has a gateway that terminates for an endpoint.
func loadGatewayOf(t *testing.T, kind, endpoint, inspect, more string) *process {
	t.Helper()
	if kind != reencryptedKind {
		return loadGateway(t, endpoint, inspect, more)
	}
	behind := loadGateway(t, endpoint, inspect, `access_log { enabled = false }`)
	cert, key := newAuthority(t, "load").files("reencrypted", certgen.Options{Names: []string{"reencrypted.test"}})
	return startSluice(t, fmt.Sprintf(`
listener "tls" {
  address = "127.0.0.1:0"
  inspect { timeout = %q }
  filter_chain "reencrypted" {
    tls {
      certificate {
        cert_file = %q
        key_file  = %q
      }
    }
    route { cluster = "load" }
  }
}
cluster "load" {
  connect_timeout = "60s"
  endpoints       = [%q]
  tls {
    server_name          = "terminated.test"
    insecure_skip_verify = true
  }
}
%s
`, inspect, cert, key, behind.address("tls"), more))
}

// descriptorLimit runs the gateway with no more than n descriptors.
func descriptorLimit(n int) option {
	return withCommand(func(cmd *exec.Cmd) {
		script := fmt.Sprintf(`ulimit -n %d; exec "$@"`, n)
		cmd.Args = append([]string{"sh", "-c", script, "sh"}, cmd.Args...)
		cmd.Path = "/bin/sh"
	})
}

// The kinds of connection that load tests make.
const (
	plainKind      = "plain"
	passedKind     = "passed"
	terminatedKind = "terminated"
	// reencryptedKind is terminated, and TLS is spoken to the endpoint: see
	// loadGatewayOf.
	reencryptedKind = "reencrypted"
)

// visitor connects to a [loadGateway].
type visitor struct {
	kind    string
	address string
}

func newVisitor(p *process, kind string) visitor {
	listener := "tls"
	if kind == plainKind {
		listener = "plain"
	}
	return visitor{kind, p.address(listener)}
}

// open connects, shakes hands where the kind has it, and gives what stands in
// front of the application's bytes: a hello where TLS is passed through.
func (v visitor) open() (net.Conn, []byte, error) {
	c, err := tryDial(v.address)
	if err != nil {
		return nil, nil, err
	}
	switch v.kind {
	case passedKind:
		return c, hellotest.Builder{ServerNames: []string{"passed.test"}}.Records(), nil
	case terminatedKind, reencryptedKind:
		// Whom it talks to is other tests' matter.
		conn := tls.Client(c, &tls.Config{ServerName: v.kind + ".test", InsecureSkipVerify: true})
		if err := conn.Handshake(); err != nil {
			c.Close()
			return nil, nil, err
		}
		return conn, nil, nil
	}
	return c, nil, nil
}

// roundTrip has what is behind the gateway echo something.
func (v visitor) roundTrip() (net.Conn, error) {
	c, opening, err := v.open()
	if err != nil {
		return nil, err
	}
	if err := echoed(c, append(opening, "something"...)); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// echoed sends something and reads it back.
func echoed(c net.Conn, said []byte) error {
	if _, err := c.Write(said); err != nil {
		return err
	}
	heard := make([]byte, len(said))
	if _, err := io.ReadFull(c, heard); err != nil {
		return fmt.Errorf("reading the echo: %w", err)
	}
	if string(heard) != string(said) {
		return errors.New("the echo differs from what was said")
	}
	return nil
}

// leave finishes and waits until the other side has too.
func leave(c net.Conn) error {
	defer c.Close()
	if err := finish(c); err != nil {
		return err
	}
	if n, err := c.Read(make([]byte, 1)); err != io.EOF {
		return fmt.Errorf("after both had finished, reading gave %d bytes and %v", n, err)
	}
	return nil
}

// echoSmall echoes without the pipe that io.Copy would hold for each
// connection: thousands of them would use up the test's descriptors.
func echoSmall(c net.Conn) {
	io.CopyBuffer(struct{ io.Writer }{c}, onlyReader{c}, make([]byte, 4<<10))
}

// many calls f n times, up to 200 at a time, and gives the first error.
func many(n int, f func(i int) error) error {
	var wg sync.WaitGroup
	var once sync.Once
	var first error
	todo := make(chan int, n)
	for i := range n {
		todo <- i
	}
	close(todo)
	for range min(n, 200) {
		wg.Go(func() {
			for i := range todo {
				if err := f(i); err != nil {
					once.Do(func() { first = fmt.Errorf("number %d of %d: %w", i, n, err) })
				}
			}
		})
	}
	wg.Wait()
	return first
}

func isTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}
