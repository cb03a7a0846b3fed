package config

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// TestReadme holds the README to what the program does: its configurations
// load without a word, the mistake that it makes in the first one gives the
// diagnostic that it shows, and its access record is of that configuration.
func TestReadme(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme := string(text)
	sources := fenced(readme, "hcl")
	if len(sources) == 0 {
		t.Fatal("README.md has no ```hcl block: it shall show a configuration")
	}
	var configs []*Config
	for _, src := range sources {
		c, diags := LoadSource("sluice.hcl", []byte(src), Options{Environ: []string{}})
		if diags.Len() > 0 {
			t.Fatalf("a configuration of README.md does not load:\n%s\n%s", src, textOf(t, diags))
		}
		configs = append(configs, c)
	}

	const right, wrong = `route { cluster = "app" }`, `route { cluster = "aap" }`
	mistake := strings.Replace(sources[0], right, wrong, 1)
	if mistake == sources[0] {
		t.Fatalf("the first configuration of README.md has no %s to make a mistake in", right)
	}
	_, diags := LoadSource("sluice.hcl", []byte(mistake), Options{Environ: []string{}})
	if want := strings.TrimSpace(textOf(t, diags)); !diags.HasErrors() || !strings.Contains(readme, want) {
		t.Errorf("README.md does not show what %s gives:\n%s", wrong, want)
	}

	records := fenced(readme, "json")
	if len(records) == 0 {
		t.Error("README.md has no ```json block: it shall show an access record")
	}
	for _, record := range records {
		checkReadmeRecord(t, configs[0], record)
	}
}

// checkReadmeRecord checks that a record may have come from that configuration.
func checkReadmeRecord(t *testing.T, c *Config, text string) {
	t.Helper()
	var record struct {
		Listener string
		Chain    string `json:"filter_chain"`
		Cluster  string
		Endpoint string
		SNI      string
	}
	if err := json.Unmarshal([]byte(text), &record); err != nil {
		t.Errorf("an access record of README.md is not JSON: %v", err)
		return
	}
	for _, ln := range c.Listeners {
		for _, chain := range ln.Chains {
			cl := c.Cluster(record.Cluster)
			if ln.Name != record.Listener || chain.Name != record.Chain || cl == nil ||
				chain.Route.Clusters[0].Name != cl.Name || chain.Match.ServerNames[0] != record.SNI {
				continue
			}
			for _, e := range cl.Endpoints {
				if e.Name == record.Endpoint {
					return
				}
			}
		}
	}
	t.Errorf("the access record of README.md is not of its first configuration: %+v", record)
}

// fenced gives the fenced blocks of a Markdown text that are in a language.
func fenced(text, language string) []string {
	var blocks []string
	for {
		_, rest, ok := strings.Cut(text, "\n```"+language+"\n")
		if !ok {
			return blocks
		}
		block, after, _ := strings.Cut(rest, "\n```")
		blocks = append(blocks, block+"\n")
		text = after
	}
}
