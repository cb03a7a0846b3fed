package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"sluice/tlsutil/certgen"
)

// vocabulary is what a gateway that has something of everything exports: by name
// of a series, its labels with the values that they have.
type vocabulary map[string]map[string][]string

// metricsOfGateway starts a gateway and scrapes it, at both addresses.
func metricsOfGateway(t *testing.T) (string, vocabulary) {
	t.Helper()
	cert, key := newAuthority(t, "metrics").files("metrics", certgen.Options{Names: []string{"term.test"}})
	p := startSluice(t, fmt.Sprintf(`
admin { address = "127.0.0.1:0" }
metrics { address = "127.0.0.1:0" }
listener "terminated" {
  address = "127.0.0.1:0"
  filter_chain "term" {
    match { server_names = ["term.test"] }
    tls {
      certificate {
        cert_file = %q
        key_file  = %q
      }
      client_auth { ca_file = %q }
    }
    route { cluster = "one" }
  }
}
`, cert, key, cert)+plainGateway("127.0.0.1:0", echoBackend(t)), withAdmin())
	exchange(t, dial(t, p.address("tcp")), "counted")
	a := administer(t, p, "")
	code, scraped := a.ask("GET", "/stats/prometheus")
	if code != 200 || !strings.Contains(scraped, "\nsluice_listener_connections_total{listener=\"tcp\"} 1\n") {
		t.Fatalf("the admin server answers a scrape with %d %s", code, scraped)
	}
	a.base = "http://" + text(p.waitLog(`"the metrics server listens"`), "address")
	if code, scraped = a.ask("GET", "/metrics"); code != 200 {
		t.Fatalf("the metrics address answers with %d %s", code, scraped)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(scraped))
	if err != nil {
		t.Fatal(err)
	}
	v := vocabulary{"up": {}}
	for name, f := range families {
		names, labels := []string{name}, map[string][]string{}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = append(labels[l.GetName()], l.GetValue())
			}
			switch {
			case m.GetHistogram() != nil:
				names, labels["le"] = []string{name + "_bucket", name + "_sum", name + "_count"}, nil
			case m.GetSummary() != nil:
				names = []string{name + "_sum", name + "_count"}
			}
		}
		for _, n := range names {
			v[n] = labels
		}
	}
	return scraped, v
}

// holds reports what an expression goes by and there is not, and gives the labels
// that its series may have.
func (v vocabulary) holds(t *testing.T, where, expr string) []string {
	t.Helper()
	labels, problems := v.check(expr)
	for _, p := range problems {
		t.Errorf("%s: %s", where, p)
	}
	return labels
}

// TestPromtoolLikesTheMetrics: what is scraped from the program is as Prometheus'
// own tool wants it.
func TestPromtoolLikesTheMetrics(t *testing.T) {
	t.Parallel()
	needTool(t, "promtool")
	scraped, _ := metricsOfGateway(t)
	if out, err := run(t, scraped, "promtool", "check", "metrics"); err != nil || out != "" {
		t.Errorf("%v: %s", err, out)
	}
}

// alertRules is a file of rules, as far as it is looked at.
type alertRules struct {
	Groups []struct {
		Name  string
		Rules []struct {
			Alert, Expr         string
			Labels, Annotations map[string]string
		}
	}
}

// TestAlertRules: they go by metrics, labels and words that there are, and say
// what to do.
func TestAlertRules(t *testing.T) {
	t.Parallel()
	_, known := metricsOfGateway(t)
	file, err := os.ReadFile("deploy/rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	var rules alertRules
	if err := yaml.Unmarshal(file, &rules); err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			if r.Alert == "" || seen[r.Alert] {
				t.Errorf("an alert without a name of its own: %q", r.Alert)
			}
			seen[r.Alert] = true
			if s := r.Labels["severity"]; s != "critical" && s != "warning" {
				t.Errorf("%s has the severity %q", r.Alert, s)
			}
			if len(r.Annotations["runbook"]) < 40 || r.Annotations["summary"] == "" {
				t.Errorf("%s does not say what it is and what to do", r.Alert)
			}
			labels := known.holds(t, r.Alert, r.Expr)
			for _, m := range regexp.MustCompile(`\$labels\.(\w+)`).FindAllStringSubmatch(r.Annotations["summary"], -1) {
				if !slices.Contains(labels, m[1]) {
					t.Errorf("%s speaks of the label %s, which its series do not have", r.Alert, m[1])
				}
			}
		}
	}
	if len(seen) < 15 {
		t.Errorf("%d alerts were found", len(seen))
	}
	needTool(t, "promtool")
	for _, args := range [][]string{{"check", "rules", "deploy/rules.yml"}, {"test", "rules", "deploy/rules_test.yml"}} {
		if out, err := run(t, "", "promtool", args...); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
}

// grafanaDashboard is Grafana's model, as far as it is looked at.
type grafanaDashboard struct {
	Panels []struct {
		ID                       int
		Type, Title, Description string
		GridPos                  struct{ X, Y, W, H int }
		Targets                  []struct{ RefID, Expr, LegendFormat string }
	}
	Templating struct {
		List []struct{ Name, Type, Definition string }
	}
	Annotations struct{ List []struct{ Expr string } }
}

// TestGrafanaDashboard: every expression goes by metrics, labels and words that there
// are, and the panels have their places.
func TestGrafanaDashboard(t *testing.T) {
	t.Parallel()
	_, known := metricsOfGateway(t)
	file, err := os.ReadFile("deploy/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var d grafanaDashboard
	if err := json.Unmarshal(file, &d); err != nil {
		t.Fatal(err)
	}
	variables := []string{"__rate_interval", "datasource"}
	var all []string // expressions, for promtool
	for _, v := range d.Templating.List {
		variables = append(variables, v.Name)
		if query := regexp.MustCompile(`^label_values\((.*), (\w+)\)$`).FindStringSubmatch(v.Definition); query != nil {
			all = append(all, query[1])
			if labels := known.holds(t, "variable "+v.Name, query[1]); !slices.Contains(labels, query[2]) {
				t.Errorf("variable %s is of the label %s, which there is not", v.Name, query[2])
			}
		} else if v.Type == "query" {
			t.Errorf("variable %s: what is %q?", v.Name, v.Definition)
		}
	}
	for _, a := range d.Annotations.List {
		all = append(all, a.Expr)
		known.holds(t, "annotation", a.Expr)
	}
	taken, ids, rows := make(map[[2]int]string), make(map[int]bool), []string{}
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("panel %q has the id %d of another", p.Title, p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if taken[[2]int{x, y}] != "" || x >= 24 {
					t.Fatalf("panel %q lies on %q", p.Title, taken[[2]int{x, y}])
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			rows = append(rows, p.Title)
			continue
		}
		if p.Description == "" || len(p.Targets) == 0 {
			t.Errorf("panel %q shows nothing, or does not say what", p.Title)
		}
		for _, target := range p.Targets {
			all = append(all, target.Expr)
			labels := known.holds(t, p.Title, target.Expr)
			for _, m := range regexp.MustCompile(`{{(\w+)}}`).FindAllStringSubmatch(target.LegendFormat, -1) {
				if !slices.Contains(labels, m[1]) {
					t.Errorf("the legend of panel %q has the label %s, which its series do not have", p.Title, m[1])
				}
			}
		}
	}
	if want := []string{"Overview", "Listeners", "Terminations by reason", "TLS", "Limits", "Clusters", "Endpoints", "Process"}; !slices.Equal(rows, want) {
		t.Errorf("the rows are %q, want %q", rows, want)
	}
	for _, m := range regexp.MustCompile(`\$\{?(\w+)`).FindAllStringSubmatch(string(file), -1) {
		if !slices.Contains(variables, m[1]) && m[1] != "__all" {
			t.Errorf("there is no variable $%s", m[1])
		}
	}
	needTool(t, "promtool")
	checkExpressions(t, all)
}

// checkExpressions has promtool parse PromQL.
func checkExpressions(t *testing.T, all []string) {
	t.Helper()
	var rules strings.Builder
	rules.WriteString("groups:\n- name: dashboard\n  rules:\n")
	for i, expr := range all {
		expr = strings.ReplaceAll(expr, "$__rate_interval", "5m")
		fmt.Fprintf(&rules, "  - record: dashboard:panel_%d\n    expr: %s\n", i, asJSON(expr)) // JSON is YAML
	}
	file := filepath.Join(t.TempDir(), "dashboard.yml")
	if err := os.WriteFile(file, []byte(rules.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, "", "promtool", "check", "rules", file); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
