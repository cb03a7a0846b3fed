package main

import (
	"fmt"
	"time"
)

// site is what a row's peers share while it is measured: the network and the
// backend.
type site struct {
	*network
	backend   *process
	addresses []string            // of the backend
	endpoints map[string][]string // those of them that a peer, by its name, connects to
}

// openSite starts the backend with ports of its own for every peer: on a shared
// one, the kernel looks for a peer's free local ports among those that the peers
// before it have left in TIME_WAIT, and charges the peer for it.
func (b *bench) openSite(r *row, peers []*peer) (*site, error) {
	s := &site{network: b.networks[r.link], endpoints: make(map[string][]string)}
	var err error
	if r.method == byIperf {
		s.backend, s.addresses, err = b.startIperf(s.network)
		for _, p := range peers {
			s.endpoints[p.name] = s.addresses // which has one port and few connections
		}
		return s, err
	}
	s.backend, err = startProcess(s.network.backend, b.self, "backend", s.backendAddress, fmt.Sprint(r.endpoints*len(peers)))
	if err == nil {
		err = s.backend.receive(b.ctx, &s.addresses, 0)
	}
	if err != nil {
		return s, err
	}
	for i, p := range peers {
		s.endpoints[p.name] = s.addresses[i*r.endpoints : (i+1)*r.endpoints]
	}
	return s, nil
}

// close ends the backend; the network stays.
func (s *site) close() { s.backend.stop() }

// measureRow measures all peers in turn, A B C A B C, until there are rounds
// enough or, when until is set, no time for another. A peer that fails is left
// out of the rounds that follow and its cell says why.
func (b *bench) measureRow(index int, r *row, until time.Time) *rowResult {
	var peers []*peer
	for _, p := range b.peers {
		if r.takesPart(p.name) {
			peers = append(peers, p)
		}
	}
	result := newRowResult(r, peers)
	s, err := b.openSite(r, peers)
	defer s.close()
	if err != nil {
		result.fail(err)
		result.Rounds = 1 // shown, with the reason
		return result
	}
	for i, p := range peers {
		result.Cells[i].Error = p.lacks(r, b.descriptors)
	}
	servers := make([]*server, len(peers))
	defer func() {
		for _, srv := range servers {
			srv.stop()
		}
	}()
	began := time.Now()
	for b.ctx.Err() == nil && !b.enough(result, began, until) {
		for i, p := range peers {
			cell := result.Cells[i]
			if cell.Error != "" || b.ctx.Err() != nil {
				continue
			}
			b.progress.show(index, r.name, result.Rounds+1, p.name)
			if err := b.measureCell(r, s, p, &servers[i], cell); err != nil && b.ctx.Err() == nil {
				cell.Error = err.Error()
			}
		}
		result.Rounds++
		result.analyse(b.seed)
	}
	return result
}

// enough says whether a row is done.
func (b *bench) enough(result *rowResult, began, until time.Time) bool {
	n := result.Rounds
	switch {
	case n == 0:
		return false
	case !until.IsZero() && time.Now().Add(time.Since(began)/time.Duration(n)).After(until):
		return true
	case b.rounds > 0:
		return n >= b.rounds
	}
	return enoughRounds(n, result.deciding())
}

// measureCell measures one peer once. The first time, and for a fresh row each
// time, the peer is started.
func (b *bench) measureCell(r *row, s *site, p *peer, srv **server, cell *cell) error {
	if *srv == nil {
		started, err := b.startServer(r, s, p)
		if err != nil {
			return err
		}
		*srv = started
	}
	one, err := b.measureServer(r, s, *srv, cell)
	if err != nil {
		return err
	}
	if err := (*srv).asking.failed(); err != nil {
		return err
	}
	if r.names > 1 || r.endpoints > 1 {
		one[metricLoad], one[metricMemory] = float64((*srv).load), float64((*srv).memory)
	}
	for m, v := range one {
		cell.Values[m] = append(cell.Values[m], v)
	}
	if r.fresh {
		(*srv).stop()
		*srv = nil
	}
	return nil
}

func (b *bench) measureServer(r *row, s *site, srv *server, cell *cell) (sample, error) {
	switch r.method {
	case byIdle:
		return b.measureIdle(r, s, srv, cell)
	case byIperf:
		return b.measureIperf(r, s, srv)
	case byAsking:
		return b.measureAsking(r, s, srv)
	}
	return b.measureLoad(r, s, srv, cell)
}
