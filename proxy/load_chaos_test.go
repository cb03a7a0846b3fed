package proxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sluice/tlsutil/certgen"
	"sluice/tlsutil/clienthello/hellotest"
)

// chaos is clients and endpoints that end connections early, late, in the
// wrong way and in every phase, many at a time, so that descriptors are closed
// and their numbers reused while something still happens to them. What holds it
// together is the echo: whatever a client gets back must be the beginning of
// what it sent itself.
type chaos struct {
	t       *testing.T
	address string
	stop    atomic.Bool
	clients sync.WaitGroup
	visits  atomic.Int64
	echoed  atomic.Int64 // connections that got something back
}

// chaosConfig has a chain for each phase in which a connection can end, and
// deadlines so short that they often win.
func chaosConfig(t *testing.T, good, hanging string) string {
	t.Helper()
	cert, key, err := certgen.NewAuthority("chaos").WriteFiles(t.TempDir(), "terminated",
		certgen.Options{Names: []string{"terminated.test"}})
	if err != nil {
		t.Fatal(err)
	}
	route := func(cluster string) string {
		return fmt.Sprintf(`route {
      cluster            = %q
      idle_timeout       = "60ms"
      half_close_timeout = "30ms"
      max_downstream_connection_duration = "150ms"
    }`, cluster)
	}
	return fmt.Sprintf(`
runtime { workers = 2 }
listener "tls" {
  address     = "127.0.0.1:0"
  on_no_match = "tls_alert"
  inspect { timeout = "40ms" }
  filter_chain "passed" {
    match { server_names = ["passed.test"] }
    %s
  }
  filter_chain "terminated" {
    match { server_names = ["terminated.test"] }
    tls {
      certificate {
        cert_file = %q
        key_file  = %q
      }
    }
    %s
    on_upstream_failure = "close"
  }
  filter_chain "hanging" {
    match { server_names = ["hanging.test"] }
    %s
    on_upstream_failure = "tls_alert"
  }
}
cluster "good" {
  connect_timeout = "50ms"
  endpoints       = [%q]
}
cluster "hanging" {
  connect_timeout = "20ms"
  endpoints       = [%q, "127.0.0.1:1"]
}
`, route("good"), cert, key, route("good"), route("hanging"), good, hanging)
}

// startChaos starts the gateway and n clients.
func startChaos(t *testing.T, n int) (*chaos, *gatewayUnderTest) {
	t.Helper()
	good := backend(t, chaosEndpoint)
	g := startGateway(t, chaosConfig(t, good, fullEndpoint(t)))
	ch := &chaos{t: t, address: g.address("tls")}
	t.Cleanup(ch.end)
	for range n {
		ch.clients.Go(ch.client)
	}
	return ch, g
}

// end waits until no client is left. It may be called more than once.
func (ch *chaos) end() {
	ch.stop.Store(true)
	ch.clients.Wait()
}

// chaosEndpoint echoes, in the end; but it may first stall, finish or reset.
func chaosEndpoint(c net.Conn) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	switch rand.N(8) {
	case 0:
		c.(*net.TCPConn).SetLinger(0)
		return
	case 1:
		return
	case 2: // echoes a little and resets
		echoThrough(c, io.LimitReader(c, rand.N[int64](2000)))
		c.(*net.TCPConn).SetLinger(0)
		return
	case 3: // never answers; the gateway's deadlines decide
		io.Copy(io.Discard, c)
		return
	}
	echoThrough(c, c)
}

// fullEndpoint gives an address where connecting hangs: a listening socket
// whose queue is full and that nobody accepts from.
func fullEndpoint(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	address := localAddress(fd).String()
	for range 2 { // a queue of length 0 takes one; another only its handshake's first half
		if c, err := net.DialTimeout("tcp", address, 50*time.Millisecond); err == nil {
			t.Cleanup(func() { c.Close() })
		}
	}
	return address
}

func (ch *chaos) client() {
	for !ch.stop.Load() {
		c, err := net.DialTimeout("tcp", ch.address, 5*time.Second)
		if err != nil {
			return // the gateway has stopped accepting
		}
		ch.visits.Add(1)
		c.SetDeadline(time.Now().Add(10 * time.Second))
		ch.visit(c.(*net.TCPConn))
		c.Close()
	}
}

// visit does one of the things that clients do. Errors are expected, all but
// bytes that are somebody else's.
func (ch *chaos) visit(c *net.TCPConn) {
	if rand.N(2) == 0 {
		c.SetLinger(0) // its end, whatever it is, is a reset
	}
	name := [...]string{"passed.test", "terminated.test", "hanging.test", "unknown.test"}[rand.N(4)]
	hello := hellotest.Browser(name).Records()
	switch rand.N(7) {
	case 0: // leaves at once
	case 1: // leaves inside the hello
		c.Write(hello[:rand.N(len(hello))])
	case 2: // waits inside the hello for its deadline
		c.Write(hello[:rand.N(len(hello))])
		io.Copy(io.Discard, c)
	case 3: // leaves while the gateway connects, or shakes hands
		c.Write(hello)
	case 4: // a hello and then rubbish, which no handshake survives
		c.Write(append(hello, bytes.Repeat([]byte("x"), 1+rand.N(100))...))
		c.CloseWrite()
		io.Copy(io.Discard, c)
	case 5:
		ch.talk(c, hellotest.Builder{ServerNames: []string{"passed.test"}}.Records())
	case 6:
		conn := tls.Client(c, &tls.Config{ServerName: "terminated.test", InsecureSkipVerify: true})
		if conn.Handshake() == nil {
			ch.talk(conn, nil)
		}
	}
}

// talk sends something nobody else sends, in pieces, and checks that whatever
// comes back is the beginning of it.
func (ch *chaos) talk(c net.Conn, opening []byte) {
	said := append(opening, make([]byte, rand.N(200<<10))...)
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(rand.N(256))
	}
	rand.NewChaCha8(seed).Read(said[len(opening):])
	var sending sync.WaitGroup
	defer sending.Wait()
	sending.Go(func() {
		c.Write(said)
		c.(interface{ CloseWrite() error }).CloseWrite()
	})
	heard := make([]byte, len(said))
	if rand.N(3) == 0 { // leaves in the middle
		heard = heard[:rand.N(len(said)+1)]
		defer c.Close()
	}
	n, _ := io.ReadFull(c, heard)
	if !bytes.Equal(heard[:n], said[:n]) {
		ch.t.Errorf("a client got %d bytes back, and not all of them are its own", n)
	}
	if n > 0 {
		ch.echoed.Add(1)
	}
}

// endRecords is why each connection ended. No connection may have two.
type endRecords struct {
	mu   sync.Mutex // guards seen
	seen map[float64]string
	done chan struct{}
}

// collectEnds reads records until stop is closed and the sink is empty.
func collectEnds(t *testing.T, sink *recordSink, stop <-chan struct{}) *endRecords {
	e := &endRecords{seen: make(map[float64]string), done: make(chan struct{})}
	take := func(line string) {
		var rec struct {
			ID          float64
			Termination struct{ Reason string }
		}
		if err := json.Unmarshal([]byte(line), &rec); err != nil {
			t.Errorf("record %s: %v", line, err)
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		if _, twice := e.seen[rec.ID]; twice {
			t.Errorf("connection %v has a second record: %s", rec.ID, line)
		}
		e.seen[rec.ID] = rec.Termination.Reason
	}
	go func() {
		defer close(e.done)
		for {
			select {
			case line := <-sink.lines:
				take(line)
				continue
			default:
			}
			select {
			case line := <-sink.lines:
				take(line)
			case <-stop:
				return
			}
		}
	}()
	return e
}

// reasons tells how many connections ended for what.
func (e *endRecords) reasons() string {
	count := make(map[string]int)
	for _, r := range e.seen {
		count[r]++
	}
	return strings.TrimPrefix(fmt.Sprint(count), "map")
}

// chaosTime is how long chaos reigns.
const chaosTime = 5 * time.Second

// untouched is what the process has before a test and must have after it.
// Everything of the gateway is gone then, and so are the test's own clients.
func untouched(t *testing.T) func() {
	t.Helper()
	before := measure(t)
	return func() {
		t.Helper()
		eventually(t, func() error {
			if n := runtime.NumGoroutine(); n > before.goroutines {
				buf := make([]byte, 64<<10)
				return fmt.Errorf("%d goroutines, before there were %d:\n%s", n, before.goroutines, buf[:runtime.Stack(buf, true)])
			}
			if n := countDescriptors(t); n > before.descriptors {
				return fmt.Errorf("%d descriptors, before there were %d: %s", n, before.descriptors, openDescriptors())
			}
			return nil
		})
	}
}

// openDescriptors says what the process has open.
func openDescriptors() string {
	var b strings.Builder
	list, _ := os.ReadDir("/proc/self/fd")
	for _, fd := range list {
		target, _ := os.Readlink("/proc/self/fd/" + fd.Name())
		fmt.Fprintf(&b, "%s=%s ", fd.Name(), target)
	}
	return b.String()
}

// chaosRun runs a test with chaos and looks afterwards whether anything of it
// is left, and whether every connection has exactly one record.
func chaosRun(t *testing.T, middle func(t *testing.T, ch *chaos, g *gatewayUnderTest)) {
	// The subtest's cleanups take the gateway, endpoints and clients away.
	unchanged := untouched(t)
	t.Run("run", func(t *testing.T) {
		ch, g := startChaos(t, 64)
		stop := make(chan struct{})
		ends := collectEnds(t, g.records, stop)
		middle(t, ch, g)
		ch.end()
		g.Close()
		close(stop)
		<-ends.done
		s := g.Stats()
		t.Logf("%d connections, %d of them echoed; ended by %s", s.Accepted, ch.echoed.Load(), ends.reasons())
		if s.RecordsDropped != 0 || uint64(len(ends.seen)) != s.Accepted {
			t.Errorf("%d connections have %d end records (%d dropped), want one each", s.Accepted, len(ends.seen), s.RecordsDropped)
		}
		if ch.echoed.Load() == 0 {
			t.Error("no client got anything back: the test shows nothing")
		}
	})
	unchanged()
}

// await waits until so many visits were made.
func (ch *chaos) await(t *testing.T, visits int64) {
	t.Helper()
	eventually(t, func() error {
		if n := ch.visits.Load(); n < visits {
			return fmt.Errorf("%d visits so far, want %d", n, visits)
		}
		return nil
	})
}

func TestChaosLeavesNothing(t *testing.T) {
	chaosRun(t, func(t *testing.T, ch *chaos, g *gatewayUnderTest) {
		<-time.After(chaosTime)
		ch.end()
		eventually(t, func() error {
			if s := g.Stats(); s.Active != 0 || s.Coroutines != 0 || s.PipesInUse != 0 {
				return fmt.Errorf("without clients the gateway has %+v", s)
			}
			return nil
		})
	})
}

func TestCloseInTheMiddleOfChaos(t *testing.T) {
	for range 5 {
		chaosRun(t, func(t *testing.T, ch *chaos, g *gatewayUnderTest) {
			ch.await(t, 500)
			inTime(t, "Close", g.Close)
		})
	}
}

func TestDrainInTheMiddleOfChaos(t *testing.T) {
	for range 3 {
		chaosRun(t, func(t *testing.T, ch *chaos, g *gatewayUnderTest) {
			ch.await(t, 500)
			inTime(t, "Drain", func() {
				if err := g.Drain(context.Background(), 100*time.Millisecond); err != nil {
					t.Errorf("Drain: %v", err)
				}
			})
			if s := g.Stats(); s.Active != 0 {
				t.Errorf("after Drain the gateway has %+v", s)
			}
		})
	}
}

// inTime fails the test when f does not return.
func inTime(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	began := time.Now()
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
		t.Logf("%s took %v", what, time.Since(began).Round(time.Millisecond))
	case <-time.After(20 * time.Second):
		buf := make([]byte, 1<<20)
		t.Fatalf("%s has not returned after 20 s:\n%s", what, buf[:runtime.Stack(buf, true)])
	}
}
