package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"sluice/proxy/status"
)

func pcBootstrapCommand(n *inspection) *cobra.Command {
	return &cobra.Command{
		Use:     "bootstrap [-o FORMAT]",
		Aliases: []string{"b"},
		Short:   "Show the process and its configuration",
		Long: `bootstrap prints what the gateway was started as: its version and process, the
configuration that it runs and since when, and what it may use.`,
		Example: `  sluice pc bootstrap
  sluice pc bootstrap -o json`,
		GroupID: groupMore,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return n.show(cmd, func(ctx context.Context, from source) (view, error) {
				v, err := from.server(ctx)
				return bootstrapView(v, from.now()), err
			})
		},
	}
}

// bootstrapView shows the process.
func bootstrapView(s status.Server, now time.Time) view {
	return view{s, func(bool) []table {
		reloads := "never reloaded"
		if s.Configuration.Reloads > 0 {
			reloads = fmt.Sprintf("%s, the last one: %s", count(s.Configuration.Reloads, "reload"), s.Configuration.LastReload)
		}
		t := newTable(padding, "Sluice Version:", s.Version+" "+s.Go)
		t.add("Process:", fmt.Sprintf("%d, generation %d, %s for %s", s.PID, s.Generation, s.State, span(s.Uptime)))
		t.add("Configuration:", s.Configuration.Path)
		t.add("Loaded:", fmt.Sprintf("%s (%s ago), %s", moment(s.Configuration.Loaded), since(s.Configuration.Loaded, now), reloads))
		t.add("Workers:", fmt.Sprintf("%d, splice %s", s.Workers, s.Splice))
		t.add("Connections:", fmt.Sprintf("%d of at most %d", s.Connections, s.MaxConnections))
		for _, g := range s.Older {
			t.add("Drains:", fmt.Sprintf("%d, generation %d (%s), with %s", g.PID, g.Generation, g.Version, count(g.Connections, "connection")))
		}
		return []table{t}
	}}
}
