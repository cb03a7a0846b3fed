package integration

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sluice/tlsutil/certgen"
	"sluice/tlsutil/clienthello/hellotest"
)

// expectRefused waits until an address refuses connections.
func expectRefused(t *testing.T, address string) {
	t.Helper()
	eventually(t, "new connections are refused", func() bool {
		c, err := tryDial(address)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
}

// TestTermDrains: after TERM (and INT) new connections are refused, live ones
// go on until they finish, and then the gateway exits with 0.
func TestTermDrains(t *testing.T) {
	t.Parallel()
	for name, sig := range map[string]syscall.Signal{"TERM": syscall.SIGTERM, "INT": syscall.SIGINT} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startSluice(t, plainGateway("127.0.0.1:0", echoBackend(t)))
			first, second := dial(t, p.address("tcp")), dial(t, p.address("tcp"))
			exchange(t, first, "before")
			exchange(t, second, "before")
			p.signal(sig)
			if got := number(p.waitLog(`"draining"`), "connections"); got != 2 {
				t.Errorf("the log says that %v connections are left, want 2", got)
			}
			expectRefused(t, p.address("tcp"))
			exchange(t, first, "while draining")
			first.Close()
			p.waitEnd(first.LocalAddr())
			exchange(t, second, "while draining, alone")
			finish(second)
			expectEnd(t, second, fin)
			second.Close()
			if code := p.wait(); code != 0 {
				t.Errorf("the gateway exits with %d, want 0", code)
			}
			expectFields(t, p.waitEnd(second.LocalAddr()), map[string]string{"termination.reason": "finished"})
		})
	}
}

// TestTermWithoutConnections ends at once.
func TestTermWithoutConnections(t *testing.T) {
	t.Parallel()
	p := startSluice(t, plainGateway("127.0.0.1:0", echoBackend(t)))
	if code := p.stop(); code != 0 {
		t.Errorf("the gateway exits with %d, want 0", code)
	}
}

// TestTermWaitsForClientsThatAreBeingSetUp: who was let in before TERM is
// served, also when its hello comes afterwards.
func TestTermWaitsForClientsThatAreBeingSetUp(t *testing.T) {
	t.Parallel()
	hello := hellotest.Builder{ServerNames: []string{"a.test"}}.Records()
	p := startSluice(t, strings.Replace(plainGateway("127.0.0.1:0", echoBackend(t)), "route",
		"match { server_names = [\"a.test\"] }\n route", 1)+"access_log { types = [\"start\", \"end\"] }\n")
	c := dial(t, p.address("tcp"))
	send(t, c, hello[:20])
	p.waitType(c.LocalAddr(), "start")
	p.signal(syscall.SIGTERM)
	expectRefused(t, p.address("tcp"))
	send(t, c, hello[20:])
	if got := receive(t, c, len(hello)); !bytes.Equal(got, hello) {
		t.Error("the hello did not come back as it was sent")
	}
	c.Close()
	if code := p.wait(); code != 0 {
		t.Errorf("the gateway exits with %d, want 0", code)
	}
}

// TestSecondTermEndsAtOnce: with 1, because a connection was cut that had been
// promised a drain.
func TestSecondTermEndsAtOnce(t *testing.T) {
	t.Parallel()
	p := startSluice(t, plainGateway("127.0.0.1:0", echoBackend(t)))
	c := dial(t, p.address("tcp"))
	exchange(t, c, "before")
	p.signal(syscall.SIGTERM)
	p.waitLog(`"draining"`)
	p.signal(syscall.SIGTERM)
	if code := p.wait(); code != 1 {
		t.Errorf("the gateway exits with %d, want 1", code)
	}
	expectEnd(t, c, fin) // nothing was under way
	rec := p.waitEnd(c.LocalAddr())
	expectFields(t, rec, map[string]string{"termination.reason": "shutdown", "termination.side": "gateway"})
}

// TestQuitEndsAtOnce: connections in every phase are cut, and those that lose
// bytes by it see a reset.
func TestQuitEndsAtOnce(t *testing.T) {
	t.Parallel()
	endpoint := make(chan net.Conn, 1)
	p := startSluice(t, plainGateway("127.0.0.1:0", backend(t, func(c net.Conn) {
		endpoint <- c
		c.Write(pattern(64 << 20))
		discard(c)
	}))+`
listener "silent" {
  address = "127.0.0.1:0"
  filter_chain "tls" {
    match { transport_protocol = "tls" }
    route { cluster = "one" }
  }
}
access_log { types = ["start", "end"] }
`)
	stalled, silent := dial(t, p.address("tcp")), dial(t, p.address("silent"))
	awaitStall(t, <-endpoint)
	p.waitType(silent.LocalAddr(), "start")
	p.signal(syscall.SIGQUIT)
	if code := p.wait(); code != 0 {
		t.Errorf("the gateway exits with %d, want 0", code)
	}
	for name, c := range map[string]net.Conn{"stalled": stalled, "silent": silent} {
		if _, end := drainToEnd(c); end != rst {
			t.Errorf("the %s client saw %s, want %s", name, end, rst)
		}
		expectFields(t, p.waitEnd(c.LocalAddr()), map[string]string{"termination.reason": "shutdown"})
	}
}

// awaitStall waits until what a sender has under way has stayed the same for
// a while: every buffer up to its peer is full.
func awaitStall(t *testing.T, sender net.Conn) {
	t.Helper()
	last, same := 0, 0
	eventually(t, "the sender stalls", func() bool {
		n := unacked(t, sender)
		if n == 0 || n != last {
			last, same = n, 0
		}
		same++
		return same == 40
	})
}

// TestDrainTimeout: who has not ended by then is ended, in good order where
// nothing is lost, and the exit code is 0.
func TestDrainTimeout(t *testing.T) {
	t.Parallel()
	p := startSluice(t, plainGateway("127.0.0.1:0", echoBackend(t))+"runtime { drain_timeout = \"1s\" }\n")
	var clients []net.Conn
	for range 20 {
		c := dial(t, p.address("tcp"))
		exchange(t, c, "before")
		clients = append(clients, c)
	}
	began := time.Now()
	p.signal(syscall.SIGTERM)
	for _, c := range clients {
		expectEnd(t, c, fin)
	}
	if code := p.wait(); code != 0 {
		t.Errorf("the gateway exits with %d, want 0", code)
	}
	// The first half of the timeout is for ending by themselves.
	if took := time.Since(began); took < 500*time.Millisecond {
		t.Errorf("20 connections were ended within %v, the first half of the timeout", took)
	}
	for _, c := range clients {
		expectFields(t, p.waitEnd(c.LocalAddr()), map[string]string{"termination.reason": "drain", "termination.side": "gateway", "flags": "LR"})
	}
}

// TestDrainTimeoutWhileBeingSetUp: it holds for who has not got as far as an
// endpoint too, also where the configuration lets a step wait without end.
func TestDrainTimeoutWhileBeingSetUp(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "drain")
	certFile, keyFile := ca.files("term", certgen.Options{Names: []string{"term.test"}})
	hcl := fmt.Sprintf(`
runtime { drain_timeout = "400ms" }
listener "tls" {
  address = "127.0.0.1:0"
  inspect { timeout = "0s" }
  filter_chain "term" {
    match { server_names = ["term.test"] }
    tls {
      certificate {
        cert_file = %q
        key_file  = %q
      }
    }
    route { cluster = "silent" }
  }
}
listener "tcp" {
  address = "127.0.0.1:0"
  filter_chain "all" {
    route { cluster = "silent" }
  }
}
cluster "silent" {
  connect_timeout = "0s"
  endpoints       = [%q]
}
access_log { types = ["start", "end"] }
`, certFile, keyFile, silentAddress(t))
	for _, row := range []struct {
		step, listener string
		says           []byte // by the client
		answered       bool   // by the gateway
	}{
		{step: "hello", listener: "tls"},
		{step: "handshake", listener: "tls", says: hellotest.Builder{ServerNames: []string{"term.test"}}.Records(), answered: true},
		{step: "connect", listener: "tcp"},
	} {
		t.Run(row.step, func(t *testing.T) {
			t.Parallel()
			p := startSluice(t, hcl)
			c := dial(t, p.address(row.listener))
			send(t, c, row.says)
			p.waitType(c.LocalAddr(), "start")
			if row.answered {
				receive(t, c, 1)
			}
			p.signal(syscall.SIGTERM)
			if code := p.wait(); code != 1 {
				t.Errorf("the gateway exits with %d, want 1: a connection was cut", code)
			}
			if _, end := drainToEnd(c); end != rst {
				t.Errorf("the client saw %s, want %s", end, rst)
			}
			expectFields(t, p.waitEnd(c.LocalAddr()), map[string]string{"termination.reason": "drain", "termination.side": "gateway", "flags": "LR"})
		})
	}
}

// TestHangupDoesNotEndTheGateway: a shell that is closed sends it, and so does
// who takes it for a reload.
func TestHangupDoesNotEndTheGateway(t *testing.T) {
	t.Parallel()
	p := startSluice(t, plainGateway("127.0.0.1:0", echoBackend(t)))
	c := dial(t, p.address("tcp"))
	exchange(t, c, "before")
	p.signal(syscall.SIGHUP)
	p.waitLog("reload")
	exchange(t, c, "after")
	exchange(t, dial(t, p.address("tcp")), "on a new connection")
}

// TestEveryRecordIsWrittenAtTheEnd: what is still in buffers when the gateway
// ends is not lost, and there is exactly one record per connection.
func TestEveryRecordIsWrittenAtTheEnd(t *testing.T) {
	t.Parallel()
	const n = 300
	p := startSluice(t, plainGateway("127.0.0.1:0", echoBackend(t)))
	for range n {
		c := dial(t, p.address("tcp"))
		exchange(t, c, "hello")
		c.Close()
	}
	if code := p.stop(); code != 0 {
		t.Errorf("the gateway exits with %d, want 0", code)
	}
	ids := make(map[float64]bool)
	for _, rec := range p.records.all() {
		ids[number(rec, "id")] = true
	}
	if got := len(p.records.all()); got != n || len(ids) != n {
		t.Errorf("%d records with %d ids were written, want %d of each", got, len(ids), n)
	}
}

// TestAccessLogIsReopened is log rotation: rename, then USR1.
func TestAccessLogIsReopened(t *testing.T) {
	t.Parallel()
	p := startSluice(t, plainGateway("127.0.0.1:0", echoBackend(t))+"access_log { path = \"access.log\" }\n")
	file := filepath.Join(p.dir, "access.log") // relative to the configuration
	clientOf := func() string {
		c := dial(t, p.address("tcp"))
		exchange(t, c, "hello")
		c.Close()
		return c.LocalAddr().String()
	}
	holds := func(file, what string) func() bool {
		return func() bool {
			b, err := os.ReadFile(file)
			return err == nil && bytes.Contains(b, []byte(what))
		}
	}
	first := clientOf()
	eventually(t, "the first record is in the file", holds(file, first))
	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	second := clientOf()
	eventually(t, "the second record is in the renamed file", holds(file+".1", second))
	p.signal(syscall.SIGUSR1)
	awaitFile(t, file)
	third := clientOf()
	eventually(t, "the third record is in the new file", holds(file, third))
	if holds(file+".1", third)() || holds(file, first)() {
		t.Error("a record is in the wrong file")
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm()&0o007 != 0 {
		t.Errorf("the file's mode is %v, %v; records are not for everybody", info.Mode(), err)
	}
	lines := bufio.NewScanner(strings.NewReader(readFile(t, file+".1")))
	for lines.Scan() {
		if !bytes.HasPrefix(lines.Bytes(), []byte("{")) || !bytes.HasSuffix(lines.Bytes(), []byte("}")) {
			t.Errorf("a line is not one object: %s", lines.Text())
		}
	}
}

func readFile(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestReaderOfStdoutGoesAway: a record that nobody reads must not end the
// gateway (SIGPIPE), nor keep its connections waiting.
func TestReaderOfStdoutGoesAway(t *testing.T) {
	t.Parallel()
	p := startSluice(t, plainGateway("127.0.0.1:0", echoBackend(t)))
	c := dial(t, p.address("tcp"))
	exchange(t, c, "while it is read")
	c.Close()
	p.waitEnd(c.LocalAddr())
	p.stdout.Close()
	for range 100 {
		c := dial(t, p.address("tcp"))
		exchange(t, c, "while it is not")
		c.Close()
	}
	p.waitLog("access records cannot be written")
	exchange(t, dial(t, p.address("tcp")), "and after the gateway knows")
	p.signal(syscall.SIGQUIT)
	if code := p.wait(); code != 0 {
		t.Errorf("the gateway exits with %d, want 0", code)
	}
}

// TestReaderOfTheAccessLogStalls: a reader that is there and does not read must
// not keep the gateway from ending, however it is told to. The records that are
// lost by it are counted in the service log.
func TestReaderOfTheAccessLogStalls(t *testing.T) {
	t.Parallel()
	for name, sig := range map[string]syscall.Signal{"TERM": syscall.SIGTERM, "QUIT": syscall.SIGQUIT} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startSluice(t, plainGateway("127.0.0.1:0", echoBackend(t))+
				fmt.Sprintf("access_log { path = %q }\n", unreadFIFO(t)))
			for range 30 { // more records than the pipe holds
				c := dial(t, p.address("tcp"))
				exchange(t, c, "hello")
				c.Close()
			}
			p.signal(sig)
			if code := p.wait(); code != 0 {
				t.Errorf("the gateway exits with %d, want 0", code)
			}
			if lost := number(p.waitLog("access records were lost"), "lost"); lost < 1 || lost > 30 {
				t.Errorf("the log says that %v records of 30 were lost", lost)
			}
		})
	}
}

// unreadFIFO gives the path of a pipe of 4 KiB that is open for reading, by
// somebody who does not read.
func unreadFIFO(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "access.fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // it does not wait for the gateway
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reader.Close() })
	if _, err := unix.FcntlInt(reader.Fd(), unix.F_SETPIPE_SZ, 4096); err != nil {
		t.Fatal(err)
	}
	return path
}
