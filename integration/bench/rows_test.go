package main

import (
	"strings"
	"testing"
)

func TestRowNamesAreUnique(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for _, r := range allRows() {
		if seen[r.name] {
			t.Errorf("two rows are called %s", r.name)
		}
		seen[r.name] = true
		if !strings.HasPrefix(r.name, r.group+"/") {
			t.Errorf("%s does not begin with its group %q", r.name, r.group)
		}
		if r.method == byLoad && r.work == workEcho && r.size < 8 {
			t.Errorf("%s: a message of %d bytes has no room for its number", r.name, r.size)
		}
		if r.size > patternSize || r.size > largestMessage {
			t.Errorf("%s: a message of %d bytes is more than the backend takes", r.name, r.size)
		}
	}
}

// Each line of the table is judged somewhere, and a quick run has it.
func TestEveryTargetIsJudged(t *testing.T) {
	t.Parallel()
	judged := make(map[string]bool)
	for _, r := range allRows() {
		if len(r.judged) > 0 && !r.isQuick() {
			t.Errorf("%s is judged and not in a quick run", r.name)
		}
		for _, target := range r.judged {
			judged[r.name+": "+target.String()] = true
		}
	}
	for _, want := range []string{
		"pass-lo/bulk-down/c=4: cpu of sluice <= 1.00 of haproxy",
		"pass-lo/bulk-down/c=4: cpu of sluice <= 0.35 of nginx",
		"pass-veth/bulk-down/c=4: cpu of sluice <= 1.00 of haproxy",
		"pass-lo/short/c=32: cpu of sluice+record <= 1.00 of the better of haproxy and nginx",
		"pass-lo/echo-64/c=1: p50 of sluice <= 1.00 of the better of haproxy and nginx",
		"pass-lo/echo-64/c=32: cpu of sluice <= 1.00 of the better of haproxy and nginx",
		"pass-lo/echo-64/c=256: cpu of sluice <= 1.00 of the better of haproxy and nginx",
		"idle-pass/idle-64/c=9000: resident of sluice+record <= 0.50 KiB",
		"idle-pass/idle-64/c=9000: resident of sluice+record <= 0.15 of haproxy",
		"idle-pass/idle-64/c=9000: descriptors of sluice+record <= 2.00",
		"idle-pass/idle-64/c=9000: pipes of sluice+record <= 0.00",
		"term-lo/bulk-down/c=4: cpu of sluice <= 0.90 of the better of haproxy and nginx",
		"term-lo/bulk-up/c=4: cpu of sluice <= 0.90 of the better of haproxy and nginx",
		"term-lo/handshake-full/c=32: cpu of sluice <= 1.00 of haproxy",
		"term-lo/handshake-resumed/c=32: cpu of sluice <= 1.00 of nginx",
		"scale/short/c=32/names=100000: load of sluice <= 2.00 s",
		"scale/short/c=32/names=100000: memory of sluice <= 64.0 MiB",
	} {
		if !judged[want] {
			t.Errorf("not judged: %s", want)
		}
		delete(judged, want)
	}
	for extra := range judged {
		t.Errorf("judged, and not in the issue: %s", extra)
	}
}

func TestParseOptions(t *testing.T) {
	t.Parallel()
	o, err := parseOptions([]string{"-quick", "-rows", "echo", "-nginx", ""})
	if err != nil {
		t.Fatal(err)
	}
	if o.window != quickWindow || o.rounds != quickRounds || o.nginx != "" || o.haproxy != "haproxy" {
		t.Errorf("options of a quick run: %+v", o)
	}
	for _, r := range o.choose(allRows()) {
		if !strings.Contains(r.name, "echo") || !r.isQuick() {
			t.Errorf("%s was not asked for", r.name)
		}
	}
	for _, args := range [][]string{{"-rows", "("}, {"-rounds", "-1"}, {"-window", "-1s"}, {"stray"}} {
		if o, err := parseOptions(args); err == nil {
			t.Errorf("%v was taken for %+v", args, o)
		}
	}
}

func TestFormats(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		metric metric
		value  float64
		want   string
	}{
		{metricCPU, 12, "12.0 ns"},
		{metricCPU, 1234, "1.23 µs"},
		{metricCPU, 45.6e6, "45.6 ms"},
		{metricCPU, 1.5e9, "1.50 s"},
		{metricRate, 12345, "12345"},
		{metricRate, 0.5, "0.500"},
		{metricResident, 512, "0.50 KiB"},
		{metricMemory, 64 << 20, "64.0 MiB"},
		{metricDescriptors, 2, "2.00"},
	} {
		if got := c.metric.format(c.value); got != c.want {
			t.Errorf("%s of %v is written %q, want %q", c.metric, c.value, got, c.want)
		}
	}
}
