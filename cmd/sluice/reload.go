package main

import "github.com/spf13/cobra"

func reloadCommand() *cobra.Command {
	var flags adminFlags
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Let a running gateway load its configuration again",
		Long: `reload makes a running gateway do what HUP does: it reads its configuration
again and goes over to it, or says what is wrong with it and goes on as it was;
the exit code is 1 then. It needs the admin token, or the unix socket.`,
		Example: `  sluice reload
  sluice reload --admin https://edge.example.com:9901 --token-file admin.token`,
		GroupID: groupLive,
		Args:    exactly(0, ""),
		RunE:    func(cmd *cobra.Command, _ []string) error { return tell(cmd, &flags, "/reload") },
	}
	flags.add(cmd, false)
	return cmd
}
