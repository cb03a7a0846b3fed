package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"sluice/proxy/status"
)

func pcConnectionCommand(n *inspection) *cobra.Command {
	var filter status.ConnectionFilter
	var limit int
	var watch bool
	cmd := &cobra.Command{
		Use:     "connection [FILTERS] [--limit N] [--watch] [-o FORMAT]",
		Aliases: []string{"connections", "conn"},
		Short:   "Show the connections that are alive",
		Long: `connection prints the live connections by their IDs, which are those of the
access records and what "sluice kill" takes. IN is what came from the client,
OUT what went to it, both while they flow.

With -o wide there are also the listener, what is done with TLS, what the client
has offered (ALPN) and how its hello looks (JA4), the time without a byte, and
whether bytes are copied or spliced, from the client / to the client.

--watch shows them anew every second until Ctrl-C: in place on a terminal, and
otherwise one table, or one line of JSON, after the other.`,
		Example: `  sluice pc connection
  sluice pc conn --sni '*.example.com' --source 10.0.0.0/8
  sluice pc conn --cluster api --watch
  sluice pc conn --limit 0 -o json`,
		GroupID: groupMore,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if watch {
				return n.watch(cmd, filter, limit)
			}
			return n.show(cmd, func(ctx context.Context, from source) (view, error) {
				v, err := allConnections(ctx, from, filter, limit)
				return connectionView(v), errors.Join(err, tellOfMore(cmd, v, limit))
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&filter.SNI, "sni", "", "the server name, or *.NAME for all below it")
	flags.Var((*sourceFlag)(&filter.Source), "source", "the client: an address or a prefix")
	flags.StringVar(&filter.Listener, "listener", "", "the listener's name")
	flags.StringVar(&filter.Chain, "chain", "", "the filter chain's name")
	flags.StringVar(&filter.Cluster, "cluster", "", "the cluster's name")
	flags.StringVar(&filter.Endpoint, "endpoint", "", "the endpoint's name or address")
	flags.IntVar(&filter.Generation, "generation", 0, "those of an older process, which drains after an upgrade\n(\"pc bootstrap\" shows which there are)")
	flags.BoolVarP(&watch, "watch", "w", false, "go on showing them")
	limitFlag(cmd, &limit)
	n.completeNames(cmd, "listener", listenerNames)
	n.completeNames(cmd, "chain", chainNames)
	n.completeNames(cmd, "cluster", clusterNames)
	return cmd
}

// sourceFlag is a flag with the source of a connection.
type sourceFlag string

func (f *sourceFlag) Set(s string) error {
	*f = sourceFlag(s)
	return status.CheckSource(s)
}

func (f *sourceFlag) String() string { return string(*f) }
func (f *sourceFlag) Type() string   { return "ADDRESS|PREFIX" }

// limitFlag adds --limit, which 0 is none of.
func limitFlag(cmd *cobra.Command, limit *int) {
	*limit = status.DefaultLimit
	cmd.Flags().Var((*limitValue)(limit), "limit", "show at most so many connections; 0: all")
}

type limitValue int

func (l *limitValue) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return errors.New("write a number, or 0 for no limit")
	}
	*l = limitValue(n)
	return nil
}

func (l *limitValue) String() string { return strconv.Itoa(int(*l)) }
func (l *limitValue) Type() string   { return "N" }

// listenerNames gives the names of all listeners.
func listenerNames(ctx context.Context, from source) ([]string, error) {
	all, err := from.listeners(ctx, status.ListenerFilter{})
	var names []string
	for _, ln := range all {
		names = append(names, ln.Name)
	}
	return names, err
}

// allConnections asks for one page after the other, until the limit or the end.
func allConnections(ctx context.Context, from source, filter status.ConnectionFilter, limit int) (status.Connections, error) {
	all := status.Connections{Connections: []status.Connection{}}
	for {
		filter.Limit = pageSize(limit, len(all.Connections))
		page, err := from.connections(ctx, filter)
		if err != nil {
			return status.Connections{}, err
		}
		if page.Next != 0 && page.Next <= filter.After {
			return status.Connections{}, fmt.Errorf("the page after connection %d leads back to %d", filter.After, page.Next)
		}
		all.Connections = append(all.Connections, page.Connections...)
		all.Total, all.Next = page.Total, page.Next
		if page.Next == 0 || limit > 0 && len(all.Connections) >= limit {
			return all, nil
		}
		filter.After = page.Next
	}
}

// pageSize is how many connections to ask for next, when there are so many.
func pageSize(limit, have int) int {
	if limit == 0 {
		return status.MaxLimit
	}
	return min(limit-have, status.MaxLimit)
}

// tellOfMore says when the limit has kept connections back.
func tellOfMore(cmd *cobra.Command, page status.Connections, limit int) error {
	if page.Next == 0 {
		return nil
	}
	_, err := fmt.Fprintf(cmd.ErrOrStderr(), "sluice: these are the first %d connections, and %d are alive: --limit 0 shows all\n", limit, page.Total)
	return err
}

// connectionView shows connections, by their IDs.
func connectionView(page status.Connections) view {
	return view{page, func(wide bool) []table {
		header := []string{"ID", "SOURCE", "SNI", "CHAIN", "ENDPOINT", "AGE", "IN", "OUT"}
		if wide {
			header = append(header, "LISTENER", "TLS", "ALPN", "JA4", "IDLE", "MODE")
		}
		t := newTable(padding, header...)
		for _, c := range page.Connections {
			row := []string{strconv.FormatUint(c.ID, 10), c.Source, c.SNI, c.FilterChain, cmp.Or(c.Endpoint, c.EndpointAddress),
				span(c.Age), size(c.BytesReceived), size(c.BytesSent)}
			if wide {
				row = append(row, c.Listener, c.TLS, c.ALPN, c.JA4, span(c.Idle), joined("/", c.ModeReceived, c.ModeSent))
			}
			t.add(row...)
		}
		return []table{t}
	}}
}
