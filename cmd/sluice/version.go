package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// build is what the binary knows about how it was made.
type build struct {
	Version  string `json:"version"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Revision string `json:"revision,omitempty"`
	Time     string `json:"time,omitempty"`     // of the revision, RFC 3339
	Modified bool   `json:"modified,omitempty"` // there were changes on top of it
}

// readBuild reads what the go command has put into the binary.
func readBuild() build {
	b := build{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

func versionCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "version [-o text|json]",
		Short: "Print the version",
		Long: `version prints which sluice this is: the version of the module, the Go release
and platform it was built with and for, and the revision of the source when
the binary was built from a checkout.`,
		Example: `  sluice version
  sluice version -o json`,
		GroupID: groupOther,
		Args:    exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output == "json" {
				return writeJSON(cmd.OutOrStdout(), readBuild())
			}
			return readBuild().write(cmd.OutOrStdout())
		},
	}
	outputFlag(cmd, &output)
	return cmd
}

func (b build) write(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "sluice %s %s %s\n", b.Version, b.Go, b.Platform); err != nil {
		return err
	}
	if b.Revision == "" {
		return nil
	}
	changes := ""
	if b.Modified {
		changes = ", with changes on top"
	}
	_, err := fmt.Fprintf(w, "revision %s of %s%s\n", b.Revision, b.Time, changes)
	return err
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false) // what is printed is read by people too
	e.SetIndent("", "  ")
	return e.Encode(v)
}
