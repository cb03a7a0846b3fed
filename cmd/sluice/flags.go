package main

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sluice/config"
)

// Where a configuration is looked for when the command line names none.
const (
	localConfig  = "sluice.hcl"
	systemConfig = "/etc/sluice"
)

// configFlags are the flags that say which configuration, and the values of
// its variables.
type configFlags struct {
	path     string
	vars     assignments
	varFiles []string
}

func (f *configFlags) add(cmd *cobra.Command) {
	f.vars = assignments{}
	flags := cmd.Flags()
	flags.VarP((*file)(&f.path), "config", "c", "the configuration, a file or a directory\n(default "+localConfig+" here, else "+systemConfig+")")
	flags.Var(f.vars, "var", "set a variable; can be repeated")
	flags.Var((*files)(&f.varFiles), "var-file", "set variables from a file of NAME = VALUE lines;\ncan be repeated, and a later one wins")
}

// load reads the configuration, and gives the path it was read from.
func (f *configFlags) load() (string, *config.Config, *config.Diagnostics, error) {
	return f.loadFrom(nil)
}

// loadFrom is load for who wants to know what is read.
func (f *configFlags) loadFrom(sources *config.Sources) (string, *config.Config, *config.Diagnostics, error) {
	path := f.path
	if path == "" {
		var err error
		if path, err = defaultConfig(os.Stat); err != nil {
			return "", nil, nil, err
		}
	}
	cfg, diags := config.Load(path, config.Options{Vars: f.vars, VarFiles: f.varFiles, Sources: sources})
	return path, cfg, diags, nil
}

// defaultConfig finds the configuration when none was named. One that is there
// and cannot be read is chosen all the same, so that the user is told about it.
func defaultConfig(stat func(string) (fs.FileInfo, error)) (string, error) {
	for _, path := range []string{localConfig, systemConfig} {
		if _, err := stat(path); !errors.Is(err, fs.ErrNotExist) {
			return path, nil
		}
	}
	return "", errors.New("there is neither " + localConfig + " here nor " + systemConfig +
		": name a configuration with -c, or see one at work with \"sluice demo\"")
}

// assignments is a flag that is given as NAME=VALUE any number of times.
type assignments map[string]string

func (a assignments) Set(s string) error {
	name, value, ok := strings.Cut(s, "=")
	if !ok || name == "" {
		return errors.New("write it as NAME=VALUE")
	}
	a[name] = value
	return nil
}

func (a assignments) String() string { return "" }
func (a assignments) Type() string   { return "NAME=VALUE" }

// file is a flag that names a file. An empty name is most often a variable of
// the shell that is not set, and must not stand for something else.
type file string

func (f *file) Set(s string) error {
	if s == "" {
		return errors.New("the name is empty")
	}
	*f = file(s)
	return nil
}

func (f *file) String() string { return string(*f) }
func (f *file) Type() string   { return "FILE" }

// files is a flag that names a file any number of times.
type files []string

func (f *files) Set(s string) error {
	var one file
	if err := one.Set(s); err != nil {
		return err
	}
	*f = append(*f, s)
	return nil
}

func (f *files) String() string { return "" }
func (f *files) Type() string   { return "FILE" }

// outputFlag adds -o with the formats that there are.
func outputFlag(cmd *cobra.Command, output *string) {
	formats := []string{"text", "json"}
	*output = formats[0]
	cmd.Flags().VarP(&choice{output, formats}, "output", "o", "the format")
	if err := cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic("BUG: " + err.Error())
	}
}

// choice is a flag whose value is one of a few words.
type choice struct {
	value *string
	words []string
}

func (c *choice) Set(s string) error {
	if !slices.Contains(c.words, s) {
		return errors.New("it is one of " + strings.Join(c.words, ", "))
	}
	*c.value = s
	return nil
}

func (c *choice) String() string { return *c.value }
func (c *choice) Type() string   { return strings.Join(c.words, "|") }
