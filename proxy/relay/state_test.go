package relay

import "testing"

// facts is a State spelt out, as a model that is as plain as possible.
type facts struct {
	ended, reset, queued, finSent [2]bool
}

func factsOf(st State) (f facts) {
	for side := range 2 {
		f.ended[side] = st&(1<<(0+side)) != 0
		f.reset[side] = st&(1<<(2+side)) != 0
		f.queued[side] = st&(1<<(4+side)) != 0
		f.finSent[side] = st&(1<<(6+side)) != 0
	}
	return f
}

var bothSides = []Side{Downstream, Upstream}

func TestStateMutations(t *testing.T) {
	mutations := map[string]struct {
		do    func(*State, Side)
		model func(*facts, Side)
	}{
		"end of input": {(*State).endOfInput, func(f *facts, s Side) { f.ended[s] = true }},
		"reset": {(*State).resetBy, func(f *facts, s Side) {
			f.reset[s] = true
			f.queued[s] = false // nobody will take it
		}},
		"queued": {
			func(st *State, s Side) { st.setQueued(s, true) },
			func(f *facts, s Side) { f.queued[s] = !f.reset[s] },
		},
		"delivered": {
			func(st *State, s Side) { st.setQueued(s, false) },
			func(f *facts, s Side) { f.queued[s] = false },
		},
		"FIN sent": {(*State).finSent, func(f *facts, s Side) { f.finSent[s] = true }},
	}
	for name, m := range mutations {
		for bits := range 256 {
			for _, side := range bothSides {
				st, want := State(bits), factsOf(State(bits))
				m.do(&st, side)
				m.model(&want, side)
				if got := factsOf(st); got != want {
					t.Errorf("%s of %v in %+v: %+v", name, side, factsOf(State(bits)), got)
				}
			}
		}
	}
}

func TestStateQuestions(t *testing.T) {
	for bits := range 256 {
		st, f := State(bits), factsOf(State(bits))
		for _, s := range bothSides {
			if st.Ended(s) != f.ended[s] || st.IsReset(s) != f.reset[s] {
				t.Errorf("%+v: ended %t, reset %t", f, st.Ended(s), st.IsReset(s))
			}
			// Reading makes sense while something may come and somebody is
			// there to take it.
			if want := !f.ended[s] && !f.reset[s.Other()]; st.CanRead(s) != want {
				t.Errorf("%+v: can read %v: %t", f, s, st.CanRead(s))
			}
		}
		if want := f.ended[Downstream] || f.ended[Upstream]; st.HalfClosed() != want {
			t.Errorf("%+v: half-closed: %t", f, st.HalfClosed())
		}
	}
}

// rules say in words what has to be done, the first that applies.
var rules = []struct {
	words   string
	applies func(f facts, s Side) bool // s: the side that the step is done to
	step    step
}{
	{"both are gone: nothing is left to do", func(f facts, s Side) bool {
		return f.reset[s] && f.reset[s.Other()]
	}, stepAbort},
	{"the other is gone, has been read to its end, and this side has taken all of it: reset this side", func(f facts, s Side) bool {
		return f.reset[s.Other()] && f.ended[s.Other()] && !f.queued[s]
	}, stepPassReset},
	{"one is gone: its bytes still have to get to the other", func(f facts, s Side) bool {
		return f.reset[s] || f.reset[s.Other()]
	}, stepMove},
	{"both have finished and taken everything: close both", func(f facts, s Side) bool {
		return f.ended[s] && f.ended[s.Other()] && !f.queued[s] && !f.queued[s.Other()]
	}, stepFinish},
	{"the other has finished, this side has taken everything and was not told: tell it", func(f facts, s Side) bool {
		return f.ended[s.Other()] && !f.queued[s] && !f.finSent[s]
	}, stepSendFIN},
	{"otherwise bytes flow", func(facts, Side) bool { return true }, stepMove},
}

func TestStateNextFollowsTheRules(t *testing.T) {
	for bits := range 256 {
		f := factsOf(State(bits))
		got, side := State(bits).next()
	rule:
		for _, r := range rules {
			// When a FIN is due to both sides the endpoint's goes first.
			for _, s := range []Side{Upstream, Downstream} {
				if !r.applies(f, s) {
					continue
				}
				if got != r.step {
					t.Errorf("%+v: step %d instead of %d: %s", f, got, r.step, r.words)
				}
				if (r.step == stepPassReset || r.step == stepSendFIN) && side != s {
					t.Errorf("%+v: %s, but to %v", f, r.words, side)
				}
				break rule
			}
		}
	}
}

// Whatever has happened: once both sides have ended and have taken everything,
// a few steps lead to the end.
func TestStateAlwaysComesToAnEnd(t *testing.T) {
	for bits := range 256 {
		st := State(bits)
		for _, s := range bothSides {
			st.endOfInput(s)
			st.setQueued(s, false)
		}
		switch got, _ := st.next(); got {
		case stepFinish, stepPassReset, stepAbort:
		default:
			t.Errorf("%+v: step %d", factsOf(State(bits)), got)
		}
	}
}

// Carrying out a step makes it go away: a turn repeats until there is none.
func TestStateStepsAreNotRepeated(t *testing.T) {
	for bits := range 256 {
		st := State(bits)
		for n := 0; ; n++ {
			next, side := st.next()
			if next != stepSendFIN {
				break
			}
			if st.finSent(side); n == 2 {
				t.Fatalf("%+v: a third FIN", factsOf(State(bits)))
			}
		}
	}
}
