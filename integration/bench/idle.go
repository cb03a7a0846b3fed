package main

import "time"

// settling is how long the kernel may take to free what has just ended.
const settling = 300 * time.Millisecond

// measureIdle keeps connections open that have exchanged one message and looks
// at what they hold. The peer has been at work before, so that what it sets up
// once is not counted.
func (b *bench) measureIdle(r *row, s *site, srv *server, cell *cell) (sample, error) {
	warm := *r
	warm.work, warm.connections = workEcho, shortConcurrency
	if _, err := b.measureLoad(&warm, s, srv, cell); err != nil {
		return nil, err
	}
	direct, err := b.kernelOfDirect(r, s)
	if err != nil {
		return nil, err
	}
	pids, err := processTree(srv.cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	before, after, err := b.holdIdle(r, s, b.jobFor(r, srv.address, 0), pids)
	if err != nil {
		return nil, err
	}
	each := func(n int64) float64 { return float64(n) / float64(r.connections) }
	return sample{
		metricResident:    each(after.resident - before.resident),
		metricKernel:      each(after.kernel - before.kernel - direct),
		metricDescriptors: each(int64(after.descriptors - before.descriptors)),
		metricPipes:       each(int64(after.pipes - before.pipes)),
	}, nil
}

// holdIdle measures before the job's connections are opened and while they are
// kept. They are gone when it returns.
func (b *bench) holdIdle(r *row, s *site, j job, pids []int) (before, after footprint, err error) {
	time.Sleep(settling)
	if before, err = measureFootprint(pids); err != nil {
		return
	}
	g, err := b.startGenerator(s, j)
	if err != nil {
		return
	}
	defer g.stop()
	time.Sleep(settling)
	after, err = measureFootprint(pids)
	return
}

// kernelOfDirect is what as many connections from the generator straight to the
// backend, and the generator itself, take in slabs: with it subtracted, only
// the two sockets of the proxy remain, and what it adds to them. It is measured
// once for each number of connections.
func (b *bench) kernelOfDirect(r *row, s *site) (int64, error) {
	if known, ok := b.direct[r.connections]; ok {
		return known, nil
	}
	j := b.jobFor(r, s.addresses[0], 0)
	if j.Mode == terminated {
		j.Mode = plainTCP
	}
	before, after, err := b.holdIdle(r, s, j, nil)
	if err != nil {
		return 0, err
	}
	b.direct[r.connections] = after.kernel - before.kernel
	return b.direct[r.connections], nil
}
