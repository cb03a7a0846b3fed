package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"sluice/proxy/status"
)

func diffCommand() *cobra.Command {
	var flags adminFlags
	var output string
	cmd := &cobra.Command{
		Use:   "diff [-c FILE|DIR] [--admin ADDR] [-o text|json]",
		Short: "Show what a reload would do to a running gateway",
		Long: `diff compares a configuration with the one that a gateway runs: which
listeners, filter chains and clusters would be added, removed or changed by a
reload, how many connections these have now, and what would become of them
(on_change). Nothing is changed. It is the comparison that the reload itself
goes by.

A chain whose certificate files have another content is "renewed": new
connections get the new certificate, the others stay.

The exit code is 0 whether there are differences or not.`,
		Example: `  sluice diff
  sluice diff -c new.hcl
  sluice diff -c new.hcl --admin unix:/run/sluice/admin.sock -o json`,
		GroupID: groupLive,
		Args:    exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := diff(cmd, &flags)
			if err != nil {
				return err
			}
			if output == "json" {
				return writeJSON(cmd.OutOrStdout(), d)
			}
			return printDiff(cmd.OutOrStdout(), &d)
		},
	}
	flags.config.add(cmd)
	flags.addAddress(cmd.Flags(), "the gateway's admin address: host:port, https://host:port\nor unix:/path (default: that of the configuration)")
	outputFlag(cmd, &output)
	return cmd
}

// diff compares the configuration with what a gateway runs.
func diff(cmd *cobra.Command, flags *adminFlags) (status.Diff, error) {
	path, _, plan, err := loadPlan(cmd, &flags.config)
	if err != nil {
		return status.Diff{}, err
	}
	flags.config.path = path // has the admin address
	client, err := flags.client()
	if err != nil {
		return status.Diff{}, err
	}
	var running status.Outline
	if err := client.get(cmd.Context(), "/outline", nil, &running, "listeners"); err != nil {
		return status.Diff{}, err
	}
	return status.Compare(running, plan.Outline()), nil
}

func printDiff(w io.Writer, d *status.Diff) error {
	if len(d.Changes)+len(d.Opened)+len(d.Closed)+len(d.Unapplied) == 0 {
		_, err := fmt.Fprintln(w, "no differences")
		return err
	}
	t := newTable(padding, "CHANGE", "KIND", "NAME", "CONNECTIONS", "THEY", "AT", "DETAILS")
	for i := range d.Changes {
		c := &d.Changes[i]
		t.add(c.Action, c.Kind, nameOf(c), strconv.FormatInt(c.Connections, 10), they(c), c.Position, strings.Join(c.Details, "; "))
	}
	if err := t.write(w); err != nil {
		return err
	}
	var text strings.Builder
	for _, a := range d.Opened {
		fmt.Fprintf(&text, "would listen on %s\n", a)
	}
	for _, a := range d.Closed {
		fmt.Fprintf(&text, "would not listen on %s any more\n", a)
	}
	fmt.Fprintf(&text, "%s would leave\n", count(int(d.Leaving), "connection"))
	for _, u := range d.Unapplied {
		fmt.Fprintln(&text, u)
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// nameOf tells a filter chain by its listener, too.
func nameOf(c *status.Change) string {
	switch {
	case c.Default:
		return c.Listener + " default_filter_chain"
	case c.Listener != "":
		return c.Listener + " " + c.Name
	}
	return c.Name
}

// they says what the connections would do.
func they(c *status.Change) string {
	switch {
	case c.Connections == 0 || c.Fate == "":
		return ""
	case c.Fate == "keep":
		return "stay"
	case c.Fate == "drain":
		return "leave gradually"
	}
	return "are closed"
}
