package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"sluice/config"
	"sluice/proxy"
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
               drain_timeout of the runtime block, and exit with 0; a second
               one cuts what is left, and exits with 1 if that was anything
    QUIT       cut all connections and exit at once
    USR1       open the access log's file again, after it was renamed
    HUP        is noted in the log; this version does not reload`,
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
	// Signals that arrive while the gateway starts wait for it in here.
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGHUP)
	defer signal.Stop(signals)
	// An access record written to a pipe that nobody reads any more must not
	// end the gateway.
	signal.Ignore(syscall.SIGPIPE)

	stderr := cmd.ErrOrStderr()
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
	log := newLog(cfg.Log, stderr)
	logWarnings(log, diags)
	gateway, err := proxy.New(cfg, proxy.Options{Log: log, Stdout: cmd.OutOrStdout(), Stderr: stderr})
	if err != nil {
		return fmt.Errorf("starting the gateway: %w", err)
	}
	for _, a := range gateway.Addresses() {
		log.Info().Str("listener", a.Listener).Str("address", a.Address).Msg("listening")
	}
	log.Info().Str("configuration", path).Str("version", readBuild().Version).Int("pid", os.Getpid()).Msg("ready")
	// What reading the configuration left behind would otherwise count as the
	// gateway's memory for hours: forwarding makes too little garbage for a
	// collection.
	debug.FreeOSMemory()
	s := server{log: log, gateway: gateway, drainTimeout: cfg.Runtime.DrainTimeout, signals: signals}
	return s.serve()
}

// logWarnings says in the log what validate would have said.
func logWarnings(log zerolog.Logger, diags *config.Diagnostics) {
	for _, d := range diags.All() {
		e := log.Warn()
		if d.File != "" {
			e.Str("at", fmt.Sprintf("%s:%d", d.File, d.Line))
		}
		e.Str("detail", d.Detail).Msg(d.Summary)
	}
}
