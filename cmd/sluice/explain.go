package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice/config"
	"sluice/proxy"
	"sluice/proxy/status"
)

func explainCommand() *cobra.Command {
	var flags configFlags
	var q status.Question
	var hello, admin, output string
	cmd := &cobra.Command{
		Use: `explain [--listener NAME] [--sni NAME] [--alpn NAMES] [--source IP[:PORT]]
  [--ja4 FINGERPRINT] [--hello FILE] [-c FILE|DIR | --admin ADDR] [-o text|json]`,
		Short: "Show where a connection would go, and why",
		Long: `explain follows a connection that need not exist through the configuration, by
the code that real connections go through: whether its ClientHello is read, each
filter chain and which of its criteria does not hold, the one that wins, the
clusters of its route, their endpoints in the order in which they would be
given, and what an endpoint would be sent, with files and lines.

It reads the configuration of -c, and asks a running gateway with --admin: that
knows how busy and how healthy its endpoints are.

Without a server name, application protocols and a fingerprint the client is one
that does not speak TLS, unless --transport says tls. Where the listener takes
PROXY headers, --source is what the header says and --direct-source who sends
it.

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
			if hello != "" && (q.ServerName != "" || len(q.ApplicationProtocols) > 0 || q.TransportProtocol != "" || q.JA4 != "") {
				return &misuse{"--hello says what the client says: leave --sni, --alpn, --transport and --ja4 out", cmd.CommandPath()}
			}
			if hello != "" {
				var err error
				if q.Hello, err = readHello(hello); err != nil {
					return err
				}
			}
			x, err := explain(cmd, &flags, admin, q)
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
	flags.add(cmd)
	outputFlag(cmd, &output)
	f := cmd.Flags()
	f.StringVar(&q.Listener, "listener", "", "the listener; may be left out where there is one")
	f.StringVar(&q.ServerName, "sni", "", "the server name that the client asks for")
	f.StringSliceVar(&q.ApplicationProtocols, "alpn", nil, "the application protocols that it offers, such as h2,http/1.1")
	f.Var(&choice{&q.TransportProtocol, []string{"tls", "raw_buffer"}}, "transport", "what it speaks")
	f.StringVar(&q.JA4, "ja4", "", "the JA4 fingerprint of its ClientHello; without it, it has one that no chain names")
	f.StringVar(&q.Source, "source", "", "its address, with a port or without")
	f.StringVar(&q.DirectSource, "direct-source", "", "the address of the proxy that sends a PROXY header")
	f.StringVar(&q.Destination, "destination", "", "the address and port that it connects to")
	f.Var((*file)(&hello), "hello", "a captured ClientHello")
	f.StringVar(&admin, "admin", "", "ask the gateway with this admin address (or unix:PATH)")
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
func explain(cmd *cobra.Command, flags *configFlags, admin string, q status.Question) (status.Explanation, error) {
	if admin != "" {
		return askGateway(cmd.Context(), admin, q)
	}
	_, _, plan, err := loadPlan(cmd, flags)
	if err != nil {
		return status.Explanation{}, err
	}
	return plan.Explain(q)
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

// askTimeout is how long a gateway may take to answer.
const askTimeout = 10 * time.Second

// askGateway asks a running gateway over its admin API.
func askGateway(ctx context.Context, admin string, q status.Question) (x status.Explanation, err error) {
	body, err := json.Marshal(q)
	if err != nil {
		return x, err
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	client, host := http.Client{}, admin
	if path, ok := strings.CutPrefix(admin, "unix:"); ok {
		var d net.Dialer
		host = "localhost"
		client.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return d.DialContext(ctx, "unix", path)
		}}
		defer client.CloseIdleConnections()
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+host+"/explain", bytes.NewReader(body))
	if err != nil {
		return x, fmt.Errorf("the admin address %q is none: write one such as 127.0.0.1:9901", admin)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Sluice-Request", "1")
	if token := os.Getenv("SLUICE_ADMIN_TOKEN"); token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := client.Do(request)
	if err != nil {
		return x, fmt.Errorf("asking the gateway: %w", err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return x, fmt.Errorf("reading the gateway's answer: %w", err)
	}
	if answer.StatusCode != http.StatusOK {
		var said struct{ Error string }
		if json.Unmarshal(text, &said) != nil || said.Error == "" {
			return x, fmt.Errorf("the gateway answers %s", answer.Status)
		}
		return x, errors.New(said.Error)
	}
	if err := json.Unmarshal(text, &x); err != nil {
		return x, fmt.Errorf("reading the gateway's answer: %w", err)
	}
	return x, nil
}
