package main

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"sluice/proxy/status"
)

func pcListenerCommand(n *inspection) *cobra.Command {
	var filter status.ListenerFilter
	cmd := &cobra.Command{
		Use:     "listener [--address HOST] [--port PORT] [--type TYPE] [--chain NAME] [-o FORMAT]",
		Aliases: []string{"listeners", "l"},
		Short:   "Show listeners and their filter chains",
		Long: `listener prints a line for each filter chain: where its listener listens, what a
connection must have for the chain to match, and where the chain sends it. The
chains of a listener stand in the order in which they win: of those for which
everything in MATCH holds, the first one takes the connection.

With -o wide there is also the name of the chain, under which its route is
found, what it does with TLS, the criteria about sources, and its connections
now.`,
		Example: `  sluice pc listener
  sluice pc listener --port 443 -o wide
  sluice pc listener --chain api -o json`,
		GroupID: groupWay,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return n.show(cmd, func(ctx context.Context, from source) (view, error) {
				v, err := from.listeners(ctx, filter)
				return listenerView(v), err
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&filter.Address, "address", "", "of the listener: a host, host:port, or a unix socket")
	flags.Var((*portFlag)(&filter.Port), "port", "of the listener")
	types := []string{"passthrough", "terminated"}
	flags.Var(&choice{&filter.Type, types}, "type", "what the chain does with TLS")
	flags.StringVar(&filter.Chain, "chain", "", "the chain's name")
	complete(cmd, "type", cobra.FixedCompletions(types, cobra.ShellCompDirectiveNoFileComp))
	n.completeNames(cmd, "chain", chainNames)
	return cmd
}

// chainNames gives the names of all filter chains.
func chainNames(ctx context.Context, from source) ([]string, error) {
	all, err := from.listeners(ctx, status.ListenerFilter{})
	var names []string
	for _, ln := range all {
		for _, c := range ln.FilterChains {
			names = append(names, c.Name)
		}
	}
	return names, err
}

// listenerView shows listeners, in istioctl's order: by port and address. Unix
// sockets come last.
func listenerView(all []status.Listener) view {
	return view{all, func(wide bool) []table {
		header := []string{"ADDRESSES", "PORT", "MATCH", "DESTINATION"}
		if wide {
			header = append(header, "CHAIN", "TLS", "SOURCE", "CONNECTIONS")
		}
		t := newTable(narrowPadding, header...)
		for _, ln := range slices.SortedStableFunc(slices.Values(all), compareListeners) {
			addresses, port := hosts(ln.Addresses)
			for _, c := range ln.FilterChains {
				row := []string{addresses, port, matchOf(&c), destination(c.Destination)}
				if wide {
					row = append(row, c.Name, c.TLS, sourcesOf(&c.Match), active(c.Traffic))
				}
				t.add(row...)
			}
		}
		return []table{t}
	}}
}

func compareListeners(a, b status.Listener) int {
	if len(a.Addresses) == 0 || len(b.Addresses) == 0 {
		return len(b.Addresses) - len(a.Addresses)
	}
	return comparePorts(a.Addresses[0], b.Addresses[0])
}

// comparePorts compares addresses by their ports, and then by their hosts.
func comparePorts(a, b string) int {
	return cmp.Or(cmp.Compare(portNumber(a), portNumber(b)), compareHosts(a, b))
}

// compareHosts compares addresses without their ports, as numbers where they
// are: 10.0.0.9 comes before 10.0.0.10.
func compareHosts(a, b string) int {
	first, errA := netip.ParseAddr(status.Host(a))
	second, errB := netip.ParseAddr(status.Host(b))
	switch {
	case errA == nil && errB == nil:
		return first.Compare(second)
	case errA == nil:
		return -1
	case errB == nil:
		return 1
	}
	return cmp.Compare(status.Host(a), status.Host(b))
}

// portNumber gives the port of an address; one that has none comes after all.
func portNumber(address string) int {
	n, err := strconv.Atoi(status.Port(address))
	if err != nil {
		return 1 << 16
	}
	return n
}

// matchOf gives what a chain matches on.
func matchOf(c *status.FilterChain) string {
	return shortenedMatch(c.MatchText, c.Match.ServerNames)
}

// shortenedMatch takes names out of the text of a match when they are too many.
func shortenedMatch(text string, names []string) string {
	if len(names) <= mostNames {
		return text
	}
	return strings.Replace(text, strings.Join(names, ","), shortened(names), 1)
}

// sourcesOf gives the criteria about where a connection comes from.
func sourcesOf(m *status.Match) string {
	var ports []string
	for _, p := range m.SourcePorts {
		ports = append(ports, strconv.Itoa(int(p)))
	}
	return joined("; ",
		shortened(m.SourcePrefixes),
		prefixed("ports ", shortened(ports)),
		prefixed("direct ", shortened(m.DirectSourcePrefixes)))
}

// prefixed puts a prefix before a text that there is.
func prefixed(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}
