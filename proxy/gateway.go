package proxy

import (
	"cmp"
	"context"
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
	"sluice/config/filewatch"
	"sluice/proxy/handoff"
	"sluice/proxy/limit"
	"sluice/proxy/relay"
	"sluice/proxy/status"
	"sluice/proxy/upstream"
	"sluice/proxy/upstream/health"
)

// Options is what a gateway needs besides its configuration.
type Options struct {
	// Log is the service log. The zero value logs nothing.
	Log zerolog.Logger
	// Stdout and Stderr take the access records when the configuration
	// sends them there; nil is the process's own.
	Stdout, Stderr io.Writer

	// Given are listening sockets from the process before this one or from a
	// service manager. What the configuration has a use for is taken out; the
	// rest stays the caller's.
	Given *handoff.Sockets
	// BeforeAccepting is called by New once everything has been done that can
	// fail, and nobody is let in before it returns. With an error nobody is at
	// all, and New gives it. It is for who has a predecessor; may be nil.
	BeforeAccepting func() error

	// What [Gateway.Server] tells, and the gateway does not know by itself.
	Version    string
	Path       string // of the configuration
	Generation int    // of the process: one more with each upgrade; 0 stands for 1

	// Workers is how many there are when the configuration does not say; 0 is
	// GOMAXPROCS. A worker with traffic holds its P, so GOMAXPROCS should leave
	// others for the rest of the process; where it does not, the rest waits for
	// some milliseconds at a time.
	Workers int
	// Descriptors is how many the process needs for what is not the gateway's,
	// so that connections do not use them up.
	Descriptors int
}

// Gateway is a running gateway: listening sockets, workers and connections.
// Its methods may be called by any goroutine.
type Gateway struct {
	log        zerolog.Logger
	stdout     io.Writer
	stderr     io.Writer
	snapshot   atomic.Pointer[snapshot] // replaced by Apply
	most       atomic.Pointer[ceiling]
	reserved   int // descriptors that are not the gateway's
	workers    []*worker
	pipes      relay.Pipes
	handshakes relay.Gate
	checks     health.Gate // of all clusters
	localPorts portRange   // as it was at the start
	started    time.Time   // from when the time that workers share is counted
	instance   uint64      // a random number, so that connections of different gateways can be told apart

	healthChanges atomic.Uint64 // of endpoints, by checks

	accessLog   atomic.Pointer[accessLog] // nil: off
	recordsLost atomic.Uint64             // by earlier access logs

	applying sync.Mutex // held by Apply and by what ends the gateway; guards what follows
	ending   bool       // no configuration is taken any more
	handing  bool       // nor is one now: an upgrade is under way
	shut     bool       // nobody is let in yet
	given    *handoff.Sockets
	groups   []*socketGroup
	upkeeps  map[string]*upkeep  // by cluster
	retired  []*upstream.Cluster // that no configuration has any more, with connections

	materials materials
	watcher   *filewatch.Watcher // of their files; nil: there have been none
	ends      *time.Timer        // for warnings; as long as watcher
	secrets   atomic.Pointer[[]SecretFiles]

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
	cut         atomic.Uint64 // connections that a drain has reset
	spares      spares
	closeOnce   sync.Once

	waiting atomic.Int64  // goroutines in awaitIdle
	idleMu  sync.Mutex    // guards what follows
	idle    chan struct{} // closed and replaced when active falls to 0 and somebody waits

	acceptFailures failures
	watchFailures  failures // of clients' descriptors
}

// New starts a gateway: it compiles the configuration, binds every address, and
// begins to accept only when all of that has worked. On an error nothing is
// left behind.
func New(cfg *config.Config, o Options) (*Gateway, error) {
	workers := cmp.Or(cfg.Runtime.Workers, o.Workers, runtime.GOMAXPROCS(0))
	g := &Gateway{
		log:        o.Log,
		stdout:     o.Stdout,
		stderr:     o.Stderr,
		reserved:   o.Descriptors,
		handshakes: relay.NewGate(workers),
		checks:     health.NewGate(checksAtATime(descriptorLimit())),
		idle:       make(chan struct{}),
		localPorts: localPortRange(),
		started:    time.Now(),
		instance:   rand.Uint64(),
		upkeeps:    make(map[string]*upkeep),
		given:      o.Given,
		shut:       o.BeforeAccepting != nil,
		counters:   newRegistry(workers),
		version:    o.Version,
		generation: max(o.Generation, 1),
	}
	g.configuration.Store(&status.Configuration{Path: o.Path, Reloads: -1}) // the first one is none
	if g.stdout == nil {
		g.stdout = os.Stdout
	}
	if g.stderr == nil {
		g.stderr = os.Stderr
	}
	g.snapshot.Store(&snapshot{config: &config.Config{}, workers: cfg.Runtime.Workers})
	_, g.pipes.Limit = shareOut(descriptorLimit()-g.reserved, 0, workers)
	if err := g.start(workers); err != nil {
		g.Close()
		return nil, err
	}
	_, err := g.Apply(cfg)
	if err == nil && o.BeforeAccepting != nil {
		err = g.takeOverFrom(o.BeforeAccepting)
	}
	if err != nil {
		g.Close()
		return nil, err
	}
	g.state.Store(uint32(Running))
	return g, nil
}

// start runs the workers.
func (g *Gateway) start(workers int) error {
	for i := range workers {
		w, err := newWorker(g, i+1, workers)
		if err != nil {
			return err
		}
		g.workers = append(g.workers, w)
		g.running.Add(1)
		go g.run(w)
	}
	return nil
}

func (g *Gateway) run(w *worker) {
	defer g.running.Done()
	w.Run()
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

// ReopenLogs opens the access log's file again, after it was renamed.
func (g *Gateway) ReopenLogs() {
	if a := g.accessLog.Load(); a != nil {
		a.Reopen()
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

// stopAccepting ends what lets connections in, and changes of configuration.
func (g *Gateway) stopAccepting() {
	g.applying.Lock()
	defer g.applying.Unlock()
	g.ending = true
	g.state.Store(uint32(Draining))
	g.closeGroups(g.groups)
	g.groups = nil
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
		g.closeMaterial()
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
		for _, c := range g.snapshot.Load().clusters {
			c.Close()
		}
		for _, c := range g.retired {
			c.Close()
		}
		if a := g.accessLog.Load(); a != nil {
			a.Close()
		}
	})
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
