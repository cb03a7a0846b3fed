package integration

import (
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
)

// missingTools remembers what tests could not find.
type missingTools struct {
	mu    sync.Mutex // guards names
	names map[string]bool
}

var tools = missingTools{names: make(map[string]bool)}

func (m *missingTools) add(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.names[name] = true
}

// report names what was missing, so that a green run does not hide it.
func (m *missingTools) report(w io.Writer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.names) > 0 {
		fmt.Fprintf(w, "tests were skipped for want of: %s\n", strings.Join(slices.Sorted(maps.Keys(m.names)), ", "))
	}
}

// needTool skips the test when a program is not installed.
func needTool(t *testing.T, name string) {
	t.Helper()
	_, err := exec.LookPath(name)
	need(t, name, err)
}

// need skips the test when err says that the machine lacks what is named. With
// SLUICE_REQUIRE_TOOLS=1 it fails instead. No other test may skip.
func need(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	tools.add(what)
	if os.Getenv("SLUICE_REQUIRE_TOOLS") == "1" {
		t.Fatalf("this test needs %s: %v", what, err)
	}
	t.Skipf("this test needs %s: %v", what, err)
}

// run runs a program with the given input and gives what it wrote, to either
// output.
func run(t *testing.T, input, name string, args ...string) (output string, err error) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
