package config

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice/tlsutil/certgen"
)

const minimal = `listener "a" {
  address = ":443"

  filter_chain "c" {
    route { cluster = "c" }
  }
}

cluster "c" {
  endpoints = ["10.0.0.1:1"]
}
`

func TestLoadWhatIsNotThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := func(path, want string) {
		t.Helper()
		c, diags := Load(path, Options{})
		if got := strings.ReplaceAll(textOf(t, diags), dir, "DIR"); c != nil || got != want {
			t.Errorf("got %q; want %q", got, want)
		}
	}
	f(filepath.Join(dir, "x.hcl"), "Error: Unreadable configuration\n\nDIR/x.hcl: no such file or directory.\n\n")
	f(dir, "Error: No configuration\n\nThe directory DIR has no *.hcl file in it.\n\n")
}

// TestLoadWhatHasNoEnd holds that nothing is read for ever: not a pipe that was
// found in a directory, nor a device.
func TestLoadWhatHasNoEnd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "b.hcl"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(path string, o Options, want string) {
		t.Helper()
		c, diags := Load(path, o)
		if got := strings.ReplaceAll(textOf(t, diags), dir, "DIR"); c != nil || !strings.HasPrefix(got, want) {
			t.Errorf("got %q; want %q", got, want)
		}
	}
	f(dir, Options{}, "Error: Unreadable configuration\n\nDIR/b.hcl: it is not a regular file.\n\n")
	f("/dev/zero", Options{}, "Error: Unreadable configuration\n\n/dev/zero: it has more than 64 MiB.\n\n")
	good := filepath.Join(t.TempDir(), "good.hcl")
	if err := os.WriteFile(good, []byte(minimal), 0o600); err != nil {
		t.Fatal(err)
	}
	f(good, Options{VarFiles: []string{"/dev/zero"}}, "Error: Unreadable file\n\n-var-file /dev/zero: it has more than 64 MiB.\n\n")
}

// TestLoadPipe holds that a configuration may come through a pipe, as process
// substitution gives it.
func TestLoadPipe(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	written := make(chan error, 1)
	go func() { written <- os.WriteFile(pipe, []byte(minimal), 0) }()
	if c, diags := Load(pipe, Options{}); c == nil {
		t.Error(textOf(t, diags))
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
}

func TestLoadEmpty(t *testing.T) {
	t.Parallel()
	c, diags := LoadSource("empty.hcl", nil, Options{})
	if c != nil || diags.Len() != 1 || diags.All()[0].Summary != "No listener" {
		t.Errorf("config %v, diagnostics:\n%s", c != nil, textOf(t, diags))
	}
}

// TestEnvironment holds that nil means the process's own environment.
func TestEnvironment(t *testing.T) {
	t.Setenv("SLUICE_VAR_port", "8443")
	src := strings.Replace(minimal, `":443"`, `":${var.port}"`, 1) + `variable "port" {}`
	c, diags := LoadSource("x.hcl", []byte(src), Options{})
	if c == nil || c.Listeners[0].Addresses[0].AddrPort.Port() != 8443 {
		t.Errorf("diagnostics:\n%s", textOf(t, diags))
	}
	if c, _ := LoadSource("x.hcl", []byte(src), Options{Environ: []string{}}); c != nil {
		t.Error("an empty environment still gives the variable a value")
	}
}

func TestCluster(t *testing.T) {
	t.Parallel()
	c, _ := LoadSource("x.hcl", []byte(minimal), Options{})
	if got := c.Cluster("c"); got != c.Clusters[0] {
		t.Errorf("got %v", got)
	}
	if got := c.Cluster("d"); got != nil {
		t.Errorf("got %v for a cluster that does not exist", got)
	}
}

// TestCertificateDates checks the warnings whose text has a date in it.
func TestCertificateDates(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca := certgen.NewAuthority("test")
	f := func(name string, from, to time.Duration, want string) {
		t.Helper()
		now := time.Now()
		o := certgen.Options{Names: []string{"a.test"}, NotBefore: now.Add(from), NotAfter: now.Add(to)}
		if _, _, err := ca.WriteFiles(dir, name, o); err != nil {
			t.Fatal(err)
		}
		tls := `tls { 
			certificate { 
				cert_file = "` + name + `.pem" 
				key_file = "` + name + `.key" 
			}
		}
		route`
		c, diags := LoadSource(filepath.Join(dir, "x.hcl"), []byte(strings.Replace(minimal, "route", tls, 1)), Options{})
		var got []string
		for _, d := range diags.All() {
			got = append(got, d.Severity+": "+d.Summary)
		}
		if c == nil || strings.Join(got, ", ") != want {
			t.Errorf("%s: config %v, got %q, want %q", name, c != nil, got, want)
		}
	}
	f("good", -time.Hour, 15*24*time.Hour, "")
	f("soon", -time.Hour, 13*24*time.Hour, "warning: Certificate expires soon")
	f("expired", -2*time.Hour, -time.Hour, "warning: Certificate expired")
	f("future", time.Hour, 90*24*time.Hour, "warning: Certificate not yet good")
}

// TestClientAuthDates is TestCertificateDates for what clients are judged by.
func TestClientAuthDates(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca, other := certgen.NewAuthority("test"), certgen.NewAuthority("other")
	if _, _, err := ca.WriteFiles(dir, "a", certgen.Options{NotAfter: time.Now().AddDate(100, 0, 0)}); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"ca.pem": append(ca.CAPEM(), other.CAPEM()...), "ca.crl": append(ca.CRL(), other.CRL()...),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tls := `tls {
		certificate {
			cert_file = "a.pem"
			key_file = "a.key"
		}
		client_auth {
			ca_file = "ca.pem"
			crl_file = "ca.crl"
		}
	}
	route`
	f := func(name string, after time.Duration, want string) {
		t.Helper()
		l := newLoader(Options{})
		l.now = l.now.Add(after)
		l.parse(filepath.Join(dir, "x.hcl"), []byte(strings.Replace(minimal, "route", tls, 1)))
		c, diags := l.load(Options{})
		var got []string
		for _, d := range diags.All() {
			_, about, _ := strings.Cut(d.Detail, "CA ")
			about, _, _ = strings.Cut(about, " ")
			got = append(got, d.Severity+": "+d.Summary+" "+about)
		}
		if c == nil || strings.Join(got, ", ") != want {
			t.Errorf("%s: config %v, got %q, want %q", name, c != nil, got, want)
		}
	}
	const day = 24 * time.Hour
	f("now", 0, "")
	f("a list that was not replaced", 8*day, `warning: Revocation list out of date "CN=other", warning: Revocation list out of date "CN=test"`)
	f("long after", 30*365*day, `warning: CA expired "CN=other", warning: CA expired "CN=test", `+
		`warning: Revocation list out of date "CN=other", warning: Revocation list out of date "CN=test"`)
	f("before", -60*day, `warning: Certificate not yet good , warning: CA not yet good "CN=other", warning: CA not yet good "CN=test"`)
}

// TestFilesOnce holds that a certificate is read once in a load, so that all
// chains have the same one while it is being replaced.
func TestFilesOnce(t *testing.T) {
	t.Parallel()
	m := newMaterial()
	dir := t.TempDir()
	cert, key, err := certgen.NewAuthority("test").WriteFiles(dir, "a", certgen.Options{})
	if err != nil {
		t.Fatal(err)
	}
	first, err := m.certificate(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(cert); err != nil {
		t.Fatal(err)
	}
	if second, err := m.certificate(cert, key); err != nil || second != first {
		t.Errorf("got %p, %v; want %p again", second, err, first)
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	encode := func(d *Diagnostics) string {
		t.Helper()
		text, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	_, diags := LoadSource("x.hcl", []byte(minimal), Options{})
	if got := encode(diags); got != "[]" {
		t.Errorf("without diagnostics: %s", got)
	}
	_, diags = LoadSource("x.hcl", []byte(strings.Replace(minimal, `":443"`, `"443"`, 1)), Options{})
	want := `[{"severity":"error","summary":"Invalid address","detail":"\"443\" is a port alone: ` +
		`write an address and a port such as \":443\" or \"0.0.0.0:443\".","file":"x.hcl","line":2,"column":13,` +
		`"end_line":2,"end_column":18,"context":"listener \"a\"","snippet":"  address = \"443\""}]`
	if got := encode(diags); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestWriteText(t *testing.T) {
	t.Parallel()
	_, diags := LoadSource("x.hcl", []byte(strings.Replace(minimal, `":443"`, `"443"`, 1)), Options{})
	var buf bytes.Buffer
	if err := diags.WriteText(&buf, 40, true); err != nil {
		t.Fatal(err)
	}
	want := "\x1b[31mError\x1b[0m: Invalid address\n\n" +
		"  on x.hcl line 2, column 13, in listener \"a\":\n" +
		"   2:   address = \x1b[1;4m\"443\"\x1b[0m\n\n" +
		"\"443\" is a port alone: write an address\nand a port such as \":443\" or\n\"0.0.0.0:443\".\n\n"
	if got := buf.String(); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestFormat(t *testing.T) {
	t.Parallel()
	got, diags := Format("x.hcl", []byte("listener \"a\"{\naddress=\":443\"\n}\n"))
	if want := "listener \"a\" {\n  address = \":443\"\n}\n"; string(got) != want || diags.Len() != 0 {
		t.Errorf("got %q, want %q", got, want)
	}
	got, diags = Format("x.hcl", []byte("listener {"))
	if got != nil || !diags.HasErrors() || diags.All()[0].File != "x.hcl" {
		t.Errorf("got %q and no error for broken source", got)
	}
}

// TestSnippet cuts long lines around what they are shown for.
func TestSnippet(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 1000) + "HERE" + strings.Repeat("x", 1000)
	f := func(src string, start, end int, wantMark string, wantMax int) {
		t.Helper()
		line, from, to := snippet([]byte(src), start, end)
		if line[from:to] != wantMark || len(line) > wantMax || strings.ContainsRune(line, '\n') {
			t.Errorf("got %q with %q marked; want %q", line, line[from:to], wantMark)
		}
	}
	f(long, 2000, 2004, "HERE", maxSnippet+6)
	f("a\n"+long+"\nb", 2002, 2006, "HERE", maxSnippet+6)
	f("one\ntwo\nthree", 4, 7, "two", 3)
	f("one\ntwo\nthree", 4, 12, "two", 3) // only the first line of several
	f("one", 3, 3, "", 3)
	f("one\r\ntwo", 0, 3, "one", 3)
	f("", 5, 9, "", 0)
	noText := strings.Repeat("\x80", 1000) // has no place where a character begins
	f(noText, 500, 502, "\x80\x80", maxSnippet+6)
	f(noText, 10, 11, "\x80", maxSnippet+6)
	f(noText, 999, 1000, "\x80", maxSnippet+6)
}
