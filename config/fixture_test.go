package config

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/tlsutil/certgen"
)

var update = flag.Bool("update", false, "rewrite the expected results under testdata")

// workspace copies directories of the package into a temporary one and puts
// certificates beside them, as pki/, so that no key has to be committed.
func workspace(t *testing.T, dirs ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, dir := range dirs {
		to := filepath.Join(root, filepath.Base(dir))
		if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		writePKI(t, filepath.Join(to, "pki"))
	}
	return root
}

// writePKI writes what the configurations under testdata and examples name.
func writePKI(t *testing.T, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	ca, other := certgen.NewAuthority("test"), certgen.NewAuthority("other")
	long := time.Now().AddDate(1, 0, 0)
	issue := func(base string, o certgen.Options) {
		if _, _, err := ca.WriteFiles(dir, base, o); err != nil {
			t.Fatal(err)
		}
	}
	write := func(name string, text []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	issue("app", certgen.Options{Names: []string{"app.example.com", "*.example.com"}, NotAfter: long})
	issue("other", certgen.Options{Names: []string{"other.example.com"}, NotAfter: long})
	issue("rsa", certgen.Options{Names: []string{"app.example.com"}, NotAfter: long, Key: certgen.RSA})
	issue("expired", certgen.Options{
		Names:     []string{"app.example.com"},
		NotBefore: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:  time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC),
	})
	issue("client", certgen.Options{Client: true, URIs: []string{"spiffe://edge/sluice"}, NotAfter: long})
	write("ca.pem", ca.CAPEM())
	var many []byte
	for i := range 7 {
		many = append(many, certgen.NewAuthority(fmt.Sprintf("%010000d", i)).CAPEM()...)
	}
	write("many.pem", many)
	write("ca.crl", ca.CRL())
	write("other.crl", other.CRL())
	write("ticket.key", bytes.Repeat([]byte{7}, 32))
	write("admin.token", []byte("0123456789abcdef0123456789abcdef\n"))
	write("open.token", []byte("0123456789abcdef0123456789abcdef\n"))
	if err := os.Chmod(filepath.Join(dir, "open.token"), 0o644); err != nil {
		t.Fatal(err)
	}
	write("broken.txt", []byte("address = \n"))
	write("vars.txt", []byte("evn = \"prod\"\nports = [\"a\"]\n"))
}

// optionsOf reads the lines of a configuration that begin with "#!": what a
// case takes from the command line and the environment.
func optionsOf(t *testing.T, dir, path string) Options {
	t.Helper()
	o := Options{Environ: []string{}, Vars: map[string]string{}}
	text, err := os.ReadFile(path)
	if err != nil {
		return o // a directory, which has no options
	}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "#!" {
			continue
		}
		switch words[1] {
		case "-var":
			name, value, _ := strings.Cut(words[2], "=")
			o.Vars[name] = value
		case "-var-file":
			o.VarFiles = append(o.VarFiles, filepath.Join(dir, words[2]))
		default:
			o.Environ = append(o.Environ, words[1])
		}
	}
	return o
}

// cases lists the configurations of a directory: files and directories.
func cases(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() || strings.HasSuffix(e.Name(), ".hcl") {
			names = append(names, e.Name())
		}
	}
	return names
}

// golden compares got with a file of testdata, or rewrites it.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got); -update rewrites it:\n%s", file, diff)
	}
}

func textOf(t *testing.T, d *Diagnostics) string {
	t.Helper()
	var buf bytes.Buffer
	if err := d.WriteText(&buf, 0, false); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}
