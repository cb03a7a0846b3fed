package proxy

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"sluice/config"
	"sluice/proxy/limit"
	"sluice/proxy/relay"
	"sluice/proxy/status"
)

// Options is what a gateway needs besides its configuration.
type Options struct {
	// Log is the service log. The zero value logs nothing.
	Log zerolog.Logger
	// Stdout and Stderr take the access records when the configuration
	// sends them there; nil is the process's own.
	Stdout, Stderr io.Writer

	// What [Gateway.Server] tells, and the gateway does not know by itself.
	Version    string
	Path       string // of the configuration
	Generation int    // of the process: one more with each upgrade; 0 stands for 1

	// Descriptors is how many the process needs for what is not the gateway's,
	// so that connections do not use them up.
	Descriptors int
}

// Gateway is a running gateway: listening sockets, workers and connections.
// Its methods may be called by any goroutine.
type Gateway struct {
	log        zerolog.Logger
	snapshot   atomic.Pointer[snapshot]
	workers    []*worker
	groups     []*socketGroup
	accessLog  *accessLog // nil: off
	pipes      relay.Pipes
	splice     bool
	handshakes relay.Gate
	maxActive  int64
	localPorts portRange // as it was at the start
	fullReason Reason    // why there may be no more than maxActive
	started    time.Time // from when the time that workers share is counted
	instance   uint64    // a random number, so that connections of different gateways can be told apart

	upkeeps       []*upkeep     // of the clusters that have discovery or health checks
	healthChanges atomic.Uint64 // of endpoints, by checks
	drainTimeout  time.Duration

	counters *registry

	// What is told of the process; see view_server.go.
	state         atomic.Uint32
	version       string
	generation    int
	configuration atomic.Pointer[status.Configuration]

	handshaking sync.WaitGroup // goroutines that run a handshake
	running     sync.WaitGroup // workers
	active      limit.Connections
	shed        atomic.Uint64
	spares      spares
	stopOnce    sync.Once
	closeOnce   sync.Once

	waiting atomic.Int64  // goroutines in awaitIdle
	idleMu  sync.Mutex    // guards what follows
	idle    chan struct{} // closed and replaced when active falls to 0 and somebody waits

	acceptFailures failures
	watchFailures  failures // of clients' descriptors
}

// shareOut divides the descriptors of the process: each connection has two,
// and so has each pipe. What is left over is for listening sockets, for the
// workers' own (an acceptor's spare and four more for each), for logs, and for
// the runtime.
func shareOut(limit, addresses, workers int) (connections int64, pipes int) {
	const others = 24
	pipes = max(min(relay.MaxPipes, limit/16), 1)
	rest := limit - others - 2*pipes - workers*(2*addresses+4)
	return int64(max(rest/2, 16)), pipes
}

// New starts a gateway: it compiles the configuration, binds every address, and
// begins to accept only when all of that has worked. On an error nothing is
// left behind.
func New(cfg *config.Config, o Options) (*Gateway, error) {
	if err := mayBeTransparent(cfg); err != nil {
		return nil, err
	}
	workers := cfg.Runtime.Workers
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	g := &Gateway{
		log:        o.Log,
		splice:     cfg.Runtime.Splice,
		handshakes: relay.NewGate(workers),
		idle:       make(chan struct{}),
		localPorts: localPortRange(),
		started:    time.Now(),
		instance:   rand.Uint64(),
		counters:   newRegistry(workers),
		version:    o.Version,
		generation: max(o.Generation, 1),

		drainTimeout: cfg.Runtime.DrainTimeout,
	}
	g.configuration.Store(&status.Configuration{Path: o.Path, Loaded: g.started.UTC(), LastReload: "ok"})
	snap, err := compile(cfg, g.ejection)
	if err != nil {
		return nil, err
	}
	g.counters.attach(snap)
	g.snapshot.Store(snap)
	addresses := 0
	for _, ln := range cfg.Listeners {
		addresses += len(ln.Addresses)
	}
	descriptors := descriptorLimit()
	g.maxActive, g.pipes.Limit = shareOut(descriptors-upkeepDescriptors(cfg, descriptors)-o.Descriptors, addresses, workers)
	g.limitConnections(cfg.Runtime.MaxConnections)
	if err := g.bind(cfg, workers); err != nil {
		g.release()
		return nil, err
	}
	stdout, stderr := io.Writer(os.Stdout), io.Writer(os.Stderr)
	if o.Stdout != nil {
		stdout = o.Stdout
	}
	if o.Stderr != nil {
		stderr = o.Stderr
	}
	if g.accessLog, err = openAccessLog(cfg.AccessLog, stdout, stderr, o.Log); err != nil {
		g.release()
		return nil, err
	}
	if err := g.start(cfg, workers); err != nil {
		g.Close()
		return nil, err
	}
	g.state.Store(uint32(Running))
	return g, nil
}

// limitConnections takes the configured limit, when there is one, if the
// descriptors are good for it.
func (g *Gateway) limitConnections(most int) {
	switch {
	case most == 0:
		g.fullReason = reasonDescriptorLimit
	case int64(most) > g.maxActive:
		g.fullReason = reasonDescriptorLimit
		g.log.Warn().Int("max_connections", most).Int64("possible", g.maxActive).
			Msg("the descriptor limit (ulimit -n, or LimitNOFILE of the unit) allows fewer connections than runtime.max_connections")
	default:
		g.maxActive, g.fullReason = int64(most), reasonProcessLimit
	}
}

// bind binds every address of every listener.
func (g *Gateway) bind(cfg *config.Config, workers int) error {
	for i, ln := range cfg.Listeners {
		for _, a := range ln.Addresses {
			group, err := bind(ln, a, workers)
			if err != nil {
				return fmt.Errorf("listener %q: %w", ln.Name, err)
			}
			group.listener = i
			g.groups = append(g.groups, group)
		}
	}
	return nil
}

// start runs the workers and lets connections in.
func (g *Gateway) start(cfg *config.Config, workers int) error {
	for i := range workers {
		w, err := newWorker(g, i+1, workers)
		if err != nil {
			return err
		}
		g.workers = append(g.workers, w)
		g.running.Add(1)
		go g.run(w)
	}
	if err := g.startUpkeep(cfg); err != nil {
		return err
	}
	for _, group := range g.groups {
		if err := group.listen(cfg.Listeners[group.listener]); err != nil {
			return err
		}
		if err := g.watch(group); err != nil {
			return fmt.Errorf("listening on %s: %w", group, err)
		}
	}
	return nil
}

func (g *Gateway) run(w *worker) {
	defer g.running.Done()
	w.Run()
}

// watch gives each worker its socket of the group.
func (g *Gateway) watch(group *socketGroup) error {
	return g.onEach(func(i int, w *worker) error {
		fd := group.fds[0]
		if !group.shared {
			fd = group.fds[i]
		}
		return w.accept(group, fd)
	})
}

// onEach runs f in every worker and gives the first error.
func (g *Gateway) onEach(f func(int, *worker) error) error {
	errs := make(chan error, len(g.workers))
	for i, w := range g.workers {
		if !w.Post(func() { errs <- f(i, w) }) {
			errs <- nil
		}
	}
	var first error
	for range g.workers {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	return first
}

// Address is one address that the gateway listens on.
type Address struct {
	Listener string
	Address  string // with the port that the kernel chose
}

// Addresses gives what the gateway listens on, in the order of the
// configuration.
func (g *Gateway) Addresses() []Address {
	var list []Address
	for _, group := range g.groups {
		list = append(list, Address{g.snapshot.Load().listeners[group.listener].name, group.String()})
	}
	return list
}

// ReopenLogs opens the access log's file again, after it was renamed.
func (g *Gateway) ReopenLogs() {
	if g.accessLog != nil {
		g.accessLog.Reopen()
	}
}

// Drain stops accepting and lets the connections end: by themselves during the
// first half of the timeout, and spread over the second. With a timeout of zero
// they may take as long as they want. It returns when none is left, or with the
// context's error. Close has to be called all the same.
func (g *Gateway) Drain(ctx context.Context, timeout time.Duration) error {
	g.stopAccepting()
	if timeout > 0 {
		g.onEach(func(_ int, w *worker) error {
			w.draining = timeout
			w.each(func(c *conn) { c.drain(timeout) })
			return nil
		})
	}
	return g.awaitIdle(ctx)
}

func (g *Gateway) stopAccepting() {
	g.stopOnce.Do(func() {
		g.state.Store(uint32(Draining))
		g.onEach(func(_ int, w *worker) error {
			for _, a := range w.acceptors {
				a.stop()
			}
			w.acceptors = nil
			return nil
		})
		for _, group := range g.groups {
			group.close()
		}
	})
}

// awaitIdle returns when there is no connection, or with the context's error.
func (g *Gateway) awaitIdle(ctx context.Context) error {
	g.waiting.Add(1)
	defer g.waiting.Add(-1)
	for {
		g.idleMu.Lock()
		idle := g.idle
		g.idleMu.Unlock()
		if g.active.Active() == 0 {
			return nil
		}
		select {
		case <-idle:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Close ends everything at once: connections that bytes still flow on are
// reset. It returns when nothing is left, and may be called more than once.
func (g *Gateway) Close() {
	g.closeOnce.Do(func() {
		g.stopAccepting()
		for _, u := range g.upkeeps {
			u.close()
		}
		g.onEach(func(_ int, w *worker) error {
			w.killing = true
			w.each((*conn).kill)
			return nil
		})
		g.awaitIdle(context.Background())
		g.handshaking.Wait()
		for _, w := range g.workers {
			w.Post(w.stop)
		}
		g.running.Wait()
		g.release()
	})
}

// release lets go of what is not a worker's.
func (g *Gateway) release() {
	for _, group := range g.groups {
		group.close()
	}
	for _, c := range g.snapshot.Load().clusters {
		c.Close()
	}
	if g.accessLog != nil {
		g.accessLog.Close()
	}
}

// closed counts a connection of the process out again that was accepted
// ([admission.accept]).
func (g *Gateway) closed() {
	if g.active.Leave() > 0 || g.waiting.Load() == 0 {
		return
	}
	g.idleMu.Lock()
	close(g.idle)
	g.idle = make(chan struct{})
	g.idleMu.Unlock()
}

// lighter gives the worker that should take a connection which w accepted. The
// kernel's hash spreads connections, not load, so with few long ones a worker
// can end up with most of them.
func (g *Gateway) lighter(w *worker) *worker {
	own := w.Slots()
	if own < leastHandOver {
		return w
	}
	best, least := w, own
	for _, other := range g.workers {
		if n := other.Slots(); n < least {
			best, least = other, n
		}
	}
	if own-least < leastHandOver+own/4 {
		return w
	}
	return best
}

// leastHandOver is the difference in connections from which it pays to hand a
// new one to another worker, which costs a wake-up.
const leastHandOver = 16

// acceptFailed counts a failed accept and logs it, at most once a second.
func (g *Gateway) acceptFailed(errno syscall.Errno) {
	if n, tell := g.acceptFailures.add(); tell {
		g.log.Error().Err(errno).Uint64("failures", n).Uint64("shed", g.shed.Load()).Msg("accepting a connection")
	}
}

// watchFailed counts a client whose descriptor epoll did not take, and logs it,
// at most once a second.
func (g *Gateway) watchFailed(err error) {
	if n, tell := g.watchFailures.add(); tell {
		g.log.Error().Err(err).Uint64("failures", n).Msg("registering a client's descriptor")
	}
}

// Stats is a look at the gateway's counters.
type Stats struct {
	Accepted       uint64 // connections since the start
	Active         int    // connections now
	Slots          int    // places in the workers that are taken
	Coroutines     int    // set-ups under way
	PipesOpen      int    // each two descriptors
	PipesInUse     int
	BytesCopied    uint64
	BytesSpliced   uint64
	AcceptFailures uint64
	Shed           uint64 // clients reset because descriptors had run out
	RecordsDropped uint64 // their sink was too slow, or did not take them
	HealthChanges  uint64 // of endpoints, found by checks; a first good check is none
}

// Stats reads the counters. The workers are not disturbed.
func (g *Gateway) Stats() Stats {
	s := Stats{
		Active:     int(g.active.Active()),
		PipesOpen:  g.pipes.Open(),
		PipesInUse: g.pipes.InUse(),
		Shed:       g.shed.Load(),

		HealthChanges: g.healthChanges.Load(),
	}
	for _, w := range g.workers {
		s.Accepted += w.accepted.Load()
		s.Slots += w.Slots()
		s.Coroutines += w.Coroutines()
		s.BytesCopied += w.mover.Copied()
		s.BytesSpliced += w.mover.Spliced()
	}
	s.AcceptFailures = g.acceptFailures.total()
	if g.accessLog != nil {
		s.RecordsDropped = g.accessLog.dropped.Load() + g.accessLog.failed.Load()
	}
	return s
}
