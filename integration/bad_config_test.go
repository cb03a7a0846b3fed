package integration

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/tlsutil/certgen"
)

// badConfigs is where the config package keeps its bad configurations, each
// with the text that has to be said about it.
const badConfigs = "../config/testdata/bad"

// TestBadConfigurations gives every bad configuration to `sluice validate`. The
// text is the config package's business; here it has to come out of the
// program, set for 80 columns, on stderr, with exit code 1 and nothing else.
func TestBadConfigurations(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(badConfigs)); err != nil {
		t.Fatal(err)
	}
	writePKI(t, filepath.Join(dir, "pki"))
	goldens, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil || len(goldens) < 30 {
		t.Fatalf("only %d bad configurations, %v", len(goldens), err)
	}
	for _, golden := range goldens {
		name := strings.TrimSuffix(filepath.Base(golden), ".txt")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			said, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
				name += ".hcl"
			}
			args, environ := optionsOf(filepath.Join(dir, name))
			stdout, stderr, code := runSluiceWith(t, dir, environ, append([]string{"validate", "-c", name}, args...)...)
			want := string(said) + fmt.Sprintf("sluice: %s: not valid (%s)\n", name, countOf(string(said)))
			if got := paragraphs(strings.ReplaceAll(stderr, dir+"/", "")); got != paragraphs(want) {
				t.Errorf("stderr is\n%s\nwant\n%s", got, paragraphs(want))
			}
			expectIn80(t, stderr)
			if stdout != "" || code != 1 {
				t.Errorf("stdout %q and exit code %d, want nothing and 1", stdout, code)
			}
		})
	}
}

// optionsOf reads the lines "#! ..." of a configuration: what its case takes
// from the command line and the environment.
func optionsOf(path string) (args, environ []string) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, nil // a directory
	}
	for line := range strings.Lines(string(content)) {
		words := strings.Fields(line)
		switch {
		case len(words) < 2 || words[0] != "#!":
		case strings.HasPrefix(words[1], "-"):
			args = append(args, words[1:]...)
		default:
			environ = append(environ, words[1])
		}
	}
	return args, environ
}

// paragraphs undoes line breaks within sentences: where they are depends on
// the length of the directory's name. What is quoted from a file is indented
// and stays as it is.
func paragraphs(s string) string {
	var out strings.Builder
	inSentence := false
	for line := range strings.Lines(s) {
		line = strings.TrimSuffix(line, "\n")
		sentence := line != "" && !strings.HasPrefix(line, " ")
		switch {
		case inSentence && sentence:
			out.WriteByte(' ')
		case out.Len() > 0:
			out.WriteByte('\n')
		}
		out.WriteString(line)
		inSentence = sentence
	}
	return out.String()
}

// expectIn80 checks that sentences are set in 80 columns.
func expectIn80(t *testing.T, s string) {
	t.Helper()
	for line := range strings.Lines(s) {
		if line = strings.TrimSuffix(line, "\n"); len(line) > 80 && !strings.HasPrefix(line, " ") && strings.Contains(line, " ") {
			t.Errorf("a line of %d columns: %s", len(line), line)
		}
	}
}

// countOf says how many errors and warnings a text holds, as the program does.
func countOf(s string) string {
	var parts []string
	for _, word := range []string{"error", "warning"} {
		heading := strings.ToUpper(word[:1]) + word[1:] + ": "
		n := strings.Count("\n"+s, "\n"+heading)
		switch {
		case n == 1:
			parts = append(parts, "1 "+word)
		case n > 1 || word == "error":
			parts = append(parts, fmt.Sprintf("%d %ss", n, word))
		}
	}
	return strings.Join(parts, ", ")
}

// writePKI writes the certificates that the bad configurations name.
func writePKI(t *testing.T, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	ca, other := certgen.NewAuthority("test"), certgen.NewAuthority("other")
	for base, o := range map[string]certgen.Options{
		"app":   {Names: []string{"app.example.com", "*.example.com"}},
		"other": {Names: []string{"other.example.com"}},
		"rsa":   {Names: []string{"app.example.com"}, Key: certgen.RSA},
		"expired": {Names: []string{"app.example.com"},
			NotBefore: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		if _, _, err := ca.WriteFiles(dir, base, o); err != nil {
			t.Fatal(err)
		}
	}
	var many []byte
	for i := range 7 {
		many = append(many, certgen.NewAuthority(fmt.Sprintf("%010000d", i)).CAPEM()...)
	}
	for base, content := range map[string][]byte{
		"many.pem": many, "ca.pem": ca.CAPEM(), "ca.crl": ca.CRL(), "other.crl": other.CRL(),
		"ticket.key": bytes.Repeat([]byte{7}, 32),
		"broken.txt": []byte("address = \n"),
		"vars.txt":   []byte("evn = \"prod\"\nports = [\"a\"]\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, base), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRunWithABadConfigurationBindsNothing: an error at the very end of the
// file keeps the first listener from opening.
func TestRunWithABadConfigurationBindsNothing(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "in.sock")
	p := startSluice(t, plainGateway("unix:"+socket, "127.0.0.1:9")+"\nclusters {}\n", mayFail())
	if code := p.wait(); code != 1 {
		t.Errorf("the gateway exits with %d, want 1", code)
	}
	if _, err := os.Stat(socket); !os.IsNotExist(err) {
		t.Errorf("the gateway has bound its socket: %v", err)
	}
	said := p.stderr.String()
	for _, want := range []string{"Error: ", "clusters {}", `Did you mean`, "not valid (1 error)"} {
		if !strings.Contains(said, want) {
			t.Errorf("stderr does not contain %q:\n%s", want, said)
		}
	}
	if got := p.records.all(); len(got) != 0 {
		t.Errorf("stdout is not empty: %v", got)
	}
}

// TestMisuse: exit code 2, nothing on stdout, and on stderr what is wrong with
// a hint.
func TestMisuse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, args := range map[string][]string{
		"unknown_command":   {"vaildate"},
		"unknown_flag":      {"run", "--configg", "x"},
		"unexpected_word":   {"run", "sluice.hcl"},
		"flag_needs_value":  {"validate", "-c"},
		"unknown_output":    {"validate", "-o", "xml"},
		"variable_no_value": {"validate", "-var", "env"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stdout, stderr, code := runSluice(t, dir, args...)
			if code != 2 || stdout != "" || !strings.HasPrefix(stderr, "sluice: ") || strings.Count(stderr, "\n") > 3 {
				t.Errorf("exit code %d, stdout %q, want 2 and a few lines on stderr:\n%s", code, stdout, stderr)
			}
		})
	}
}

// TestNoConfiguration: without one the program says where it looked.
func TestNoConfiguration(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/etc/sluice"); err == nil {
		t.Log("this machine has a configuration of its own in /etc/sluice; only the exit code for a missing file is checked")
	} else if _, stderr, code := runSluice(t, t.TempDir(), "run"); code != 1 || !strings.Contains(stderr, "/etc/sluice") {
		t.Errorf("exit code %d, want 1 and where it looked:\n%s", code, stderr)
	}
	if _, stderr, code := runSluice(t, t.TempDir(), "run", "-c", "none.hcl"); code != 1 || !strings.Contains(stderr, "none.hcl") {
		t.Errorf("exit code %d, want 1 and the name:\n%s", code, stderr)
	}
}
