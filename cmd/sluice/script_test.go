package main

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite the expected output in testdata/script")

// TestMain makes this binary run as sluice in the scripts.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"sluice": main})
}

// TestScripts runs testdata/script. The condition etcsluice is true on a machine
// with a configuration of its own in /etc/sluice. Beside what testscript has, scripts can use
//
//	exits CODE PROGRAM ARGS...  run a program that exits with CODE
//	start ARGS...               run sluice beside the script
//	await REGEXP [NAME...]      wait for a line on its stderr; the groups go into variables
//	signal NAME                 send it TERM, INT, QUIT, HUP or USR1
//	closestdout                 close the reading end of its stdout
//	exited CODE                 wait for its end; its output is in $WORK/stdout and $WORK/stderr
//	echoserver NAME             start a TCP echo server and put its address into NAME
//	connect ADDRESS             connect to it and get an echo
//	hangup                      close that connection and wait for the other side's end
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("NO_COLOR", "1")
			e.Values[besideKey{}] = &beside{}
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond != "etcsluice" {
				return false, errors.New("unknown condition")
			}
			_, err := os.Stat(systemConfig)
			return err == nil, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":       exits,
			"start":       on((*beside).start),
			"await":       on((*beside).await),
			"signal":      on((*beside).signal),
			"closestdout": on((*beside).closeStdout),
			"exited":      on((*beside).exited),
			"echoserver":  echoServer,
			"connect":     on((*beside).connect),
			"hangup":      on((*beside).hangUp),
			"mkfifo":      makePipe,
			"awaitreader": awaitReader,
		},
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	code := 0
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}
