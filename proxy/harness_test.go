package proxy

import (
	"bytes"
	"context"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"sluice/config"
)

// gatewayUnderTest is a running gateway whose records can be waited for.
type gatewayUnderTest struct {
	*Gateway
	records *recordSink
}

// startGateway runs a gateway from a configuration. It ends with the test, and
// the test fails when anything of it is left then.
func startGateway(t *testing.T, hcl string) *gatewayUnderTest {
	t.Helper()
	return startGatewayWith(t, hcl, zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.WarnLevel))
}

// startGatewayWith is startGateway with a service log of the test's.
func startGatewayWith(t *testing.T, hcl string, log zerolog.Logger) *gatewayUnderTest {
	t.Helper()
	cfg, diags := config.LoadSource("test.hcl", []byte(hcl), config.Options{})
	if cfg == nil {
		var b bytes.Buffer
		diags.WriteText(&b, 100, false)
		t.Fatalf("the test's configuration:\n%s", b.String())
	}
	sink := &recordSink{lines: make(chan string, 20000)}
	g, err := New(cfg, Options{Log: log, Stdout: sink})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		g.Close()
		if s := g.Stats(); s.Active != 0 || s.Slots != 0 || s.Coroutines != 0 || s.PipesOpen != 0 || s.PipesInUse != 0 {
			t.Errorf("the gateway left something behind: %+v", s)
		}
		for _, left := range append(g.stillCounted(), g.untold()...) {
			t.Error(left)
		}
	})
	return &gatewayUnderTest{g, sink}
}

// address gives the first address of a listener.
func (g *gatewayUnderTest) address(listener string) string {
	for _, a := range g.Addresses() {
		if a.Listener == listener {
			return a.Address
		}
	}
	panic("no listener " + listener)
}

// lookAfter has the workers take the connections that begin opens, and look for
// what has become of them only after the event.
func (g *gatewayUnderTest) lookAfter(t *testing.T, begin func(), event <-chan struct{}) {
	t.Helper()
	busy, accept, look := make(chan struct{}), make(chan struct{}), make(chan struct{})
	for _, w := range g.workers {
		w.Post(func() { busy <- struct{}{}; <-accept })
		<-busy
	}
	begin() // the listening sockets are ready before the inboxes
	for _, w := range g.workers {
		w.Post(func() { <-look })
	}
	close(accept)
	defer close(look)
	awaitEvent(t, "the event to look after", event)
}

// recordSink takes access records, a line each.
type recordSink struct {
	lines chan string
}

func (s *recordSink) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		s.lines <- strings.TrimSuffix(line, "\n")
	}
	return len(p), nil
}

// next waits for a record.
func (s *recordSink) next(t *testing.T) string {
	t.Helper()
	select {
	case line := <-s.lines:
		return line
	case <-time.After(10 * time.Second):
		t.Fatal("no access record after 10 s")
		return ""
	}
}

// backend serves each connection with f.
func backend(t *testing.T, f func(net.Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go f(c)
		}
	}()
	return ln.Addr().String()
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	var d net.Dialer
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

func TestMain(m *testing.M) { os.Exit(m.Run()) }
