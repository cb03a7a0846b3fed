package main

import "github.com/spf13/cobra"

func upgradeCommand() *cobra.Command {
	var flags adminFlags
	cmd := &cobra.Command{
		Use:   "upgrade",
		Short: "Replace a running gateway by the binary on disk",
		Long: `upgrade makes a running gateway do what USR2 does: it starts the binary on disk
as it was started itself, hands it the listening sockets and, when that has
been seen to serve, lets its own connections end. Not one attempt to connect is
refused. When the new process does not come to serve, for instance because its
configuration is wrong, the old one goes on as if nothing had been asked; the
command says why, and exits with 1.

It needs the admin token, or the unix socket.`,
		Example: `  sluice upgrade
  sluice upgrade --admin unix:/run/sluice/admin.sock`,
		GroupID: groupLive,
		Args:    exactly(0, ""),
		RunE:    func(cmd *cobra.Command, _ []string) error { return tell(cmd, &flags, "/upgrade") },
	}
	flags.add(cmd, false)
	return cmd
}
