package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// everyCommand calls f for the root and all commands below it.
func everyCommand(f func(*cobra.Command)) {
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		f(cmd)
		for _, c := range cmd.Commands() {
			walk(c)
		}
	}
	walk(newRoot())
}

func TestEveryCommandExplainsItself(t *testing.T) {
	t.Parallel()
	everyCommand(func(cmd *cobra.Command) {
		if cmd.Short == "" || strings.Contains(cmd.Short, "\n") || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: Short is %q, want one line without a full stop", cmd.CommandPath(), cmd.Short)
		}
		if cmd.Long == "" || cmd.Example == "" {
			t.Errorf("%s: Long and Example must be there", cmd.CommandPath())
		}
		if cmd.HasParent() && cmd.GroupID == "" {
			t.Errorf("%s: the help lists it under no heading", cmd.CommandPath())
		}
		for line := range strings.Lines(cmd.Long + "\n" + cmd.Example) {
			if line = strings.TrimSuffix(line, "\n"); len(line) > plainWidth {
				t.Errorf("%s: wider than %d columns: %q", cmd.CommandPath(), plainWidth, line)
			}
		}
	})
}

// What stands in the examples must be understood.
func TestExamplesCanBePasted(t *testing.T) {
	t.Parallel()
	everyCommand(func(cmd *cobra.Command) {
		for line := range strings.Lines(cmd.Example) {
			words := strings.Fields(line)
			if i := slices.IndexFunc(words, func(w string) bool { return strings.ContainsAny(w, "|&<>") && !strings.HasPrefix(w, "<(") }); i >= 0 {
				words = words[:i]
			}
			i := slices.IndexFunc(words, func(w string) bool { return strings.HasSuffix(w, "sluice") || w == "<(sluice" })
			if i < 0 {
				t.Errorf("%s: no sluice in the example %q", cmd.CommandPath(), line)
				continue
			}
			args := normalise(words[i+1:])
			if last := len(args) - 1; words[i] == "<(sluice" {
				args[last] = strings.TrimSuffix(args[last], ")")
			}
			target, rest, err := newRoot().Find(args)
			if err == nil {
				err = target.ParseFlags(rest)
			}
			if err == nil && target.Args != nil {
				err = target.Args(target, target.Flags().Args())
			}
			if err != nil {
				t.Errorf("%s: the example %q: %v", cmd.CommandPath(), strings.TrimSpace(line), err)
			}
		}
	})
}

func TestNormalise(t *testing.T) {
	t.Parallel()
	cases := []struct{ name, args, want string }{
		{"one dash", "run -var a=b -var-file f", "run --var a=b --var-file f"},
		{"value after an equals sign", "run -var=a=b -var-file=f", "run --var=a=b --var-file=f"},
		{"two dashes", "fmt --check --write", "fmt --check --write"},
		{"what every command has", "run -config x -help", "run --config x --help"},
		{"formats", "validate -output=json", "validate --output=json"},
		{"fmt", "fmt -check -write -", "fmt --check --write -"},
		{"short flags with a value in them", "run -cvar -onone", "run -cvar -onone"},
		{"after the end of flags", "fmt -- -check", "fmt -- -check"},
		{"three dashes", "fmt ---check", "fmt ---check"},
		{"nothing", "", ""},
	}
	for _, tc := range cases {
		if got := strings.Join(normalise(strings.Fields(tc.args)), " "); got != tc.want {
			t.Errorf("%s: %q becomes %q, want %q", tc.name, tc.args, got, tc.want)
		}
	}
}
