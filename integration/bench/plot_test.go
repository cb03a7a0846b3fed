package main

import (
	"path/filepath"
	"slices"
	"testing"
)

// A peer need not take part in every row of a group.
func TestPlotOfRowsWithDifferentPeers(t *testing.T) {
	t.Parallel()
	result := func(name string, peers ...string) *rowResult {
		r := &rowResult{Name: "g/" + name, Primary: metricCPU, Best: map[metric]string{metricCPU: nameNginx}}
		for n, peer := range peers {
			r.Cells = append(r.Cells, &cell{Peer: peer, Ratio: map[metric]interval{metricCPU: {Ratio: float64(n + 1), Low: 1, High: 9}}})
		}
		return r
	}
	g := group{name: "g", rows: []*rowResult{
		result("first", nameSluice, nameNginx, nameBaseline),
		result("second", nameSluice, nameNginx, nameNginxHalfClose, nameBaseline),
		result("third", nameSluice, nameNginx, nameBaseline),
	}}
	names, bars := groupBars(g)
	if want := []string{"first", "second", "third"}; !slices.Equal(names, want) {
		t.Errorf("rows %q, want %q", names, want)
	}
	want := []struct {
		peer   string
		ratios []float64
	}{
		{nameSluice, []float64{1, 1, 1}}, {nameNginx, []float64{2, 2, 2}},
		{nameNginxHalfClose, []float64{0, 3, 0}}, {nameBaseline, []float64{3, 4, 3}},
	}
	if len(bars) != len(want) {
		t.Fatalf("%d peers, want %d", len(bars), len(want))
	}
	for k, w := range want {
		if bars[k].peer != w.peer || !slices.Equal(bars[k].ratios, w.ratios) {
			t.Errorf("place %d: %s %v, want %s %v", k, bars[k].peer, bars[k].ratios, w.peer, w.ratios)
		}
		if colours[w.peer] == nil {
			t.Errorf("%s has no colour", w.peer)
		}
	}
	if drawn, err := drawGroup(g, filepath.Join(t.TempDir(), "g.svg")); !drawn || err != nil {
		t.Errorf("drawn: %t, %v", drawn, err)
	}
}
