package proxy

import (
	"fmt"
	"slices"

	"sluice/config"
	"sluice/proxy/limit"
	"sluice/proxy/proxyheader"
	"sluice/proxy/route"
	"sluice/proxy/status"
	"sluice/tlsutil/clienthello"
)

// An explanation takes the path of a connection (conn.go) without one: each step
// asks the functions that the step of the path asks (facts.go says which those
// are), and tells what they say instead of acting on it. What only the moment can
// tell is left out: accept_limit and per_source.rate, and whether an endpoint
// answers.

// Plan is a configuration as a gateway would run it, without sockets, workers or
// anything else that has to be let go. Any goroutine may ask it.
type Plan struct{ snapshot *snapshot }

// NewPlan compiles a configuration. What it fails for, a gateway fails for too.
func NewPlan(cfg *config.Config) (*Plan, error) {
	s, err := compile(cfg, &snapshot{})
	if err != nil {
		return nil, err
	}
	for _, cl := range s.clusters { // as [upkeep.follow] does
		cl.Configure(clusterOptions(cl.spec, nil))
		cl.Update(endpointSpecs(cl.spec))
	}
	return &Plan{s}, nil
}

// Explain says where a connection would go, and why, if a gateway ran the
// configuration: with no other connection, and no endpoint checked or looked up.
// An error says in words what is wrong with the question.
func (p *Plan) Explain(q status.Question) (status.Explanation, error) {
	return p.snapshot.explain(q, nil)
}

// Explain says where a connection would go now, and why: with the endpoints that
// there are, their health and how busy they are. Nothing is counted and no
// connection is disturbed. An error says in words what is wrong with the
// question.
func (g *Gateway) Explain(q status.Question) (status.Explanation, error) {
	return g.snapshot.Load().explain(q, g)
}

// outcomeForward is what else than a refusal may come of a connection.
const outcomeForward = "forward"

// explanation is one in the making.
type explanation struct {
	status.Explanation
	facts
	gateway  *Gateway // nil: of a plan
	ln       *listener
	chain    *chain
	says     []byte // what the client says first
	headed   bool   // a PROXY header gives source and destination
	anywhere bool   // the source is not the question's: nothing is chosen by it

	handshake rehearsed
}

func (s *snapshot) explain(q status.Question, g *Gateway) (status.Explanation, error) {
	e := &explanation{gateway: g, Explanation: status.Explanation{
		Question: q, Admission: "allowed", Chains: []status.Verdict{}, Clusters: []status.Alternative{}, Sent: []string{},
	}}
	for _, fill := range []func(*snapshot) error{e.fillListener, e.fillAddresses, e.fillHello} {
		if err := fill(s); err != nil {
			return status.Explanation{}, err
		}
	}
	if t := e.path(); t.Ended() {
		e.ended(t)
	} else {
		e.Outcome = outcomeForward
	}
	return e.Explanation, nil
}

// path is that of a connection; see [conn.path].
func (e *explanation) path() Termination {
	for _, step := range []func() Termination{e.accept, e.proxyHeader, e.admit, e.peek, e.match, e.terminate, e.connect} {
		if t := step(); t.Ended() {
			return t
		}
	}
	return Termination{}
}

// ended says what a client sees that is turned away.
func (e *explanation) ended(t Termination) {
	e.Outcome, e.Reason, e.Detail = e.turnedAway(t), t.Reason.String(), t.Detail
	switch t.Reason {
	case reasonProxyHeaderUntrusted, reasonProxyHeaderRequired:
		e.Admission = t.Detail
	default:
		if t.Reason.isRefusal() {
			e.Admission = t.Detail
		}
	}
}

// turnedAway gives the word for how.
func (e *explanation) turnedAway(t Termination) string {
	switch {
	case t.Reason != reasonHandshakeFailed && t.Reason != reasonHandshakeTimeout:
		how, _ := e.ln.turnsAway(&e.facts, e.chain, t.Reason)
		return how.String()
	case e.handshake.alerted:
		return config.RefuseTLSAlert.String()
	}
	return config.RefuseClose.String()
}

func (e *explanation) accept() Termination {
	if reason := e.ln.admission.full(e.gateway); reason != reasonNone {
		return refusal(reason)
	}
	return Termination{}
}

func (e *explanation) proxyHeader() Termination {
	p := e.ln.proxyProtocol
	if p == nil {
		return Termination{}
	}
	trusted := p.trusts(e.direct)
	if t := p.before(trusted); t.Ended() {
		return t
	}
	if e.headed {
		return p.after(trusted, proxyheader.Found, "")
	}
	return p.after(trusted, proxyheader.Absent, "")
}

func (e *explanation) admit() Termination {
	a := &e.ln.admission
	if !a.access.Allows(e.source.Addr()) {
		return refusal(reasonAccessDenied)
	}
	if n := a.perSource.Connections; n > 0 && a.sources.Active(limit.KeyOf(e.source.Addr())) >= n {
		return refusal(reasonSourceConnections)
	}
	return Termination{}
}

func (e *explanation) peek() Termination {
	if e.HelloNeeded = e.ln.needsHello(&e.facts); !e.HelloNeeded {
		return Termination{}
	}
	if e.ln.parse(&e.facts, e.says, make([]byte, maxHello)) == clienthello.NeedMore {
		panic("BUG: proxy: a hello that is not complete reached an explanation")
	}
	e.Hello = helloWord(e.outcome).String()
	return Termination{Reason: e.unreadable(), Detail: e.hello.Reason()}
}

func (e *explanation) match() Termination {
	var reason Reason
	e.chain, reason = e.ln.takes(&e.facts)
	e.Chains = e.verdicts()
	if e.chain == nil {
		return Termination{Reason: reason}
	}
	e.FilterChain, e.TLS = e.chain.name, e.chain.tlsWord(helloWord(e.outcome))
	if reason != reasonNone {
		return refusal(reason)
	}
	return Termination{}
}

// verdicts says what became of each chain.
func (e *explanation) verdicts() []status.Verdict {
	in := e.input()
	list := make([]status.Verdict, 0, len(e.ln.chains)+1)
	winner := ""
	for i, v := range e.ln.table.Explain(&in) {
		spec := e.ln.spec.Chains[i]
		x := status.Verdict{FilterChain: spec.Name, Position: spec.Pos.String(), Won: v.Won}
		for _, m := range v.Failed {
			x.Failed = append(x.Failed, status.Mismatch{Criterion: m.Criterion.String(), Got: m.Got, Want: m.Want})
		}
		if d := v.LostBy; d != nil {
			x.LostBy = &status.Defeat{Criterion: d.Criterion.String(), Own: d.Own, Winners: d.Winners}
			if d.Criterion == route.Position {
				x.LostBy.Criterion = "order"
			}
		}
		if v.Won {
			winner = spec.Name
		}
		list = append(list, x)
	}
	if spec := e.ln.spec.Default; spec != nil {
		x := status.Verdict{FilterChain: spec.Name, Position: spec.Pos.String(), Default: true, Won: winner == ""}
		if winner != "" {
			x.LostBy = &status.Defeat{Criterion: "default_filter_chain", Winners: winner}
		}
		list = append(list, x)
	}
	return list
}

// listenerNames gives the names of the listeners, sorted.
func (s *snapshot) listenerNames() []string {
	var names []string
	for _, ln := range s.listeners {
		names = append(names, ln.name)
	}
	slices.Sort(names)
	return names
}

// fillListener finds the listener. It need not be named when there is one.
func (e *explanation) fillListener(s *snapshot) error {
	name := e.Question.Listener
	for _, ln := range s.listeners {
		if ln.name == name || name == "" && len(s.listeners) == 1 {
			e.ln, e.Question.Listener = ln, ln.name
			e.Listener, e.Position = ln.name, ln.spec.Pos.String()
			return nil
		}
	}
	names := s.listenerNames()
	if name == "" {
		return fmt.Errorf("which listener? There are %s", inWords(names, "and"))
	}
	if near := config.Nearest(name, names); near != "" {
		return fmt.Errorf("no listener is named %q; did you mean %q?", name, near)
	}
	return fmt.Errorf("no listener is named %q; there is %s", name, inWords(names, "and"))
}
