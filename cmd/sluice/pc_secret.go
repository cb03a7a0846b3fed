package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"sluice/proxy/status"
)

func pcSecretCommand(n *inspection) *cobra.Command {
	var filter status.SecretFilter
	cmd := &cobra.Command{
		Use:     "secret [--name NAME] [-o FORMAT]",
		Aliases: []string{"secrets", "s"},
		Short:   "Show certificates and authorities in use",
		Long: `secret prints the certificates and authorities in use: the filter chain
(LISTENER/CHAIN) or cluster that has them, whether they are valid now, and from
when to when. Private keys are never shown.

With -o wide there are also the names that a certificate is for, and its SHA-256
fingerprint.`,
		Example: `  sluice pc secret
  sluice pc secret --name https/api -o wide`,
		GroupID: groupMore,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return n.show(cmd, func(ctx context.Context, from source) (view, error) {
				v, err := from.secrets(ctx, filter)
				return secretView(v), err
			})
		},
	}
	cmd.Flags().StringVar(&filter.Name, "name", "", "LISTENER/CHAIN, LISTENER, CHAIN or CLUSTER")
	return cmd
}

// secretView shows certificates, in the order that they are in.
func secretView(all []status.Secret) view {
	return view{all, func(wide bool) []table {
		if len(all) == 0 {
			return []table{newTable(padding, "No active secrets found.")}
		}
		header := []string{"RESOURCE NAME", "TYPE", "STATUS", "VALID CERT", "SERIAL NUMBER", "NOT AFTER", "NOT BEFORE"}
		if wide {
			header = append(header, "SANS", "FINGERPRINT")
		}
		t := newTable(padding, header...)
		for _, s := range all {
			row := []string{s.Name, s.Type, s.Status, strconv.FormatBool(s.Valid), s.Serial, moment(s.NotAfter), moment(s.NotBefore)}
			if wide {
				row = append(row, shortened(s.SANs), s.Fingerprint)
			}
			t.add(row...)
		}
		return []table{t}
	}}
}
