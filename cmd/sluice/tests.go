package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sluice/config"
	"sluice/proxy"
	"sluice/proxy/status"
)

func testCommand() *cobra.Command {
	var flags configFlags
	var output string
	cmd := &cobra.Command{
		Use:   "test [-c FILE|DIR] [-o text|json] [-var NAME=VALUE]... [-var-file FILE]...",
		Short: "Run the tests in a configuration",
		Long: `test runs the test blocks of a configuration and reports each. A test says what
is to become of a connection:

    test "canary network reaches the canary" {
      given {
        listener    = "https"
        server_name = "api.example.com"
        source      = "10.9.0.1"
      }
      expect { filter_chain = "canary" }
    }

What would happen is found out as by explain. It opens no sockets. For a test
that fails the shortest reason is given; explain has the whole of it.

The exit code is 1 when a test fails. validate runs the tests too.`,
		Example: `  sluice test
  sluice test -c /etc/sluice -o json`,
		GroupID: groupRun,
		Args:    exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, cfg, plan, err := loadPlan(cmd, &flags)
			if err != nil {
				return err
			}
			results := runTests(cfg, plan)
			out := cmd.OutOrStdout()
			if output == "json" {
				err = writeJSON(out, results)
			} else {
				err = printResults(out, paint(hasColor(out)), path, results)
			}
			if failed := failures(results); err == nil && failed > 0 {
				err = fmt.Errorf("%s: %s failed", path, count(failed, "test"))
			}
			return err
		},
	}
	flags.add(cmd)
	outputFlag(cmd, &output)
	return cmd
}

// testResult is what became of a test.
type testResult struct {
	Name     string   `json:"name"`
	Position string   `json:"position"`
	Passed   bool     `json:"passed"`
	Differs  []string `json:"differs"`           // what was expected, and what would happen, in words
	Because  string   `json:"because,omitempty"` // the shortest reason
}

// detail is what a diagnostic says of a test that failed.
func (r *testResult) detail() string {
	text := strings.Join(r.Differs, " ")
	if r.Because != "" {
		text += "\n" + r.Because
	}
	return text
}

// runTests runs the tests of a configuration.
func runTests(cfg *config.Config, plan *proxy.Plan) []testResult {
	results := make([]testResult, 0, len(cfg.Tests))
	for _, t := range cfg.Tests {
		results = append(results, runTest(t, plan))
	}
	return results
}

func runTest(t *config.Test, plan *proxy.Plan) testResult {
	r := testResult{Name: t.Name, Position: t.Pos.String(), Differs: []string{}}
	g := &t.Given
	x, err := plan.Explain(status.Question{
		Listener: g.Listener, ServerName: g.ServerName, TransportProtocol: g.TransportProtocol.String(),
		ApplicationProtocols: g.ApplicationProtocols, Source: g.Source, DirectSource: g.DirectSource, Destination: g.Destination,
	})
	if err != nil {
		r.Differs = []string{"There is no such connection: " + err.Error() + "."}
		return r
	}
	for _, aspect := range aspects {
		if text, because := aspect(&t.Expect, &x); text != "" {
			r.Differs = append(r.Differs, text)
			r.Because = cmp.Or(r.Because, because)
		}
	}
	r.Passed = len(r.Differs) == 0
	return r
}

// aspects compare what is expected with what would happen; "" when it is the
// same. The first that differs has the best reason.
var aspects = [...]func(*config.Expect, *status.Explanation) (differs, because string){
	chainAspect, outcomeAspect, tlsAspect, clustersAspect,
}

func differs(what, want, got string) string {
	if got == "" {
		got = "none"
	}
	return fmt.Sprintf("%s is expected to be %s and would be %s.", what, want, got)
}

func chainAspect(want *config.Expect, x *status.Explanation) (string, string) {
	if want.FilterChain == "" || want.FilterChain == x.FilterChain {
		return "", ""
	}
	because := refusalReason(x)
	for i := range x.Chains {
		if v := &x.Chains[i]; v.FilterChain == want.FilterChain {
			because = chainReason(x, v)
		}
	}
	return differs("filter_chain", want.FilterChain, x.FilterChain), because
}

// chainReason says why a chain does not take the connection.
func chainReason(x *status.Explanation, v *status.Verdict) string {
	lines := whyNot(x, v)
	if len(lines) == 0 {
		return ""
	}
	return fmt.Sprintf("filter_chain %q (%s): %s.", v.FilterChain, v.Position, lines[0])
}

func outcomeAspect(want *config.Expect, x *status.Explanation) (string, string) {
	switch {
	case want.Outcome == "" || want.Outcome == x.Outcome:
		return "", ""
	case x.Outcome == "forward":
		return differs("outcome", want.Outcome, x.Outcome), "It is taken by " + takenBy(x) + "."
	}
	return differs("outcome", want.Outcome, x.Outcome+" ("+x.Reason+")"), refusalReason(x)
}

// takenBy names the chain that takes the connection.
func takenBy(x *status.Explanation) string {
	for i := range x.Chains {
		if v := &x.Chains[i]; v.Won {
			return fmt.Sprintf("filter_chain %q (%s)", v.FilterChain, v.Position)
		}
	}
	return "no filter chain"
}

// refusalReason says why the client is turned away: where no chain matches, why
// the nearest does not.
func refusalReason(x *status.Explanation) string {
	if x.Detail != "" {
		return sentence(x.Detail)
	}
	shown, _ := nearest(x.Chains)
	best := -1
	for i := range x.Chains {
		if shown[i] && (best < 0 || len(x.Chains[i].Failed) < len(x.Chains[best].Failed)) {
			best = i
		}
	}
	if best < 0 || x.FilterChain != "" {
		return ""
	}
	return "No chain matches. The nearest is " + chainReason(x, &x.Chains[best])
}

// sentence makes one of a record's error.
func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] + "." }

func tlsAspect(want *config.Expect, x *status.Explanation) (string, string) {
	if want.TLS == "" || want.TLS == x.TLS {
		return "", ""
	}
	because := "It is taken by " + takenBy(x)
	switch x.TLS {
	case "passthrough":
		because += ", which has no tls block."
	case "terminated":
		because += ", which has a tls block."
	case "none":
		because += ", and no ClientHello is read."
		if x.Hello != "" {
			because = "The client does not speak TLS."
		}
	default:
		because = refusalReason(x)
	}
	return differs("tls", want.TLS, x.TLS), because
}

func clustersAspect(want *config.Expect, x *status.Explanation) (string, string) {
	if len(want.Clusters) == 0 {
		return "", ""
	}
	var got []string
	for i := range x.Clusters {
		got = append(got, x.Clusters[i].Cluster)
	}
	expected := slices.Sorted(slices.Values(want.Clusters))
	slices.Sort(got)
	if slices.Equal(expected, got) {
		return "", ""
	}
	because := "They are those of " + takenBy(x) + "."
	if len(got) == 0 {
		because = refusalReason(x)
	}
	return differs("clusters", "["+strings.Join(expected, ", ")+"]", "["+strings.Join(got, ", ")+"]"), because
}

func failures(results []testResult) (n int) {
	for i := range results {
		if !results[i].Passed {
			n++
		}
	}
	return n
}

// printResults writes the results for a person.
func printResults(w io.Writer, p paint, path string, results []testResult) error {
	var err error
	printf := func(format string, args ...any) {
		_, failed := fmt.Fprintf(w, format, args...)
		err = errors.Join(err, failed)
	}
	for i := range results {
		r := &results[i]
		if r.Passed {
			printf("%s %s %s\n", p.good("✓"), r.Name, position(p, r.Position))
			continue
		}
		printf("%s %s %s\n", p.bad("✗"), r.Name, position(p, r.Position))
		for _, text := range r.Differs {
			printf("    %s\n", text)
		}
		if r.Because != "" {
			printf("    %s\n", r.Because)
		}
	}
	if len(results) == 0 {
		printf("%s: no tests: a test block says what is to become of a connection\n", path)
	} else if failures(results) == 0 {
		printf("%s: ok (%s)\n", path, count(len(results), "test"))
	}
	return err
}
