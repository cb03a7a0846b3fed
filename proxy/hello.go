package proxy

import (
	"hash/maphash"

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

// helloWords is how many words there are, with a place for none.
const helloWords = int(clienthello.TooLarge) + 1

// place numbers the words: helloTimedOut has the place of helloNotRead, which is
// no word.
func (h helloWord) place() int {
	if h == helloTimedOut {
		return 0
	}
	return int(h)
}

// helloAt is the word at a place.
func helloAt(place int) helloWord {
	if place == 0 {
		return helloTimedOut
	}
	return helloWord(place)
}

func (h helloWord) isTLS() bool { return clienthello.Outcome(h).Complete() }

// Names from clients are capped in the record. The parser takes no server name
// longer than 253 bytes; protocols can be many.
const maxALPNLength = 128

// noteHello takes over into the record what the hello said.
func (c *conn) noteHello() {
	s, r := c.setup, &c.record
	c.noteOutcome(helloWord(s.outcome))
	if !s.outcome.Complete() {
		return
	}
	r.sni = c.w.names.text(s.hello.ServerName())
	list := s.hello.ALPNList()
	r.alpn = c.w.protocols.text(list)
	s.oneProtocol = isOneProtocol(list)
}

// isOneProtocol tells whether a protocol list has a single name in it, which the
// record has whole.
func isOneProtocol(list []byte) bool {
	return len(list) > 0 && len(list) == 1+int(list[0]) && len(list)-1 <= maxALPNLength
}

// shared is text from clients that many connections of a worker have in common:
// the record of each then holds a pointer of 8 bytes and no copy. It remembers
// what came last for each of sharedTexts places, so whatever clients send it
// does not grow; those who have one that was displaced keep it.
type shared struct {
	seed   maphash.Seed
	places [sharedTexts]*sharedText
	format func([]byte) string
}

// sharedText is a text with the bytes of the hello that it was made from.
type sharedText struct {
	text string
	from string
}

// sharedTexts is how many texts a worker remembers of a kind. A gateway for
// more names than that shares less.
const sharedTexts = 256

func newShared(format func([]byte) string) *shared {
	return &shared{seed: maphash.MakeSeed(), format: format}
}

// text gives the text for what the hello has; nil for nothing.
func (sh *shared) text(from []byte) *string {
	if len(from) == 0 {
		return nil
	}
	place := &sh.places[maphash.Bytes(sh.seed, from)%sharedTexts]
	if known := *place; known != nil && known.from == string(from) {
		return &known.text
	}
	made := &sharedText{text: sh.format(from)}
	if made.from = made.text; made.text != string(from) {
		made.from = string(from)
	}
	*place = made
	return &made.text
}

func serverName(name []byte) string { return string(name) }

// protocolNames gives the readable form of a protocol list (RFC 7301 3.1), at
// most maxALPNLength of it.
func protocolNames(list []byte) string {
	var b []byte
	for rest := list; len(rest) > 0 && len(b) < maxALPNLength; rest = rest[1+int(rest[0]):] {
		if len(b) > 0 {
			b = append(b, ',')
		}
		b = append(b, rest[1:1+int(rest[0])]...)
	}
	return capped(string(b), maxALPNLength)
}
