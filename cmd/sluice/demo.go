package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"sluice/config"
	"sluice/proxy"
	"sluice/proxy/admin"
)

// demoSource is the configuration that the demo runs.
//
//go:embed demo.hcl
var demoSource []byte

// demoDrain is how long the end of the demo waits for connections that were
// made by hand.
const demoDrain = 5 * time.Second

func demoCommand() *cobra.Command {
	var once bool
	cmd := &cobra.Command{
		Use:   "demo [--once]",
		Short: "Show a gateway at work, with backends of its own",
		Long: `demo runs a whole gateway on free ports of the loopback interface, with small
TLS backends and certificates of its own that last as long as it does. It draws
who is sent where, makes real TLS connections for each name, and prints where
each went: the filter chain, cluster and endpoint of the gateway's access record
for that very connection, whose certificate the client saw, and how long it
took.

It checks each against what was to be expected. The gateway then stays up to be
tried with curl and openssl, and the lines to paste are printed; Ctrl-C ends it.
With --once it ends by itself. The exit code is 1 if any connection went
elsewhere. Nothing is left behind, and no other network is touched.`,
		Example: `  sluice demo
  sluice demo --once`,
		GroupID: groupStart,
		Args:    exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			signal.Ignore(syscall.SIGPIPE) // what is in the temporary directory has to be removed
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
			defer stop()
			d := &demo{out: cmd.OutOrStdout(), diagnostics: cmd.ErrOrStderr(), source: demoSource, once: once, program: os.Args[0]}
			return d.run(ctx)
		},
	}
	cmd.Flags().BoolVar(&once, "once", false, "end when every name was tried")
	return cmd
}

// demo is one run of the demo.
type demo struct {
	out         io.Writer
	diagnostics io.Writer
	source      []byte // the configuration
	once        bool
	program     string // how this one is called, for what is to be pasted

	paint   paint
	address string // of the gateway
	admin   string // address of its admin server
	records *records
	end     func() // ends the demo as Ctrl-C does
	backed  *backends
}

// run makes the certificates, starts the backends and the gateway, tries them,
// and takes everything away again.
func (d *demo) run(ctx context.Context) error {
	ctx, d.end = context.WithCancel(ctx)
	defer d.end()
	d.paint = paint(hasColor(d.out))
	dir, err := os.MkdirTemp("", "sluice-demo-")
	if err != nil {
		return fmt.Errorf("making a directory for the certificates: %w", err)
	}
	defer os.RemoveAll(dir)
	if d.backed, err = startBackends(dir); err != nil {
		return fmt.Errorf("starting the backends: %w", err)
	}
	defer d.backed.close()
	d.records = newRecords()
	cfg, err := d.load(dir)
	if err != nil {
		return err
	}
	gateway, err := d.start(cfg)
	if err != nil {
		return fmt.Errorf("starting the gateway: %w", err)
	}
	defer gateway.Close()

	if err := d.show(ctx, cfg); err != nil || d.once {
		return err
	}
	if err := d.stay(ctx, dir); err != nil {
		return err
	}
	return d.leave(gateway)
}

// start starts the gateway and its admin server.
func (d *demo) start(cfg *config.Config) (*demoGateway, error) {
	log, level := newLogWithLevel(cfg.Log, d.diagnostics)
	sockets, err := admin.Bind(cfg, nil, log)
	if err != nil {
		return nil, err
	}
	gateway, err := proxy.New(cfg, proxy.Options{Log: log, Stdout: d.records, Version: readBuild().Version, Path: "demo.hcl", Workers: giveWorkersTheirOwn(cfg.Runtime.Workers), Descriptors: sockets.Descriptors()})
	if err != nil {
		sockets.Close()
		return nil, err
	}
	d.address = gateway.Addresses()[0].Address
	d.admin, _ = sockets.Addresses()
	server := sockets.Serve(admin.Options{
		Gateway: gateway, Log: log, Files: cfg.Files,
		LogLevel: level.String, SetLogLevel: level.set,
		Drain: d.end,
	})
	return &demoGateway{gateway, server}, nil
}

// demoGateway is a gateway that can be looked into.
type demoGateway struct {
	*proxy.Gateway
	admin *admin.Server
}

// Close ends both.
func (g *demoGateway) Close() {
	g.admin.Close()
	g.Gateway.Close()
}

// load writes the configuration beside the certificates, where it can be read
// while the demo runs, and loads it from there.
func (d *demo) load(dir string) (*config.Config, error) {
	path := filepath.Join(dir, "demo.hcl")
	if err := os.WriteFile(path, d.source, 0o600); err != nil {
		return nil, err
	}
	cfg, diags := config.Load(path, config.Options{Environ: []string{}, Vars: map[string]string{
		"ports":        d.backed.ports(),
		"certificates": dir,
	}})
	if cfg == nil {
		if err := diags.WriteText(d.diagnostics, widthOf(d.diagnostics), hasColor(d.diagnostics)); err != nil {
			return nil, err
		}
		return nil, notValid(path, diags)
	}
	return cfg, nil
}

// show draws the map and tries every name.
func (d *demo) show(ctx context.Context, cfg *config.Config) error {
	drawing := drawMap(cfg, d.address, d.admin)
	if widthOf(d.out) < mapWidth {
		drawing = listMap(cfg, d.address, d.admin)
	}
	_, err := fmt.Fprintf(d.out, "\n%s\n\n%s\n%s\n",
		d.paint.bold("One port, and a name decides where a connection goes:"),
		d.paint.lines(drawing),
		d.paint.bold("TLS connections through it, as its access records tell (times in ms):"))
	if err != nil {
		return err
	}
	if err = d.tryAll(ctx); ctx.Err() != nil {
		return errors.New("interrupted before every name was tried")
	}
	return err
}

// stay prints what to try, and each connection that is made, until ctx ends.
func (d *demo) stay(ctx context.Context, dir string) error {
	if err := d.printHints(dir); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case r := <-d.records.arrived:
			if err := d.printRow(rowOf(r), d.paint.dim("·")); err != nil {
				return err
			}
		}
	}
}

// leave ends the gateway in the kind way. Another signal cuts that short.
func (d *demo) leave(gateway *demoGateway) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	defer stop()
	if n := gateway.Stats().Active; n > 0 {
		if _, err := fmt.Fprintf(d.out, "\nwaiting for %s to end\n", count(n, "connection")); err != nil {
			return err
		}
	}
	if err := gateway.Drain(ctx, demoDrain); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	_, err := fmt.Fprintln(d.out, "\nbye")
	return err
}
