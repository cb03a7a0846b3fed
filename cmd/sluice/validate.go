package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"sluice/config"
	"sluice/proxy"
)

func validateCommand() *cobra.Command {
	var flags configFlags
	var output string
	cmd := &cobra.Command{
		Use:   "validate [-c FILE|DIR] [-o text|json] [-var NAME=VALUE]... [-var-file FILE]...",
		Short: "Check a configuration",
		Long: `validate reads a configuration as run would, certificates included, and reports
everything that is wrong with it: each error and warning with its file, line
and column, the line itself, and what to write instead. When nothing is, it runs
the test blocks (see "sluice help test") and reports those that fail likewise.
It opens no sockets, so it can be used beside a gateway that is running.

The exit code is 1 when there is an error; warnings alone leave it at 0. With
-o json the diagnostics are a JSON array on stdout, empty when there are none.`,
		Example: `  sluice validate
  sluice validate -c edge.hcl
  sluice validate -c /etc/sluice -o json`,
		GroupID: groupRun,
		Args:    exactly(0, ""),
		RunE:    func(cmd *cobra.Command, _ []string) error { return validate(cmd, &flags, output) },
	}
	flags.add(cmd)
	outputFlag(cmd, &output)
	return cmd
}

func validate(cmd *cobra.Command, flags *configFlags, output string) error {
	stdout, stderr := cmd.OutOrStdout(), cmd.ErrOrStderr()
	path, cfg, diags, err := flags.load()
	if err != nil && output == "json" {
		none := config.Diagnostic{Severity: "error", Summary: "No configuration", Detail: err.Error()}
		return cmp.Or(writeJSON(stdout, []config.Diagnostic{none}), err)
	}
	if err != nil {
		return err
	}
	if diags, err = withTests(cfg, diags); err != nil {
		return err
	}
	if output == "json" {
		err = writeJSON(stdout, diags)
	} else {
		err = diags.WriteText(stderr, widthOf(stderr), hasColor(stderr))
	}
	if err != nil {
		return err
	}
	if diags.HasErrors() {
		return notValid(path, diags)
	}
	if output == "json" {
		return nil
	}
	return writeSummary(stdout, path, cfg)
}

// withTests adds the tests that fail to the diagnostics of a configuration; nil
// is one that has errors already.
func withTests(cfg *config.Config, diags *config.Diagnostics) (*config.Diagnostics, error) {
	if cfg == nil || len(cfg.Tests) == 0 {
		return diags, nil
	}
	plan, err := proxy.NewPlan(cfg)
	if err != nil {
		return nil, err
	}
	var failed []config.Diagnostic
	for i, r := range runTests(cfg, plan) {
		if !r.Passed {
			failed = append(failed, cfg.Tests[i].Failure(r.detail()))
		}
	}
	return diags.With(failed...), nil
}

// writeSummary says in a line what a good configuration holds.
func writeSummary(w io.Writer, path string, cfg *config.Config) error {
	chains := 0
	for _, ln := range cfg.Listeners {
		chains += len(ln.Chains)
		if ln.Default != nil {
			chains++
		}
	}
	parts := []string{count(len(cfg.Listeners), "listener"), count(chains, "filter chain"), count(len(cfg.Clusters), "cluster")}
	if n := len(cfg.Tests); n > 0 {
		parts = append(parts, count(n, "test"))
	}
	_, err := fmt.Fprintf(w, "%s: ok (%s)\n", path, strings.Join(parts, ", "))
	return err
}

// notValid is the error for a configuration whose diagnostics were shown.
func notValid(path string, diags *config.Diagnostics) error {
	failures := 0
	for _, d := range diags.All() {
		if d.Severity == "error" {
			failures++
		}
	}
	text := []string{count(failures, "error")}
	if n := diags.Len() - failures; n > 0 {
		text = append(text, count(n, "warning"))
	}
	return errors.New(path + ": not valid (" + strings.Join(text, ", ") + ")")
}

// count gives a number of things in words.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
