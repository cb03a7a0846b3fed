package main

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"sluice/proxy/status"
)

func pcClusterCommand(n *inspection) *cobra.Command {
	var filter status.ClusterFilter
	cmd := &cobra.Command{
		Use:     "cluster [--name NAME] [--fqdn TEXT] [--port PORT] [-o FORMAT]",
		Aliases: []string{"clusters", "c"},
		Short:   "Show clusters",
		Long: `cluster prints the clusters by their names: the port of the endpoints, where
these come from, how one of them is chosen, how many there are, and how many of
them may get connections now.

With -o wide there are also the limits, the name that TLS to the endpoints
verifies, what discovery asks for, and the connections now.`,
		Example: `  sluice pc cluster
  sluice pc cluster --name api -o wide
  sluice pc cluster --fqdn api.internal`,
		GroupID: groupWay,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return n.show(cmd, func(ctx context.Context, from source) (view, error) {
				v, err := from.clusters(ctx, filter)
				return clusterView(v), err
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&filter.Name, "name", "", "the cluster's name")
	flags.StringVar(&filter.FQDN, "fqdn", "", "a part of its name, or of what its discovery asks for")
	flags.Var((*portFlag)(&filter.Port), "port", "of its endpoints")
	n.completeNames(cmd, "name", clusterNames)
	return cmd
}

// clusterNames gives the names of all clusters.
func clusterNames(ctx context.Context, from source) ([]string, error) {
	all, err := from.clusters(ctx, status.ClusterFilter{})
	var names []string
	for _, c := range all {
		names = append(names, c.Name)
	}
	return names, err
}

// clusterView shows clusters, by their names.
func clusterView(all []status.Cluster) view {
	return view{all, func(wide bool) []table {
		header := []string{"NAME", "PORT", "TYPE", "POLICY", "ENDPOINTS", "HEALTHY"}
		if wide {
			header = append(header, "LIMITS", "TLS", "DISCOVERY", "CONNECTIONS")
		}
		t := newTable(padding, header...)
		byName := func(a, b status.Cluster) int { return cmp.Compare(a.Name, b.Name) }
		for _, c := range slices.SortedStableFunc(slices.Values(all), byName) {
			row := []string{c.Name, c.Port, strings.ToUpper(c.Type), c.Policy, strconv.Itoa(c.Endpoints), strconv.Itoa(c.Healthy)}
			if wide {
				limits := joined(", ", most("connections", c.MaxConnections), most("pending", c.MaxPending))
				row = append(row, limits, c.TLS, strings.Join(c.Discovery, ", "), active(c.Traffic))
			}
			t.add(row...)
		}
		return []table{t}
	}}
}
