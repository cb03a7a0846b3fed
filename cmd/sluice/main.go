package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// The exit codes, which scripts rely on.
const (
	exitDone   = 0
	exitFailed = 1 // what was asked for was understood, and did not go well
	exitMisuse = 2 // it was not understood
)

func main() {
	os.Exit(sluice(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// sluice runs one command line and gives the exit code. It is the one place
// that prints errors.
func sluice(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := execute(root, args)
	if err == nil {
		return exitDone
	}
	for line := range strings.Lines(err.Error()) { // one for each of several errors
		fmt.Fprintf(stderr, "sluice: %s\n", strings.TrimSuffix(line, "\n"))
	}
	var wrong *misuse
	if errors.As(err, &wrong) {
		fmt.Fprintf(stderr, "Run \"%s --help\" to see what is possible.\n", wrong.command)
		return exitMisuse
	}
	return exitFailed
}

// misuse is the error of a command line that cannot be understood.
type misuse struct {
	what    string
	command string // whose help says more
}

func (e *misuse) Error() string { return e.what }
