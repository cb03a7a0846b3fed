package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"sluice/proxy/status"
)

func pcRouteCommand(n *inspection) *cobra.Command {
	var filter status.RouteFilter
	cmd := &cobra.Command{
		Use:     "route [--name NAME] [--sni NAME] [-o FORMAT]",
		Aliases: []string{"routes", "r"},
		Short:   "Show where filter chains send connections",
		Long: `route prints the routes: each belongs to the filter chain of the same name, and
names the cluster, or clusters with their shares, that connections go to. They
stand in the order of the listeners, and of a listener in that in which its
chains win.

--sni keeps those with a domain that holds for a server name, the domain of a
chain for any name ("*") among them. Which of them a connection takes is decided
by the rest of MATCH; "sluice explain" says so.

With -o wide there are also the timeouts, and the weights as configured.`,
		Example: `  sluice pc route
  sluice pc route --sni www.example.com
  sluice pc route --name https/www -o wide`,
		GroupID: groupWay,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return n.show(cmd, func(ctx context.Context, from source) (view, error) {
				v, err := from.routes(ctx, filter)
				return routeView(v), err
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&filter.Name, "name", "", "CHAIN or LISTENER/CHAIN")
	flags.StringVar(&filter.SNI, "sni", "", "a server name, or a domain as it is written")
	n.completeNames(cmd, "name", chainNames)
	return cmd
}

// routeView shows routes, in the order that they are in.
func routeView(all []status.Route) view {
	return view{all, func(wide bool) []table {
		header := []string{"NAME", "LISTENER", "DOMAINS", "MATCH", "DESTINATION"}
		if wide {
			header = append(header, "TIMEOUTS", "WEIGHTS")
		}
		t := newTable(padding, header...)
		for _, r := range all {
			row := []string{r.Name, r.Listener, shortened(r.Domains), shortenedMatch(r.MatchText, r.Domains), destination(r.Destination)}
			if wide {
				row = append(row, timeouts(&r), weights(&r))
			}
			t.add(row...)
		}
		return []table{t}
	}}
}

// timeouts names the timeouts that there are.
func timeouts(r *status.Route) string {
	named := func(name, value string) string {
		if value == "" || value == "0s" {
			return ""
		}
		return name + " " + value
	}
	return joined(", ", named("idle", r.IdleTimeout), named("half-close", r.HalfCloseTimeout), named("duration", r.MaxDuration))
}

// weights gives the weights of a route that has several clusters.
func weights(r *status.Route) string {
	var parts []string
	for _, d := range r.Destination {
		parts = append(parts, fmt.Sprintf("%s=%d", d.Cluster, d.Weight))
	}
	if len(parts) < 2 {
		return ""
	}
	return strings.Join(parts, ",") + prefixed(" by ", r.HashOn)
}
