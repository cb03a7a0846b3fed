package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestUpgradeByCommand: the admin address goes over with everything else. Whoever
// asks there is answered all the time, first by the one process and then by the
// other, which tells of the connections of the older one and can end them.
func TestUpgradeByCommand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	socket := filepath.Join(dir, "admin.sock")
	g := startGenerations(t, fmt.Sprintf("admin { address = \"unix:%s\" }\nmetrics { address = \"127.0.0.1:0\" }\n", socket)+
		upgradedConfig(dir, echoBackend(t)), withAdmin())
	ask := func(into any, args ...string) {
		t.Helper()
		stdout, stderr, code := runSluice(t, dir, append(args, "--admin", "unix:"+socket)...)
		if code != 0 {
			t.Fatalf("%v: exit code %d\n%s%s", args, code, stdout, stderr)
		}
		if into == nil {
			return
		}
		if err := json.Unmarshal([]byte(stdout), into); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, stdout)
		}
	}
	old := g.serving()
	long := longOnesOf(t, g.address("plain"), 2)
	g.sayAgain("took over", func() { ask(nil, "upgrade") })

	var server struct {
		PID, Generation int
		Older           []struct{ PID, Generation, Connections int }
	}
	ask(&server, "pc", "bootstrap", "-o", "json")
	if server.PID == old || server.Generation != 2 || len(server.Older) != 1 || server.Older[0].PID != old || server.Older[0].Connections != 2 {
		t.Fatalf("the new process says %+v; the old one is %d, with 2 connections", server, old)
	}
	var page struct {
		Connections []struct{ ID, Generation int }
	}
	ask(&page, "pc", "connection", "-o", "json")
	if len(page.Connections) != 0 {
		t.Errorf("the new process has %+v", page)
	}
	ask(&page, "pc", "connection", "--generation", "1", "-o", "json")
	if len(page.Connections) != 2 || page.Connections[0].Generation != 1 {
		t.Fatalf("the old process has %+v, want two connections", page)
	}
	ask(nil, "kill", fmt.Sprint(page.Connections[0].ID), "--generation", "1")
	ended := make(chan int, len(long))
	for i, c := range long {
		go func() {
			_, _ = c.Read(make([]byte, 1))
			ended <- i
		}()
	}
	survivor := long[1-<-ended]
	if _, stderr, code := runSluice(t, dir, "kill", fmt.Sprint(page.Connections[0].ID), "--generation", "1", "--admin", "unix:"+socket); code != 1 || !strings.Contains(stderr, "no such connection") {
		t.Errorf("killing it again: exit code %d, %s", code, stderr)
	}
	survivor.Close()
	awaitGone(t, old)

	// What cannot serve changes nothing, and the command says why.
	g.script(0o755, "#!/bin/sh\nexit 7\n")
	if _, stderr, code := runSluice(t, dir, "upgrade", "--admin", "unix:"+socket); code != 1 || !strings.Contains(stderr, "not upgraded, this process goes on as it was") {
		t.Errorf("an upgrade to what does not start: exit code %d, %s", code, stderr)
	}
	last := dial(t, g.address("plain"))
	exchange(t, last, "still served")
	last.Close()
	g.stopServing()
	for _, pid := range g.started() {
		awaitGone(t, pid)
	}
	if _, err := os.Stat(socket); err == nil {
		t.Error("the admin socket's path is left over")
	}
}
