package proxy

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"sluice/config"
	"sluice/proxy/proxyheader"
	"sluice/proxy/route"
	"sluice/proxy/status"
	"sluice/proxy/upstream"
)

// rehearsed is what became of the gateway's part of a handshake.
type rehearsed struct {
	state   tls.ConnectionState
	alerted bool // it was refused with an alert
}

// routedSpeaker is a speaker whose server name the gateway has read; see
// [relay.Wire].
type routedSpeaker struct {
	speaker
	local, remote net.Addr
	name          string
}

func (c *routedSpeaker) LocalAddr() net.Addr              { return c.local }
func (c *routedSpeaker) RemoteAddr() net.Addr             { return c.remote }
func (c *routedSpeaker) RoutedServerName() (string, bool) { return c.name, c.name != "" }

// recordAlert is the type of a record with an alert in it (RFC 8446 5.1).
const recordAlert = 21

// terminate runs the gateway's part of the handshake as far as it goes without
// an answer of the client's: whether a hello is refused is known by then, a
// client's certificate is not.
func (e *explanation) terminate() Termination {
	if e.chain.tls == nil {
		return Termination{}
	}
	c := &routedSpeaker{
		speaker: speaker{heard: e.says},
		local:   netAddr(e.destination), remote: netAddr(e.source), name: string(e.hello.ServerName()),
	}
	conn := tls.Server(c, e.chain.tls)
	err := conn.Handshake()
	e.handshake = rehearsed{state: conn.ConnectionState(), alerted: len(c.said) > 0 && c.said[0] == recordAlert}
	switch {
	case !errors.Is(err, errSilence):
		return handshakeFailure(err)
	case len(c.said) == 0: // nothing is refused, and more is waited for
		return Termination{Reason: reasonHandshakeTimeout, Detail: errHandshakeTimeout.Error()}
	}
	return Termination{}
}

// connect tells which clusters may be chosen, and what each has to offer. It
// fails when each of them does.
func (e *explanation) connect() Termination {
	var refused Termination
	served := false
	var sent [][]string
	for i, share := range e.chain.split.Shares(e.keyOf(e.chain.hashOn)) {
		if share == 0 {
			continue
		}
		cl := e.chain.clusters[i]
		x, t := e.alternative(cl)
		x.Share, x.Outcome = share, outcomeForward
		if t.Ended() {
			x.Outcome, x.Reason = e.turnedAway(t), t.Reason.String()
		}
		x.Weight = e.chain.spec.Route.Clusters[i].Weight
		e.Clusters = append(e.Clusters, x)
		sent = append(sent, e.sentTo(cl))
		if !t.Ended() {
			served = true
		} else if !refused.Ended() {
			refused = t
		}
	}
	if !served {
		return refused
	}
	e.Sent = together(e.Clusters, sent)
	return Termination{}
}

// keyOf is [facts.key], but for a source that the question does not give:
// nothing is chosen by it then.
func (e *explanation) keyOf(on config.HashKey) upstream.Key {
	if on == config.HashSourceIP && e.anywhere {
		return upstream.NoKey
	}
	return e.key(on)
}

// alternative is a cluster with its endpoints, and why a connection that was
// given it would fail.
func (e *explanation) alternative(cl *cluster) (status.Alternative, Termination) {
	x := status.Alternative{Cluster: cl.Name, Position: cl.spec.Pos.String(), Policy: cl.spec.LBPolicy, Endpoints: []status.Candidate{}}
	list, refusal := cl.Candidates(e.keyOf(cl.hashOn))
	var unfit Termination
	fit := false
	for i := range list {
		cand := candidateOf(&list[i])
		if cand.Rank > 0 {
			if t := e.unfit(cl, list[i].Endpoint); t.Ended() {
				unfit, cand.Why = t, t.Detail
			} else {
				fit = true
			}
		}
		x.Endpoints = append(x.Endpoints, cand)
	}
	var t Termination
	switch {
	case refusal == upstream.NoEndpoints && e.gateway == nil && len(cl.spec.Discoveries) > 0:
		x.Refusal = "its endpoints are looked up while the gateway runs"
		return x, t
	case refusal == upstream.Full && cl.MayWait():
		x.Refusal = "it has all the connections that it may have, and the connection waits for a place"
		return x, t
	case refusal != upstream.Granted:
		t = cl.refused(refusal)
	case !fit:
		t = unfit
	}
	x.Refusal = t.Detail
	return x, t
}

// unfit says why an endpoint that is given could not even be tried.
func (e *explanation) unfit(cl *cluster, ep *upstream.Endpoint) Termination {
	if cl.tls != nil {
		if _, ok := cl.tls.nameOf(ep, e.chain, e.sni()); !ok {
			return Termination{Reason: reasonConnectFailed, Detail: errNoEndpointName.Error()}
		}
	}
	if cl.source != nil && ep.Address.Path == "" {
		if from, ok := cl.source.of(&e.facts, ep.Address.AddrPort.Addr().Is4()); !ok {
			detail := "it cannot be connected from " + from.String() + ", which is of another family"
			if !from.IsValid() {
				detail = "it cannot be connected from the client's address, since that has none"
			}
			return Termination{Reason: reasonResources, Detail: detail}
		}
	}
	return Termination{}
}

// sni is the client's server name; nil when none is known.
func (e *explanation) sni() *string {
	name := string(e.hello.ServerName())
	if name == "" {
		return nil
	}
	return &name
}

func candidateOf(x *upstream.Candidate) status.Candidate {
	s := endpointStatus(x.Endpoint, x.Spec, nil)
	return status.Candidate{
		Endpoint: s.Name, Address: s.Address, Rank: x.Rank, Why: x.Why,
		Weight: x.Weight, Priority: s.Priority, Active: x.Active, Status: s.Status, Outlier: s.Outlier,
	}
}

// sentTo says what an endpoint of a cluster gets.
func (e *explanation) sentTo(cl *cluster) []string {
	var steps []string
	if from := cl.source; from != nil {
		address := from.address.String()
		if from.transparent {
			address = e.source.Addr().String() + ", the client's own address"
		}
		steps = append(steps, "a connection from "+address)
	}
	if cl.header != nil {
		steps = append(steps, e.headerText(cl))
	}
	if cl.tls != nil {
		steps = append(steps, e.originationText(cl))
	}
	return append(steps, e.payloadText())
}

// headerText describes a PROXY header.
func (e *explanation) headerText(cl *cluster) string {
	text := fmt.Sprintf("a PROXY header of version %d that says from %s to %s", cl.header.Version, partyText(e.source), partyText(e.destination))
	if !e.source.IsValid() || !e.destination.IsValid() {
		text = fmt.Sprintf("a PROXY header of version %d without addresses", cl.header.Version)
	}
	var state *tls.ConnectionState
	protocol := e.handshake.state.NegotiatedProtocol
	if e.chain.tls != nil {
		state = &e.handshake.state
	} else if list := e.hello.ALPNList(); isOneProtocol(list) {
		protocol = protocolNames(list)
	}
	var words []string
	for typ, value := range ownTLVs(&cl.header.TLVs, e.sni(), protocol, func() []byte { return nil }, state).All() {
		switch typ {
		case proxyheader.Authority:
			words = append(words, fmt.Sprintf("authority %q", value))
		case proxyheader.ALPN:
			words = append(words, fmt.Sprintf("alpn %q", value))
		case proxyheader.UniqueID:
			words = append(words, "unique_id")
		case proxyheader.SSL:
			words = append(words, "ssl")
		}
	}
	if cl.header.TLVs.CRC32C {
		words = append(words, "crc32c")
	}
	if cl.header.PassThroughTLVs && e.headed {
		words = append(words, "what the header that came has besides")
	}
	if len(words) > 0 {
		text += ", with " + strings.Join(words, ", ")
	}
	return text
}

// originationText describes the handshake with an endpoint.
func (e *explanation) originationText(cl *cluster) string {
	t := cl.tls
	text := "a TLS handshake"
	switch {
	case t.serverName != "":
		text += " for " + t.serverName
	case t.asksForClientsName(e.chain, e.sni()):
		text += " for " + *e.sni() + ", as the client asked"
	default:
		text += " for the endpoint's host name"
	}
	if list := t.configs.Offers(e.handshake.state.NegotiatedProtocol); len(list) > 0 {
		text += ", offering " + strings.Join(list, ", ")
	}
	if !t.verifies {
		return text + "; its certificate is not verified"
	}
	return text + "; its certificate is verified"
}

// payloadText describes what of the client's bytes passes.
func (e *explanation) payloadText() string {
	switch {
	case e.chain.tls != nil:
		text := "what the client says, decrypted (" + tls.VersionName(e.handshake.state.Version)
		if p := e.handshake.state.NegotiatedProtocol; p != "" {
			text += ", " + p
		}
		if auth := e.chain.spec.TLS.ClientAuth; auth != nil && auth.Required {
			return text + "), once it has shown a certificate that is accepted"
		}
		return text + ")"
	case e.input().Transport == route.TLS:
		return "the client's bytes as they are, its ClientHello first"
	case e.HelloNeeded, e.ln.proxyProtocol != nil && !e.headed: // the client has to speak first
		return "the client's bytes as they are"
	}
	return "the client's bytes as they are, at once: the endpoint may speak first"
}

// together gives the steps of all alternatives: once where they are the same.
func together(clusters []status.Alternative, sent [][]string) []string {
	same := true
	for _, steps := range sent[1:] {
		same = same && slices.Equal(steps, sent[0])
	}
	if same {
		return sent[0]
	}
	var list []string
	for i, steps := range sent {
		for _, step := range steps {
			list = append(list, clusters[i].Cluster+": "+step)
		}
	}
	return list
}
