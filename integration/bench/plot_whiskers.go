package main

import (
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// whiskers draw the intervals over the bars of all peers.
type whiskers struct {
	bars []peerBars
}

// Plot implements [plot.Plotter].
func (w whiskers) Plot(c draw.Canvas, p *plot.Plot) {
	toX, toY := p.Transforms(&c)
	style := draw.LineStyle{Color: color.Black, Width: vg.Points(0.7)}
	for k, b := range w.bars {
		offset := barThickness * vg.Length(float64(k)-float64(len(w.bars)-1)/2)
		for n, i := range b.intervals {
			if i.Ratio == 0 {
				continue
			}
			x := toX(float64(n)) + offset
			c.StrokeLine2(style, x, toY(i.Low), x, toY(i.High))
			for _, y := range []float64{i.Low, i.High} {
				c.StrokeLine2(style, x-barThickness/4, toY(y), x+barThickness/4, toY(y))
			}
		}
	}
}
