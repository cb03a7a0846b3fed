package proxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"sluice/tlsutil/clienthello/hellotest"
)

var testHello = hellotest.Builder{ServerNames: []string{"a.test"}}.Records()

// tlsTo passes TLS through to a cluster c with the given body.
func tlsTo(t *testing.T, cluster string) *gatewayUnderTest {
	t.Helper()
	return startGateway(t, `
listener "in" {
  address = "127.0.0.1:0"
  filter_chain "tls" {
    match { transport_protocol = "tls" }
    route { cluster = "c" }
  }
}
cluster "c" {
`+cluster+`
}
`)
}

// TestAnswerBeforeAResetIsNoEarlyReset: an endpoint that says why it does not
// serve and resets has answered, also when the gateway learns both at once. Many
// at a time, so that it often does.
func TestAnswerBeforeAResetIsNoEarlyReset(t *testing.T) {
	const alert = "\x15\x03\x03\x00\x02\x02\x50"
	refuses := func(c net.Conn) {
		io.CopyN(io.Discard, c, int64(len(testHello)))
		io.WriteString(c, alert)
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	g := tlsTo(t, `endpoints = ["`+backend(t, refuses)+`", "`+backend(t, refuses)+`"]`)
	const clients, rounds = 16, 40
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for range rounds {
				c, err := net.Dial("tcp", g.address("in"))
				if err != nil {
					t.Error(err)
					return
				}
				c.Write(testHello)
				if b, err := io.ReadAll(c); string(b) != alert || !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("the client got %q and %v, want the alert and a reset", b, err)
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

// TestSetupIsLetGoWithTheFirstByte: a connection on which the endpoint has
// answered holds nothing but itself, and neither does one that cannot be set up
// anew.
func TestSetupIsLetGoWithTheFirstByte(t *testing.T) {
	f := func(name string, endpoints int, options string, holds bool) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			answer, list := make(chan string), []string{}
			for range endpoints {
				list = append(list, strconv.Quote(backend(t, func(c net.Conn) {
					defer c.Close()
					io.CopyN(io.Discard, c, int64(len(testHello)))
					io.WriteString(c, <-answer)
					io.Copy(io.Discard, c)
				})))
			}
			g := tlsTo(t, "endpoints = ["+strings.Join(list, ", ")+"]\n"+options)
			c := dial(t, g.address("in"))
			c.Write(testHello)
			held := func(want bool) func() error {
				return func() error {
					if phase, has := g.theOnly(); phase != phaseRelay || has != want {
						return fmt.Errorf("it is in phase %d, its set-up held: %t; want that %t", phase, has, want)
					}
					return nil
				}
			}
			eventually(t, held(holds))
			answer <- "x"
			if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			eventually(t, held(false))
		})
	}
	f("two endpoints", 2, "", true)
	f("one endpoint", 1, "", false)
	f("one attempt", 2, "max_connect_attempts = 1", false)
	f("switched off", 2, "retry_early_reset = false", false)
}

// theOnly tells where the gateway's one connection stands, and whether it holds
// its set-up.
func (g *gatewayUnderTest) theOnly() (at phase, held bool) {
	var mu sync.Mutex // guards the results
	g.onEach(func(_ int, w *worker) error {
		w.each(func(c *conn) {
			mu.Lock()
			defer mu.Unlock()
			at, held = c.phase, c.setup != nil
		})
		return nil
	})
	return at, held
}

// TestClientsThatFinishEjectNobody: an endpoint that resets a client which has
// finished, as some do to be rid of it, has not failed. Probes of load balancers
// are such clients, and come from many addresses.
func TestClientsThatFinishEjectNobody(t *testing.T) {
	resets := func(c net.Conn) {
		io.Copy(io.Discard, c)
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	for finishes, want := range map[bool]int{true: 0, false: 1} {
		early := resets
		if !finishes {
			early = func(c net.Conn) {
				c.Read(make([]byte, 1))
				c.(*net.TCPConn).SetLinger(0)
				c.Close()
			}
		}
		g := startGateway(t, fmt.Sprintf(`
listener "in" {
  address = "127.0.0.1:0"
  filter_chain "all" {
    route { cluster = "c" }
  }
}
cluster "c" {
  lb_policy = "first"
  endpoints = [%q, %q]
  outlier_detection { consecutive_failures = 3 }
}
`, backend(t, early), backend(t, early)))
		for i := range 6 {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 65, byte(1+i))}}
			c, err := d.Dial("tcp", g.address("in"))
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(c, "x")
			if finishes {
				c.(*net.TCPConn).CloseWrite()
			}
			io.ReadAll(c)
			c.Close()
		}
		for range 6 {
			if record := g.records.next(t); !strings.Contains(record, `"reason":"reset","side":"upstream"`) {
				t.Errorf("the record is %s", record)
			}
		}
		if got := g.ejected("c"); len(got) != want {
			t.Errorf("clients that have finished: %t, ejected: %v", finishes, got)
		}
	}
}
