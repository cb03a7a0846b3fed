package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"sluice/config"
	"sluice/proxy/handoff"
)

// given are the sockets of another gateway, as a hand-over brings them.
func given(t *testing.T, list []handoff.Socket) *handoff.Sockets {
	t.Helper()
	for i := range list {
		list[i].FDs = slices.Clone(list[i].FDs)
		for j, fd := range list[i].FDs {
			own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			list[i].FDs[j] = own
		}
	}
	s := handoff.NewSockets(list, nil)
	t.Cleanup(func() { s.Discard() })
	return s
}

// successor starts a gateway that takes over from g. let is called when it is
// ready, and lets it in.
func (g *gatewayUnderTest) successor(t *testing.T, hcl string, let func() error) (*Gateway, error) {
	t.Helper()
	list, err := g.HandOver()
	if err != nil {
		t.Fatal(err)
	}
	next, err := New(load(t, hcl), Options{
		Log: zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.WarnLevel), Stdout: &recordSink{lines: make(chan string, 20000)},
		Given: given(t, list), BeforeAccepting: let,
	})
	if err == nil {
		t.Cleanup(next.Close)
	}
	return next, err
}

// twoKinds listens on a TCP address and on a unix socket, and answers with a name.
func twoKinds(t *testing.T, path, name string, workers int) string {
	return fmt.Sprintf(`
runtime { workers = %d }
listener "l" {
  addresses = ["127.0.0.1:0", "unix:%s"]
  default_filter_chain {
    route { cluster = "c" }
  }
}
cluster "c" { endpoints = [%q] }
`, workers, path, named(t, name))
}

// answers connects to a gateway's addresses and gives the names that answer.
func answers(t *testing.T, addresses []Address) (names string) {
	t.Helper()
	for _, a := range addresses {
		network, address := "tcp", a.Address
		if path, ok := cutUnix(address); ok {
			network, address = "unix", path
		}
		c, err := net.DialTimeout(network, address, 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(10 * time.Second))
		b := make([]byte, 1)
		if _, err := c.Read(b); err != nil {
			t.Fatalf("%s: %v", a.Address, err)
		}
		names += string(b)
		c.Close()
	}
	return names
}

func cutUnix(address string) (string, bool) {
	const prefix = "unix:"
	if len(address) > len(prefix) && address[:len(prefix)] == prefix {
		return address[len(prefix):], true
	}
	return "", false
}

// TestHandOver: a gateway gives its sockets to another one, which may have another
// number of workers, and the connections that it has stay its own.
func TestHandOver(t *testing.T) {
	t.Parallel()
	for _, workers := range [][2]int{{2, 2}, {1, 3}, {3, 1}, {5, 2}} {
		t.Run(fmt.Sprintf("%d workers to %d", workers[0], workers[1]), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "x.sock")
			old := startGateway(t, twoKinds(t, path, "a", workers[0]))
			kept, _ := old.reaches(t, "l")
			let := make(chan struct{})
			started := make(chan *Gateway)
			go func() {
				next, err := old.successor(t, twoKinds(t, path, "b", workers[1]), func() error { close(let); return nil })
				if err != nil {
					t.Error(err)
				}
				started <- next
			}()
			<-let
			next := <-started
			if next == nil {
				return
			}
			if fmt.Sprint(next.Addresses()) != fmt.Sprint(old.Addresses()) {
				t.Fatalf("the addresses were %v and are %v", old.Addresses(), next.Addresses())
			}
			if !old.Ready() || !next.Ready() {
				t.Error("both accept, and one is not ready")
			}
			old.Hold(nil)
			if old.Ready() {
				t.Error("a gateway that has handed over is ready")
			}
			for range 20 { // whatever socket they come to
				if got := answers(t, next.Addresses()); got != "bb" {
					t.Fatalf("%q answer, want the new one", got)
				}
			}
			if !echoed(t, kept) {
				t.Error("the connection of the old gateway is gone")
			}
			kept.Close()
			next.TakeOver()
			if err := old.Drain(t.Context(), 0); err != nil {
				t.Error(err)
			}
			old.Close()
			if got := answers(t, next.Addresses()); got != "bb" {
				t.Errorf("%q answer once the old one has ended", got)
			}
			next.Close()
			if _, err := os.Stat(path); err == nil {
				t.Error("the path of the unix socket is left over")
			}
		})
	}
}

// TestHandOverTakenBack: until the last step the old gateway can go on, and who
// has connected meanwhile is served.
func TestHandOverTakenBack(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.sock")
	hcl := twoKinds(t, path, "a", 2)
	old := startGateway(t, hcl)
	for _, step := range []string{"before it is let in", "after it is let in", "after the old one has stopped"} {
		failure := errors.New("it is not let in")
		if step != "before it is let in" {
			failure = nil
		}
		next, err := old.successor(t, twoKinds(t, path, "b", 2), func() error { return failure })
		if !errors.Is(err, failure) {
			t.Fatalf("%s: %v", step, err)
		}
		if _, err := old.Apply(load(t, hcl)); !errors.Is(err, ErrHandingOver) {
			t.Errorf("%s: another configuration: %v", step, err)
		}
		var waiting net.Conn
		if step == "after the old one has stopped" {
			old.Hold(nil)
		}
		if next != nil {
			next.Close()
		}
		if step == "after the old one has stopped" {
			waiting = dial(t, old.address("l"))
		}
		old.Resume()
		if !old.Ready() {
			t.Errorf("%s: it is not ready", step)
		}
		if waiting != nil {
			if _, err := waiting.Read(make([]byte, 1)); err != nil {
				t.Errorf("who came meanwhile: %v", err)
			}
		}
		for range 10 {
			if got := answers(t, old.Addresses()); got != "aa" {
				t.Fatalf("%s: %q answer", step, got)
			}
		}
	}
	if _, err := old.Apply(load(t, hcl)); err != nil {
		t.Errorf("another configuration afterwards: %v", err)
	}
}

// TestNobodyIsLetInBeforeItIsTime, though the sockets are watched.
func TestNobodyIsLetInBeforeItIsTime(t *testing.T) {
	t.Parallel()
	old := startGateway(t, twoKinds(t, filepath.Join(t.TempDir(), "x.sock"), "a", 2))
	addresses := old.Addresses()
	_, err := old.successor(t, twoKinds(t, filepath.Join(t.TempDir(), "y.sock"), "b", 2), func() error {
		for range 20 {
			if got := answers(t, addresses); got != "aa" {
				return fmt.Errorf("%q answer", got)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	old.Resume()
}

// TestSuccessorWaitsForDiscovery: its clusters have endpoints when it is let in.
func TestSuccessorWaitsForDiscovery(t *testing.T) {
	t.Parallel()
	host, port, err := net.SplitHostPort(named(t, "b"))
	if err != nil {
		t.Fatal(err)
	}
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		<-time.After(200 * time.Millisecond) // the resolver is far away
		m := new(dns.Msg).SetReply(q)
		if q.Question[0].Qtype == dns.TypeA {
			rr, err := dns.NewRR(q.Question[0].Name + " 60 IN A " + host)
			if err != nil {
				panic(err)
			}
			m.Answer = append(m.Answer, rr)
		}
		w.WriteMsg(m)
	})}
	go server.ActivateAndServe()
	t.Cleanup(func() { server.Shutdown() })
	old := startGateway(t, twoKinds(t, filepath.Join(t.TempDir(), "x.sock"), "a", 1))
	hcl := fmt.Sprintf(`
listener "l" {
  address = "127.0.0.1:0"
  default_filter_chain {
    route { cluster = "c" }
  }
}
cluster "c" {
  discovery "dns" {
    host      = "app.test"
    port      = %s
    resolvers = [%q]
  }
}
`, port, pc.LocalAddr())
	next, err := old.successor(t, hcl, func() error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	old.Hold(nil)
	if got := answers(t, next.Addresses()); got != "b" {
		t.Errorf("%q answers", got)
	}
}

// TestNamesOfAddresses are read by other versions of the program.
func TestNamesOfAddresses(t *testing.T) {
	t.Parallel()
	cfg := load(t, `
listener "l" {
  addresses = ["127.0.0.1:443", ":8443", "[::1]:443", "unix:/run/x.sock", "127.0.0.1:0", "127.0.0.1:0", "[::]:9443"]
  default_filter_chain {
    route { cluster = "c" }
  }
}
cluster "c" { endpoints = ["127.0.0.1:1"] }
`)
	var got []string
	for _, p := range keysOf(cfg.Listeners[0]) {
		got = append(got, p.String())
	}
	want := []string{"tcp 127.0.0.1:443", "tcp :8443", "tcp [::1]:443", "unix:/run/x.sock", "tcp 127.0.0.1:0 4 of l", "tcp 127.0.0.1:0 5 of l", "tcp [::]:9443"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestAddressesOfSockets are those that a configuration would have.
func TestAddressesOfSockets(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.sock")
	for _, tc := range []struct{ network, listen string }{{"tcp4", "127.0.0.1:0"}, {"tcp", "[::]:0"}, {"tcp6", "[::]:0"}, {"tcp6", "[::1]:0"}, {"unix", path}} {
		ln, err := net.Listen(tc.network, tc.listen)
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		f, err := ln.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		want := config.Address{Network: config.Unix, Path: path}
		if tc.network != "unix" {
			want = config.Address{AddrPort: netip.MustParseAddrPort(ln.Addr().String()), Dual: tc.network == "tcp"}
		}
		if got := localSocket(int(f.Fd())); got != want {
			t.Errorf("%s %s: %+v, want %+v", tc.network, tc.listen, got, want)
		}
	}
}

// TestSocketsOfWorkers: every worker has some, and every socket a worker.
func TestSocketsOfWorkers(t *testing.T) {
	t.Parallel()
	for sockets := 1; sockets <= 7; sockets++ {
		for workers := 1; workers <= 7; workers++ {
			g := &socketGroup{}
			for fd := range sockets {
				g.fds = append(g.fds, fd)
			}
			watched := make(map[int]int)
			for w := range workers {
				fds, shared := g.socketsOf(w, workers)
				if len(fds) == 0 || shared != (workers > sockets) {
					t.Errorf("%d sockets, %d workers: worker %d has %v, shared: %v", sockets, workers, w, fds, shared)
				}
				for _, fd := range fds {
					watched[fd]++
				}
			}
			for fd := range sockets {
				if n := watched[fd]; n == 0 || workers <= sockets && n != 1 {
					t.Errorf("%d sockets, %d workers: socket %d is watched by %d", sockets, workers, fd, n)
				}
			}
		}
	}
}

// TestResponds tells when a worker hangs.
func TestResponds(t *testing.T) {
	t.Parallel()
	g := startGateway(t, twoKinds(t, filepath.Join(t.TempDir(), "x.sock"), "a", 2))
	if err := g.Responds(t.Context()); err != nil {
		t.Error(err)
	}
	release := make(chan struct{})
	g.workers[1].Post(func() { <-release })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := g.Responds(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a worker hangs: %v", err)
	}
	close(release)
	if err := g.Responds(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestReady follows a gateway's life.
func TestReady(t *testing.T) {
	t.Parallel()
	g := startGateway(t, twoKinds(t, filepath.Join(t.TempDir(), "x.sock"), "a", 1))
	if !g.Ready() {
		t.Error("it is not ready at first")
	}
	g.Unready()
	if g.Ready() || answers(t, g.Addresses()) != "aa" {
		t.Error("it is ready, or does not serve")
	}
	if err := g.Drain(t.Context(), 0); err != nil || g.Ready() {
		t.Errorf("it is ready once it has drained; %v", err)
	}
}
