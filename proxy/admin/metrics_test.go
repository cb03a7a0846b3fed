package admin

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"sluice/proxy"
	"sluice/proxy/status"
)

var updateGolden = flag.Bool("update", false, "rewrite what is expected")

// scrape asks the handler and gives the text.
func scrape(t testing.TB, h http.Handler) string {
	t.Helper()
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	if answer.Code != http.StatusOK {
		t.Fatalf("a scrape gives %d %s", answer.Code, answer.Body)
	}
	return answer.Body.String()
}

// parsed reads the text as Prometheus' own library does, and fails where that
// finds a fault, or where there is a series twice.
func parsed(t testing.TB, text string) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for line := range strings.Lines(text) {
		series := line[:strings.LastIndexByte(line, ' ')]
		if seen[series] {
			t.Errorf("twice: %s", series)
		}
		seen[series] = true
	}
	return families
}

// value gives the value of a series that is written as in the text format.
func value(t testing.TB, text, series string) string {
	t.Helper()
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(v)
		}
	}
	return "missing"
}

// TestFreshGateway: what there is from the start, of one listener and one cluster,
// is what is written in testdata. Each word that a label can have is there and
// counts 0, so that the first event is an increase.
func TestFreshGateway(t *testing.T) {
	t.Parallel()
	varies := []string{"sluice_workers", "sluice_connections_limit", "sluice_config_last_reload_timestamp_seconds", "sluice_certificate_not_after_timestamp_seconds"}
	var got strings.Builder
	for line := range strings.Lines(scrape(t, NewMetrics(startGateway(t, everything(t, t.TempDir(), "127.0.0.1:1"))))) {
		name, _, _ := strings.Cut(strings.TrimLeft(strings.TrimPrefix(strings.TrimPrefix(line, "# HELP"), "# TYPE"), " "), " ")
		name, _, _ = strings.Cut(name, "{")
		if !strings.HasPrefix(name, "sluice_") || otherThan(line, "listener", "edge") || otherThan(line, "cluster", "a") {
			continue
		}
		series, number, _ := strings.Cut(line, "} ")
		if number == "" {
			series, number, _ = strings.Cut(line, " ")
		}
		switch {
		case strings.HasPrefix(line, "#"):
		case slices.Contains(varies, name):
			line = strings.Replace(line, " "+number, " (varies)\n", 1)
		case strings.HasSuffix(name, "_total") && number != "0\n":
			t.Errorf("%s is %s before anything has happened", series, number)
		}
		got.WriteString(line)
	}
	const file = "testdata/fresh.metrics"
	if *updateGolden {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.SplitAfter(string(want), "\n"), strings.SplitAfter(got.String(), "\n")); diff != "" {
		t.Errorf("the metrics are not as in %s (rewrite it with -update, and read the difference):\n%s", file, diff)
	}
}

// otherThan tells whether a line has the label with another value.
func otherThan(line, label, value string) bool {
	return !strings.HasPrefix(line, "#") && strings.Contains(line, label+"=") && !strings.Contains(line, fmt.Sprintf("%s=%q", label, value))
}

// TestNumberOfSeries: a configuration makes as many as doc.go says.
func TestNumberOfSeries(t *testing.T) {
	t.Parallel()
	counted := make(map[string]int)
	for line := range strings.Lines(scrape(t, NewMetrics(startGateway(t, everything(t, t.TempDir(), "127.0.0.1:1"))))) {
		if !strings.HasPrefix(line, "sluice_") {
			continue
		}
		has := func(label, value string) bool { return strings.Contains(line, fmt.Sprintf("%s=%q", label, value)) }
		switch {
		case has("filter_chain", "terminated") && has("cluster", "a"):
			counted["of a route"]++
		case has("filter_chain", "terminated"):
			counted["of a filter chain"]++
		case has("endpoint", "one") && has("cluster", "a"):
			counted["of an endpoint"]++
		case has("cluster", "a") && !strings.Contains(line, "endpoint=") && !strings.Contains(line, "filter_chain="):
			counted["of a cluster"]++
		case has("listener", "edge") && !strings.Contains(line, "filter_chain="):
			counted["of a listener"]++
		case has("secret", "edge/terminated"):
			counted["of a use"]++
		case !strings.Contains(line, "listener=") && !strings.Contains(line, "cluster="):
			counted["of the gateway"]++
		}
	}
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	for what, n := range counted {
		if said := fmt.Sprintf("//\t%-4d %s", n, what); !strings.Contains(string(doc), said) {
			t.Errorf("doc.go does not say %q", said)
		}
	}
	if len(counted) != 7 {
		t.Errorf("only %v", counted)
	}
}

// TestWordsFromTheStart: the words that alert rules and people go by, each at 0.
// The golden file has them all; here are those that must never be lost with it.
func TestWordsFromTheStart(t *testing.T) {
	t.Parallel()
	text := scrape(t, NewMetrics(startGateway(t, everything(t, t.TempDir(), "127.0.0.1:1"))))
	for metric, words := range map[string]string{
		`sluice_listener_hellos_total{listener="edge",outcome=%q}`: "tls not_tls no_sni malformed too_large timeout ech_outer",
		`sluice_listener_terminations_total{listener="edge",reason=%q,side="gateway"}`: "finished reset timed_out closed_before_hello hello_timeout malformed_hello hello_too_large " +
			"no_filter_chain_match handshake_timeout tls_handshake_failed tls_error no_endpoint no_healthy_endpoint cluster_overflow queue_timeout closed_in_queue connect_failed " +
			"out_of_resources descriptor_limit process_limit listener_limit accept_rate access_denied source_connections source_rate idle_timeout half_close_timeout max_duration " +
			"drain endpoint_unhealthy endpoint_removed config_changed shutdown killed proxy_header_untrusted proxy_header_required proxy_header_malformed proxy_header_timeout",
		`sluice_listener_terminations_total{listener="edge",reason="finished",side=%q}`: "gateway downstream upstream",
		`sluice_listener_refusals_total{listener="edge",reason=%q}`:                     "descriptor_limit process_limit listener_limit accept_rate access_denied source_connections source_rate cluster_overflow queue_timeout",
		`sluice_cluster_connect_failures_total{cluster="a",reason=%q}`:                  "other refused timeout reset unreachable no_such_socket source_unavailable source_family tls_server_name tls_certificate tls_handshake",
		`sluice_cluster_replays_total{cluster="a",reason=%q}`:                           "early_reset early_close",
		`sluice_endpoint_out_of_service{cluster="a",endpoint="one",reason=%q}`:          "unhealthy ejected drain maint",
		`sluice_state{state=%q}`: "starting draining",
	} {
		for word := range strings.FieldsSeq(words) {
			if series := fmt.Sprintf(metric, word); value(t, text, series) != "0" {
				t.Errorf("%s is %s", series, value(t, text, series))
			}
		}
	}
	for _, series := range []string{`sluice_state{state="running"}`, `sluice_build_info{version="v9"}`, "sluice_config_last_reload_successful"} {
		if value(t, text, series) != "1" {
			t.Errorf("%s is %s", series, value(t, text, series))
		}
	}
}

// TestLint holds all metrics to Prometheus' rules for names, units and types.
func TestLint(t *testing.T) {
	t.Parallel()
	text := scrape(t, NewMetrics(busyGateway(t)))
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	if !strings.Contains(text, "\ngo_goroutines ") || !strings.Contains(text, "\nprocess_open_fds ") {
		t.Error("the metrics of the process and of the runtime are not there")
	}
	for _, f := range parsed(t, text) {
		if strings.HasPrefix(f.GetName(), "sluice_") && len(f.GetHelp()) < 25 {
			t.Errorf("%s says nothing of what it is for: %q", f.GetName(), f.GetHelp())
		}
	}
}

// TestLabels: nothing that clients send becomes a label, whatever they send; and
// there are no other labels than these.
func TestLabels(t *testing.T) {
	t.Parallel()
	g := busyGateway(t)
	ours := strings.Fields("listener filter_chain cluster endpoint reason side outcome secret type state version")
	known := []string{"edge", "raw", "impatient", "one", "two", "default", "passed", "terminated", "dead", "full", "silent", "plain", "a", "b", "edge/terminated", "certificate", "ca", "v9", "127.0.0.1:1", "127.0.0.1:2"}
	text := scrape(t, NewMetrics(g))
	for name, f := range parsed(t, text) {
		if !strings.HasPrefix(name, "sluice_") {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if !slices.Contains(ours, l.GetName()) {
					t.Errorf("%s has a label %s", name, l.GetName())
				}
				named := slices.Contains(strings.Fields("listener filter_chain cluster endpoint secret type version"), l.GetName())
				if v := l.GetValue(); named && !slices.Contains(known, v) {
					t.Errorf("%s has %s=%q, which is not in the configuration", name, l.GetName(), v)
				}
			}
		}
	}
	for _, theirs := range append(strings.Fields(clientMarks), clientSource) {
		if strings.Contains(text, theirs) {
			t.Errorf("%q comes from a client and is in the output", theirs)
		}
	}
}

// TestWhatHappenedIsCounted compares the output with the counters, and with what
// clients of the busy gateway have done.
func TestWhatHappenedIsCounted(t *testing.T) {
	t.Parallel()
	g := busyGateway(t)
	text := scrape(t, NewMetrics(g))
	c := g.Counters()
	edge := c.Listeners[0]
	for series, want := range map[string]uint64{
		`sluice_connections_accepted_total`:                                                           c.Process.Accepted,
		`sluice_copied_bytes_total`:                                                                   c.Process.BytesCopied,
		`sluice_listener_connections_total{listener="edge"}`:                                          edge.Traffic.Connections,
		`sluice_listener_received_bytes_total{listener="edge"}`:                                       edge.Traffic.BytesReceived,
		`sluice_listener_sent_bytes_total{listener="edge"}`:                                           edge.Traffic.BytesSent,
		`sluice_listener_no_match_total{listener="edge"}`:                                             1,
		`sluice_listener_hellos_total{listener="impatient",outcome="timeout"}`:                        1,
		`sluice_listener_hellos_total{listener="edge",outcome="malformed"}`:                           1,
		`sluice_listener_refusals_total{listener="edge",reason="access_denied"}`:                      1,
		`sluice_listener_refusals_total{listener="edge",reason="cluster_overflow"}`:                   1,
		`sluice_listener_terminations_total{listener="edge",reason="reset",side="downstream"}`:        1,
		`sluice_listener_terminations_total{listener="edge",reason="connect_failed",side="upstream"}`: 1,
		`sluice_listener_tls_handshake_seconds_count{listener="edge"}`:                                1,
		`sluice_listener_tls_handshake_seconds_bucket{listener="edge",le="+Inf"}`:                     1,
		`sluice_filter_chain_connections_total{listener="edge",filter_chain="terminated"}`:            1,
		`sluice_route_connections_total{listener="edge",filter_chain="terminated",cluster="a"}`:       1,
		`sluice_cluster_overflows_total{cluster="full"}`:                                              1,
		`sluice_cluster_ejections_total{cluster="dead"}`:                                              1,
		`sluice_endpoint_out_of_service{cluster="dead",endpoint="127.0.0.1:1",reason="ejected"}`:      1,
		`sluice_endpoint_out_of_service{cluster="b",endpoint="two",reason="drain"}`:                   1,
		`sluice_endpoint_serving{cluster="b",endpoint="two"}`:                                         0,
		`sluice_cluster_endpoints_serving{cluster="b"}`:                                               0,
		`sluice_cluster_endpoints{cluster="b"}`:                                                       1,
		`sluice_endpoint_connect_failures_total{cluster="dead",endpoint="127.0.0.1:1"}`:               1,
		`sluice_cluster_connect_failures_total{cluster="dead",reason="refused"}`:                      1,
		`sluice_cluster_connect_seconds_count{cluster="a"}`:                                           c.Clusters[0].Connect.Count,
	} {
		if got := value(t, text, series); got != fmt.Sprint(want) {
			t.Errorf("%s is %s, want %d", series, got, want)
		}
	}
}

// TestGoneIsGone: what a reload takes away is not in the output any more, and
// what stays counts on.
func TestGoneIsGone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	g := busyGateway(t)
	h := NewMetrics(g)
	const series = `sluice_listener_no_match_total{listener="edge"}`
	before := scrape(t, h)
	if value(t, before, series) != "1" || !strings.Contains(before, `listener="raw"`) || !strings.Contains(before, `endpoint="two"`) {
		t.Fatalf("the gateway has not done what it should have:\n%s", before)
	}
	hcl := everything(t, dir, "127.0.0.1:1")
	hcl, _, _ = strings.Cut(hcl, "# the rest goes")
	hcl = strings.ReplaceAll(hcl, `endpoint "127.0.0.1:3" { name = "two" }`, `endpoint "127.0.0.1:4" { name = "three" }`)
	if _, err := g.Apply(loaded(t, hcl)); err != nil {
		t.Fatal(err)
	}
	after := scrape(t, h)
	if value(t, after, series) != "1" {
		t.Errorf("%s is %s", series, value(t, after, series))
	}
	for _, gone := range []string{`listener="raw"`, `endpoint="two"`, `cluster="plain"`} {
		if strings.Contains(after, gone) {
			t.Errorf("%s is still there", gone)
		}
	}
	if !strings.Contains(after, `endpoint="three"`) {
		t.Error("the new endpoint is not there")
	}
}

// TestReloadMetrics: how the last reload went, and when.
func TestReloadMetrics(t *testing.T) {
	t.Parallel()
	fake := newFakeCounted()
	fake.server.Configuration = status.Configuration{Loaded: time.Unix(1_700_000_000, 500_000_000), Reloads: 3, LastReload: "sluice.hcl:3: Unknown cluster"}
	text := scrape(t, NewMetrics(fake))
	for series, want := range map[string]string{
		"sluice_config_reloads_total": "3", "sluice_config_last_reload_successful": "0", "sluice_config_last_reload_timestamp_seconds": "1.7000000005e+09",
	} {
		if got := value(t, text, series); got != want {
			t.Errorf("%s is %s, want %s", series, got, want)
		}
	}
}

// TestFailedReload: a gateway that could not take a configuration over says so
// until it has taken one.
func TestFailedReload(t *testing.T) {
	t.Parallel()
	hcl := everything(t, t.TempDir(), "127.0.0.1:1")
	g := startGateway(t, hcl)
	h := NewMetrics(g)
	successful := func(want string) {
		t.Helper()
		if got := value(t, scrape(t, h), "sluice_config_last_reload_successful"); got != want {
			t.Errorf("the last reload was successful: %s, want %s", got, want)
		}
	}
	successful("1")
	g.NotReloaded(errors.New("sluice.hcl:3: Unknown cluster"))
	successful("0")
	if _, err := g.Apply(loaded(t, hcl)); err != nil {
		t.Fatal(err)
	}
	successful("1")
	if got := value(t, scrape(t, h), "sluice_config_reloads_total"); got != "1" {
		t.Errorf("%s reloads", got)
	}
}

// TestEarliestEnds: a use of certificates is one series, whose value is the end
// of the first of them.
func TestEarliestEnds(t *testing.T) {
	t.Parallel()
	at := func(second int64) time.Time { return time.Unix(second, 0) }
	list := earliestEnds([]status.Secret{
		{Name: "l/c", Type: "Cert Chain", NotAfter: at(30)}, {Name: "l/c", Type: "Cert Chain", NotAfter: at(20)}, {Name: "l/c", Type: "Cert Chain", NotAfter: at(40)},
		{Name: "l/c", Type: "CA", NotAfter: at(10)}, {Name: "k", Type: "CA", NotAfter: at(50)},
	})
	got := fmt.Sprint(list)
	if want := `[{secret="l/c",type="certificate" 20} {secret="l/c",type="ca" 10} {secret="k",type="ca" 50}]`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestEndpointLabels: two endpoints are never one series, for who scrapes would
// refuse them; and any name comes through.
func TestEndpointLabels(t *testing.T) {
	t.Parallel()
	fake := newFakeCounted()
	fake.counters.Clusters = []proxy.ClusterCounters{{Name: "c", Endpoints: []proxy.EndpointCounters{
		{Name: "x", Address: "10.0.0.1:1"}, {Name: "10.0.0.1:1", Address: "10.0.0.2:1"}, {Name: "x", Address: "10.0.0.3:1"},
		{Name: "not \xff UTF-8", Address: "10.0.0.4:1"}, {Name: "a \"quoted\" \\ and\nmore", Address: "10.0.0.5:1"},
	}}}
	var got []string
	for _, m := range parsed(t, scrape(t, NewMetrics(fake)))["sluice_endpoint_serving"].GetMetric() {
		got = append(got, m.GetLabel()[1].GetValue())
	}
	if diff := cmp.Diff([]string{"x", "10.0.0.1:1", "x at 10.0.0.3:1", "not \uFFFD UTF-8", "a \"quoted\" \\ and\nmore"}, got); diff != "" {
		t.Error(diff)
	}
}

// TestScrapesAtOnce: several may scrape while connections come and go and the
// configuration changes.
func TestScrapesAtOnce(t *testing.T) {
	t.Parallel()
	g := busyGateway(t)
	h := NewMetrics(g)
	done := make(chan struct{})
	for range maxScrapes {
		go func() {
			defer func() { done <- struct{}{} }()
			for range 5 {
				scrape(t, h)
			}
		}()
	}
	hcl := everything(t, t.TempDir(), "127.0.0.1:1")
	short, _, _ := strings.Cut(hcl, "# the rest goes")
	for running, i := maxScrapes, 0; running > 0; i++ {
		if _, err := g.Apply(loaded(t, []string{hcl, short}[i%2])); err != nil {
			t.Fatal(err)
		}
		select {
		case <-done:
			running--
		default:
		}
	}
}
