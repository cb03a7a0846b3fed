package main

import (
	"net/url"

	"github.com/spf13/cobra"
)

func pcLogCommand(n *inspection) *cobra.Command {
	var level string
	cmd := &cobra.Command{
		Use:     "log [--level LEVEL] [-o FORMAT]",
		Aliases: []string{"o"},
		Short:   "Show or change the level of the service log",
		Long: `log prints the level of the gateway's service log. --level changes it, until
the process ends; that needs the admin token, or the unix socket.`,
		Example: `  sluice pc log
  sluice pc log --level debug`,
		GroupID: groupMore,
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, err := n.live(cmd, "a dump has no log")
			if err != nil {
				return err
			}
			if level != "" {
				result, err := from.post(cmd.Context(), "/logging", url.Values{"level": {level}})
				return printResult(cmd, result, err)
			}
			var v logging
			if err := from.get(cmd.Context(), "/logging", nil, &v, "level"); err != nil {
				return err
			}
			return v.view().print(cmd.OutOrStdout(), n.output)
		},
	}
	cmd.Flags().Var(&choice{&level, logLevels()}, "level", "change it to this")
	complete(cmd, "level", cobra.FixedCompletions(logLevels(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// logging is what the admin API says about the service log.
type logging struct {
	Level string `json:"level"`
}

func (l logging) view() view {
	return view{l, func(bool) []table {
		t := newTable(padding, "LOG", "LEVEL")
		t.add("service", l.Level)
		return []table{t}
	}}
}
