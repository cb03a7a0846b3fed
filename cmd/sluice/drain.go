package main

import "github.com/spf13/cobra"

func drainCommand() *cobra.Command {
	var flags adminFlags
	cmd := &cobra.Command{
		Use:   "drain",
		Short: "Let a running gateway end in the kind way",
		Long: `drain makes a running gateway do what TERM does: it accepts nothing more, lets
its connections end within the drain_timeout of its runtime block, and exits.
The command does not wait for that. It needs the admin token, or the unix
socket.`,
		Example: `  sluice drain
  sluice drain --admin unix:/run/sluice/admin.sock`,
		GroupID: groupLive,
		Args:    exactly(0, ""),
		RunE:    func(cmd *cobra.Command, _ []string) error { return tell(cmd, &flags, "/drain") },
	}
	flags.add(cmd, false)
	return cmd
}

// tell posts to a path of the admin API, and prints what comes of it.
func tell(cmd *cobra.Command, flags *adminFlags, path string) error {
	client, err := flags.client()
	if err != nil {
		return err
	}
	result, err := client.post(cmd.Context(), path, nil)
	return printResult(cmd, result, err)
}
