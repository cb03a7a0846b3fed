package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// The headings under which the help lists the commands.
const (
	groupStart = "start"
	groupRun   = "run"
	groupLive  = "live"
	groupOther = "other"
)

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "sluice",
		Short: "A TCP and TLS gateway that routes by server name",
		Long: `sluice takes TCP and TLS connections and sends each on to where its server name
belongs. It reads the first message of a TLS client (the ClientHello, which
carries the name in the clear), picks the most specific filter chain, and moves
bytes both ways between the client and an endpoint of the chain's cluster. TLS
is passed through untouched, so that certificates stay where they are, or ended
here, as each chain says.

Exit codes: 0 done, 1 it did not go well, 2 the command line was not understood.`,
		Example: `  sluice demo
  sluice validate -c edge.hcl
  sluice run -c edge.hcl
  sluice proxy-config listener`,
		Version:       readBuild().Version,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.AddGroup(
		&cobra.Group{ID: groupStart, Title: "To begin with:"},
		&cobra.Group{ID: groupRun, Title: "A gateway and its configuration:"},
		&cobra.Group{ID: groupLive, Title: "A gateway that is running:"},
		&cobra.Group{ID: groupOther, Title: "More:"},
	)
	root.CompletionOptions.DisableDefaultCmd = true // completionCommand takes its place
	root.SetHelpCommand(helpCommand())
	defer root.InitDefaultHelpCmd() // it is added to a root that has commands
	root.SetHelpCommandGroupID(groupOther)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &misuse{err.Error(), cmd.CommandPath()}
	})
	for _, cmd := range []*cobra.Command{
		demoCommand(), runCommand(), validateCommand(), fmtCommand(),
		proxyConfigCommand(), diffCommand(), killCommand(), drainCommand(), reloadCommand(), upgradeCommand(),
		explainCommand(), testCommand(),
		versionCommand(), completionCommand(), manCommand(),
	} {
		cmd.DisableFlagsInUseLine = true
		root.AddCommand(cmd)
	}
	return root
}

// execute runs args, given without the program's name.
func execute(root *cobra.Command, args []string) error {
	args = normalise(args)
	root.SetArgs(args)
	// An unknown command is found here, before its flags are taken for the
	// root's and reported in its place. What completion scripts call is hidden
	// from Find.
	completing := len(args) > 0 && (args[0] == cobra.ShellCompRequestCmd || args[0] == cobra.ShellCompNoDescRequestCmd)
	if cmd, rest, _ := root.Find(args); cmd == root && !completing {
		// A command that is known was not found because it stands behind a
		// flag that is not.
		if i := slices.IndexFunc(rest, isArgument); i >= 0 && !isCommand(root, rest[i]) {
			return unknownCommand(root, rest[i])
		}
	}
	var helpFailed error
	root.SetHelpFunc(checkedHelp(root, root.HelpFunc(), &helpFailed))
	if err := root.Execute(); err != nil {
		return err
	}
	return helpFailed
}

// checkedHelp is help with an error, which cobra has none for, when the text
// cannot be written.
func checkedHelp(root *cobra.Command, help func(*cobra.Command, []string), failed *error) func(*cobra.Command, []string) {
	return func(cmd *cobra.Command, args []string) {
		var text bytes.Buffer
		out := root.OutOrStdout()
		root.SetOut(&text)
		help(cmd, args)
		root.SetOut(out)
		_, *failed = out.Write(text.Bytes())
	}
}

func isCommand(root *cobra.Command, name string) bool {
	return slices.ContainsFunc(root.Commands(), func(c *cobra.Command) bool { return c.Name() == name || c.HasAlias(name) })
}

// isArgument tells an argument from a flag.
func isArgument(s string) bool { return s == "" || s == "-" || s[0] != '-' }

func unknownCommand(root *cobra.Command, name string) error {
	what := fmt.Sprintf("unknown command %q", name)
	for _, c := range root.Commands() {
		if isExchanged(name, c.Name()) {
			return &misuse{fmt.Sprintf("%s, did you mean %q?", what, c.Name()), root.CommandPath()}
		}
	}
	// The nearest is found first. Of a short word not every letter may be
	// wrong, or anything would be near it.
	for distance := 1; distance <= min(len(name)/2, 2); distance++ {
		root.SuggestionsMinimumDistance = distance
		if near := root.SuggestionsFor(name); len(near) > 0 {
			what += fmt.Sprintf(", did you mean %q?", near[0])
			break
		}
	}
	return &misuse{what, root.CommandPath()}
}

// isExchanged reports whether a is b with two neighbouring letters exchanged.
func isExchanged(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) - 1 {
		if a[i] != b[i] {
			return a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
		}
	}
	return false
}

// singleDash are the long flags that may be written with one dash too, as the
// tools of other HCL programs take them. A short flag can be followed by its
// value without a space, so they are named and not guessed.
var singleDash = []string{"check", "config", "help", "once", "output", "var", "var-file", "version", "write"}

// normalise gives flags that were written with one dash their second.
func normalise(args []string) []string {
	args = slices.Clone(args)
	for i, arg := range args {
		if arg == "--" {
			break
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(arg, "-"), "=")
		if strings.HasPrefix(arg, "-") && slices.Contains(singleDash, name) {
			args[i] = "-" + arg
		}
	}
	return args
}

// exactly is for commands that take these many arguments.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) == n:
			return nil
		case len(args) < n:
			return &misuse{what + " is missing", cmd.CommandPath()}
		}
		return &misuse{fmt.Sprintf("there is no use for the argument %q", args[n]), cmd.CommandPath()}
	}
}

func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Explain a command",
		Long: `help prints what a command does and which flags it takes, as COMMAND --help
does.`,
		Example: `  sluice help run`,
		GroupID: groupOther,
		RunE: func(cmd *cobra.Command, args []string) error {
			topic, rest, err := cmd.Root().Find(args)
			switch {
			case err != nil:
				return unknownCommand(cmd.Root(), args[0])
			case len(rest) > 0:
				return exactly(0, "")(cmd, rest)
			}
			topic.InitDefaultHelpFlag()
			topic.InitDefaultVersionFlag()
			return topic.Help()
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			var names []cobra.Completion
			for _, c := range cmd.Root().Commands() {
				if c.IsAvailableCommand() && len(args) == 0 {
					names = append(names, cobra.CompletionWithDesc(c.Name(), c.Short))
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
}
