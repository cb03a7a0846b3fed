package proxy

import (
	"sluice/config"
	"sluice/proxy/route"
	"sluice/proxy/upstream"
	"sluice/tlsutil/clienthello"
)

// facts is who a client is and what it has said: all that the decisions about a
// connection go by. These are functions of it and of the configuration, here and
// beside what they are about, and have no other effect: the path of a connection
// acts on what they say (conn.go), and an explanation tells it (explain.go).
type facts struct {
	// source and destination are the connection's, or those of the PROXY
	// header that came on it; direct is always the peer.
	source, destination, direct addrPort

	hello   clienthello.Hello
	outcome clienthello.Outcome // NeedMore: the hello was not read
}

// needsHello tells whether the client's hello has to be read.
func (ln *listener) needsHello(f *facts) bool {
	return ln.table.NeedsHello(f.destination, f.direct, f.source)
}

// parse looks at what the client has sent so far, as [clienthello.Hello.Parse]
// does. scratch is of maxHello bytes.
func (ln *listener) parse(f *facts, b, scratch []byte) clienthello.Outcome {
	f.outcome = f.hello.Parse(b, scratch, ln.maxHello)
	if f.outcome == clienthello.NotTLS && f.hello.Reason() != "" && !ln.takesRaw(f.destination, f.direct, f.source) {
		// A lenient server behind a chain for anything would serve
		// whatever name is in it.
		f.outcome = clienthello.Malformed
	}
	return f.outcome
}

// unreadable is why a client is turned away whose hello was read;
// reasonNone when it is not.
func (f *facts) unreadable() Reason {
	switch f.outcome {
	case clienthello.Malformed:
		return reasonHelloMalformed
	case clienthello.TooLarge:
		return reasonHelloTooLarge
	}
	return reasonNone
}

// input says what is known of the client in the matcher's terms.
func (f *facts) input() route.Input {
	in := route.Input{Destination: f.destination, DirectSource: f.direct, Source: f.source}
	switch {
	case f.outcome.Complete():
		in.Transport, in.ServerName, in.ALPN = route.TLS, f.hello.ServerName(), route.Protocols(f.hello.ALPNList())
	case f.outcome == clienthello.NotTLS:
		in.Transport = route.RawBuffer
	}
	return in
}

// takes gives the chain that takes the client, and why it is turned away all the
// same; reasonNone when it is not.
func (ln *listener) takes(f *facts) (*chain, Reason) {
	in := f.input()
	ch := ln.chainFor(&in)
	switch {
	case ch == nil:
		return nil, reasonNoMatch
	case !ch.access.Allows(f.source.Addr()):
		return ch, reasonAccessDenied
	}
	return ch, reasonNone
}

// key is what a choice by a hash goes by.
func (f *facts) key(on config.HashKey) upstream.Key {
	switch {
	case on == config.HashSourceIP:
		return upstream.KeyOfAddress(f.source.Addr())
	case on == config.HashServerName && f.outcome.Complete():
		return upstream.KeyOf(f.hello.ServerName())
	}
	return upstream.NoKey
}

// speaksTLS tells whether the client has shown that it understands alerts: not
// before its hello was read.
func (f *facts) speaksTLS() bool {
	switch f.outcome {
	case clienthello.NeedMore, clienthello.NotTLS:
		return false
	}
	return true
}

// turnsAway says how a client is turned away for a reason, before it has an
// endpoint, and with which alert where it is one. ch is the chain that took it;
// nil before there is one.
func (ln *listener) turnsAway(f *facts, ch *chain, reason Reason) (how config.Refusal, alert byte) {
	if reason.isRefusal() {
		return config.RefuseReset, 0 // the cheapest for both
	}
	how, alert = ln.onNoMatch, byte(alertUnrecognizedName)
	switch reason {
	case reasonNoEndpoint, reasonNoHealthyEndpoint, reasonOverflow, reasonQueueTimeout, reasonConnectFailed, reasonResources:
		how, alert = config.RefuseReset, alertInternalError
		if ch != nil {
			how = ch.onUpstreamFailure
		}
	case reasonHelloMalformed, reasonHelloTooLarge:
		alert = alertDecodeError
	case reasonProxyHeaderUntrusted, reasonProxyHeaderRequired, reasonProxyHeaderMalformed, reasonProxyHeaderTimeout:
		how = config.RefuseReset // whoever is there speaks no protocol that we could answer in
	}
	if how == config.RefuseTLSAlert && !f.speaksTLS() {
		how = config.RefuseClose // an alert would be garbage in another protocol
	}
	return how, alert
}
