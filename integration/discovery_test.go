package integration

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// askOrEcho is a backend that says its name and finishes when it is asked for
// it, and otherwise echoes.
func askOrEcho(name string) func(net.Conn) {
	return func(c net.Conn) {
		line, err := bufio.NewReader(c).ReadString('\n')
		switch {
		case err != nil:
		case line == "name\n":
			io.WriteString(c, name)
			finish(c)
			io.Copy(io.Discard, c)
		default:
			io.WriteString(c, line)
			echo(c)
		}
	}
}

// askName makes a connection and gives who served it.
func askName(address string) (string, error) {
	c, err := tryDial(address)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, "name\n"); err != nil {
		return "", err
	}
	b, err := io.ReadAll(c)
	return string(b), err
}

// hold makes a connection that stays, and sees that it works.
func hold(t *testing.T, address string) net.Conn {
	t.Helper()
	c := dial(t, address)
	exchange(t, c, "hold\n")
	return c
}

// load asks for names without a pause until it is stopped.
type load struct {
	over    atomic.Bool
	clients sync.WaitGroup

	mu     sync.Mutex // guards what follows
	served map[string]int
	latest map[string]time.Time // when a connection began that was served there
	failed []failure
}

// failure is a connection of a load that nobody served.
type failure struct {
	began time.Time
	err   error
}

func startLoad(t *testing.T, address string, clients int) *load {
	l := &load{served: make(map[string]int), latest: make(map[string]time.Time)}
	for range clients {
		l.clients.Go(func() {
			for !l.over.Load() {
				began := time.Now()
				name, err := askName(address)
				l.mu.Lock()
				if err != nil || name == "" {
					l.failed = append(l.failed, failure{began, err})
				} else {
					l.served[name]++
					if began.After(l.latest[name]) {
						l.latest[name] = began
					}
				}
				l.mu.Unlock()
			}
		})
	}
	t.Cleanup(l.stop)
	return l
}

// stop ends the load and waits for it.
func (l *load) stop() {
	l.over.Store(true)
	l.clients.Wait()
}

// expectNoFailures fails for connections that nobody served and that began after
// the given time.
func (l *load) expectNoFailures(t *testing.T, after time.Time) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.failed {
		if f.began.After(after) {
			t.Errorf("a connection failed: %v", f.err)
		}
	}
}

// count gives how many connections somebody has served.
func (l *load) count(name string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.served[name]
}

// awaitServed waits until somebody has served that many more.
func (l *load) awaitServed(t *testing.T, name string, more int) {
	t.Helper()
	target := l.count(name) + more
	eventually(t, fmt.Sprintf("%s serves %d connections more", name, more), func() bool { return l.count(name) >= target })
}

// TestDNSAnswerChangesUnderLoad: new connections move to the new addresses
// within a refresh, and none of them fails; those that are there stay or leave as
// on_endpoint_removed says. A resolver that fails changes nothing.
func TestDNSAnswerChangesUnderLoad(t *testing.T) {
	t.Parallel()
	const held, refresh, drainTimeout = 20, time.Second, 2 * time.Second
	for _, c := range []struct {
		fate, reason, side string
	}{
		{"keep", "finished", "downstream"},
		{"drain", "endpoint_removed", "gateway"},
		{"close", "endpoint_removed", "gateway"},
	} {
		t.Run(c.fate, func(t *testing.T) {
			t.Parallel()
			listeners, port := listenOnAll(t, "127.0.0.11", "127.0.0.12")
			serve(t, listeners[0], askOrEcho("old"))
			serve(t, listeners[1], askOrEcho("new"))
			resolver := newDNSServer(t)
			resolver.set(t, "app.test.", "A 127.0.0.11")
			p := startSluice(t, fmt.Sprintf(`
runtime { drain_timeout = %q }
listener "tcp" {
  address = "127.0.0.1:0"
  filter_chain "all" {
    match { transport_protocol = "raw_buffer" }
    route { cluster = "app" }
  }
}
cluster "app" {
  on_endpoint_removed = %q
  discovery "dns" {
    host      = "app.test"
    port      = %d
    refresh   = %q
    resolvers = [%q]
  }
}
`, drainTimeout, c.fate, port, refresh, resolver.address))
			p.waitLog(`"added":["127.0.0.11:`)
			address := p.address("tcp")
			var stay []net.Conn
			for range held {
				stay = append(stay, hold(t, address))
			}
			l := startLoad(t, address, 2)
			l.awaitServed(t, "old", 20)

			resolver.set(t, "app.test.", "A 127.0.0.12")
			changed := time.Now()
			p.waitLog(`"removed":["127.0.0.11:`)
			// A refresh, and as much again for a machine that is busy.
			if took := time.Since(changed); took > 2*refresh {
				t.Errorf("the change was found after %v, the refresh is %v", took, refresh)
			}
			moved := time.Now() // the endpoints are others before the log says so
			l.awaitServed(t, "new", 20)
			closed := time.Now()

			resolver.fail(dns.RcodeServerFailure)
			p.waitLog("SERVFAIL")
			l.awaitServed(t, "new", 20)
			l.stop()
			if c.fate == "close" {
				l.expectNoFailures(t, closed) // those that were there at that moment were closed
			} else {
				l.expectNoFailures(t, time.Time{})
			}
			if late := l.latest["old"]; late.After(moved) {
				t.Errorf("a connection that began %v after new ones moved was served by the old endpoint", late.Sub(moved))
			}

			for _, conn := range stay {
				if c.fate == "keep" {
					exchange(t, conn, "still here\n")
					finish(conn)
				}
				if b, err := io.ReadAll(conn); len(b) > 0 || c.fate == "keep" && err != nil {
					t.Errorf("a held connection got %q and ended with %v", b, err)
				}
				conn.Close()
				expectFields(t, p.waitEnd(conn.LocalAddr()), map[string]string{
					"termination.reason": c.reason, "termination.side": c.side, "endpoint": listeners[0].Addr().String()})
			}
			if c.fate == "drain" {
				expectSpread(t, p, changed, drainTimeout)
			}
		})
	}
}

// expectSpread checks that connections of a removed endpoint left over the second
// half of the drain timeout, not all at once.
func expectSpread(t *testing.T, p *process, since time.Time, timeout time.Duration) {
	t.Helper()
	var first, last time.Time
	for _, rec := range p.records.all() {
		if within(rec, "termination", "reason") != "endpoint_removed" {
			continue
		}
		at, err := time.Parse(time.RFC3339, text(rec, "time"))
		if err != nil {
			t.Fatal(err)
		}
		if first.IsZero() || at.Before(first) {
			first = at
		}
		if at.After(last) {
			last = at
		}
	}
	// 20 uniform times over a second: a chance of 10^-5 to lie within half of it.
	if first.Before(since.Add(timeout/2-10*time.Millisecond)) || last.Sub(first) < timeout/4 {
		t.Errorf("connections left from %v to %v after the answer changed, want them spread over the second half of %v", first.Sub(since), last.Sub(since), timeout)
	}
}

// TestServiceRecords: SRV records say ports, weights and priorities, and an
// address that stays in them keeps its connections.
func TestServiceRecords(t *testing.T) {
	t.Parallel()
	first, second := backend(t, askOrEcho("first")), backend(t, askOrEcho("second"))
	spare := backend(t, askOrEcho("spare"))
	port := func(address string) string { _, p, _ := net.SplitHostPort(address); return p }
	resolver := newDNSServer(t)
	resolver.set(t, "here.test.", "A 127.0.0.1")
	resolver.set(t, "_app._tcp.test.", "SRV 0 1 "+port(first)+" here.test.", "SRV 1 1 "+port(spare)+" here.test.")
	p := startSluice(t, fmt.Sprintf(`
listener "tcp" {
  address = "127.0.0.1:0"
  filter_chain "all" {
    match { transport_protocol = "raw_buffer" }
    route { cluster = "app" }
  }
}
cluster "app" {
  on_endpoint_removed = "close"
  discovery "dns" {
    host      = "_app._tcp.test"
    type      = "srv"
    refresh   = "200ms"
    resolvers = [%q]
  }
}
`, resolver.address))
	p.waitLog(`"endpoints changed"`)
	address := p.address("tcp")
	held := hold(t, address)
	for range 20 {
		if name, err := askName(address); name != "first" {
			t.Fatalf("served by %q, %v: the spare is of a lower priority", name, err)
		}
	}
	resolver.set(t, "_app._tcp.test.", "SRV 0 1 "+port(first)+" here.test.", "SRV 0 30 "+port(second)+" here.test.")
	p.waitLog(`"removed":["` + spare)
	seen := map[string]int{}
	for range 200 {
		name, err := askName(address)
		if err != nil {
			t.Fatal(err)
		}
		seen[name]++
	}
	// The held connection and the weights leave the first next to nothing.
	if seen["spare"] > 0 || seen["first"] > 20 {
		t.Errorf("served by %v, want the second with weight 30 to have nearly all", seen)
	}
	exchange(t, held, "still here\n")
}
