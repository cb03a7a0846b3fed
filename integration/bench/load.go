package main

import (
	"fmt"
	"time"
)

// jobFor is a row's order to a generator.
func (b *bench) jobFor(r *row, target string, window time.Duration) job {
	return job{
		Target: target, Mode: r.mode, ServerName: benchedName, Certificate: b.cert.der,
		Work: r.work, Connections: r.connections, Size: r.size, Rate: r.rate, Resume: r.resume,
		Warmup: window / 4, Window: window,
	}
}

// startGenerator sets a job going and returns when it runs steadily.
func (b *bench) startGenerator(s *site, j job) (*process, error) {
	g, err := startProcess(s.client, b.self, "generate")
	if err != nil {
		return nil, err
	}
	if err = g.send(j); err == nil {
		var ready string
		err = g.receive(b.ctx, &ready, j.Warmup+jobGrace)
	}
	if err != nil {
		g.stop()
		return nil, err
	}
	return g, nil
}

// measureLoad puts a peer to work for the window. The clocks are read right
// before the generator is told to count and right after it has said what it
// counted.
func (b *bench) measureLoad(r *row, s *site, srv *server, cell *cell) (sample, error) {
	g, err := b.startGenerator(s, b.jobFor(r, srv.address, b.window))
	if err != nil {
		return nil, err
	}
	defer g.stop()
	var m meter
	if m.peer, err = processTree(srv.cmd.Process.Pid); err != nil {
		return nil, err
	}
	m.load = []int{g.cmd.Process.Pid, s.backend.cmd.Process.Pid}
	before, err := m.read()
	if err != nil {
		return nil, err
	}
	var o outcome
	if err = g.send("go"); err == nil {
		err = g.receive(b.ctx, &o, b.window+jobGrace)
	}
	if err != nil {
		return nil, err
	}
	after, err := m.read()
	if err != nil {
		return nil, err
	}
	cell.addFailures(o)
	var stalled int64
	if err := g.receive(b.ctx, &stalled, patience); err != nil {
		return nil, err
	}
	if stalled > 0 {
		cell.addFailures(outcome{Failures: stalled, FirstFailure: fmt.Sprintf("connections without an answer for %v", patience)})
	}
	if o.Units == 0 || r.work == workHold && o.Units < int64(r.connections) {
		return nil, fmt.Errorf("%d units in %v: %d failures, the first: %s", o.Units, o.Elapsed, o.Failures, o.FirstFailure)
	}
	return sampleOf(r, o, before, after), nil
}

func sampleOf(r *row, o outcome, before, after reading) sample {
	units := float64(o.Units) / r.unit.scale()
	one := sample{
		metricCPU:     float64(after.peer-before.peer) / units,
		metricMachine: float64(after.machineTime(before)) / units,
		metricRate:    units / o.Elapsed.Seconds(),
	}
	if r.unit != gigabytes {
		one[metricP50], one[metricP90] = float64(o.P50), float64(o.P90)
		one[metricP99], one[metricP999] = float64(o.P99), float64(o.P99_9)
	}
	return one
}
