package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice/proxy/status"
)

func pcEndpointCommand(n *inspection) *cobra.Command {
	var filter status.EndpointFilter
	cmd := &cobra.Command{
		Use:     "endpoint [--address HOST] [--port PORT] [--cluster NAME] [--status STATUS] [-o FORMAT]",
		Aliases: []string{"endpoints", "ep"},
		Short:   "Show endpoints, their health and their load",
		Long: `endpoint prints the endpoints by their addresses. STATUS is what an operator has
set (drain, maint), or else what health checks say (healthy, unhealthy,
unchecked); OUTLIER CHECK is FAILED while the endpoint is ejected for failures
that real connections had.

With -o wide there are also weight and priority, the connections now and in all,
the connects that failed, the last health check, and how long that took.`,
		Example: `  sluice pc endpoint
  sluice pc endpoint --cluster api -o wide
  sluice pc endpoint --status unhealthy`,
		GroupID: groupWay,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return n.show(cmd, func(ctx context.Context, from source) (view, error) {
				v, err := from.endpoints(ctx, filter)
				return endpointView(v, from.now()), err
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&filter.Address, "address", "", "a host, host:port, a unix socket, or the endpoint's name")
	flags.Var((*portFlag)(&filter.Port), "port", "of the endpoint")
	flags.StringVar(&filter.Cluster, "cluster", "", "the cluster's name")
	stati := []string{"healthy", "unhealthy", "unchecked", "drain", "maint", "ejected"}
	flags.Var(&choice{&filter.Status, stati}, "status", "what is printed as STATUS, or ejected")
	complete(cmd, "status", cobra.FixedCompletions(stati, cobra.ShellCompDirectiveNoFileComp))
	n.completeNames(cmd, "cluster", clusterNames)
	return cmd
}

// endpointView shows endpoints, in istioctl's order: by address, port and
// cluster.
func endpointView(all []status.Endpoint, now time.Time) view {
	return view{all, func(wide bool) []table {
		header := []string{"ENDPOINT", "STATUS", "OUTLIER CHECK", "CLUSTER"}
		if wide {
			header = append(header, "WEIGHT", "PRIORITY", "ACTIVE", "TOTAL", "FAILURES", "LAST CHECK", "RTT")
		}
		t := newTable(padding, header...)
		for _, e := range slices.SortedStableFunc(slices.Values(all), compareEndpoints) {
			row := []string{e.Address, strings.ToUpper(e.Status), outlierCheck(&e), e.Cluster}
			if wide {
				check, took := lastCheck(e.LastCheck, now)
				row = append(row, strconv.Itoa(e.Weight), strconv.Itoa(e.Priority), active(e.Traffic),
					strconv.FormatUint(e.Traffic.Connections, 10), strconv.FormatUint(e.Failures, 10), check, took)
			}
			t.add(row...)
		}
		return []table{t}
	}}
}

func compareEndpoints(a, b status.Endpoint) int {
	return cmp.Or(compareHosts(a.Address, b.Address),
		cmp.Compare(portNumber(a.Address), portNumber(b.Address)),
		cmp.Compare(a.Cluster, b.Cluster))
}

// outlierCheck has istioctl's words.
func outlierCheck(e *status.Endpoint) string {
	if e.Outlier == "ejected" {
		return "FAILED"
	}
	return strings.ToUpper(e.Outlier)
}

// lastCheck says what became of the last health check, and how long it took.
func lastCheck(c *status.Check, now time.Time) (result, took string) {
	if c == nil {
		return "", ""
	}
	result = "passed"
	if !c.Passed {
		result = "failed"
	}
	return fmt.Sprintf("%s %s ago%s", result, since(c.Time, now), prefixed(": ", c.Reason)), roundTrip(c.Took)
}

// roundTrip gives a short time in milliseconds.
func roundTrip(ms float64) string {
	if ms >= 100 {
		return fmt.Sprintf("%.0fms", ms)
	}
	return fmt.Sprintf("%.2fms", ms)
}
