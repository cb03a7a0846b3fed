package main

import (
	"context"

	"github.com/spf13/cobra"

	"sluice/proxy/status"
)

func pcAllCommand(n *inspection) *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:     "all [--limit N] [-o FORMAT]",
		Aliases: []string{"a"},
		Short:   "Show or save everything",
		Long: `all prints everything that the other commands do, in one answer. With -o json
that is a dump, which they read with -f: save one while something is wrong, and
look at it later or elsewhere. It has server names and the addresses of clients
in it, and no keys.`,
		Example: `  sluice pc all
  sluice pc all -o json > dump.json
  sluice pc endpoint --status unhealthy -f dump.json`,
		GroupID: groupMore,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return n.show(cmd, func(ctx context.Context, from source) (view, error) {
				v, err := from.dump(ctx)
				if err != nil {
					return view{}, err
				}
				v.Connections, err = allConnections(ctx, from, status.ConnectionFilter{}, limit)
				if err != nil {
					return view{}, err
				}
				return allView(v, from), tellOfMore(cmd, v.Connections, limit)
			})
		},
	}
	limitFlag(cmd, &limit)
	return cmd
}

// allView shows everything, in istioctl's order, with the connections at the end.
func allView(d status.Dump, from source) view {
	return view{d, func(wide bool) []table {
		var all []table
		for _, v := range []view{
			bootstrapView(d.Server, from.now()), clusterView(d.Clusters), listenerView(d.Listeners), routeView(d.Routes),
			secretView(d.Secrets), endpointView(d.Endpoints, from.now()), connectionView(d.Connections),
		} {
			all = append(all, v.tables(wide)...)
		}
		return all
	}}
}
