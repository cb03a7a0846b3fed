package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A file that is no dump is told apart from one that is damaged, with its line.
func TestDumpErrors(t *testing.T) {
	t.Parallel()
	good, err := os.ReadFile(dumpFile)
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct{ name, text, says string }{
		{"empty", "", "dump.json is empty: a dump is what \"sluice proxy-config all -o json\" prints"},
		{"YAML", "server:\n  version: 1\n", "dump.json:1:1: this is not JSON (invalid character 's'"},
		{"a table", pc(t, "all", "-f", dumpFile), "dump.json:1:1: this is not JSON"},
		{"cut off", string(good[:len(good)/2]), "this is not JSON (unexpected end of JSON input)"},
		{"a comma too many", "{\n  \"server\": {},\n  \"listeners\": [],\n}", "dump.json:4:1: this is not JSON"},
		{"two dumps", string(good) + string(good), "after top-level value"},
		{"another command's output", pc(t, "listener", "-f", dumpFile, "-o", "json"), "dump.json:1:1: this is no dump, but the JSON of something else"},
		{"Envoy's", `{"configs": []}`, `there is no "server" in it`},
		{"a field of another type", strings.Replace(string(good), `"pid": 4242`, `"pid": "4242"`, 1), "dump.json:5:17: server.pid is a string, which is not what this sluice ((devel)) has there"},
		{"a field more", strings.Replace(string(good), `"pid": 4242`, `"pod": "x", "pid": 4242`, 1), ""},
	}
	for _, tc := range cases {
		path := filepath.Join(t.TempDir(), "dump.json")
		if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
			t.Fatal(err)
		}
		code, _, stderr := runSluice("pc", "cluster", "-f", path)
		if code != exitFailed && tc.says != "" || !strings.Contains(stderr, tc.says) || tc.says == "" && code != exitDone {
			t.Errorf("%s: exit code %d, %swant %q", tc.name, code, stderr, tc.says)
		}
	}
	if code, _, stderr := runSluice("pc", "cluster", "-f", "nonexistent"); code != exitFailed || !strings.Contains(stderr, "reading the dump: open nonexistent") {
		t.Errorf("a file that is not there: exit code %d, %s", code, stderr)
	}
}

func TestDumpFromStdin(t *testing.T) {
	t.Parallel()
	f, err := os.Open(dumpFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out, diagnostics bytes.Buffer
	code := sluice([]string{"pc", "route", "-f", "-"}, f, &out, &diagnostics)
	if code != exitDone || out.String() != pc(t, "route", "-f", dumpFile) {
		t.Errorf("exit code %d, %s\n%s", code, diagnostics.String(), out.String())
	}
}

func TestProxyConfigMisuse(t *testing.T) {
	t.Parallel()
	for args, says := range map[string]string{
		"pc listner":                           `unknown command "listner", did you mean "listener"?`,
		"pc listener x":                        `there is no use for the argument "x"`,
		"pc listener -o text":                  "it is one of table, short, wide, json, yaml",
		"pc listener --port https":             "a port is a number",
		"pc listener --type http":              "it is one of passthrough, terminated",
		"pc endpoint --status bad":             "it is one of healthy, unhealthy, unchecked, drain, maint, ejected",
		"pc log --level loud":                  "it is one of trace, debug, info, warn, error",
		"pc log -f x":                          "-f is of no use here: a dump has no log",
		"pc connection --watch -f x":           "-f is of no use here: a dump does not change",
		"pc connection --source here":          "write an address (192.0.2.1)",
		"pc connection --limit -1":             "write a number, or 0 for no limit",
		"pc listener -f x --admin localhost:1": "-f and --admin exclude each other",
		"pc listener --admin localhost":        "write host:port, https://host:port or unix:/path",
		"kill":                                 "the ID of a connection is missing",
		"kill x":                               `"x" is not the ID of a connection`,
		"kill 0":                               `"0" is not the ID of a connection`,
		"drain now":                            `there is no use for the argument "now"`,
	} {
		code, stdout, stderr := runSluice(strings.Fields(args)...)
		if code != exitMisuse || stdout != "" || !strings.Contains(stderr, says) {
			t.Errorf("%s: exit code %d, stdout %q, stderr\n%swant %q", args, code, stdout, stderr, says)
		}
	}
	if code, stdout, _ := runSluice("pc"); code != exitDone || !strings.Contains(stdout, "The way of a connection:") {
		t.Errorf("pc alone: exit code %d, %s", code, stdout)
	}
}

// The shell completes names that the gateway has.
func TestProxyConfigCompletion(t *testing.T) {
	t.Parallel()
	admin := startFakeAdmin(t)
	for args, want := range map[string]string{
		"listener --chain":      "api-partners",
		"connection --listener": "database",
		"endpoint --cluster":    "billing",
		"route --name":          "v2-apps",
		"cluster --name":        "api-canary",
		"endpoint --status":     "ejected",
		"listener -o":           "yaml",
	} {
		for _, from := range [][]string{{"--admin", admin.address}, {"-f", dumpFile}} {
			line := append([]string{"__completeNoDesc", "pc"}, from...)
			code, stdout, stderr := runSluice(append(append(line, strings.Fields(args)...), "")...)
			if code != exitDone || !strings.Contains("\n"+stdout, "\n"+want+"\n") {
				t.Errorf("%v %s: exit code %d, no %s in\n%s%s", from, args, code, want, stdout, stderr)
			}
		}
	}
	// Where there is no gateway, there are no names, and no error on the screen.
	code, stdout, stderr := runSluice("__completeNoDesc", "pc", "--admin", freeAddress(t), "endpoint", "--cluster", "")
	if code != exitDone || stdout != ":4\n" {
		t.Errorf("without a gateway: exit code %d, %s%s", code, stdout, stderr)
	}
}
