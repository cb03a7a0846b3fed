package main

import (
	"image/color"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// colours of the peers. They differ in lightness, too, for those who do not see
// all of them.
var colours = map[string]color.Color{
	nameSluice:         color.RGBA{0x1b, 0x4f, 0x9c, 0xff},
	nameRecord:         color.RGBA{0x6f, 0xa8, 0xdc, 0xff},
	namePerSource:      color.RGBA{0x3f, 0x9a, 0x9a, 0xff},
	nameScrape:         color.RGBA{0x8e, 0x6b, 0xbf, 0xff},
	namePage:           color.RGBA{0xc9, 0xb3, 0xe6, 0xff},
	nameHAProxy:        color.RGBA{0xd9, 0x6c, 0x1e, 0xff},
	nameNginx:          color.RGBA{0x5a, 0x9e, 0x4b, 0xff},
	nameNginxHalfClose: color.RGBA{0xa6, 0xd8, 0x9a, 0xff},
	nameBaseline:       color.RGBA{0xb0, 0xb0, 0xb0, 0xff},
}

const (
	barThickness = vg.Length(9)
	plotHeight   = 11 * vg.Centimeter
)

// drawGroup draws the ratios of a group's rows, a bar for each peer with its
// interval, as an SVG file. It reports false when there is nothing to draw.
func drawGroup(g group, file string) (bool, error) {
	names, bars := groupBars(g)
	if len(names) == 0 {
		return false, nil
	}
	p := plot.New()
	p.Title.Text = g.name
	p.Y.Label.Text = "ratio to the best peer (lower is better)"
	p.Y.Min = 0
	p.Legend.Top = true
	p.Add(plotter.NewGrid())
	for k, b := range bars {
		chart, err := plotter.NewBarChart(b.ratios, barThickness)
		if err != nil {
			return false, err
		}
		chart.Color, chart.LineStyle.Width = colours[b.peer], 0
		chart.Offset = barThickness * vg.Length(float64(k)-float64(len(bars)-1)/2)
		p.Add(chart)
		p.Legend.Add(b.peer, chart)
	}
	// Whiskers cannot be moved by a length as bars can: they are drawn by
	// what knows both.
	p.Add(whiskers{bars})
	best := plotter.NewFunction(func(float64) float64 { return 1 })
	best.Dashes = []vg.Length{vg.Points(4), vg.Points(3)}
	p.Add(best)
	p.NominalX(names...)
	p.X.Tick.Label.Rotation = math.Pi / 5
	p.X.Tick.Label.XAlign, p.X.Tick.Label.YAlign = -1, -0.5
	p.Y.Max = highest(bars) * 1.1
	width := vg.Length(len(names)*(len(bars)+2))*barThickness + 8*vg.Centimeter
	return true, p.Save(width, plotHeight, file)
}

// peerBars are the bars of one peer, one for each row of the group; a row that
// the peer does not take part in, or has no ratio in, has zero.
type peerBars struct {
	peer      string
	ratios    plotter.Values
	intervals []interval
}

// groupBars takes the rows that have a ratio, with whoever takes part in one of
// them.
func groupBars(g group) (names []string, bars []peerBars) {
	var rows []*rowResult
	for _, row := range g.rows {
		if row.Best[row.Primary] == "" {
			continue
		}
		rows = append(rows, row)
		names = append(names, strings.TrimPrefix(row.Name, g.name+"/"))
		for k, c := range row.Cells {
			if !slices.ContainsFunc(bars, func(b peerBars) bool { return b.peer == c.Peer }) {
				bars = slices.Insert(bars, min(k, len(bars)), peerBars{peer: c.Peer})
			}
		}
	}
	for k := range bars {
		b := &bars[k]
		for _, row := range rows {
			var i interval
			if c := row.cell(b.peer); c != nil {
				i = c.Ratio[row.Primary]
			}
			b.ratios = append(b.ratios, i.Ratio)
			b.intervals = append(b.intervals, i)
		}
	}
	return names, bars
}

func highest(bars []peerBars) float64 {
	top := 1.0
	for _, b := range bars {
		for _, i := range b.intervals {
			top = max(top, i.High)
		}
	}
	return top
}
