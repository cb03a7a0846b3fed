package proxy

import (
	"sluice/tlsutil/clienthello"
)

// helloWord is what the record's hello field says: what became of reading the
// ClientHello.
type helloWord uint8

// The parser's outcomes keep their numbers; NeedMore, which is none, stands
// for a hello that was not read.
const (
	helloNotRead   = helloWord(clienthello.NeedMore)
	helloMalformed = helloWord(clienthello.Malformed)
	helloTimedOut  = helloWord(255)
)

// String gives the word of the access record.
func (h helloWord) String() string {
	switch h {
	case helloNotRead:
		return ""
	case helloTimedOut:
		return "timeout"
	}
	return clienthello.Outcome(h).String()
}

func (h helloWord) isTLS() bool { return clienthello.Outcome(h).Complete() }

// Names from clients are capped in the record. The parser takes no server name
// longer than 253 bytes; protocols can be many.
const maxALPNLength = 128

// noteHello takes over into the record what the hello said.
func (c *conn) noteHello() {
	s, r := c.setup, &c.record
	r.hello = helloWord(s.outcome)
	if !s.outcome.Complete() {
		return
	}
	r.sni = string(s.hello.ServerName())
	list := s.hello.ALPNList()
	r.alpn = c.w.internALPN(list)
	s.oneProtocol = len(list) > 0 && len(list) == 1+int(list[0]) && len(list)-1 <= maxALPNLength
}

// internALPN gives the readable form of a protocol list. Clients send few
// different ones, so the connections of a worker share the strings.
func (w *worker) internALPN(list []byte) string {
	if len(list) == 0 {
		return ""
	}
	if s, ok := w.alpn[string(list)]; ok {
		return s
	}
	var b []byte
	for rest := list; len(rest) > 0 && len(b) < maxALPNLength; rest = rest[1+int(rest[0]):] {
		if len(b) > 0 {
			b = append(b, ',')
		}
		b = append(b, rest[1:1+int(rest[0])]...)
	}
	s := capped(string(b), maxALPNLength)
	if len(w.alpn) < maxInterned && len(list) <= maxALPNLength {
		w.alpn[string(list)] = s
	}
	return s
}

// maxInterned bounds what clients can make a worker remember.
const maxInterned = 64
