package integration

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sluice/tlsutil/certgen"
)

// childAddress is set in the environment of a copy of this program that is a
// backend: see childBackend.
const childAddress = "SLUICE_TEST_BACKEND"

// childBackend makes this program a TLS backend, if the environment says so: one
// that can be stopped and killed as a whole. Its arguments are a certificate and
// a key. It says when it listens, and every client its name, the address.
func childBackend() bool {
	address := os.Getenv(childAddress)
	if address == "" {
		return false
	}
	cert, err := tls.LoadX509KeyPair(os.Args[1], os.Args[2])
	if err == nil {
		var ln net.Listener
		if ln, err = net.Listen("tcp", address); err == nil {
			fmt.Println("listening")
			serveForever(tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}}), address)
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
	return true
}

func serveForever(ln net.Listener, name string) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			io.WriteString(c, name)
			io.Copy(io.Discard, c)
			c.Close()
		}()
	}
}

// child is such a backend, which is killed and started again at its address.
type child struct {
	t                          *testing.T
	address, certFile, keyFile string
	cmd                        *exec.Cmd
}

func (k *child) start() {
	k.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		k.t.Fatal(err)
	}
	k.cmd = exec.Command(exe, k.certFile, k.keyFile)
	k.cmd.Env = append(os.Environ(), childAddress+"="+k.address)
	k.cmd.Stderr = os.Stderr
	out, err := k.cmd.StdoutPipe()
	if err != nil {
		k.t.Fatal(err)
	}
	if err := k.cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "listening\n" {
		k.t.Fatalf("the backend said %q: %v", line, err)
	}
}

// kill stops the backend, waits until somebody is in its accept queue, and kills
// it: whoever is in the queue is reset by the kernel.
func (k *child) kill() {
	k.t.Helper()
	k.cmd.Process.Signal(syscall.SIGSTOP)
	eventually(k.t, "a connection waits in the backend's accept queue", func() bool { return acceptQueue(k.t, k.address) > 0 })
	k.end()
}

func (k *child) end() {
	k.cmd.Process.Kill()
	k.cmd.Wait()
}

// acceptQueue gives how many connections wait to be accepted at an IPv4 address:
// rx_queue of a listening socket, in the network namespace of this thread and not
// of the first one, as in /proc/net/tcp: that may have been left in another.
// Listening sockets come first, and what follows is not read: a hundred thousand
// connections in TIME_WAIT would take seconds.
func acceptQueue(t *testing.T, address string) (n int) {
	t.Helper()
	file, err := os.Open("/proc/thread-self/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	addr, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	local := fmt.Sprintf("0100007F:%04X", addr.Port)
	lines := bufio.NewScanner(file)
	lines.Scan() // the heading
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 5 || f[3] != "0A" {
			break
		}
		if f[1] == local {
			_, rx, _ := strings.Cut(f[4], ":")
			fmt.Sscanf(rx, "%X", &n)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return n
}

// freeAddress gives an address that was free a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// TestEndpointsThatAreKilledAndComeBack: one of three backends is killed, with
// connections in its accept queue, and restarted every two seconds, under steady
// new connections. No handshake fails, and the attempts tell what it took.
func TestEndpointsThatAreKilledAndComeBack(t *testing.T) {
	t.Parallel()
	const lasts, every, clients, pace = 30 * time.Second, 2 * time.Second, 8, 40 * time.Millisecond
	ca := newAuthority(t, "killed")
	certFile, keyFile := ca.files("a", certgen.Options{Names: []string{"a.test"}})
	var over atomic.Bool
	var handshakes atomic.Int64
	var wg sync.WaitGroup
	defer wg.Wait()
	var children []*child
	var list []string
	for range 3 {
		k := &child{t: t, address: freeAddress(t), certFile: certFile, keyFile: keyFile}
		k.start()
		defer func() { k.end() }()
		children, list = append(children, k), append(list, fmt.Sprintf("%q", k.address))
	}
	p := healingGateway(t, "lb_policy = \"round_robin\"\nendpoints = ["+strings.Join(list, ", ")+"]\noutlier_detection {\n base_ejection_time = \"500ms\"\n}")

	defer over.Store(true)
	for range clients {
		wg.Go(func() {
			tick := time.NewTicker(pace)
			defer tick.Stop()
			for !over.Load() {
				if err := shakeHands(p.address("in"), ca); err != nil {
					t.Errorf("a handshake failed: %v", err)
				}
				handshakes.Add(1)
				<-tick.C
			}
		})
	}
	next := time.NewTicker(every / 2)
	defer next.Stop()
	kills := 0
	for began := time.Now(); time.Since(began) < lasts; kills++ {
		k := children[kills%len(children)]
		k.kill()
		next.Reset(every / 2) // it may have taken long to kill it
		<-next.C
		k.start()
		<-next.C
	}
	over.Store(true)
	wg.Wait()
	p.stop()

	results := map[string]int{}
	for _, rec := range p.records.all() {
		attempts := attemptsOf(rec)
		seen := map[string]bool{}
		for i, a := range attempts {
			endpoint, result, _ := strings.Cut(a, " ")
			results[result]++
			if seen[endpoint] || (result == "connected") != (i == len(attempts)-1) {
				t.Errorf("attempts are %q: each must be at another endpoint, and the last one succeed", attempts)
			}
			seen[endpoint] = true
		}
	}
	t.Logf("%d handshakes, %d kills; attempts: %v", handshakes.Load(), kills, results)
	if results["early_reset"]+results["early_close"] < kills {
		t.Errorf("%d kills, but only %d early resets", kills, results["early_reset"])
	}
	if results["refused"] == 0 {
		t.Error("no attempt was refused although backends were down")
	}
	if int64(results["connected"]) < handshakes.Load() {
		t.Errorf("%d attempts succeeded of %d handshakes", results["connected"], handshakes.Load())
	}
}

// shakeHands is one client. Whether it is served afterwards is not asked: its
// backend may be killed at any time.
func shakeHands(address string, ca *authority) error {
	raw, err := tryDial(address)
	if err != nil {
		return err
	}
	defer raw.Close()
	return tls.Client(raw, &tls.Config{ServerName: "a.test", RootCAs: ca.Pool()}).Handshake()
}

// TestEndpointThatResetsIsEjected: clients of several sources notice nothing of
// an endpoint that accepts and resets, and after a few it is not tried any more.
func TestEndpointThatResetsIsEjected(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "resets")
	good := tlsBackend(t, &tls.Config{Certificates: []tls.Certificate{ca.pair(certgen.Options{Names: []string{"a.test"}})}}, answerLine("good"))
	var accepted atomic.Int64
	// It waits for a byte: a reset that comes before the hello is sent is a failed
	// attempt and not an early end.
	bad := backend(t, func(c net.Conn) {
		c.Read(make([]byte, 1))
		accepted.Add(1)
		reset(c)
	})
	p := healingGateway(t, named("good", good)+named("bad", bad)+`
outlier_detection {
  consecutive_failures = 4
  base_ejection_time   = "1h"
  max_ejection_time    = "1h"
}`)
	talk := func() event {
		raw := dial(t, p.address("in"))
		defer raw.Close()
		conn := handshake(t, raw, "a.test", ca)
		io.WriteString(conn, "hello\n")
		if b, _ := io.ReadAll(conn); string(b) != "good got hello\n" {
			t.Errorf("the answer is %q", b)
		}
		conn.Close()
		return p.waitEnd(raw.LocalAddr())
	}
	for accepted.Load() < 4 {
		expectFields(t, talk(), map[string]string{"endpoint": "good", "flags": ""})
	}
	ev := p.waitLog("endpoint ejected")
	expectFields(t, ev, map[string]string{"level": "warn", "cluster": "c", "endpoint": "bad", "reason": "consecutive connections ended before the first byte"})
	for range 20 {
		rec := talk()
		if got := attemptsOf(rec); len(got) != 1 || got[0] != "good connected" {
			t.Errorf("attempts are %q after the ejection", got)
		}
	}
	if n := accepted.Load(); n != 4 {
		t.Errorf("the endpoint got %d connections, want 4", n)
	}
}

// TestOneSourceEjectsNobody: what one client brings about says nothing about an
// endpoint. Here it sends what endpoints of TLS do not like.
func TestOneSourceEjectsNobody(t *testing.T) {
	t.Parallel()
	bad := func(c net.Conn) {
		b := make([]byte, 1)
		if _, err := io.ReadFull(c, b); err == nil && b[0] == 'g' {
			reset(c)
			return
		}
		c.Write(b)
		echo(c)
	}
	p := healingGateway(t, named("one", backend(t, bad))+named("two", backend(t, bad))+"outlier_detection { consecutive_failures = 1 }")
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 66, 1)}}
	for range 50 {
		c, err := d.Dial("tcp", p.address("in"))
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(patience))
		io.WriteString(c, "garbage")
		expectEnd(t, c, rst)
		c.Close()
	}
	c := dial(t, p.address("in"))
	exchange(t, c, "something sensible")
	if said := p.stderr.String(); strings.Contains(said, "ejected") {
		t.Errorf("an endpoint was ejected:\n%s", said)
	}
}

// TestEndpointsThatFailAreEjected: refused and unanswered connects count alike,
// and one endpoint is always left.
func TestEndpointsThatFailAreEjected(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]func(*testing.T) string{"refuses": refusingAddress, "does not answer": silentAddress} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := healingGateway(t, named("bad", address(t))+named("good", echoBackend(t))+`
connect_timeout = "100ms"
outlier_detection {
  consecutive_failures = 2
  base_ejection_time   = "300ms"
  max_ejection_percent = 100
}`)
			talk := func() []string {
				c := dial(t, p.address("in"))
				exchange(t, c, "hello")
				c.Close()
				return attemptsOf(p.waitEnd(c.LocalAddr()))
			}
			for failed := 0; failed < 2; {
				failed += len(talk()) - 1
			}
			ev := p.waitLog("endpoint ejected")
			expectFields(t, ev, map[string]string{"endpoint": "bad", "reason": "consecutive failed attempts"})
			if ms := number(ev, "for_ms"); ms != 300 {
				t.Errorf("ejected for %v ms", ms)
			}
			p.waitLog("endpoint may serve again")
			for failed := 0; failed < 2; {
				failed += len(talk()) - 1
			}
			if p.log.wait(func(ev event) bool { return text(ev, "message") == "endpoint ejected" && number(ev, "count") == 2 }) == nil {
				t.Error("it was not ejected again, for longer")
			}
		})
	}
}

// TestLastEndpointIsNotEjected: with every endpoint dead, all but the last one
// are ejected, and that one is still tried.
func TestLastEndpointIsNotEjected(t *testing.T) {
	t.Parallel()
	p := healingGateway(t, named("a", refusingAddress(t))+named("b", refusingAddress(t))+`
outlier_detection {
  consecutive_failures = 1
  max_ejection_percent = 100
}`)
	for range 5 {
		c := dial(t, p.address("in"))
		send(t, c, []byte("hello"))
		expectEnd(t, c, rst)
		rec := p.waitEnd(c.LocalAddr())
		expectFields(t, rec, map[string]string{"termination.reason": "connect_failed"})
		if len(attemptsOf(rec)) == 0 {
			t.Error("nothing was tried")
		}
		c.Close()
	}
	if n := strings.Count(p.stderr.String(), "endpoint ejected"); n != 1 {
		t.Errorf("%d ejections, want one of two endpoints", n)
	}
}

// TestHeldConnectionsFollowWeights: with weights 1, 2 and 5 each endpoint has,
// at every point, its share of the connections to within one.
func TestHeldConnectionsFollowWeights(t *testing.T) {
	t.Parallel()
	weights := []int{1, 2, 5}
	held := make([]atomic.Int64, len(weights))
	cluster := ""
	for i, w := range weights {
		address := backend(t, func(c net.Conn) {
			held[i].Add(1)
			echo(c)
			held[i].Add(-1)
		})
		cluster += fmt.Sprintf("endpoint %q { weight = %d }\n", address, w)
	}
	p := healingGateway(t, cluster)
	open := []net.Conn{}
	check := func() {
		t.Helper()
		for i, w := range weights {
			// In eighths of a connection, the weights' sum.
			if off := 8*held[i].Load() - int64(len(open)*w); off <= -8 || off >= 8 {
				t.Errorf("of %d connections weight %d has %d", len(open), w, held[i].Load())
			}
		}
	}
	for range 120 {
		c := dial(t, p.address("in"))
		exchange(t, c, "hello")
		open = append(open, c)
		check()
	}
	// Half of them leave, every other one, which is uneven; those that come
	// next make it even again.
	for i := range open {
		if i%2 == 0 {
			open[i].Close()
		}
	}
	eventually(t, "those who left have left the endpoints", func() bool { return held[0].Load()+held[1].Load()+held[2].Load() == 60 })
	open = open[:60]
	for range 60 {
		c := dial(t, p.address("in"))
		exchange(t, c, "hello")
		open = append(open, c)
	}
	check()
}

// reached asks the gateway for each name and gives the backends that answered.
func reached(t *testing.T, p *process, n int) []string {
	t.Helper()
	names := make([]string, n)
	err := many(8, func(worker int) error {
		for i := worker; i < n; i += 8 {
			c, err := tryDial(p.address("in"))
			if err != nil {
				return err
			}
			c.Write(helloFor(fmt.Sprintf("host-%d.test", i)))
			b, err := io.ReadAll(c)
			c.Close()
			if err != nil || len(b) == 0 {
				return errors.Join(fmt.Errorf("host-%d got %q", i, b), err)
			}
			names[i] = string(b)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestMaglevKeepsItsChoices: after a restart the same names go to the same
// endpoints, and without one of ten few others move.
func TestMaglevKeepsItsChoices(t *testing.T) {
	t.Parallel()
	const n = 2000
	var ten []string
	for i := range 10 {
		ten = append(ten, named(fmt.Sprint(i), backend(t, sayName(fmt.Sprint(i)))))
	}
	run := func(endpoints []string) []string {
		t.Helper()
		p := healingGateway(t, "lb_policy = \"maglev\"\nhash_on = \"server_name\"\n"+strings.Join(endpoints, ""))
		defer p.stop()
		return reached(t, p, n)
	}
	before, again, fewer := run(ten), run(ten), run(ten[1:])
	moved, counts := 0, map[string]int{}
	for i := range before {
		counts[before[i]]++
		if again[i] != before[i] {
			t.Fatalf("after a restart host-%d goes to %s, before to %s", i, again[i], before[i])
		}
		if fewer[i] != before[i] {
			moved++
		}
	}
	if part := float64(moved) / n; part < .05 || part > .15 {
		t.Errorf("without one of ten %.1f%% of the names move, want at most 15%%", 100*part)
	}
	for name, count := range counts {
		if count < n/10/2 || count > n/10*2 {
			t.Errorf("%s has %d of %d names", name, count, n)
		}
	}
}
