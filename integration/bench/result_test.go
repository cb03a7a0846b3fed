package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// exampleRow is a judged row with figures of all peers: HAProxy takes 10, nginx
// 20, the baseline 5, the gateway ours in each of five rounds.
func exampleRow(t *testing.T, name string, ours float64) *rowResult {
	t.Helper()
	peers := []*peer{{name: nameSluice}, {name: nameRecord}, {name: nameHAProxy}, {name: nameNginx}, {name: nameBaseline}}
	for _, r := range allRows() {
		if r.name != name {
			continue
		}
		result := newRowResult(&r, peers)
		for i, v := range []float64{ours, ours, 10, 20, 5} {
			for range fewestRounds {
				for _, m := range []metric{metricCPU, metricP50} {
					result.Cells[i].Values[m] = append(result.Cells[i].Values[m], v)
				}
			}
		}
		result.Rounds = fewestRounds
		result.analyse(1)
		return result
	}
	t.Fatalf("no row %s", name)
	return nil
}

const exampleName = "pass-lo/echo-64/c=32"

func TestBestIsTheBetterReference(t *testing.T) {
	t.Parallel()
	r := exampleRow(t, exampleName, 8)
	if r.Best[metricCPU] != nameHAProxy {
		t.Errorf("the best is %q: the baseline is no reference, and HAProxy takes less than nginx", r.Best[metricCPU])
	}
	if i := r.cell(nameSluice).Ratio[metricCPU]; i.Ratio != 0.8 {
		t.Errorf("the gateway's ratio is %v, want 0.8", i)
	}
	if n := len(r.deciding()); n != 3 {
		t.Errorf("%d intervals decide about more rounds, want those of both gateways and the judged one", n)
	}
}

func TestBestWithoutReferences(t *testing.T) {
	t.Parallel()
	r := exampleRow(t, exampleName, 8)
	for _, name := range []string{nameHAProxy, nameNginx} {
		r.cell(name).Values = nil
	}
	r.analyse(1)
	if r.Best[metricCPU] != nameBaseline {
		t.Errorf("the best is %q, want the baseline when there is nothing else", r.Best[metricCPU])
	}
	for _, v := range r.verdicts(1) {
		if v.State != stateUnknown {
			t.Errorf("%s is %s: the baseline was taken for HAProxy and nginx", v.Target, v.State)
		}
	}
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ours     float64
		failures int64
		want     state
	}{
		"less":                 {8, 0, stateHeld},
		"within the tolerance": {10.4, 0, stateHeld},
		"more":                 {10.6, 0, stateMissed},
		"less, with failures":  {8, 1, stateFailing},
	} {
		r := exampleRow(t, exampleName, c.ours)
		r.cell(nameSluice).Failures = c.failures
		got := r.verdicts(1)
		if len(got) != 1 || got[0].State != c.want {
			t.Errorf("%s: %+v, want %s", name, got, c.want)
		}
	}
}

func TestGrowthVerdict(t *testing.T) {
	t.Parallel()
	few := exampleRow(t, "scale/echo-64/c=10", 8)
	for ours, want := range map[float64]state{8: stateHeld, 16: stateMissed} {
		if got := growthVerdict(few, exampleRow(t, "scale/echo-64/c=9000", ours), 1); got.State != want {
			t.Errorf("growth from 8 to %v, the others none: %+v, want %s", ours, got, want)
		}
	}
}

// The three forms of the report must agree on what they say.
func TestReportFiles(t *testing.T) {
	t.Parallel()
	row := exampleRow(t, exampleName, 8)
	row.cell(nameNginx).addFailures(outcome{Failures: 3, FirstFailure: "a|b"})
	row.cell(nameBaseline).Error = "gone\nstack"
	r := &report{LeftOut: leftOut, Missing: []string{"x: not there"}, Rows: []*rowResult{row}}
	p := &peer{name: nameSluice}
	r.addConfigs(p, row.row, []configFile{{"sluice.hcl", strings.Repeat("long ", 2000)}})
	r.addConfigs(p, row.row, []configFile{{"sluice.hcl", "again"}})
	r.skip("some row", "no reason")
	r.finish(1)
	dir := t.TempDir()
	if err := r.writeFiles(dir); err != nil {
		t.Fatal(err)
	}
	markdown := read(t, dir, "report.md")
	for _, want := range []string{exampleName, "0.80 [0.80, 0.80]", "held", "3 FAILURES: a\\|b", "FAILED: gone", "x: not there", "some row: no reason", "bytes more of the same", "pass-lo.svg"} {
		if !strings.Contains(markdown, want) {
			t.Errorf("report.md has no %q:\n%s", want, markdown)
		}
	}
	if strings.Contains(markdown, "again") || strings.Contains(markdown, "stack") {
		t.Errorf("report.md has a second configuration of a kind, or more than a line of an error:\n%s", markdown)
	}
	if svg := read(t, dir, "pass-lo.svg"); !strings.Contains(svg, "<svg") || !strings.Contains(svg, nameHAProxy) {
		t.Errorf("the plot is no SVG with a legend: %.300s", svg)
	}
	var back report
	if err := json.Unmarshal([]byte(read(t, dir, "report.json")), &back); err != nil {
		t.Fatal(err)
	}
	if len(back.Rows) != 1 || back.Rows[0].Cells[0].Ratio[metricCPU].Ratio != 0.8 || back.Verdicts[0].State != stateHeld {
		t.Errorf("report.json reads back as %+v", back)
	}
	var terminal strings.Builder
	r.writeTables(&terminal)
	if !strings.Contains(terminal.String(), "0.80 [0.80, 0.80]") || !strings.Contains(terminal.String(), "left out: x") {
		t.Errorf("on the terminal:\n%s", &terminal)
	}
}

// What a feature costs is told by the gateway without it, and by nobody else.
func TestOverheadIsOfTheGatewayAlone(t *testing.T) {
	t.Parallel()
	rows := overheadRows()
	for i := range rows {
		complete(&rows[i])
	}
	for name, want := range map[string]bool{nameSluice: true, nameRecord: true, namePerSource: true, nameScrape: true, namePage: true, nameHAProxy: false, nameBaseline: false} {
		if rows[0].takesPart(name) != want {
			t.Errorf("%s takes part in %s: %t", name, rows[0].name, !want)
		}
	}
	r := newRowResult(&rows[0], []*peer{{name: nameSluice}, {name: namePerSource}})
	for range fewestRounds {
		r.cell(nameSluice).Values[metricCPU] = append(r.cell(nameSluice).Values[metricCPU], 10)
		r.cell(namePerSource).Values[metricCPU] = append(r.cell(namePerSource).Values[metricCPU], 11)
	}
	r.analyse(1)
	if got := r.cell(namePerSource).Ratio[metricCPU].Ratio; got != 1.1 {
		t.Errorf("the ratio is %v, want 1.1", got)
	}
}

// What looking inside costs by itself needs one gateway, and an ordinary row none
// of those that are looked into.
func TestWhoIsAsked(t *testing.T) {
	t.Parallel()
	for _, r := range allRows() {
		for _, name := range []string{nameSluice, nameScrape, namePage, nameNginxHalfClose} {
			want := r.overhead || name == nameSluice
			switch {
			case name == nameNginxHalfClose:
				want = !r.overhead && r.method == byLoad && r.work == workShort && r.mode != terminated
			case r.method == byAsking:
				want = name == nameScrape
			}
			if r.takesPart(name) != want {
				t.Errorf("%s takes part in %s: %t", name, r.name, !want)
			}
		}
	}
}

// A run that goes on from another has its rows, in the program's order, and its
// verdicts, and measures only what is missing.
func TestResume(t *testing.T) {
	t.Parallel()
	dir, all := t.TempDir(), allRows()
	peers := []peerInfo{{nameSluice, "1"}}
	late := exampleRow(t, "pass-lo/echo-64/c=256", 8)
	first := &report{Peers: peers, Window: fullWindow, Took: 0, Rows: []*rowResult{late}}
	first.finish(1)
	if err := first.writeFiles(dir); err != nil {
		t.Fatal(err)
	}
	second := &report{Peers: peers, Window: fullWindow}
	if err := second.resume(dir, all); err != nil {
		t.Fatal(err)
	}
	rows := second.missing(allRows())
	if len(rows) != len(all)-1 {
		t.Errorf("%d rows are missing of %d", len(rows), len(all))
	}
	second.Rows = append(second.Rows, exampleRow(t, exampleName, 8))
	second.sort(all)
	second.finish(1)
	if second.Rows[0].Name != exampleName || len(second.Verdicts) != 2 || second.Verdicts[1].State != stateHeld {
		t.Errorf("rows %s, %s; verdicts %+v", second.Rows[0].Name, second.Rows[1].Name, second.Verdicts)
	}
	for what, other := range map[string]*report{
		"peers":   {Peers: []peerInfo{{nameSluice, "2"}}, Window: fullWindow},
		"windows": {Peers: peers, Window: quickWindow},
	} {
		if err := other.resume(dir, all); err == nil || !strings.Contains(err.Error(), "other "+what) {
			t.Errorf("going on with other %s: %v", what, err)
		}
	}
	if err := (&report{}).resume(t.TempDir(), all); err != nil {
		t.Errorf("nothing to go on from: %v", err)
	}
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestBar(t *testing.T) {
	t.Parallel()
	for done, want := range map[int]int{0: 0, 5: barWidth / 2, 10: barWidth} {
		if got := strings.Count(bar(done, 10), "#"); got != want {
			t.Errorf("bar(%d, 10) has %d marks, want %d", done, got, want)
		}
	}
}
