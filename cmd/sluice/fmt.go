package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"sluice/config"
)

func fmtCommand() *cobra.Command {
	f := formatter{}
	cmd := &cobra.Command{
		Use:   "fmt [-check | -write] [FILE|DIR|-]...",
		Short: "Put configurations into canonical form",
		Long: `fmt aligns and indents configuration files in the one canonical way. Nothing but
white space changes. It prints the result to stdout; with -write it replaces
the files and prints the names of those that changed, and with -check it only
prints the names of those that would, and the exit code is 1 if there are any.

A directory stands for the *.hcl files in it, and "-" for stdin. Without an
argument it is ` + localConfig + ` here, else ` + systemConfig + `.`,
		Example: `  sluice fmt edge.hcl
  sluice fmt -write edge.hcl
  sluice fmt -check /etc/sluice
  sluice fmt - < edge.hcl`,
		GroupID: groupRun,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.check && f.write {
				return &misuse{"-check and -write exclude each other", cmd.CommandPath()}
			}
			f.in, f.out, f.diagnostics = cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
			return f.run(cmd, args)
		},
	}
	cmd.Flags().BoolVar(&f.check, "check", false, "print the names of files that are not canonical")
	cmd.Flags().BoolVar(&f.write, "write", false, "replace the files")
	return cmd
}

// formatter is one run of fmt.
type formatter struct {
	check, write     bool
	in               io.Reader
	out, diagnostics io.Writer
	changed          int
}

// run formats everything that args name. What is wrong with one file does not
// keep it from the others.
func (f *formatter) run(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		path, err := defaultConfig(os.Stat)
		if err != nil {
			return err
		}
		args = []string{path}
	}
	var failures []error
	for _, arg := range args {
		if arg == "-" {
			if f.write {
				return &misuse{"-write needs files: stdin cannot be replaced", cmd.CommandPath()}
			}
			failures = append(failures, f.stdin())
			continue
		}
		files, read, err := configFiles(arg)
		failures = append(failures, err)
		for _, file := range files {
			failures = append(failures, f.file(file, read))
		}
	}
	if f.check && f.changed > 0 {
		failures = append(failures, fmt.Errorf("%s not in canonical form", count(f.changed, "file")))
	}
	return errors.Join(failures...)
}

func (f *formatter) stdin() error {
	src, err := config.ReadAll(f.in)
	if err != nil {
		return fmt.Errorf("reading stdin: %w", err)
	}
	return f.format("<stdin>", src)
}

func (f *formatter) file(name string, read func(string) ([]byte, error)) error {
	src, err := read(name)
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, reason(err))
	}
	return f.format(name, src)
}

// format formats one source and does with the result what was asked for.
func (f *formatter) format(name string, src []byte) error {
	formatted, diags := config.Format(name, src)
	if diags.HasErrors() {
		if err := diags.WriteText(f.diagnostics, widthOf(f.diagnostics), hasColor(f.diagnostics)); err != nil {
			return err
		}
		return notValid(name, diags)
	}
	if !f.check && !f.write {
		_, err := f.out.Write(formatted)
		return err
	}
	if bytes.Equal(src, formatted) {
		return nil
	}
	f.changed++
	if f.write {
		if err := replaceFile(name, formatted); err != nil {
			return fmt.Errorf("replacing %s: %w", name, err)
		}
	}
	_, err := fmt.Fprintln(f.out, name)
	return err
}

// reason is err without a path, which its reader adds.
func reason(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}

// configFiles gives the files that path stands for: those that would be read
// when it is the configuration; and how they are read.
func configFiles(path string) (files []string, read func(string) ([]byte, error), err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	if !info.IsDir() {
		return []string{path}, config.ReadFile, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".hcl") && !strings.HasPrefix(e.Name(), ".") && !e.IsDir() {
			files = append(files, filepath.Join(path, e.Name()))
		}
	}
	if files == nil {
		return nil, nil, fmt.Errorf("the directory %s has no *.hcl file in it", path)
	}
	return files, config.ReadRegularFile, nil
}
