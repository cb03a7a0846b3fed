package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"go.uber.org/goleak"

	"sluice/config"
)

// runDemo runs the demo once with a configuration, which is demo.hcl after
// some replacements.
func runDemo(t *testing.T, replacements ...string) (string, error) {
	t.Helper()
	source := strings.NewReplacer(replacements...).Replace(string(demoSource))
	if len(replacements) > 0 && source == string(demoSource) {
		t.Fatal("demo.hcl does not have what is to be replaced")
	}
	var out bytes.Buffer
	d := &demo{out: &out, diagnostics: &out, source: []byte(source), once: true}
	err := d.run(t.Context())
	return out.String(), err
}

// These tests set TMPDIR or look at all goroutines, so they are not parallel.
func TestDemoLeavesNothing(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	out, err := runDemo(t)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("files are left: %v, %v", entries, err)
	}
	for line := range strings.Lines(out) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > plainWidth {
			t.Errorf("a line has %d columns: %s", n, line)
		}
	}
	if strings.Contains(out, "\x1b") {
		t.Error("there is colour in what does not go to a terminal")
	}
}

// On a narrow terminal the map is a list, which is not broken into pieces.
func TestDemoOnNarrowTerminal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	backed, err := startBackends(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer backed.close()
	d := &demo{diagnostics: t.Output(), source: demoSource, backed: backed}
	cfg, err := d.load(dir)
	if err != nil {
		t.Fatal(err)
	}
	list := listMap(cfg, "127.0.0.1:12345", "127.0.0.1:23456")
	for line := range strings.Lines(list) {
		if n := utf8.RuneCountInString(line); n > 40 {
			t.Errorf("a line has %d columns: %s", n, line)
		}
	}
	for _, want := range []string{"listener demo, 127.0.0.1:12345\n", "  shop.test: chain shop\n", "    TLS terminated here\n", "    75% to cluster stable\n", "      canary-1 127.0.0.1:", "  any other name: reset\n", "\nadmin, 127.0.0.1:23456\n"} {
		if !strings.Contains(list, want) {
			t.Errorf("no %q in\n%s", want, list)
		}
	}
}

// A gateway that sends connections elsewhere is found out.
func TestDemoSeesWhatGoesElsewhere(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name         string
		replacements []string
		says         string // a regular expression
	}{
		{"another cluster", []string{`cluster = "apps"`, `cluster = "shop"`}, `✗ one.apps.test .* shop `},
		{"another endpoint under the same name", []string{`["apps-1"]`, `["shop-1"]`}, `served by "shop-1" of cluster "apps"`},
		{"another weighted cluster", []string{`"canary" { weight`, `"shop" { weight`}, `✗ www.test .* shop `},
		{"a name that should be refused", []string{`["shop.test"]`, `["shop.test", "nobody.test"]`}, `✗ nobody.test `},
		{"a name that should not", []string{`"*.apps.test"`, `"one.apps.test"`}, `✗ a.b.apps.test `},
		{"refused in another way", []string{`on_no_match = "reset"`, `on_no_match = "close"`}, `expected a reset`},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			out, err := runDemo(t, tc.replacements...)
			if !strings.Contains(errorText(err), "did not go where expected") {
				t.Errorf("the error is %v", err)
			}
			if !regexp.MustCompile(tc.says).MatchString(out) {
				t.Errorf("no %q in\n%s", tc.says, out)
			}
		})
	}
}

func TestDemoInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d := &demo{out: new(bytes.Buffer), diagnostics: new(bytes.Buffer), source: demoSource, once: true}
	if err := d.run(ctx); !strings.Contains(errorText(err), "interrupted") {
		t.Errorf("the error is %v", err)
	}
}

func TestDemoCheck(t *testing.T) {
	t.Parallel()
	passed := expectation{"a.test", 1, "a", "passthrough", map[string][]string{"c": {"c-1", "c-2"}}}
	ended := expectation{"a.test", 1, "a", "terminated", map[string][]string{"c": {"c-1"}}}
	refused := expectation{serverName: "a.test", times: 1}
	good := func(change func(*outcome)) outcome {
		o := outcome{backend: "c-1", certificate: "c-1",
			record: accessRecord{SNI: "a.test", FilterChain: "a", TLS: "passthrough", Cluster: "c", Endpoint: "c-1"}}
		change(&o)
		return o
	}
	reset := &os.SyscallError{Syscall: "read", Err: syscall.ECONNRESET}
	cases := []struct {
		name  string
		e     expectation
		o     outcome
		wrong string // "": nothing
	}{
		{"as it should be", passed, good(func(*outcome) {}), ""},
		{"another chain", passed, good(func(o *outcome) { o.record.FilterChain = "b" }), "filter chain"},
		{"the record of another name", passed, good(func(o *outcome) { o.record.SNI = "b.test" }), "server name"},
		{"another cluster", passed, good(func(o *outcome) { o.record.Cluster = "d" }), "served by"},
		{"another endpoint", passed, good(func(o *outcome) { o.record.Endpoint = "d-1" }), "served by"},
		{"answered by one, recorded as another", passed, good(func(o *outcome) { o.record.Endpoint = "c-2" }), "answer from"},
		{"the certificate of another", passed, good(func(o *outcome) { o.certificate = "c-2" }), "certificate of"},
		{"ended here by mistake", passed, good(func(o *outcome) { o.certificate = gatewayOwner }), "certificate of"},
		{"recorded as ended", passed, good(func(o *outcome) { o.record.TLS = "terminated" }), "tls"},
		{"the client failed", passed, good(func(o *outcome) { o.err = reset }), "client"},
		{"ended", ended, good(func(o *outcome) { o.record.TLS, o.certificate = "terminated", gatewayOwner }), ""},
		{"passed through by mistake", ended, good(func(*outcome) {}), "certificate of"},
		{"refused", refused, outcome{err: reset, record: accessRecord{SNI: "a.test", Flags: "NR"}}, ""},
		{"refused without a reset", refused, outcome{err: errors.New("EOF"), record: accessRecord{SNI: "a.test", Flags: "NR"}}, "a reset"},
		{"not refused", refused, good(func(*outcome) {}), "filter chain"},
		{"refused for another reason", refused, outcome{err: reset, record: accessRecord{SNI: "a.test", Flags: "UF"}}, "flags"},
	}
	for _, tc := range cases {
		got := strings.Join(tc.e.check(tc.o), "; ")
		if (tc.wrong == "") != (got == "") || !strings.Contains(got, tc.wrong) {
			t.Errorf("%s: it says %q, want %q", tc.name, got, tc.wrong)
		}
	}
}

// The records of one source port come in the order of its connections,
// whatever comes between.
func TestRecordsAwait(t *testing.T) {
	t.Parallel()
	r := newRecords()
	text := `{"source":"b","sni":"first"}` + "\n" + `{"source":"b","sni":"second"}` + "\n" + `{"source":"a","sni":"third"}` + "\n"
	if n, err := r.Write([]byte(text)); n != len(text) || err != nil {
		t.Fatal(n, err)
	}
	for _, want := range []struct{ source, sni string }{{"a", "third"}, {"b", "first"}, {"b", "second"}} {
		if got, err := r.await(t.Context(), want.source); err != nil || got.SNI != want.sni {
			t.Errorf("from %s: %q, %v, want %q", want.source, got.SNI, err, want.sni)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.await(ctx, "c"); !errors.Is(err, context.Canceled) {
		t.Errorf("a record that does not come: %v", err)
	}
}

func TestDrawMap(t *testing.T) {
	t.Parallel()
	const source = `
listener "l" {
  address = "127.0.0.1:1"
  filter_chain "first" {
    match { server_names = ["a.test", "b.test"] }
    route {
      weighted_cluster "x" { weight = 1 }
      weighted_cluster "y" { weight = 1 }
      weighted_cluster "z" { weight = 2 }
    }
  }
  filter_chain "second" {
    match { server_names = ["c.test"] }
    route { cluster = "x" }
  }
  on_no_match = "close"
}
cluster "x" {
  endpoint "127.0.0.1:2" { name = "x-1" }
  endpoint "127.0.0.1:3" { name = "x-2" }
}
cluster "y" {
  endpoint "127.0.0.1:4" { name = "y-1" }
}
cluster "z" {
  endpoint "127.0.0.1:5" { name = "z-1" }
}
`
	cfg, diags := config.LoadSource("map.hcl", []byte(source), config.Options{})
	if cfg == nil {
		t.Fatal(diags.All())
	}
	golden := filepath.Join("testdata", "map.txt")
	got := drawMap(cfg, "127.0.0.1:1", "127.0.0.1:9901")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the map is\n%swant\n%s", got, want)
	}
	if painted := paint(true).lines(got); strings.NewReplacer("\x1b[2m", "", "\x1b[0m", "").Replace(painted) != got {
		t.Errorf("colour changes the text:\n%s", painted)
	}
}

func TestShellWord(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"/tmp/sluice-demo-1/ca.pem": "/tmp/sluice-demo-1/ca.pem",
		"/tmp/a b/ca.pem":           "'/tmp/a b/ca.pem'",
		"/tmp/it's/$HOME":           `'/tmp/it'\''s/$HOME'`,
		"~/ca.pem":                  "'~/ca.pem'",
	} {
		if got := shellWord(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
