package main

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"
)

func killCommand() *cobra.Command {
	var flags adminFlags
	var generation int
	cmd := &cobra.Command{
		Use:   "kill CONNECTION-ID...",
		Short: "End connections of a running gateway",
		Long: `kill resets connections on both sides, at once, whatever was still to be sent;
their records say that they were killed. The IDs are those of "sluice
proxy-config connection" and of the access records. It needs the admin token,
or the unix socket.

The exit code is 1 when one of the connections could not be ended; the others
are ended all the same.`,
		Example: `  sluice kill 4711
  sluice kill 4711 4712 --admin unix:/run/sluice/admin.sock`,
		GroupID: groupLive,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return &misuse{"the ID of a connection is missing", cmd.CommandPath()}
			}
			for _, a := range args {
				if id, err := strconv.ParseUint(a, 10, 64); err != nil || id == 0 {
					return &misuse{fmt.Sprintf("%q is not the ID of a connection, as \"sluice proxy-config connection\" lists them", a), cmd.CommandPath()}
				}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := flags.client()
			if err != nil {
				return err
			}
			query := url.Values{}
			if generation != 0 {
				query.Set("generation", strconv.Itoa(generation))
			}
			var failures []error
			for _, id := range args {
				result, err := client.post(cmd.Context(), "/connections/"+url.PathEscape(id)+"/kill", query)
				failures = append(failures, printResult(cmd, result, err))
			}
			return errors.Join(failures...)
		},
	}
	flags.add(cmd, false)
	cmd.Flags().IntVar(&generation, "generation", 0, "of an older process, which drains after an upgrade")
	return cmd
}

// printResult prints what a running gateway says that it has done.
func printResult(cmd *cobra.Command, result string, err error) error {
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), printable(result))
	return err
}
