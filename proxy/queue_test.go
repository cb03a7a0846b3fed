package proxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"sluice/proxy/upstream"
)

// live gives a cluster of the running gateway.
func (g *gatewayUnderTest) live(name string) *upstream.Cluster {
	return g.snapshot.Load().clusters[name].Cluster
}

// pending waits until so many connections wait in the cluster's queue.
func (g *gatewayUnderTest) pending(t *testing.T, n int) {
	t.Helper()
	eventually(t, func() error {
		if got := g.live("c").Pending(); got != n {
			return fmt.Errorf("%d connections wait, not %d", got, n)
		}
		return nil
	})
}

// onePlace is a cluster that serves one connection at a time. Its endpoint tells
// of each by giving back the first byte, and ends it with the client.
func onePlace(t *testing.T, limits string) string {
	return fmt.Sprintf("endpoints = [%q]\nlimits {\n max_connections = 1\n %s\n}", backend(t, func(c net.Conn) {
		defer c.Close()
		io.Copy(c, c)
	}), limits)
}

func (g *gatewayUnderTest) say(t *testing.T) net.Conn {
	t.Helper()
	c := dial(t, g.address("in"))
	if _, err := c.Write(testHello); err != nil {
		t.Fatal(err)
	}
	return c
}

func served(t *testing.T, c net.Conn) {
	t.Helper()
	if _, err := io.ReadFull(c, make([]byte, len(testHello))); err != nil {
		t.Fatal(err)
	}
}

// TestQueueIsInOrderAcrossWorkers: the one who came first is served first,
// whichever worker has it, and nobody behind is served before.
func TestQueueIsInOrderAcrossWorkers(t *testing.T) {
	g := tlsTo(t, onePlace(t, "max_pending = 8"))
	clients := []net.Conn{g.say(t)}
	served(t, clients[0])
	for i := range 8 {
		clients = append(clients, g.say(t))
		g.pending(t, i+1)
	}
	over := g.say(t)
	if _, err := io.ReadAll(over); err == nil {
		t.Error("one more than may wait was not refused")
	}
	if record := g.records.next(t); !strings.Contains(record, `"reason":"cluster_overflow"`) || !strings.Contains(record, `"flags":"UO"`) {
		t.Errorf("the refusal's record is %s", record)
	}
	for i, c := range clients[:len(clients)-1] {
		c.Close()
		served(t, clients[i+1])
		if record := g.records.next(t); i > 0 && !strings.Contains(record, `"queue_ms"`) {
			t.Errorf("it waited, but its record is %s", record)
		}
		if got, want := g.live("c").Pending(), len(clients)-2-i; got != want {
			t.Errorf("%d wait after %d were served, want %d", got, i+2, want)
		}
	}
}

// TestLeavingTheQueue: clients that are gone give up their places, whatever way
// they leave, and so does a gateway that closes.
func TestLeavingTheQueue(t *testing.T) {
	g := tlsTo(t, onePlace(t, "max_pending = 2"))
	first := g.say(t)
	served(t, first)
	for name, leave := range map[string]func(net.Conn){
		"FIN": func(c net.Conn) { c.Close() },
		"RST": func(c net.Conn) { c.(*net.TCPConn).SetLinger(0); c.Close() },
	} {
		for range 5 {
			one, two := g.say(t), g.say(t)
			g.pending(t, 2)
			leave(one)
			leave(two)
			g.pending(t, 0)
			for range 2 {
				want := map[string]string{"FIN": `"reason":"closed_in_queue","side":"downstream"`, "RST": `"reason":"reset","side":"downstream"`}[name]
				if record := g.records.next(t); !strings.Contains(record, want) || !strings.Contains(record, `"flags":"DC"`) {
					t.Errorf("%s: the record is %s", name, record)
				}
			}
		}
	}
	if n := g.live("c").Active(); n != 1 {
		t.Errorf("%d are in the cluster, want 1", n)
	}
	g.say(t)
	g.pending(t, 1)
	g.Close()
	if c := g.live("c"); c.Active() != 0 || c.Pending() != 0 {
		t.Errorf("%d in the cluster and %d waiting after the gateway has closed", c.Active(), c.Pending())
	}
}

// TestQueueTimeout: a client waits as long as queue_timeout says, to 100 ms, and
// the place in the queue is free again.
func TestQueueTimeout(t *testing.T) {
	const timeout = 500 * time.Millisecond
	g := tlsTo(t, onePlace(t, "max_pending = 3\n queue_timeout = \"500ms\""))
	first := g.say(t)
	served(t, first)
	for range 3 {
		var clients []net.Conn
		for range 3 {
			clients = append(clients, g.say(t))
		}
		for _, c := range clients {
			if _, err := io.ReadAll(c); err == nil {
				t.Error("it was not refused")
			}
			record := g.records.next(t)
			var ms float64
			_, after, _ := strings.Cut(record, `"queue_ms":`)
			fmt.Sscanf(after, "%f", &ms)
			if !strings.Contains(record, `"reason":"queue_timeout","side":"gateway"`) || !strings.Contains(record, `"flags":"UO"`) {
				t.Errorf("the record is %s", record)
			}
			if waited := time.Duration(ms * float64(time.Millisecond)); waited < timeout || waited > timeout+100*time.Millisecond {
				t.Errorf("it waited for %v, want %v", waited, timeout)
			}
		}
	}
	g.pending(t, 0)
	last := g.say(t)
	g.pending(t, 1)
	first.Close()
	served(t, last)
}

// TestQueueUnderLoad: many clients that come, wait, give up and end at random.
// The limit holds throughout and nothing is left.
func TestQueueUnderLoad(t *testing.T) {
	g := tlsTo(t, strings.Replace(onePlace(t, "max_pending = 20\n queue_timeout = \"50ms\""), "max_connections = 1", "max_connections = 4", 1))
	const clients, rounds = 24, 30
	errs := make(chan error, clients)
	for i := range clients {
		go func() {
			errs <- func() error {
				for round := range rounds {
					c, err := net.Dial("tcp", g.address("in"))
					if err != nil {
						return err
					}
					c.Write(testHello)
					if (i+round)%3 > 0 {
						io.ReadFull(c, make([]byte, len(testHello)))
					}
					if n := g.live("c").Active(); n > 4 {
						return fmt.Errorf("%d are in the cluster", n)
					}
					c.Close()
				}
				return nil
			}()
		}()
	}
	for range clients {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	eventually(t, func() error {
		if c := g.live("c"); c.Active() != 0 || c.Pending() != 0 {
			return errors.New("somebody is still there")
		}
		return nil
	})
}

// TestNobodyJoinsAQueueForNothing: who comes when no endpoint may serve is told
// so, as it would be without a queue; who has waited already goes on, and is
// served when one may again.
func TestNobodyJoinsAQueueForNothing(t *testing.T) {
	g := tlsTo(t, onePlace(t, "max_pending = 2"))
	first := g.say(t)
	served(t, first)
	second := g.say(t)
	g.pending(t, 1)
	var only *upstream.Endpoint
	for e := range g.live("c").Endpoints() {
		only = e
	}
	for name, lose := range map[string]func(lost bool){
		"unhealthy": func(lost bool) {
			only.SetHealth(map[bool]upstream.Health{true: upstream.Unhealthy, false: upstream.Healthy}[lost])
		},
		"taken out": func(lost bool) {
			only.SetState(map[bool]upstream.State{true: upstream.Maint, false: upstream.Ready}[lost])
		},
	} {
		lose(true)
		third := g.say(t)
		if _, err := io.ReadAll(third); err == nil {
			t.Errorf("%s: the newcomer was not refused", name)
		}
		if record := g.records.next(t); !strings.Contains(record, `"reason":"no_healthy_endpoint"`) || strings.Contains(record, "queue_ms") {
			t.Errorf("%s: the record is %s", name, record)
		}
		lose(false)
	}
	first.Close()
	served(t, second)
}

// TestWaitingRatherThanTryingAgain: who has tried a dead endpoint in vain waits
// for a place at the others, and does not hold up those behind it.
func TestWaitingRatherThanTryingAgain(t *testing.T) {
	g := tlsTo(t, fmt.Sprintf(`
lb_policy = "first"
endpoint %q {}
endpoint %q { max_connections = 1 }
limits { max_pending = 2 }
`, refusing(t), backend(t, func(c net.Conn) {
		defer c.Close()
		io.Copy(c, c)
	})))
	clients := []net.Conn{g.say(t)}
	served(t, clients[0])
	for i := range 2 {
		clients = append(clients, g.say(t))
		g.pending(t, i+1)
	}
	over := g.say(t)
	if _, err := io.ReadAll(over); err == nil {
		t.Error("one more than may wait was not refused")
	}
	if r := g.records.decoded(t); r.results() != "" || r.Termination.Reason != "cluster_overflow" {
		t.Errorf("one more than may wait: %+v", r)
	}
	for i, c := range clients {
		if i > 0 {
			served(t, c)
		}
		c.Close()
		if r := g.records.decoded(t); r.results() != "refused connected" || r.Termination.Reason != "finished" {
			t.Errorf("%+v", r)
		}
	}
}
