package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"syscall"
	"time"
)

func main() {
	// A child learns of this program's death through the thread that started it.
	runtime.LockOSThread()
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run is the program: one of its parts, when the first argument names one, or
// the whole.
func run(args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "generate":
			return runGenerator()
		case "backend":
			return runBackend(args[1:])
		case "copyproxy":
			return runCopyProxy(args[1:])
		case "await":
			return runAwait(args[1:])
		case "plaincard":
			return runPlainCard(args[1:])
		}
	}
	o, err := parseOptions(args)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	return runBench(ctx, o)
}

// options are what the command line says.
type options struct {
	quick   bool
	rows    *regexp.Regexp
	rounds  int // 0 = from fewestRounds to mostRounds, as needed
	window  time.Duration
	out     string
	seed    uint64
	list    bool
	resume  bool
	sluice  string // "" = built from this checkout
	haproxy string // "" = not wanted; so with nginx
	nginx   string
}

func parseOptions(args []string) (*options, error) {
	o := &options{rows: regexp.MustCompile("")}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprintf(flags.Output(), "Measures the gateway beside HAProxy, nginx and a plain Go proxy.\n\nusage: go run ./integration/bench [flags]\n")
		flags.PrintDefaults()
	}
	flags.BoolVar(&o.quick, "quick", false, "the judged rows only, in three minutes")
	flags.Func("rows", "measure only rows whose name matches this `regexp`", func(s string) (err error) {
		o.rows, err = regexp.Compile(s)
		return err
	})
	flags.IntVar(&o.rounds, "rounds", 0, fmt.Sprintf("measure so many rounds (default: from %d to %d, until the intervals are narrow)", fewestRounds, mostRounds))
	flags.DurationVar(&o.window, "window", 0, fmt.Sprintf("length of one measurement (default %v, quick %v)", fullWindow, quickWindow))
	flags.StringVar(&o.out, "out", "build/bench", "write report.md, report.json and the plots into this `directory`")
	flags.Uint64Var(&o.seed, "seed", 1, "of the bootstrap")
	flags.BoolVar(&o.list, "list", false, "only list the rows and what is judged")
	flags.BoolVar(&o.resume, "resume", false, "go on with the run of which -out holds the report: measure only the rows that it lacks")
	flags.StringVar(&o.sluice, "sluice", "", "measure this `program` (default: built from this checkout)")
	flags.StringVar(&o.haproxy, "haproxy", "haproxy", "HAProxy's `program`; empty = leave it out")
	flags.StringVar(&o.nginx, "nginx", "nginx", "nginx's `program`; empty = leave it out")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	switch {
	case flags.NArg() > 0:
		return nil, fmt.Errorf("unexpected argument %q: everything is a flag, see -h", flags.Arg(0))
	case o.rounds < 0:
		return nil, errors.New("-rounds must not be negative")
	case o.window < 0:
		return nil, errors.New("-window must not be negative")
	}
	if o.window == 0 {
		o.window = fullWindow
		if o.quick {
			o.window = quickWindow
		}
	}
	if o.quick && o.rounds == 0 {
		o.rounds = quickRounds
	}
	return o, nil
}

// runAwait is the subcommand "await ADDRESS": it returns when the address
// accepts a connection. It runs in another network namespace.
func runAwait(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: bench await ADDRESS")
	}
	return await(context.Background(), args[0], func() bool { return true })
}

// await dials until the address accepts, the one who listens has ended, or it
// has taken too long.
func await(ctx context.Context, address string, alive func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, answerGrace)
	defer cancel()
	pause := time.NewTicker(2 * time.Millisecond)
	defer pause.Stop()
	for {
		var dialer net.Dialer
		c, err := dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			return c.Close()
		}
		if !alive() {
			return errors.New("it has ended")
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			return fmt.Errorf("nothing listens on %s: %w", address, err)
		}
	}
}
