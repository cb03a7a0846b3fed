package main

import "fmt"

// Peers by name, as tables, plots and targets know them.
const (
	nameSluice         = "sluice"
	nameRecord         = "sluice+record"
	namePerSource      = "sluice+per_source"
	nameScrape         = "sluice+scrape"
	namePage           = "sluice+page"
	nameHAProxy        = "haproxy"
	nameNginx          = "nginx"
	nameNginxHalfClose = "nginx+half_close"
	nameBaseline       = "go-copy"
)

// against is what a target compares with: a peer's name, or one of these.
const (
	againstBest   = "best"   // the better of HAProxy and nginx
	againstNumber = "number" // the limit is an absolute value of the metric
)

// target is what a row must show.
type target struct {
	peer    string
	metric  metric
	against string
	limit   float64
}

func (t target) String() string {
	switch t.against {
	case againstNumber:
		return fmt.Sprintf("%s of %s <= %s", t.metric, t.peer, t.metric.format(t.limit))
	case againstBest:
		return fmt.Sprintf("%s of %s <= %.2f of the better of haproxy and nginx", t.metric, t.peer, t.limit)
	}
	return fmt.Sprintf("%s of %s <= %.2f of %s", t.metric, t.peer, t.limit, t.against)
}

// tolerance is how far beyond its limit the upper end of an interval may be
// while the target still counts as held.
const tolerance = 1.05

// held judges the interval of a target.
func (t target) held(i interval) bool { return i.High <= t.limit*tolerance }

// The two rows of which the growth is compared, and the number of names that
// must load in time.
const (
	growthFrom = 10
	growthTo   = 9000
	manyNames  = 100_000
)

// Limits that are not ratios.
const (
	idleResident = 512      // bytes, of a passed-through connection
	namesLoad    = 2e9      // ns
	namesMemory  = 64 << 20 // bytes
)

// judge gives a row its targets.
func judge(r *row) {
	cpu := func(against string, limit float64) target { return target{nameSluice, metricCPU, against, limit} }
	untouched := r.mode != terminated && r.group != "scale" && !r.overhead && r.method == byLoad
	switch {
	case r.work == workDown && r.mode == passThrough && untouched && r.connections == 4:
		r.judged = append(r.judged, cpu(nameHAProxy, 1))
		if r.link == overLoopback {
			r.judged = append(r.judged, cpu(nameNginx, 0.35))
		}
	case r.work == workShort && r.mode == passThrough && untouched && r.link == overLoopback && r.rate == 0:
		r.judged = append(r.judged, target{nameRecord, metricCPU, againstBest, 1})
	case r.work == workEcho && r.mode == passThrough && untouched && r.link == overLoopback && r.size == 64:
		if r.connections == 1 {
			r.judged = append(r.judged, target{nameSluice, metricP50, againstBest, 1})
		} else {
			r.judged = append(r.judged, cpu(againstBest, 1))
		}
	case r.method == byIdle && r.mode == passThrough && r.connections == idleConnections[len(idleConnections)-1]:
		r.judged = append(r.judged,
			target{nameRecord, metricResident, againstNumber, idleResident},
			target{nameRecord, metricResident, nameHAProxy, 0.15},
			target{nameRecord, metricDescriptors, againstNumber, 2},
			target{nameRecord, metricPipes, againstNumber, 0})
	case r.mode == terminated && r.method == byLoad && (r.work == workDown || r.work == workUp) && r.connections == 4:
		r.judged = append(r.judged, cpu(againstBest, 0.9))
	case r.resume:
		r.judged = append(r.judged, cpu(nameNginx, 1))
	case r.mode == terminated && r.work == workShort:
		r.judged = append(r.judged, cpu(nameHAProxy, 1))
	case r.names == manyNames:
		r.judged = append(r.judged,
			target{nameSluice, metricLoad, againstNumber, namesLoad},
			target{nameSluice, metricMemory, againstNumber, namesMemory})
	}
}

// isQuick says whether a quick run measures the row: where a target is judged.
func (r *row) isQuick() bool { return len(r.judged) > 0 || r.isGrowth() }

// isGrowth marks the two rows that are compared with each other.
func (r *row) isGrowth() bool {
	return r.group == "scale" && r.work == workEcho && (r.connections == growthFrom || r.connections == growthTo)
}
