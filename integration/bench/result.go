package main

import "fmt"

// cell is what one peer did in one row.
type cell struct {
	Peer         string               `json:"peer"`
	Values       map[metric][]float64 `json:"values"` // of each round; units as of metric
	Summary      map[metric]summary   `json:"summary"`
	Ratio        map[metric]interval  `json:"ratio"` // to the best peer in that metric
	Failures     int64                `json:"failures"`
	FirstFailure string               `json:"first_failure,omitempty"`
	Error        string               `json:"error,omitempty"` // why there are no more rounds
	TLS          string               `json:"tls,omitempty"`   // what was negotiated
}

// addFailures remembers what went wrong in a round: the row is marked.
func (c *cell) addFailures(o outcome) {
	c.Failures += o.Failures
	if c.FirstFailure == "" {
		c.FirstFailure = o.FirstFailure
	}
	if o.TLS != "" {
		c.TLS = o.TLS
	}
}

// rowResult is a row with what came of it.
type rowResult struct {
	Name    string            `json:"name"`
	Group   string            `json:"group"`
	Unit    unit              `json:"unit"`
	Primary metric            `json:"primary"` // the metric that the ratio in the tables is of
	Rounds  int               `json:"rounds"`
	Best    map[metric]string `json:"best"` // the peer that the ratios are to
	Cells   []*cell           `json:"cells"`

	row *row
}

func newRowResult(r *row, peers []*peer) *rowResult {
	result := &rowResult{Name: r.name, Group: r.group, Unit: r.unit, Primary: metricCPU, Best: make(map[metric]string), row: r}
	switch r.method {
	case byIdle:
		result.Primary = metricResident
	case byAsking:
		result.Primary = metricScrape
	}
	for _, p := range peers {
		result.Cells = append(result.Cells, &cell{
			Peer: p.name, Values: make(map[metric][]float64),
		})
	}
	return result
}

// fail records what kept all peers from being measured.
func (r *rowResult) fail(err error) {
	for _, c := range r.Cells {
		c.Error = err.Error()
	}
}

// cell finds a peer's; nil when it did not take part.
func (r *rowResult) cell(peer string) *cell {
	for _, c := range r.Cells {
		if c.Peer == peer {
			return c
		}
	}
	return nil
}

// analyse computes summaries and ratios from the rounds so far.
func (r *rowResult) analyse(seed uint64) {
	for _, c := range r.Cells {
		c.Summary, c.Ratio = make(map[metric]summary), make(map[metric]interval)
		for m, values := range c.Values {
			c.Summary[m] = summarize(values)
		}
	}
	for _, m := range allMetrics {
		best := r.best(m)
		if best == nil {
			continue
		}
		r.Best[m] = best.Peer
		for _, c := range r.Cells {
			if i, ok := ratioInterval(c.Values[m], best.Values[m], seed); ok {
				c.Ratio[m] = i
			}
		}
	}
}

// best is the reference with the better median: HAProxy or nginx, and the
// baseline only where both are missing.
func (r *rowResult) best(m metric) *cell {
	var best *cell
	for _, c := range r.Cells {
		s, ok := c.Summary[m]
		if !ok || !r.row.isReference(c.Peer) {
			continue
		}
		if best == nil || (s.Median < best.Summary[m].Median) != (m == metricRate) {
			best = c
		}
	}
	if baseline := r.cell(nameBaseline); best == nil && baseline != nil && len(baseline.Values[m]) > 0 {
		return baseline
	}
	return best
}

// deciding are the intervals that must become narrow: those of the gateway in
// the primary metric, and those that are judged.
func (r *rowResult) deciding() []interval {
	var list []interval
	for _, c := range r.Cells {
		if i, ok := c.Ratio[r.Primary]; ok && isOurs(c.Peer) {
			list = append(list, i)
		}
	}
	for _, t := range r.row.judged {
		if c := r.cell(t.peer); c != nil && t.against == againstBest {
			if i, ok := c.Ratio[t.metric]; ok {
				list = append(list, i)
			}
		}
	}
	return list
}

// verdict says whether a target holds.
type verdict struct {
	Row    string   `json:"row"`
	Target string   `json:"target"`
	State  state    `json:"state"`
	Found  interval `json:"found"` // a ratio, or for a target that is a number its median
	Shown  string   `json:"shown"`
}

type state string

const (
	stateHeld    state = "held"
	stateMissed  state = "missed"
	stateUnknown state = "not measured"
	stateFailing state = "measured with failures"
)

// verdicts judges a row.
func (r *rowResult) verdicts(seed uint64) []verdict {
	var list []verdict
	for _, t := range r.row.judged {
		v := verdict{Row: r.Name, Target: t.String(), State: stateUnknown}
		ours, theirs, clean := r.compared(t)
		if i, ok := ratioInterval(ours, theirs, seed); ok {
			v.settle(t, i, clean)
		}
		list = append(list, v)
	}
	return list
}

// compared is what a target compares, and whether no failures were counted.
func (r *rowResult) compared(t target) (ours, theirs []float64, clean bool) {
	c := r.cell(t.peer)
	if c == nil {
		return nil, nil, false
	}
	ours = c.Values[t.metric]
	if t.against == againstNumber {
		theirs = make([]float64, len(ours))
		for i := range theirs {
			theirs[i] = 1
		}
		return ours, theirs, c.Failures == 0
	}
	name := t.against
	if name == againstBest {
		name = r.Best[t.metric]
	}
	other := r.cell(name)
	if other == nil || !r.row.isReference(other.Peer) {
		return ours, nil, false
	}
	return ours, other.Values[t.metric], c.Failures+other.Failures == 0
}

// settle fills in what was found.
func (v *verdict) settle(t target, i interval, clean bool) {
	v.Found, v.State = i, stateMissed
	switch {
	case !clean:
		v.State = stateFailing
	case t.held(i):
		v.State = stateHeld
	}
	if t.against == againstNumber {
		v.Shown = fmt.Sprintf("%s [%s, %s]", t.metric.format(i.Ratio), t.metric.format(i.Low), t.metric.format(i.High))
		return
	}
	v.Shown = showRatio(i)
}

func showRatio(i interval) string { return fmt.Sprintf("%.2f [%.2f, %.2f]", i.Ratio, i.Low, i.High) }

// growthVerdict compares how much dearer a unit becomes with many connections,
// for the gateway and for the reference to which it does least.
func growthVerdict(few, many *rowResult, seed uint64) verdict {
	t := target{nameSluice, metricCPU, againstBest, 1}
	v := verdict{
		Row:    fmt.Sprintf("%s over %s", many.Name, few.Name),
		Target: "growth of cpu of sluice <= 1.00 of that of the better of haproxy and nginx",
		State:  stateUnknown,
	}
	growth := func(name string) (quotients []float64, clean bool) {
		a, b := few.cell(name), many.cell(name)
		if a == nil || b == nil {
			return nil, false
		}
		for i := range min(len(a.Values[metricCPU]), len(b.Values[metricCPU])) {
			quotients = append(quotients, b.Values[metricCPU][i]/a.Values[metricCPU][i])
		}
		return quotients, a.Failures+b.Failures == 0
	}
	ours, clean := growth(nameSluice)
	var best []float64
	bestClean := false
	for _, name := range []string{nameHAProxy, nameNginx} {
		theirs, ok := growth(name)
		if len(theirs) > 0 && (best == nil || median(theirs) < median(best)) {
			best, bestClean = theirs, ok
		}
	}
	if i, ok := ratioInterval(ours, best, seed); ok {
		v.settle(t, i, clean && bestClean)
	}
	return v
}
