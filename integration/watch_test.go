package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// outcomes gives what became of reloads, and who asked for them.
func (p *process) outcomes() (list []string) {
	for _, ev := range p.log.all() {
		if message := text(ev, "message"); strings.HasPrefix(message, "reloaded") || strings.HasPrefix(message, "not reloaded") {
			first, _, _ := strings.Cut(message, ":")
			list = append(list, first+" by "+text(ev, "by"))
		}
	}
	return list
}

// awaitOutcomes waits for the next one and compares all.
func (p *process) awaitOutcomes(step string, want ...string) {
	p.t.Helper()
	p.log.wait(func(event) bool { return len(p.outcomes()) >= len(want) })
	if got := p.outcomes(); strings.Join(got, "; ") != strings.Join(want, "; ") {
		p.t.Fatalf("%s: %q, want %q:\n%s", step, got, want, p.stderr)
	}
}

// TestWatchedConfiguration: the gateway reloads when the files of its configuration
// change, and only then.
func TestWatchedConfiguration(t *testing.T) {
	t.Parallel()
	endpoint := echoBackend(t)
	listener := func(name, more string) string {
		return fmt.Sprintf("listener %q {\n  address = \"127.0.0.1:0\"\n  %s\n  default_filter_chain {\n    route { cluster = \"echo\" }\n  }\n}\n", name, more)
	}
	inDirectory := func(cmd *exec.Cmd) { cmd.Args[len(cmd.Args)-1] = filepath.Dir(cmd.Args[len(cmd.Args)-1]) }
	main := fmt.Sprintf("runtime { watch = true }\ncluster \"echo\" { endpoints = [%q] }\n%s", endpoint, listener("main", ""))
	p := startSluice(t, main, withCommand(inDirectory))
	path := func(name string) string { return filepath.Join(p.dir, name) }
	var want []string
	becomes := func(step, outcome string) {
		t.Helper()
		want = append(want, outcome)
		p.awaitOutcomes(step, want...)
	}
	const reloaded, not = "reloaded by watch", "not reloaded by watch"

	overwrite(t, path("second.hcl"), []byte(listener("second", "")))
	becomes("a new file", reloaded)
	opened := texts(p.waitLog(`"opened":["127.0.0.1:`), "opened")
	c := dial(t, opened[0])
	exchange(t, c, "hello")
	c.Close()

	replaceFile(t, path("second.hcl"), listener("second", `max_connections = tonumber(file("most"))`))
	becomes("a file that is missing", not)
	overwrite(t, path("most"), []byte("7"))
	becomes("and comes", reloaded)
	replaceFile(t, path("most"), "8")
	becomes("and is replaced", reloaded)

	// Nothing of this is a change.
	now := time.Now()
	if err := os.Chtimes(path("sluice.hcl"), now, now); err != nil {
		t.Fatal(err)
	}
	replaceFile(t, path("most"), "8")
	overwrite(t, path("notes.txt"), []byte("not of the configuration"))

	half := listener("second", "")
	overwrite(t, path("second.hcl"), []byte(half[:len(half)/2]))
	becomes("half a file", not)
	overwrite(t, path("second.hcl"), []byte(half))
	becomes("the whole file", reloaded)
	if err := os.Remove(path("second.hcl")); err != nil {
		t.Fatal(err)
	}
	becomes("a file removed", reloaded)

	replaceFile(t, path("sluice.hcl"), strings.Replace(main, "true", "false", 1))
	becomes("not to be watched any more", reloaded)
	replaceFile(t, path("sluice.hcl"), main)
	p.signal(syscall.SIGHUP)
	becomes("watched again", "reloaded by SIGHUP")
	replaceFile(t, path("sluice.hcl"), main+"# more\n")
	becomes("once more", reloaded)
	if code := p.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
