package integration

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/tlsutil/clienthello/hellotest"
)

func helloFor(name string) []byte { return hellotest.Builder{ServerNames: []string{name}}.Records() }

// limitedGateway has one worker, so that clients are seen in the order in which
// they came, and a cluster c with the given body.
func limitedGateway(t *testing.T, cluster string) *process {
	t.Helper()
	return startSluice(t, `
runtime { workers = 1 }
listener "in" {
  address = "127.0.0.1:0"
  filter_chain "all" {
    route { cluster = "c" }
  }
}
cluster "c" {
`+cluster+`
}
`)
}

// orderedBackend serves its clients one by one and gives their numbers, the
// first byte that each sends, in order.
func orderedBackend(t *testing.T) (address string, order <-chan byte) {
	t.Helper()
	ch := make(chan byte, 100)
	return backend(t, func(c net.Conn) {
		b := make([]byte, 1)
		if _, err := io.ReadFull(c, b); err == nil {
			ch <- b[0]
			c.Write(b)
			io.Copy(io.Discard, c)
		}
	}), ch
}

// TestQueueOfAFullCluster: a cluster at max_connections serves those who wait in
// their order, refuses who finds the queue full, and times out who waits too
// long, to 100 ms. Not in parallel with other tests: it measures time.
func TestQueueOfAFullCluster(t *testing.T) {
	address, order := orderedBackend(t)
	const waiting = 6
	p := limitedGateway(t, fmt.Sprintf(`
endpoints = [%q]
limits {
  max_connections = 2
  max_pending     = %d
  queue_timeout   = "800ms"
}`, address, waiting))
	connect := func(number int) net.Conn {
		c := dial(t, p.address("in"))
		send(t, c, []byte{byte(number)})
		return c
	}
	var clients []net.Conn
	for i := range 2 {
		clients = append(clients, connect(i))
		receive(t, clients[i], 1)
		<-order
	}
	for i := range waiting {
		clients = append(clients, connect(2+i))
	}
	expectRefusal(t, p.address("in"))
	rec := p.waitRecord(func(rec event) bool { return within(rec, "termination", "reason") == "cluster_overflow" })
	expectFields(t, rec, map[string]string{"termination.side": "gateway", "flags": "UO", "endpoint": ""})

	// Two are let in as two leave; the others have waited in vain.
	for i := range 2 {
		clients[i].Close()
		receive(t, clients[2+i], 1)
		if got := <-order; int(got) != 2+i {
			t.Errorf("client %d was served, want %d", got, 2+i)
		}
	}
	for _, c := range clients[4:] {
		expectEnd(t, c, rst)
		rec := p.waitEnd(c.LocalAddr())
		expectFields(t, rec, map[string]string{"termination.reason": "queue_timeout", "termination.side": "gateway", "flags": "UO"})
		if ms := number(rec, "queue_ms"); ms < 800 || ms > 900 {
			t.Errorf("it waited for %v ms, want 800", ms)
		}
	}
	// Nothing is left in the queue: as many as before may wait, and are served.
	for i := range waiting {
		clients = append(clients, connect(50+i))
	}
	inside := slices.Clone(clients[2:4])
	for i, c := range clients[len(clients)-waiting:] {
		inside[0].Close()
		receive(t, c, 1)
		if got := <-order; int(got) != 50+i {
			t.Errorf("client %d was served, want %d", got, 50+i)
		}
		inside = append(inside[1:], c)
	}
	for _, c := range clients[len(clients)-waiting:] {
		c.Close()
		rec := p.waitEnd(c.LocalAddr())
		expectFields(t, rec, map[string]string{"termination.reason": "finished", "flags": ""})
		if number(rec, "queue_ms") == 0 {
			t.Errorf("the record of one who waited: %s", asJSON(rec))
		}
	}
}

// TestClientsThatLeaveTheQueue: a client that is gone makes room in the queue.
// One that finished may still want an answer, unless it speaks TLS.
func TestClientsThatLeaveTheQueue(t *testing.T) {
	t.Parallel()
	p := healingGateway(t, fmt.Sprintf("endpoints = [%q]\nlimits {\n max_connections = 1\n max_pending = 1\n}", echoBackend(t)))
	busy := dial(t, p.address("in"))
	exchange(t, busy, "hello")
	for range 5 {
		for reason, c := range map[string]struct {
			says  []byte
			leave func(net.Conn)
		}{
			"reset":           {[]byte("hello"), reset},
			"closed_in_queue": {helloFor("a.test"), func(c net.Conn) { c.Close() }},
		} {
			client := dial(t, p.address("in"))
			send(t, client, c.says)
			c.leave(client)
			rec := p.waitEnd(client.LocalAddr())
			expectFields(t, rec, map[string]string{"termination.reason": reason, "termination.side": "downstream", "flags": "DC"})
		}
	}
	half := dial(t, p.address("in"))
	send(t, half, []byte("hello"))
	finish(half)
	eventually(t, "its bytes and its end have arrived", func() bool { return unacked(t, half) == 0 })
	busy.Close()
	if b, end := readToEnd(half); string(b) != "hello" || end != fin {
		t.Errorf("a client that had finished got %q and %s", b, end)
	}
}

// TestEndpointLimits: an endpoint gets no more than its own limit, and others
// get the rest; with all full a newcomer is refused.
func TestEndpointLimits(t *testing.T) {
	t.Parallel()
	a, b := backend(t, sayAndHold("a")), backend(t, sayAndHold("b"))
	p := healingGateway(t, fmt.Sprintf(`
endpoint %q { max_connections = 1 }
endpoint %q {
  max_connections = 2
  priority        = 1
}`, a, b))
	got := ""
	var clients []net.Conn
	for range 3 {
		c := dial(t, p.address("in"))
		send(t, c, []byte("x"))
		got += string(receive(t, c, 1))
		clients = append(clients, c)
	}
	if got != "abb" {
		t.Errorf("served by %s, want abb", got)
	}
	over := dial(t, p.address("in"))
	send(t, over, []byte("x"))
	expectEnd(t, over, rst)
	rec := p.waitEnd(over.LocalAddr())
	expectFields(t, rec, map[string]string{"termination.reason": "cluster_overflow", "flags": "UO"})
	if e := text(rec, "error"); !strings.Contains(e, "c") {
		t.Errorf("the record's error is %q", e)
	}
	clients[0].Close()
	p.waitEnd(clients[0].LocalAddr())
	c := dial(t, p.address("in"))
	send(t, c, []byte("x"))
	if got := string(receive(t, c, 1)); got != "a" {
		t.Errorf("served by %s, want a, where there is room again", got)
	}
}

// sayAndHold says a name and keeps the connection.
func sayAndHold(name string) func(net.Conn) {
	return func(c net.Conn) {
		io.WriteString(c, name)
		io.Copy(io.Discard, c)
	}
}

// TestStickyRoute: the same client always goes to the same of weighted clusters.
func TestStickyRoute(t *testing.T) {
	t.Parallel()
	route := func(key string) string {
		return fmt.Sprintf(`
listener %q {
  address = "127.0.0.1:0"
  filter_chain "all" {
    route {
      weighted_cluster "a" { weight = 3 }
      weighted_cluster "b" {}
      hash_on = %q
    }
  }
}`, key, key)
	}
	p := startSluice(t, route("source_ip")+route("server_name")+fmt.Sprintf(`
cluster "a" { endpoints = [%q] }
cluster "b" { endpoints = [%q] }
`, backend(t, sayName("a")), backend(t, sayName("b"))))
	ask := func(listener string, source net.IP, name string) string {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: source}}
		c, err := d.Dial("tcp", p.address(listener))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		send(t, c, helloFor(name))
		b, _ := readToEnd(c)
		return string(b)
	}
	for _, listener := range []string{"source_ip", "server_name"} {
		counts := map[string]int{}
		for i := range 40 {
			want := ""
			for j := range 3 {
				source, name := net.IPv4(127, 0, 77, byte(1+i)), fmt.Sprintf("host-%d.test", j)
				if listener == "server_name" {
					source, name = net.IPv4(127, 0, 78, byte(1+j)), fmt.Sprintf("host-%d.test", i)
				}
				got := ask(listener, source, name)
				if want != "" && got != want {
					t.Errorf("%s: %v and %s went to %s, before to %s", listener, source, name, got, want)
				}
				want = got
			}
			counts[want]++
		}
		if counts["a"] <= counts["b"] || counts["b"] == 0 {
			t.Errorf("%s: %v of 40 with weights 3 and 1", listener, counts)
		}
	}
}
