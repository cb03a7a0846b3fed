package config

import (
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func pemOf(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// TestSources: what a load has read, and whether it would be another one.
func TestSources(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(path(name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(path("conf"), 0o700); err != nil {
		t.Fatal(err)
	}
	write("conf/a.hcl", `listener "l" {
  address = "127.0.0.1:${file("../port")}"
  default_filter_chain {
    route { cluster = var.name }
  }
}
variable "name" { type = string }
`)
	write("conf/b.hcl", `cluster "c" { endpoints = ["10.0.0.1:1"] }`)
	write("port", "80")
	write("vars.hcl", `name = "c"`)
	load := func(good bool, want ...string) *Sources {
		t.Helper()
		s := &Sources{}
		cfg, diags := Load(path("conf"), Options{VarFiles: []string{path("vars.hcl")}, Sources: s})
		if (cfg != nil) != good {
			t.Fatal(textOf(t, diags))
		}
		var got []string
		for _, p := range s.Paths() {
			name, _ := filepath.Rel(dir, p)
			got = append(got, name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("read %q, want %q", got, want)
		}
		if s.Changed() {
			t.Error("changed at once")
		}
		return s
	}
	all := []string{"conf", "conf/a.hcl", "conf/b.hcl", "port", "vars.hcl"}
	s := load(true, all...)
	f := func(step string, change, back func()) {
		t.Helper()
		change()
		if !s.Changed() {
			t.Errorf("%s: not changed", step)
		}
		back()
		if s.Changed() {
			t.Errorf("%s, and back: changed", step)
		}
	}
	for _, name := range all[1:] {
		content, err := os.ReadFile(path(name))
		if err != nil {
			t.Fatal(err)
		}
		f(name+" rewritten", func() { write(name, "x") }, func() { write(name, string(content)) })
		f(name+" removed", func() { os.Remove(path(name)) }, func() { write(name, string(content)) })
	}
	f("a new file", func() { write("conf/c.hcl", "") }, func() { os.Remove(path("conf/c.hcl")) })
	f("a file renamed", func() { os.Rename(path("conf/b.hcl"), path("conf/z.hcl")) }, func() { os.Rename(path("conf/z.hcl"), path("conf/b.hcl")) })
	for _, name := range []string{"conf/.a.hcl.swp", "conf/notes", "conf/.hidden.hcl"} {
		write(name, "x")
		if s.Changed() {
			t.Errorf("changed by %s", name)
		}
	}

	// After an error, too.
	os.Remove(path("port"))
	s = load(false, all...)
	f("the missing file comes", func() { write("port", "80") }, func() { os.Remove(path("port")) })
	write("conf/b.hcl", strings.Repeat("{", 10))
	s = load(false, all...)
	f("the broken file is whole", func() { write("conf/b.hcl", "") }, func() { write("conf/b.hcl", strings.Repeat("{", 10)) })

	s = &Sources{}
	Load(path("nowhere"), Options{Sources: s})
	if got := s.Paths(); !slices.Equal(got, []string{path("nowhere")}) || s.Changed() {
		t.Errorf("of a configuration that is not there: %q", got)
	}
	write("nowhere", "")
	if !s.Changed() {
		t.Error("a configuration that was not there comes, and nobody notices")
	}
	if none := new(Sources); none.Changed() || len(none.Paths()) > 0 {
		t.Error("nothing has changed")
	}
}

// TestSourcesOfAPipe: it is read once and cannot be read again.
func TestSourcesOfAPipe(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w.WriteString(`listener`)
	w.Close()
	s := &Sources{}
	Load(fmt.Sprint("/dev/fd/", r.Fd()), Options{Sources: s})
	if len(s.Paths()) > 0 || s.Changed() {
		t.Errorf("%q is to be watched", s.Paths())
	}
}
