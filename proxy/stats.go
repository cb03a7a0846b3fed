package proxy

// Stats is a look at the gateway's counters.
type Stats struct {
	Accepted       uint64 // connections since the start
	Active         int    // connections now
	Slots          int    // places in the workers that are taken
	Coroutines     int    // set-ups under way
	PipesOpen      int    // each two descriptors
	PipesInUse     int
	BytesCopied    uint64
	BytesSpliced   uint64
	AcceptFailures uint64
	Shed           uint64 // clients reset because descriptors had run out
	DrainCut       uint64 // connections that a drain has reset: they had not ended in time, and something was under way
	RecordsDropped uint64 // their sink was too slow, or did not take them
	HealthChanges  uint64 // of endpoints, found by checks; a first good check is none
}

// Stats reads the counters. The workers are not disturbed.
func (g *Gateway) Stats() Stats {
	s := Stats{
		Active:     int(g.active.Active()),
		PipesOpen:  g.pipes.Open(),
		PipesInUse: g.pipes.InUse(),
		Shed:       g.shed.Load(),
		DrainCut:   g.cut.Load(),

		HealthChanges: g.healthChanges.Load(),
	}
	for _, w := range g.workers {
		s.Accepted += w.accepted.Load()
		s.Slots += w.Slots()
		s.Coroutines += w.Coroutines()
		s.BytesCopied += w.mover.Copied()
		s.BytesSpliced += w.mover.Spliced()
	}
	s.AcceptFailures = g.acceptFailures.total()
	s.RecordsDropped = g.recordsLost.Load()
	if a := g.accessLog.Load(); a != nil {
		s.RecordsDropped += a.lost()
	}
	return s
}
