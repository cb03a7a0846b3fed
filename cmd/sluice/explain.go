package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"sluice/config"
	"sluice/proxy"
	"sluice/proxy/status"
)

func explainCommand() *cobra.Command {
	var flags adminFlags
	var q status.Question
	var hello, output string
	cmd := &cobra.Command{
		Use: `explain [--listener NAME] [--sni NAME] [--alpn NAMES] [--source IP[:PORT]]
  [--hello FILE] [-c FILE|DIR | --admin ADDR] [-o text|json]`,
		Short: "Show where a connection would go, and why",
		Long: `explain follows a connection that need not exist through the configuration, by
the code that real connections go through: whether its ClientHello is read, each
filter chain and which of its criteria does not hold, the one that wins, the
clusters of its route, their endpoints in the order in which they would be
given, and what an endpoint would be sent, with files and lines.

It reads the configuration of -c, and asks a running gateway with --admin: that
knows how busy and how healthy its endpoints are.

Without a server name and application protocols the client is one that does not
speak TLS, unless --transport says tls. Where the listener takes PROXY headers,
--source is what the header says and --direct-source who sends it.

--hello takes a ClientHello as it was on the wire, record header included. To
capture one, listen in place of a server and let the client connect:

    nc -l 127.0.0.1 8443 > hello.bin

The exit code is 0 whatever becomes of the connection. -o json has the whole
explanation for programs.`,
		Example: `  sluice explain --sni api.example.com
  sluice explain --listener https --sni api.example.com --source 10.9.0.1
  sluice explain -c /etc/sluice --listener https --hello hello.bin
  sluice explain --admin 127.0.0.1:9901 --sni api.example.com -o json`,
		GroupID: groupRun,
		Args:    exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if hello != "" && (q.ServerName != "" || len(q.ApplicationProtocols) > 0 || q.TransportProtocol != "") {
				return &misuse{"--hello says what the client says: leave --sni, --alpn and --transport out", cmd.CommandPath()}
			}
			if hello != "" {
				var err error
				if q.Hello, err = readHello(hello); err != nil {
					return err
				}
			}
			x, err := explain(cmd, &flags, q)
			if err != nil {
				return err
			}
			if output == "json" {
				return writeJSON(cmd.OutOrStdout(), x)
			}
			out := cmd.OutOrStdout()
			return printExplanation(out, paint(hasColor(out)), &x)
		},
	}
	flags.config.add(cmd)
	flags.addAddress(cmd.Flags(), "ask the gateway with this admin address: host:port,\nhttps://host:port or unix:/path")
	outputFlag(cmd, &output)
	f := cmd.Flags()
	f.StringVar(&q.Listener, "listener", "", "the listener; may be left out where there is one")
	f.StringVar(&q.ServerName, "sni", "", "the server name that the client asks for")
	f.StringSliceVar(&q.ApplicationProtocols, "alpn", nil, "the application protocols that it offers, such as h2,http/1.1")
	f.Var(&choice{&q.TransportProtocol, []string{"tls", "raw_buffer"}}, "transport", "what it speaks")
	f.StringVar(&q.Source, "source", "", "its address, with a port or without")
	f.StringVar(&q.DirectSource, "direct-source", "", "the address of the proxy that sends a PROXY header")
	f.StringVar(&q.Destination, "destination", "", "the address and port that it connects to")
	f.Var((*file)(&hello), "hello", "a captured ClientHello")
	return cmd
}

// maxHelloFile is more than any hello that a listener reads.
const maxHelloFile = 1 << 20

func readHello(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("reading the hello: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxHelloFile))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the hello: %w", err)
	case len(b) == 0:
		return nil, fmt.Errorf("the file %s is empty: it shall hold a ClientHello, from its record header on", name)
	}
	return b, nil
}

// explain asks a running gateway, or the configuration.
func explain(cmd *cobra.Command, flags *adminFlags, q status.Question) (x status.Explanation, err error) {
	if flags.address == "" {
		_, _, plan, err := loadPlan(cmd, &flags.config)
		if err != nil {
			return x, err
		}
		return plan.Explain(q)
	}
	client, err := flags.client()
	if err != nil {
		return x, err
	}
	err = client.ask(cmd.Context(), "/explain", q, &x, "filter_chains")
	return x, err
}

// loadPlan reads the configuration and compiles it. What is wrong with it is
// shown.
func loadPlan(cmd *cobra.Command, flags *configFlags) (string, *config.Config, *proxy.Plan, error) {
	path, cfg, diags, err := flags.load()
	if err != nil {
		return "", nil, nil, err
	}
	if cfg == nil {
		stderr := cmd.ErrOrStderr()
		if err := diags.WriteText(stderr, widthOf(stderr), hasColor(stderr)); err != nil {
			return "", nil, nil, err
		}
		return "", nil, nil, notValid(path, diags)
	}
	plan, err := proxy.NewPlan(cfg)
	return path, cfg, plan, err
}
