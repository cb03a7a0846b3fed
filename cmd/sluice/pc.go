package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"
)

// The headings under which the help of proxy-config lists its commands.
const (
	groupWay  = "way"
	groupMore = "more"
)

func proxyConfigCommand() *cobra.Command {
	var flags inspection
	cmd := &cobra.Command{
		Use:     "proxy-config COMMAND",
		Aliases: []string{"pc"},
		Short:   "Show what a running gateway runs",
		Long: `proxy-config asks a running gateway what it runs, and prints it in the tables of
istioctl proxy-config. A connection can be followed through them by the names
that they print: from the listener, whose filter chains stand in the order in
which they win, over the chain's route and the cluster to an endpoint.

The gateway is asked at its admin address. Over loopback without a token it
shows all but its configuration; see --token-file for what else there is. In its
place, -f reads what "proxy-config all -o json" has saved.

The filters of a command must all hold. With -o json or yaml the answer is what
the admin API gives, for programs.`,
		Example: `  sluice proxy-config listener --port 443
  sluice pc route --sni www.example.com
  sluice pc cluster --name www
  sluice pc endpoint --cluster www -o wide
  sluice pc all -o json > dump.json && sluice pc listener -f dump.json`,
		GroupID: groupLive,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return cmd.Help()
		},
	}
	cmd.AddGroup(
		&cobra.Group{ID: groupWay, Title: "The way of a connection:"},
		&cobra.Group{ID: groupMore, Title: "And beside it:"},
	)
	flags.add(cmd)
	for _, sub := range []*cobra.Command{
		pcListenerCommand(&flags), pcRouteCommand(&flags), pcClusterCommand(&flags), pcEndpointCommand(&flags),
		pcSecretCommand(&flags), pcConnectionCommand(&flags), pcBootstrapCommand(&flags), pcLogCommand(&flags), pcAllCommand(&flags),
	} {
		sub.DisableFlagsInUseLine = true
		sub.Args = exactly(0, "")
		cmd.AddCommand(sub)
	}
	return cmd
}

// inspection is what the commands of proxy-config have in common: where the
// answers come from, and how they are printed.
type inspection struct {
	admin  adminFlags
	dump   string // file; "": a running gateway
	output string
}

func (n *inspection) add(cmd *cobra.Command) {
	n.admin.add(cmd, true)
	flags := cmd.PersistentFlags()
	flags.VarP((*file)(&n.dump), "file", "f", "a saved dump in place of a gateway (- is the standard\ninput)")
	n.output = outputs[0]
	flags.VarP(&choice{&n.output, outputs}, "output", "o", "the format; short is the same as table")
	complete(cmd, "output", cobra.FixedCompletions(outputs, cobra.ShellCompDirectiveNoFileComp))
}

// source gives where the answers come from.
func (n *inspection) source(cmd *cobra.Command) (source, error) {
	if n.dump == "" {
		return n.client()
	}
	for _, other := range []string{"admin", "token-file", "ca-file", "config"} {
		if cmd.Flags().Changed(other) {
			return nil, &misuse{"-f and --" + other + " exclude each other: a dump is no running gateway", cmd.CommandPath()}
		}
	}
	return readDump(n.dump, cmd.InOrStdin())
}

// client gives the running gateway.
func (n *inspection) client() (liveSource, error) {
	c, err := n.admin.client()
	return liveSource{c}, err
}

// live gives the running gateway to a command for which a dump is no good.
func (n *inspection) live(cmd *cobra.Command, why string) (liveSource, error) {
	if n.dump != "" {
		return liveSource{}, &misuse{"-f is of no use here: " + why, cmd.CommandPath()}
	}
	return n.client()
}

// show prints what a command asks its source for.
func (n *inspection) show(cmd *cobra.Command, ask func(context.Context, source) (view, error)) error {
	from, err := n.source(cmd)
	if err != nil {
		return err
	}
	v, err := ask(cmd.Context(), from)
	if err != nil {
		return err
	}
	return v.print(cmd.OutOrStdout(), n.output)
}

// complete registers the completions of a flag.
func complete(cmd *cobra.Command, flag string, f cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic("BUG: " + err.Error())
	}
}

// completionPatience is how long a shell waits for names: they are a comfort.
const completionPatience = time.Second

// completeNames completes a flag with names that the gateway, or the dump, has.
func (n *inspection) completeNames(cmd *cobra.Command, flag string, names func(context.Context, source) ([]string, error)) {
	complete(cmd, flag, func(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if n.dump == "-" {
			return nil, cobra.ShellCompDirectiveNoFileComp // it is not to be read yet
		}
		from, err := n.source(cmd)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionPatience)
		defer cancel()
		found, err := names(ctx, from)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	})
}

// portFlag is a flag with a port.
type portFlag string

func (p *portFlag) Set(s string) error {
	for _, r := range s {
		if r < '0' || r > '9' {
			return errors.New("a port is a number")
		}
	}
	*p = portFlag(s)
	return nil
}

func (p *portFlag) String() string { return string(*p) }
func (p *portFlag) Type() string   { return "PORT" }
