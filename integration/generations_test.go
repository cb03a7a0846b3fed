package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// generations is a gateway that is upgraded: several processes, one after the
// other, that write into the same log. All of them end with the test.
type generations struct {
	*process
	binary string // a copy of the program that the test may replace
}

// startGenerations starts the first one, from a binary of the test's own.
func startGenerations(t *testing.T, hcl string, opts ...option) *generations {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	g := &generations{binary: filepath.Join(dir, "sluice")}
	g.restore(t)
	first := withCommand(func(cmd *exec.Cmd) { cmd.Path, cmd.Args[0] = g.binary, g.binary })
	// The process that is started ends what follows it, before it is ended itself.
	g.process = startSluice(t, hcl, append([]option{first}, opts...)...)
	t.Cleanup(g.endAll)
	return g
}

// restore puts the program where the upgrade looks for it.
func (g *generations) restore(t *testing.T) {
	t.Helper()
	next := g.binary + ".next"
	if err := os.Link(gatewayBinary, next); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, g.binary); err != nil {
		t.Fatal(err)
	}
}

// started gives the process IDs of all that were started, in order.
func (g *generations) started() []int {
	pids := []int{g.cmd.Process.Pid}
	for _, ev := range g.log.all() {
		if text(ev, "message") == "upgrading: the new process starts" {
			pids = append(pids, int(number(ev, "pid")))
		}
	}
	return pids
}

// serving gives the process ID of the one that serves.
func (g *generations) serving() int {
	pid := g.cmd.Process.Pid
	for _, ev := range g.log.all() {
		if text(ev, "message") == "upgraded: the new process serves, and this one drains" {
			pid = int(number(ev, "pid"))
		}
	}
	return pid
}

// send sends a signal to the process that serves.
func (g *generations) send(sig syscall.Signal) {
	g.t.Helper()
	if err := syscall.Kill(g.serving(), sig); err != nil {
		g.t.Fatalf("sending %v to generation %d: %v", sig, g.serving(), err)
	}
}

// said counts the lines of the log with that message.
func (g *generations) said(message string) int {
	n := 0
	for _, ev := range g.log.all() {
		if text(ev, "message") == message {
			n++
		}
	}
	return n
}

// sayAgain does f, waits for the message to be there once more than before, and
// gives the line.
func (g *generations) sayAgain(message string, f func()) event {
	g.t.Helper()
	want := g.said(message) + 1
	f()
	n := 0
	ev := g.log.wait(func(ev event) bool {
		if text(ev, "message") == message {
			n++
		}
		return n == want
	})
	if ev == nil {
		g.t.Fatalf("the log does not say %q for the %d. time:\n%s", message, want, g.stderr)
	}
	return ev
}

const (
	upgraded    = "upgraded: the new process serves, and this one drains"
	notUpgraded = "not upgraded: this process goes on as it was"
)

// upgrade upgrades the gateway, and gives the process ID of the one before.
func (g *generations) upgrade() (before int) {
	g.t.Helper()
	before = g.serving()
	g.sayAgain("took over", func() { g.sayAgain(upgraded, func() { g.send(syscall.SIGUSR2) }) })
	return before
}

// failUpgrade asks for an upgrade that fails, and gives the reason in the log.
func (g *generations) failUpgrade() string {
	g.t.Helper()
	return text(g.sayAgain(notUpgraded, func() { g.send(syscall.SIGUSR2) }), "error")
}

// isRunning tells whether there is a process of that ID. One that nobody waits
// for is none.
func isRunning(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	state := strings.TrimSpace(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	return state[0] != 'Z' && state[0] != 'X'
}

// awaitGone waits for a process to end.
func awaitGone(t *testing.T, pid int) {
	t.Helper()
	eventually(t, fmt.Sprintf("process %d ends", pid), func() bool { return !isRunning(pid) })
}

// endAll ends every process that the first one has led to.
func (g *generations) endAll() {
	for _, pid := range g.started()[1:] {
		if isRunning(pid) {
			_ = syscall.Kill(pid, syscall.SIGQUIT) // it may end by itself
		}
	}
	for _, pid := range g.started()[1:] {
		awaitGone(g.t, pid)
	}
}

// stopServing sends TERM to the process that serves, and waits for it to end.
func (g *generations) stopServing() {
	g.t.Helper()
	pid := g.serving()
	g.send(syscall.SIGTERM)
	awaitGone(g.t, pid)
}
