package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestWholeProgram runs the program as make bench-quick does, with the gateway
// of this checkout and the baseline, for which nothing need be installed.
func TestWholeProgram(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	binary := filepath.Join(dir, "bench")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	cmd := exec.Command(binary, "-quick", "-rounds", "1", "-window", "200ms", "-haproxy=", "-nginx=",
		"-rows", `^pass-lo/(echo-64|short)/c=32$`, "-out", filepath.Join(dir, "out"))
	cmd.WaitDelay = time.Minute
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(dir, "out", "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Rows) != 2 || len(r.Missing) != 2 {
		t.Fatalf("%d rows and %d missing peers, want 2 and 2:\n%s", len(r.Rows), len(r.Missing), out)
	}
	for _, row := range r.Rows {
		for _, name := range []string{nameSluice, nameRecord, nameBaseline} {
			c := row.cell(name)
			if c == nil || c.note() != "" || c.Summary[metricCPU].Median <= 0 || c.Ratio[metricCPU].Ratio <= 0 {
				t.Errorf("%s of %s: %+v", name, row.Name, c)
			}
		}
	}
	for _, name := range []string{"report.md", "pass-lo.svg"} {
		if _, err := os.Stat(filepath.Join(dir, "out", name)); err != nil {
			t.Error(err)
		}
	}
	if !strings.Contains(string(out), "left out: haproxy: not wanted") {
		t.Errorf("nothing is said of the missing peer:\n%s", out)
	}
}

// TestOverheadOfLookingInside measures once what asking a gateway costs.
func TestOverheadOfLookingInside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	binary := filepath.Join(dir, "bench")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	cmd := exec.Command(binary, "-rounds", "1", "-window", "200ms", "-haproxy=", "-nginx=", "-rows", `^overhead/(echo|idle)`, "-out", dir)
	cmd.WaitDelay = time.Minute
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(dir, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Rows) != 2 {
		t.Fatalf("%d rows, want 2:\n%s", len(r.Rows), out)
	}
	for _, name := range []string{nameScrape, namePage} {
		if c := r.Rows[0].cell(name); c == nil || c.note() != "" || c.Ratio[metricCPU].Ratio <= 0 {
			t.Errorf("%s of %s: %+v", name, r.Rows[0].Name, c)
		}
	}
	c := r.Rows[1].cell(nameScrape)
	if c == nil || c.note() != "" || c.Summary[metricScrape].Median <= 0 || c.Summary[metricPage].Median <= 0 || len(c.Values[metricWatch]) != 1 {
		t.Errorf("%s of %s: %+v\n%s", nameScrape, r.Rows[1].Name, c, out)
	}
}
