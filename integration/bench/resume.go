package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// resume takes over what an earlier run into the same directory has measured of
// the program's rows: a whole run takes an hour, and the machine may be wanted
// meanwhile. The peers and the window must be the same; otherwise the figures
// would stand side by side without being comparable.
func (r *report) resume(dir string, all []row) error {
	text, err := os.ReadFile(filepath.Join(dir, "report.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var earlier report
	if err := json.Unmarshal(text, &earlier); err != nil {
		return fmt.Errorf("%s/report.json: %w", dir, err)
	}
	switch {
	case !slices.Equal(earlier.Peers, r.Peers):
		return fmt.Errorf("%s holds a run with other peers (%v, now %v): choose another -out", dir, earlier.Peers, r.Peers)
	case earlier.Window != r.Window || earlier.Quick != r.Quick:
		return fmt.Errorf("%s holds a run with other windows (%v, now %v): choose another -out", dir, earlier.Window, r.Window)
	}
	r.Started, r.TookBefore = earlier.Started, earlier.Took
	r.Rows, r.Configs = earlier.Rows, earlier.Configs
	for _, result := range r.Rows {
		i := slices.IndexFunc(all, func(row row) bool { return row.name == result.Name })
		if i < 0 {
			return fmt.Errorf("%s holds the row %s, which this program has not: choose another -out", dir, result.Name)
		}
		result.row = &all[i]
	}
	return nil
}

// missing gives the rows that have not been measured yet.
func (r *report) missing(rows []row) []row {
	return slices.DeleteFunc(rows, func(row row) bool {
		return slices.ContainsFunc(r.Rows, func(done *rowResult) bool { return done.Name == row.name })
	})
}

// sort puts the rows into the program's order.
func (r *report) sort(all []row) {
	place := make(map[string]int, len(all))
	for i := range all {
		place[all[i].name] = i
	}
	slices.SortFunc(r.Rows, func(a, b *rowResult) int { return place[a.Name] - place[b.Name] })
}
