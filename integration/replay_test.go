package integration

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/tlsutil/clienthello/hellotest"
)

// healingGateway passes TLS and anything else through to one cluster, named c,
// with the given body.
func healingGateway(t *testing.T, cluster string) *process {
	t.Helper()
	return startSluice(t, `
listener "in" {
  address = "127.0.0.1:0"
  filter_chain "tls" {
    match { transport_protocol = "tls" }
    route { cluster = "c" }
  }
  filter_chain "raw" {
    match { transport_protocol = "raw_buffer" }
    route { cluster = "c" }
  }
}
cluster "c" {
`+cluster+`
}
`)
}

// named is an endpoint block.
func named(name, address string) string {
	return fmt.Sprintf("endpoint %q { name = %q }\n", address, name)
}

// The ways in which an endpoint may end a connection before its first byte. n is
// how many bytes it reads before.
func resetAfter(n int) func(net.Conn) {
	return func(c net.Conn) {
		io.CopyN(io.Discard, c, int64(n))
		reset(c)
	}
}

func finishAfter(n int) func(net.Conn) {
	return func(c net.Conn) {
		io.CopyN(io.Discard, c, int64(n))
		finish(c)
		io.Copy(io.Discard, c)
	}
}

// TestEarlyResetGoesToTheNextEndpoint: an endpoint that accepts and ends the
// connection before its first byte is as one that refuses: the next one gets the
// same bytes, and the client notices nothing.
func TestEarlyResetGoesToTheNextEndpoint(t *testing.T) {
	t.Parallel()
	hello := hellotest.Builder{ServerNames: []string{"a.test"}, Pad: 12_000}.Records()
	for _, c := range []struct {
		name   string
		bad    func(net.Conn)
		result string // as the gateway may see it
	}{
		{"reset at once", resetAtOnce, "early_reset reset"},
		{"reset after some", resetAfter(100), "early_reset reset"},
		{"reset after the hello", resetAfter(len(hello)), "early_reset"},
		{"close after some", func(c net.Conn) { io.CopyN(io.Discard, c, 100) }, "early_reset early_close reset"},
		{"finish at once", finishAfter(0), "early_close"},
		{"finish after the hello", finishAfter(len(hello)), "early_close"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var tried atomic.Int32
			bad := backend(t, func(conn net.Conn) { tried.Add(1); c.bad(conn) })
			p := healingGateway(t, named("bad", bad)+named("good", echoBackend(t)))
			for tried.Load() < 5 {
				client := dial(t, p.address("in"))
				send(t, client, hello)
				expectSame(t, receive(t, client, len(hello)), hello)
				exchange(t, client, "and on it goes")
				finish(client)
				expectEnd(t, client, fin)
				rec := p.waitEnd(client.LocalAddr())
				expectFields(t, rec, map[string]string{"endpoint": "good", "flags": "", "termination.reason": "finished"})
				if n := number(rec, "bytes_received"); int(n) != len(hello)+len("and on it goes") {
					t.Errorf("bytes_received is %v", n)
				}
				attempts := attemptsOf(rec)
				if len(attempts) == 1 && attempts[0] == "good connected" {
					continue
				}
				result, isBad := strings.CutPrefix(attempts[0], "bad ")
				if len(attempts) != 2 || !isBad || !slices.Contains(strings.Fields(c.result), result) || attempts[1] != "good connected" {
					t.Fatalf("attempts are %q, want bad with one of %q, then good", attempts, c.result)
				}
			}
		})
	}
}

// TestEarlyResetOfAll: the attempts have an end, and what the last endpoint did
// is passed on as it is.
func TestEarlyResetOfAll(t *testing.T) {
	t.Parallel()
	hello := hellotest.Builder{ServerNames: []string{"a.test"}}.Records()
	f := func(name, options string, bad func(net.Conn), endpoints, attempts int, end ending, reason, side string) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := options
			for i := range endpoints {
				cluster += named(fmt.Sprint("bad", i), backend(t, bad))
			}
			p := healingGateway(t, cluster)
			c := dial(t, p.address("in"))
			send(t, c, hello)
			expectEnd(t, c, end)
			finish(c)
			rec := p.waitEnd(c.LocalAddr())
			expectFields(t, rec, map[string]string{"termination.reason": reason, "termination.side": side})
			seen := map[string]bool{}
			list := attemptsOf(rec)
			for _, a := range list {
				name, _, _ := strings.Cut(a, " ")
				if seen[name] {
					t.Errorf("attempts are %q: one was repeated", list)
				}
				seen[name] = true
			}
			if len(list) != attempts || !strings.HasSuffix(list[len(list)-1], " connected") {
				t.Errorf("attempts are %q, want %d, and the last one connected", list, attempts)
			}
		})
	}
	after := resetAfter(len(hello))
	f("more than attempts", "", after, 5, 3, rst, "reset", "upstream")
	f("fewer than attempts", "max_connect_attempts = 9\n", after, 2, 2, rst, "reset", "upstream")
	f("one attempt", "max_connect_attempts = 1\n", after, 2, 1, rst, "reset", "upstream")
	f("one endpoint", "", after, 1, 1, rst, "reset", "upstream")
	f("switched off", "retry_early_reset = false\n", after, 3, 1, rst, "reset", "upstream")
	f("finished", "", finishAfter(len(hello)), 2, 2, fin, "finished", "upstream")
}

// TestEarlyResetThatIsNotRepeated: where more than a hello is at stake, or
// something was answered, the client learns what happened instead.
func TestEarlyResetThatIsNotRepeated(t *testing.T) {
	t.Parallel()
	usual := hellotest.Builder{ServerNames: []string{"a.test"}}.Records()
	early := hellotest.Builder{ServerNames: []string{"a.test"}, EarlyData: true}.Records()
	const more = "more"
	for _, c := range []struct {
		name     string
		first    []byte
		then     string // sent when the endpoint has got the first
		finishes bool
		answer   string
	}{
		{name: "early data is offered", first: early},
		{name: "more came with the hello", first: append(slices.Clone(usual), more...)},
		{name: "more came after it", first: usual, then: more},
		{name: "the client has finished", first: usual, finishes: true},
		{name: "the endpoint has answered", first: usual, answer: "x"},
		{name: "it is not TLS", first: []byte("hello")},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, goOn := make(chan struct{}, 10), make(chan struct{}) // more than there are attempts
			letAll := sync.OnceFunc(func() { close(goOn) })
			defer letAll()
			bad := func(conn net.Conn) {
				io.CopyN(io.Discard, conn, int64(len(c.first)))
				io.WriteString(conn, c.answer)
				got <- struct{}{}
				<-goOn
				io.CopyN(io.Discard, conn, int64(len(c.then)))
				if c.finishes {
					io.Copy(io.Discard, conn)
				}
				reset(conn)
			}
			p := healingGateway(t, named("one", backend(t, bad))+named("two", backend(t, bad)))
			client := dial(t, p.address("in"))
			send(t, client, c.first)
			<-got
			receive(t, client, len(c.answer))
			if c.then != "" {
				send(t, client, []byte(c.then))
			}
			if c.finishes {
				finish(client)
			}
			letAll()
			expectEnd(t, client, rst)
			rec := p.waitEnd(client.LocalAddr())
			expectFields(t, rec, map[string]string{"flags": "UC", "termination.reason": "reset", "termination.side": "upstream"})
			if list := attemptsOf(rec); len(list) != 1 {
				t.Errorf("attempts are %q, want one", list)
			}
		})
	}
}

// TestEarlyResetLeavesNoTrace: a gateway whose endpoints do nothing but reset is
// as it was afterwards.
func TestEarlyResetLeavesNoTrace(t *testing.T) {
	t.Parallel()
	hello := hellotest.Builder{ServerNames: []string{"a.test"}}.Records()
	p := healingGateway(t, named("one", backend(t, resetAtOnce))+named("two", backend(t, resetAfter(len(hello))))+
		named("three", backend(t, finishAfter(1))))
	before := p.descriptors()
	err := many(100, func(int) error {
		for range 5 {
			c, err := tryDial(p.address("in"))
			if err != nil {
				return err
			}
			c.Write(hello)
			if b, _ := readToEnd(c); len(b) > 0 {
				return fmt.Errorf("the client got %q", b)
			}
			c.Close()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "every descriptor is given back", func() bool { return p.descriptors() <= before })
}

// TestSilentEndpoint: the client of an endpoint that accepts
// and stays silent is ended by the idle timeout, and that says nothing about
// others.
func TestSilentEndpoint(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	silent := func(c net.Conn) { <-hold }
	p := startSluice(t, fmt.Sprintf(`
listener "in" {
  address = "127.0.0.1:0"
  filter_chain "tls" {
    match { transport_protocol = "tls" }
    route {
      cluster      = "c"
      idle_timeout = "400ms"
    }
  }
}
cluster "c" {
  %s %s
  outlier_detection { consecutive_failures = 1 }
}
`, named("silent", backend(t, silent)), named("good", echoBackend(t))))
	defer close(hold)
	hello := hellotest.Builder{ServerNames: []string{"a.test"}}.Records()
	for ended, served := 0, 0; ended < 3 || served < 3; {
		c := dial(t, p.address("in"))
		send(t, c, hello)
		b := make([]byte, len(hello))
		_, err := io.ReadFull(c, b)
		if err == nil {
			finish(c)
			expectEnd(t, c, fin)
			expectFields(t, p.waitEnd(c.LocalAddr()), map[string]string{"endpoint": "good", "termination.reason": "finished"})
			served++
			continue
		}
		ended++
		rec := p.waitEnd(c.LocalAddr())
		expectFields(t, rec, map[string]string{"endpoint": "silent"})
		if got := attemptsOf(rec); !slices.Equal(got, []string{"silent connected"}) {
			t.Errorf("attempts are %q", got)
		}
		expectTimeout(t, p, c.LocalAddr(), "idle_timeout", "SI", 400*time.Millisecond)
	}
	if said := p.stderr.String(); strings.Contains(said, "ejected") {
		t.Errorf("silence is no failure, but something was ejected:\n%s", said)
	}
}
