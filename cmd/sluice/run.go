package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"sluice/config"
	"sluice/proxy"
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
               exit with 0; a second one cuts what is left, and exits with 1
               if that was anything
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
(FileDescriptorName=).`,
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
			s := st.server(flags, signals)
			if st.predecessor == nil {
				s.own()
			}
			st.announce()
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
	path    string // of the configuration
	log     zerolog.Logger
	gateway *proxy.Gateway
	pidFile *pidFile
	err     error

	upgrades    upgrades             // asked for in another way than by a signal
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
	path, cfg, diags, err := flags.load()
	if err != nil {
		return err
	}
	if cfg == nil {
		if err := diags.WriteText(stderr, widthOf(stderr), hasColor(stderr)); err != nil {
			return err
		}
		return notValid(path, diags)
	}
	st.path, st.log = path, newLog(cfg.Log, stderr)
	logWarnings(st.log, diags)
	if st.pidFile, err = preparePIDFile(cfg.Runtime.PIDFile, cfg.Runtime.PIDFileHidden); err != nil {
		return fmt.Errorf("starting the gateway: %w", err)
	}
	st.gateway, err = proxy.New(cfg, proxy.Options{
		Log: st.log, Stdout: cmd.OutOrStdout(), Stderr: stderr,
		Given: st.given, BeforeAccepting: st.readyToTakeOver(),
	})
	if err != nil {
		st.pidFile.abandon()
		return fmt.Errorf("starting the gateway: %w", err)
	}
	st.discard()
	return nil
}

// inherit takes what the process before this one, or a service manager, has
// opened for it.
func (st *start) inherit() (err error) {
	st.generation = 1
	if st.predecessor, err = handoff.Inherit(); err != nil {
		return err
	}
	if st.predecessor != nil {
		st.generation, st.given = st.predecessor.Generation, st.predecessor.Sockets
		return nil
	}
	activated, err := handoff.Activated()
	st.given = handoff.NewSockets(nil, activated)
	return err
}

// readyToTakeOver is what tells the predecessor that all is ready, and waits to
// be let in; nil when there is none.
func (st *start) readyToTakeOver() func() error {
	if st.predecessor == nil {
		return nil
	}
	return func() error { return st.predecessor.Ready(context.Background()) }
}

// discard closes the sockets that nobody has a use for.
func (st *start) discard() {
	dropped, unused := st.given.Discard()
	if st.predecessor != nil {
		st.predecessor.Serving(dropped)
	}
	for _, name := range unused {
		st.log.Warn().Str("socket", name).Msg("a socket of the service manager's is not used: no listener has its address or its name")
	}
}

// server is what serves from here on.
func (st *start) server(flags *configFlags, signals <-chan os.Signal) *server {
	r := &reloader{log: st.log, flags: flags, gateway: st.gateway, pidFile: st.pidFile, held: st.predecessor != nil}
	u := &upgrader{
		log: st.log, gateway: st.gateway, reloader: r,
		generation: st.generation, command: successorCommand, pid: os.Getpid(),
	}
	if st.predecessor != nil {
		u.elders = st.predecessor.Elders
	}
	return &server{
		log: st.log, gateway: st.gateway, signals: signals, reloader: r, upgrader: u,
		supervision: &supervision{log: st.log, responds: st.gateway.Responds},
		upgrades:    st.upgrades,
		predecessor: st.predecessor,
	}
}

// announce says that clients are welcome.
func (st *start) announce() {
	for _, a := range st.gateway.Addresses() {
		st.log.Info().Str("listener", a.Listener).Str("address", a.Address).Msg("listening")
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
