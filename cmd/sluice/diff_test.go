package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/proxy/status"
)

// What a reload of a real gateway would do is told beforehand, and a reload then
// does just that.
func TestDiffOfRealGateway(t *testing.T) {
	t.Parallel()
	g := startRealGateway(t)
	g.connect(t, "unix:"+filepath.Join(g.dir, "db.sock"), "first", plain)
	config := filepath.Join(g.dir, "twelve.hcl")
	do := func(args ...string) string {
		t.Helper()
		code, stdout, stderr := runSluice(append(args, "-c", config, "--admin", g.admin())...)
		if code != exitDone {
			t.Fatalf("%v: exit code %d\n%s%s", args, code, stdout, stderr)
		}
		return stdout
	}
	if out := do("diff"); out != "no differences\n" {
		t.Errorf("the configuration that runs: %s", out)
	}
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), `filter_chain "db" {`, "filter_chain \"db\" {\n    access { deny = [\"192.0.2.1/32\"] }\n    on_change = \"close\"\n", 1)
	changed += fmt.Sprintf("\nlistener \"more\" {\n  address = \"127.0.0.1:0\"\n  default_filter_chain {\n    route { cluster = \"more\" }\n  }\n}\ncluster \"more\" { endpoints = [\"127.0.0.1:%d\"] }\n", g.ports["echo"])
	if err := os.WriteFile(config, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	out := do("diff")
	for _, want := range []string{
		"CHANGE", "changed     filter_chain     database db", "1               are closed", "twelve.hcl:132",
		"added       listener", "added       filter_chain     more default_filter_chain", "added       cluster",
		"would listen on 127.0.0.1:0\n", "1 connection would leave\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	var d status.Diff
	if err := json.Unmarshal([]byte(do("diff", "-o", "json")), &d); err != nil || d.Leaving != 1 || len(d.Changes) != 4 || len(d.Opened) != 1 {
		t.Errorf("%v: %+v", err, d)
	}
	if said := do("reload"); !strings.Contains(said, "1 connection leaving") || !strings.Contains(said, "opened 127.0.0.1:") {
		t.Errorf("the reload says %s", said)
	}
	if _, err := g.conns[0].Read(make([]byte, 1)); err == nil {
		t.Error("the connection of the changed chain goes on")
	}
	if out := do("diff"); out != "no differences\n" {
		t.Errorf("after the reload: %s", out)
	}
}
