package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func manCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write the manual pages",
		Long: `man writes a manual page of section 1 for sluice and for each of its commands
into a directory, which is made when it is not there. They say what the help
says.`,
		Example: `  sluice man /usr/local/share/man/man1
  sluice man man1 && man ./man1/sluice-run.1`,
		GroupID: groupOther,
		Args:    exactly(1, "the directory"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return writeManual(cmd.Root(), args[0])
		},
	}
}

func writeManual(root *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making the directory: %w", err)
	}
	b := readBuild()
	header := &doc.GenManHeader{Section: "1", Source: "sluice " + b.Version, Manual: "Sluice Manual"}
	// The same source gives the same pages, whenever they are written. Without
	// a revision they carry today's date, or that of SOURCE_DATE_EPOCH.
	if t, err := time.Parse(time.RFC3339, b.Time); err == nil {
		header.Date = &t
	}
	root.DisableAutoGenTag = true
	if err := doc.GenManTree(root, header, dir); err != nil {
		return fmt.Errorf("writing the manual pages: %w", err)
	}
	return nil
}
