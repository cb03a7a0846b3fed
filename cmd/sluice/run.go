package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"sync/atomic"
	"syscall"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"sluice/config"
	"sluice/proxy"
	"sluice/proxy/admin"
	"sluice/proxy/admin/ui"
	"sluice/proxy/handoff"
)

func runCommand() *cobra.Command {
	var flags configFlags
	cmd := &cobra.Command{
		Use:   "run [-c FILE|DIR] [-var NAME=VALUE]... [-var-file FILE]...",
		Short: "Run a gateway",
		Long: `run reads a configuration, listens on every address in it, and forwards
connections until it is told to stop. A configuration with any error in it, or
an address that is taken, keeps it from starting: nothing is accepted then, and
the exit code is 1.

The service log goes to stderr. Access records, one JSON object for each
connection, go where the access_log block says; by default to stdout.

Signals:

    TERM, INT  accept nothing more, let the connections end within the
               drain_timeout of the runtime block ("0s" sets no limit), and
               exit with 0, or with 1 when a connection was cut that had not
               ended by then and on which something was under way; a second
               signal cuts what is left
    QUIT       cut all connections and exit at once
               (before the gateway is ready, TERM, INT and QUIT exit at once)
    USR1       open the access log's file again, after it was renamed
    HUP        read the configuration again and run it: all of it or, when
               anything is wrong with it, nothing (the log says what)
    USR2       upgrade: start the binary on disk as this one was started, hand
               it the listening sockets, and drain; when it does not get to
               serve, this process goes on as it was (the log says why)

Under systemd (Type=notify) it says when it is ready, reloads and stops, and
feeds the watchdog. A socket that systemd has opened is used by the listener
that has its address, or else by the one that has its name
(FileDescriptorName=).

With runtime { watch = true } the configuration is read again whenever one of
its files changes, too. Certificates, keys, CAs, revocation lists and session
ticket keys are always read again when they change, without a reload: from then
on handshakes go by the new ones, once these go together.

The admin block says where the gateway can be asked what it does, and told what
to do: on 127.0.0.1:9901, if it says nothing. Without such a block the gateway
answers there, too, but only to be read; when another program has the address,
it does without and says so.`,
		Example: `  sluice run
  sluice run -c edge.hcl
  sluice run -c /etc/sluice -var env=prod -var-file site.hcl`,
		GroupID: groupRun,
		Args:    exactly(0, ""),
		RunE:    func(cmd *cobra.Command, _ []string) error { return run(cmd, &flags) },
	}
	flags.add(cmd)
	return cmd
}

// run is a gateway's life.
func run(cmd *cobra.Command, flags *configFlags) error {
	// Signals that arrive before anybody looks wait in here.
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGHUP)
	defer signal.Stop(signals)
	// An access record written to a pipe that nobody reads any more must not
	// end the gateway.
	signal.Ignore(syscall.SIGPIPE)

	started := make(chan start, 1)
	go startGateway(cmd, flags, started)
	for {
		select {
		case st := <-started:
			if st.err != nil {
				return st.err
			}
			// It stays up while the gateway drains, to be asked how that goes.
			defer st.admin.Close()
			s := st.server(signals)
			if st.predecessor == nil {
				s.own()
			}
			st.announce()
			defer st.reloader.close()
			defer st.watch.close()
			return s.serve()
		case sig := <-signals:
			// Starting may wait for ever: for who writes a configuration into
			// a pipe, or reads the access log from one. What was begun ends
			// with the process, which has served nobody.
			if sig == syscall.SIGTERM || sig == syscall.SIGINT || sig == syscall.SIGQUIT {
				_, err := fmt.Fprintln(cmd.ErrOrStderr(), "stopped before the gateway was ready")
				return err
			}
		}
	}
}

// start is what became of starting a gateway.
type start struct {
	path     string // of the configuration
	log      zerolog.Logger
	gateway  *proxy.Gateway
	reloader *reloader
	upgrader *upgrader
	watch    *adminWatch
	sockets  *admin.Sockets
	admin    *admin.Server
	drains   chan struct{} // has what was asked for over the admin API
	upgrades upgrades      // the same
	err      error

	generation  int                  // of the process: one more with each upgrade
	predecessor *handoff.Predecessor // nil: there is none
	given       *handoff.Sockets     // by it, or by a service manager
}

func startGateway(cmd *cobra.Command, flags *configFlags, started chan<- start) {
	st := start{upgrades: make(upgrades)}
	st.err = st.begin(cmd, flags)
	started <- st
}

// begin reads the configuration and starts the gateway that it describes.
func (st *start) begin(cmd *cobra.Command, flags *configFlags) error {
	stderr := cmd.ErrOrStderr()
	if err := st.inherit(); err != nil {
		return err
	}
	sources := &config.Sources{}
	path, cfg, diags, err := flags.loadFrom(sources)
	if err != nil {
		return err
	}
	if cfg == nil {
		if err := diags.WriteText(stderr, widthOf(stderr), hasColor(stderr)); err != nil {
			return err
		}
		return notValid(path, diags)
	}
	var level *logLevel
	st.log, level = newLogWithLevel(cfg.Log, stderr)
	st.path = path
	logWarnings(st.log, diags)
	pidFile, err := preparePIDFile(cfg.Runtime.PIDFile, cfg.Runtime.PIDFileHidden)
	if err != nil {
		return fmt.Errorf("starting the gateway: %w", err)
	}
	if st.sockets, err = admin.Bind(cfg, st.given, st.log); err != nil {
		pidFile.abandon()
		return fmt.Errorf("starting the gateway: %w", err)
	}
	st.gateway, err = proxy.New(cfg, proxy.Options{
		Log: st.log, Stdout: cmd.OutOrStdout(), Stderr: stderr,
		Version: readBuild().Version, Path: path, Generation: st.generation,
		Given: st.given, BeforeAccepting: st.readyToTakeOver(),
		Workers: giveWorkersTheirOwn(cfg.Runtime.Workers), Descriptors: st.sockets.Descriptors(),
	})
	if err != nil {
		pidFile.abandon()
		st.sockets.Close()
		return fmt.Errorf("starting the gateway: %w", err)
	}
	st.discard()
	st.reloader = &reloader{
		log: st.log, flags: flags, gateway: st.gateway, pidFile: pidFile, held: st.predecessor != nil,
		supervision: &supervision{log: st.log, responds: st.gateway.Responds},
	}
	st.upgrader = st.newUpgrader()
	st.serveAdmin(cfg, level)
	st.reloader.watch(sources, cfg)
	return nil
}

func (st *start) newUpgrader() *upgrader {
	u := &upgrader{
		log: st.log, gateway: st.gateway, reloader: st.reloader,
		generation: st.generation, command: successorCommand, pid: os.Getpid(),
		more: st.sockets.HandOver,
	}
	if st.predecessor != nil {
		u.elders = st.predecessor.Elders
	}
	return u
}

// server is what serves from here on.
func (st *start) server(signals <-chan os.Signal) *server {
	return &server{
		log: st.log, gateway: st.gateway, reloader: st.reloader, upgrader: st.upgrader,
		supervision: st.reloader.supervision, admin: st.admin,
		signals: signals, drains: st.drains, upgrades: st.upgrades,
		predecessor: st.predecessor,
	}
}

// serveAdmin begins to answer on the admin address.
func (st *start) serveAdmin(cfg *config.Config, level *logLevel) {
	// Whoever asks for a reload at once waits until it is known what belongs to
	// one.
	st.reloader.mu.Lock()
	defer st.reloader.mu.Unlock()
	var running atomic.Pointer[config.Config]
	running.Store(cfg)
	st.drains = make(chan struct{}, 1)
	st.admin = st.sockets.Serve(admin.Options{
		Page:    ui.Files,
		Gateway: st.gateway, Log: st.log,
		Files:    func() []config.File { return running.Load().Files() },
		LogLevel: level.String, SetLogLevel: level.set,
		Drain: st.drain, Reload: st.reloader.answer, Upgrade: st.upgrades.ask,
		Elders:  st.upgrader,
		Metrics: admin.NewMetrics(st.gateway),
	})
	st.watch = watchAdmin(st.reloader, &running, func(next *config.Config) { st.admin.Apply(next) })
	st.reloader.applied = func(next *config.Config) []string {
		// What an operator has set stays until the file says something else.
		if was := running.Swap(next); was.Log.Level != next.Log.Level {
			if err := level.set(next.Log.Level); err != nil {
				panic("BUG: the configuration has let a level through: " + err.Error())
			}
		}
		st.watch.follow()
		return st.admin.Apply(next)
	}
}

// drain asks for a drain, once.
func (st *start) drain() {
	select {
	case st.drains <- struct{}{}:
	default:
	}
}

// announce says that clients are welcome.
func (st *start) announce() {
	for _, a := range st.gateway.Addresses() {
		st.log.Info().Str("listener", a.Listener).Str("address", a.Address).Msg("listening")
	}
	at, metrics := st.sockets.Addresses()
	if at != "" {
		st.log.Info().Str("address", at).Msg("the admin server listens")
	}
	if metrics != "" {
		st.log.Info().Str("address", metrics).Msg("the metrics server listens")
	}
	st.log.Info().Str("configuration", st.path).Str("version", readBuild().Version).Int("pid", os.Getpid()).Int("generation", st.generation).Msg("ready")
	// What reading the configuration left behind would otherwise count as the
	// gateway's memory for hours: forwarding makes too little garbage for a
	// collection.
	debug.FreeOSMemory()
}

// logWarnings says in the log what validate would have said.
func logWarnings(log zerolog.Logger, diags *config.Diagnostics) {
	for _, d := range diags.All() {
		logDiagnostic(log.Warn(), d)
	}
}

func logDiagnostic(e *zerolog.Event, d config.Diagnostic) {
	if d.File != "" {
		e.Str("at", fmt.Sprintf("%s:%d", d.File, d.Line))
	}
	e.Str("detail", d.Detail).Msg(d.Summary)
}
