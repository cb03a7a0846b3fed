package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestPIDFileBelongsToItsOwner: it is there in one step, and removed only while
// it holds this process's ID.
func TestPIDFileBelongsToItsOwner(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.pid")
	own := strconv.Itoa(os.Getpid()) + "\n"
	holds := func() string {
		b, err := os.ReadFile(path)
		if err != nil {
			return ""
		}
		return string(b)
	}
	p, err := preparePIDFile(path, false)
	if err != nil {
		t.Fatal(err)
	}
	if holds() != "" {
		t.Error("it is there before it is published")
	}
	if err := p.publish(); err != nil || holds() != own {
		t.Errorf("it holds %q, %v", holds(), err)
	}
	if err := p.remove(); err != nil || holds() != "" {
		t.Errorf("it is left over: %q, %v", holds(), err)
	}
	if err := p.remove(); err != nil {
		t.Errorf("removed twice: %v", err)
	}
	if err := os.WriteFile(path, []byte("1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := p.remove(); err != nil || holds() != "1\n" {
		t.Errorf("another process's is removed: %q, %v", holds(), err)
	}
}

// TestPIDFileThatCannotBe: what is not published leaves nothing, and a path from
// the environment is not shown.
func TestPIDFileThatCannotBe(t *testing.T) {
	t.Parallel()
	if _, err := preparePIDFile("/no/such/hunter2.pid", false); err == nil || !strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
	if _, err := preparePIDFile("/no/such/hunter2.pid", true); err == nil || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "/no/such") {
		t.Errorf("%v", err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "hunter2.pid")
	if err := os.MkdirAll(filepath.Join(path, "full"), 0o755); err != nil {
		t.Fatal(err)
	}
	p, err := preparePIDFile(path, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.publish(); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%v are there, %v", entries, err)
	}
}
