package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// report is all that a run found; report.json is its JSON form.
type report struct {
	Started  time.Time     `json:"started"`
	Took     time.Duration `json:"took_ns"` // the pauses of one that was resumed left out
	Quick    bool          `json:"quick"`
	Window   time.Duration `json:"window_ns"`
	Machine  machine       `json:"machine"`
	Peers    []peerInfo    `json:"peers"`
	Missing  []string      `json:"missing"`  // peers that could not take part, and why
	Skipped  []string      `json:"skipped"`  // rows that could not be measured here, and why
	LeftOut  []string      `json:"left_out"` // what no row measures
	Verdicts []verdict     `json:"verdicts"`
	Rows     []*rowResult  `json:"rows"`
	Configs  []configInfo  `json:"configurations"`

	TookBefore time.Duration `json:"-"` // by the runs that this one goes on from
	began      time.Time     // of this one
}

type peerInfo struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// configInfo is a file of a peer's configuration, as it was for the first row
// of its kind. Others differ in addresses.
type configInfo struct {
	Peer string `json:"peer"`
	Kind string `json:"kind"`
	File string `json:"file"`
	Text string `json:"text"`
}

func (r *report) describe(peers []*peer, missing []string) {
	r.Machine = describeMachine()
	r.Missing = missing
	for _, p := range peers {
		r.Peers = append(r.Peers, peerInfo{p.name, p.version})
	}
}

func (r *report) skip(what, why string) {
	r.Skipped = append(r.Skipped, what+": "+why)
}

// addConfigs keeps a configuration when it is the first of its kind.
func (r *report) addConfigs(p *peer, row *row, files []configFile) {
	kind := string(row.mode)
	if row.unit == gigabytes {
		kind += ", bulk"
	}
	if row.names > 1 {
		kind += ", many names"
	}
	if row.endpoints > 1 {
		kind += ", many endpoints"
	}
	for _, c := range r.Configs {
		if c.Peer == p.name && c.Kind == kind {
			return
		}
	}
	for _, f := range files {
		r.Configs = append(r.Configs, configInfo{p.name, kind, f.name, shortened(f.text)})
	}
}

// longestConfig is more than any configuration has whose lists are short.
const longestConfig = 3000

// shortened leaves out the middle of long lists.
func shortened(text string) string {
	if len(text) <= longestConfig {
		return text
	}
	half := longestConfig / 2
	cut := len(text) - 2*half
	return fmt.Sprintf("%s\n... %d bytes more of the same ...\n%s", text[:half], cut, text[len(text)-half:])
}

// finish judges, when the last row is measured.
func (r *report) finish(seed uint64) {
	r.Took = r.TookBefore + time.Since(r.began)
	var few, many *rowResult
	for _, row := range r.Rows {
		r.Verdicts = append(r.Verdicts, row.verdicts(seed)...)
		if row.row.isGrowth() {
			if row.row.connections == growthFrom {
				few = row
			} else {
				many = row
			}
		}
	}
	if few != nil && many != nil {
		r.Verdicts = append(r.Verdicts, growthVerdict(few, many, seed))
	}
}

// writeFiles writes the report into a directory, which it makes.
func (r *report) writeFiles(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the report: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "report.json"), append(text, '\n'), 0o644); err != nil {
		return err
	}
	var plots []string
	for _, group := range r.groups() {
		name := group.name + ".svg"
		drawn, err := drawGroup(group, filepath.Join(dir, name))
		if err != nil {
			return fmt.Errorf("drawing %s: %w", name, err)
		}
		if drawn {
			plots = append(plots, name)
		}
	}
	var b strings.Builder
	r.writeMarkdown(&b, plots)
	return os.WriteFile(filepath.Join(dir, "report.md"), []byte(b.String()), 0o644)
}

// group is the rows that share a heading and a plot.
type group struct {
	name string
	rows []*rowResult
}

func (r *report) groups() []group {
	var list []group
	for _, row := range r.Rows {
		if n := len(list); n == 0 || list[n-1].name != row.Group {
			list = append(list, group{name: row.Group})
		}
		last := &list[len(list)-1]
		last.rows = append(last.rows, row)
	}
	return list
}
