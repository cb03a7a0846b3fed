package integration

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/tlsutil/clienthello/hellotest"
)

// goodClient makes one connection after another and measures how long each
// takes from connecting to the echo. The function that it gives ends it and
// says how many were served, and how long the slowest took.
func goodClient(t *testing.T, v visitor) (end func() (served int, slowest time.Duration)) {
	t.Helper()
	var stop atomic.Bool
	var served int
	var slowest time.Duration
	var running sync.WaitGroup
	running.Go(func() {
		for !stop.Load() {
			began := time.Now()
			c, err := v.roundTrip()
			if err != nil {
				t.Errorf("a good client beside the others: %v", err)
				return
			}
			slowest = max(slowest, time.Since(began))
			served++
			if err := leave(c); err != nil {
				t.Errorf("a good client that leaves: %v", err)
			}
		}
	})
	return func() (int, time.Duration) {
		stop.Store(true)
		running.Wait()
		return served, slowest
	}
}

// dribble sends a byte at a time until the connection ends.
func dribble(c net.Conn, b []byte, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := range b {
		if _, err := c.Write(b[i : i+1]); err != nil {
			return
		}
		<-tick.C
	}
}

// TestSlowClientsEndAtTheDeadline: whatever a client does with its time, the
// deadline over hello and handshake does not move.
func TestSlowClientsEndAtTheDeadline(t *testing.T) {
	const deadline = 2 * time.Second
	p := loadGateway(t, echoBackend(t), deadline.String(), ``)
	hello := hellotest.Browser("passed.test").Records()
	terminated := hellotest.Builder{ServerNames: []string{"terminated.test"}}.Records()
	lying := append([]byte(nil), hello...)
	lying[6] = 1 // the length of the message is now 64 KiB and something: more than will come

	cases := []struct {
		name   string
		do     func(net.Conn)
		reason string
		hello  string
	}{
		{"sends_nothing", func(net.Conn) {}, "hello_timeout", "timeout"},
		{"sends_half_a_hello", func(c net.Conn) { c.Write(hello[:len(hello)/2]) }, "hello_timeout", "timeout"},
		{"sends_a_byte_every_100_ms", func(c net.Conn) { dribble(c, hello, 100*time.Millisecond) }, "hello_timeout", "timeout"},
		{"sends_a_byte_each_second", func(c net.Conn) { dribble(c, hello, time.Second) }, "hello_timeout", "timeout"},
		{"says_a_hello_shorter_than_its_length", func(c net.Conn) { c.Write(hello[:len(hello)-1]) }, "hello_timeout", "timeout"},
		{"is_silent_in_the_handshake", func(c net.Conn) { c.Write(terminated) }, "handshake_timeout", "tls"},
		{"dribbles_in_the_handshake", func(c net.Conn) {
			c.Write(terminated)
			record := hellotest.Record(hellotest.RecordHandshake, make([]byte, 1000))
			record[2] = 3 // the version that records have after the hello (RFC 8446 5.1)
			dribble(c, record, 100*time.Millisecond)
		}, "handshake_timeout", "tls"},
	}
	end := goodClient(t, newVisitor(p, terminatedKind))
	t.Run("each", func(t *testing.T) {
		for _, tc := range cases {
			t.Run(tc.name, func(t *testing.T) {
				t.Parallel()
				c := dial(t, p.address("tls"))
				go tc.do(c)
				// What comes ahead of the end, a ServerHello perhaps, is not at issue.
				io.Copy(io.Discard, onlyReader{c})
				rec := p.waitBadEnd(c.LocalAddr())
				expectFields(t, rec, map[string]string{
					"termination.reason": tc.reason, "termination.side": "gateway", "hello": tc.hello, "flags": "LR",
				})
				expectDuration(t, rec, deadline)
			})
		}
		t.Run("lies_about_the_length", func(t *testing.T) {
			t.Parallel()
			c := dial(t, p.address("tls"))
			go c.Write(lying)
			io.Copy(io.Discard, onlyReader{c})
			expectFields(t, p.waitBadEnd(c.LocalAddr()), map[string]string{
				"termination.reason": "hello_too_large", "hello": "too_large",
			})
		})
	})
	served, slowest := end()
	t.Logf("%d good clients were served meanwhile, the slowest in %v", served, slowest.Round(time.Millisecond))
}

// waitBadEnd waits for the record of a client that was not served. Good clients
// beside it may have had its port before.
func (p *process) waitBadEnd(client net.Addr) event {
	p.t.Helper()
	return p.waitRecord(func(rec event) bool {
		return text(rec, "source") == client.String() && within(rec, "termination", "reason") != "finished"
	})
}

// expectDuration checks that a connection ended at the deadline, and not before.
func expectDuration(t *testing.T, rec event, deadline time.Duration) {
	t.Helper()
	took := time.Duration(number(rec, "duration_ms") * float64(time.Millisecond))
	if took < deadline || took > deadline+patience/2 {
		t.Errorf("the connection ended after %v, want the deadline of %v", took, deadline)
	}
}

// TestThousandsOfHalfOpenClients: clients that never say a whole hello cost
// what they cost until the deadline, and do not keep others from being served.
func TestThousandsOfHalfOpenClients(t *testing.T) {
	// A gateway with 20,000 descriptors takes 9,680 connections, since each may
	// get an endpoint.
	n := loadSize(9000)
	p := loadGateway(t, echoBackend(t), "10s", ``)
	before := settledDescriptors(t, p)
	beginnings := [][]byte{
		nil,
		hellotest.Browser("passed.test").Records()[:600],
		hellotest.Browser("passed.test").Records()[:1200],
		hellotest.Builder{ServerNames: []string{"terminated.test"}}.Records(), // and nothing more
	}
	end := goodClient(t, newVisitor(p, terminatedKind))

	conns := make([]net.Conn, n)
	began := time.Now()
	if err := many(n, func(i int) (err error) {
		if conns[i], err = tryDial(p.address("tls")); err != nil {
			return err
		}
		_, err = conns[i].Write(beginnings[i%len(beginnings)])
		return err
	}); err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	eventually(t, "the gateway has all of them at once", func() bool { return p.descriptors() >= before+n })
	t.Logf("%d half-open connections within %v: %d KiB of RSS, %d threads",
		n, took.Round(time.Millisecond), p.rss()>>10, p.threads())
	if err := many(n, func(i int) error {
		defer conns[i].Close()
		_, err := io.Copy(io.Discard, onlyReader{conns[i]})
		if isTimeout(err) {
			return err
		}
		return nil
	}); err != nil {
		t.Fatalf("a half-open connection is not ended: %v", err)
	}
	served, slowest := end()
	t.Logf("%d good clients were served meanwhile, the slowest in %v", served, slowest.Round(time.Millisecond))
	if served < 10 {
		t.Errorf("%d good clients were served, want many", served)
	}
	p.waitRecords(n, func(rec event) bool {
		reason := within(rec, "termination", "reason")
		return reason == "hello_timeout" || reason == "handshake_timeout"
	})
	eventually(t, "the descriptors from before", func() bool { return p.descriptors() <= before })
}
