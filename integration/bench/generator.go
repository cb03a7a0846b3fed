package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// work is what the generator does; the units in which it is counted.
type work string

const (
	workDown  work = "bulk-down" // bytes received
	workUp    work = "bulk-up"   // bytes sent
	workEcho  work = "echo"      // messages that came back
	workShort work = "short"     // connections: opened, answered, closed
	workHold  work = "hold"      // connections opened, answered and kept
	workIdle  work = "idle"      // connections opened, answered and kept before the window
)

// mode is what the proxy does with a connection.
type mode string

const (
	passThrough mode = "pass" // reads the server name of the hello and passes all on
	plainTCP    mode = "tcp"  // passes all on
	terminated  mode = "term" // terminates TLS 1.3
)

// job is the order to a generator, a line of JSON on its input.
type job struct {
	Target      string
	Mode        mode
	ServerName  string
	Certificate []byte // DER; what a terminating proxy must show
	Work        work
	Connections int
	Size        int     // bytes of a message or an answer
	Rate        float64 // connections per second; 0 = each as soon as the last is done
	Resume      bool    // every TLS handshake but a worker's first must be resumed
	Warmup      time.Duration
	Window      time.Duration
}

// outcome is the generator's report, a line of JSON on its output.
type outcome struct {
	Units                int64
	Elapsed              time.Duration // the window, as it was
	P50, P90, P99, P99_9 time.Duration
	Failures             int64
	FirstFailure         string
	TLS                  string // what was negotiated, of a terminated connection
}

// runGenerator is the subcommand "generate": it reads a job, sets it going,
// writes "ready" when it runs steadily, waits for a second line, measures for
// the window, writes the outcome, then how many connections stand still, and ends
// with its input.
func runGenerator() error {
	in := bufio.NewReader(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("reading the job: %w", err)
	}
	var j job
	if err := json.Unmarshal(line, &j); err != nil {
		return fmt.Errorf("reading the job: %w", err)
	}
	g, err := newGenerator(j)
	if err != nil {
		return err
	}
	defer g.stop()
	if err := g.start(); err != nil {
		return err
	}
	if err := out.Encode("ready"); err != nil {
		return err
	}
	if _, err := in.ReadBytes('\n'); err != nil {
		return fmt.Errorf("waiting for the window: %w", err)
	}
	if err := out.Encode(g.measure()); err != nil {
		return err
	}
	if err := out.Encode(g.stalled()); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, in)
	return err
}

// generator is one job at work. Its workers are goroutines, one for each
// connection (for short ones, one for each that may be open at once).
type generator struct {
	job
	prologue []byte // the hello of a passed-through connection
	pattern  []byte
	tls      *tls.Config

	deadline time.Time // of every read and write: no worker hangs for ever
	begin    chan struct{}
	ended    context.Context // of the job
	end      context.CancelFunc
	workers  sync.WaitGroup

	turns     []atomic.Int64 // of each worker; odd while it waits for the proxy
	measuring atomic.Bool
	units     atomic.Int64
	latencies histogram
	scheduled atomic.Int64  // connections of a fixed rate that have been taken up
	base      time.Time     // when the first of them was due
	connected chan struct{} // a token for each connection that is up
	opening   chan struct{} // holds a token for each connection that is being opened
	allUp     chan struct{} // closed when all connections are
	reached   chan struct{} // closed when a job of fixed size is done
	once      sync.Once     // closes reached

	failures atomic.Int64
	mu       sync.Mutex
	first    error                 // guarded by mu
	open     map[net.Conn]struct{} // guarded by mu
	version  string                // guarded by mu; see outcome.TLS
}

// jobGrace is how much longer than its window a job may take, connecting
// included.
const jobGrace = 20 * time.Second

func newGenerator(j job) (*generator, error) {
	g := &generator{
		job: j, pattern: newPattern(),
		deadline:  time.Now().Add(j.Warmup + j.Window + jobGrace),
		turns:     make([]atomic.Int64, j.Connections),
		begin:     make(chan struct{}),
		connected: make(chan struct{}, j.Connections),
		opening:   make(chan struct{}, openersOfMany),
		allUp:     make(chan struct{}),
		reached:   make(chan struct{}),
		open:      make(map[net.Conn]struct{}),
	}
	g.ended, g.end = context.WithDeadline(context.Background(), g.deadline)
	switch j.Mode {
	case passThrough:
		hello, err := recordHello(j.ServerName)
		if err != nil {
			return nil, err
		}
		g.prologue = hello
	case terminated:
		g.tls = clientConfig(j)
	}
	return g, nil
}

// clientConfig asks for TLS 1.3 with X25519. The certificate is compared and
// not verified: a chain would cost the generator what it does not cost the
// proxy. That the proxy has its key is checked by every full handshake.
func clientConfig(j job) *tls.Config {
	return &tls.Config{
		ServerName: j.ServerName, MinVersion: tls.VersionTLS13,
		CurvePreferences:   []tls.CurveID{tls.X25519},
		InsecureSkipVerify: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 || !bytes.Equal(s.PeerCertificates[0].Raw, j.Certificate) {
				return errors.New("the proxy shows another certificate")
			}
			return nil
		},
	}
}

// start sets the workers going and returns when they run steadily.
func (g *generator) start() error {
	if err := g.probe(); err != nil {
		return err
	}
	n := g.Connections
	if g.Work == workHold || g.Work == workIdle {
		n = min(n, openersOfMany)
	}
	g.base = time.Now()
	for i := range n {
		g.workers.Go(func() { g.worker(i, n) })
	}
	if g.Work == workHold {
		return nil // the window is the work
	}
	if g.Work != workShort {
		for range g.Connections {
			select {
			case <-g.connected:
			case <-g.ended.Done():
				return fmt.Errorf("only some of %d connections were opened within %v: %w", g.Connections, jobGrace, g.failure())
			}
		}
	}
	close(g.allUp)
	g.sleep(g.Warmup)
	return nil
}

// openersOfMany is how many connections are being opened at once where many
// are wanted: more would only fill the queues of listeners, which drop then.
const openersOfMany = 32

// probe waits until one connection through the proxy is answered.
func (g *generator) probe() error {
	for giveUp := time.Now().Add(answerGrace / 2); ; {
		c, err := g.dial(request{service: serveAnswer, size: 1}, nil)
		if err == nil {
			_, err = io.ReadFull(c, make([]byte, 1))
			g.hangUp(c)
		}
		if err == nil {
			return nil
		}
		if time.Now().After(giveUp) {
			return fmt.Errorf("no answer through %s: %w", g.Target, err)
		}
		g.sleep(5 * time.Millisecond)
	}
}

// measure counts for the window, or for a job of fixed size until it is done.
func (g *generator) measure() outcome {
	began := time.Now()
	g.measuring.Store(true)
	close(g.begin)
	if g.Work == workHold {
		select {
		case <-g.reached:
		case <-g.ended.Done():
			g.failures.Add(1)
			g.note(fmt.Errorf("only %d of %d connections were opened within %v", g.units.Load(), g.Connections, jobGrace))
		}
	} else {
		g.sleep(g.Window)
	}
	units := g.units.Load()
	g.measuring.Store(false)
	o := outcome{
		Units: units, Elapsed: time.Since(began),
		P50: g.latencies.quantile(0.5), P90: g.latencies.quantile(0.9),
		P99: g.latencies.quantile(0.99), P99_9: g.latencies.quantile(0.999),
		Failures: g.failures.Load(),
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.first != nil {
		o.FirstFailure = g.first.Error()
	}
	o.TLS = g.version
	return o
}

// patience is how long a proxy may leave a connection without an answer or a
// byte when others get theirs.
const patience = 2 * time.Second

// stalled counts the workers that wait now and still wait for the same after
// patience. A connection that has lost a byte does not fail, it stands still.
func (g *generator) stalled() int64 {
	waiting := make(map[int]int64)
	for i := range g.turns {
		if turn := g.turns[i].Load(); turn%2 == 1 {
			waiting[i] = turn
		}
	}
	for giveUp := time.Now().Add(patience); len(waiting) > 0 && time.Now().Before(giveUp) && g.ended.Err() == nil; {
		g.sleep(5 * time.Millisecond)
		for i, turn := range waiting {
			if g.turns[i].Load() != turn {
				delete(waiting, i)
			}
		}
	}
	return int64(len(waiting))
}

// stop ends the workers, resetting what is open, and waits for them.
func (g *generator) stop() {
	g.end()
	g.mu.Lock()
	for c := range g.open {
		_ = c.SetDeadline(time.Unix(1, 0))
	}
	g.mu.Unlock()
	g.workers.Wait()
}

func (g *generator) sleep(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-g.ended.Done():
	}
}

// count adds units when the window is open.
func (g *generator) count(n int) {
	if g.measuring.Load() {
		g.units.Add(int64(n))
	}
}

// timed counts one unit and how long it took.
func (g *generator) timed(d time.Duration) {
	if g.measuring.Load() {
		g.units.Add(1)
		g.latencies.add(d)
	}
}

// failed counts a failure, unless the job is over and all of them are ours.
// The pause keeps a proxy that refuses from being asked in a tight loop.
func (g *generator) failed(err error) {
	if g.ended.Err() != nil {
		return
	}
	g.failures.Add(1)
	g.note(err)
	g.sleep(10 * time.Millisecond)
}

// note keeps the first error for the report.
func (g *generator) note(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.first == nil {
		g.first = err
	}
}

func (g *generator) failure() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.first == nil {
		return errors.New("no connection failed, they are slow")
	}
	return g.first
}
