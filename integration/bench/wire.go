package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// What client and backend say to each other, through whatever proxy:
//
//	client:  [ClientHello record, when the connection is passed through] request
//	backend: what the request asks for
//
// A passed-through hello is never answered with TLS: proxies do not look beyond
// it, and neither side of the load then spends time on encryption.

// service is what a client asks the backend for.
type service byte

const (
	serveEcho   service = 'E' // messages of size bytes, each sent back
	serveDown   service = 'D' // the pattern, until the client goes
	serveUp     service = 'U' // takes the pattern; answers ackEvery bytes with their count so far
	serveAnswer service = 'A' // size bytes once; then waits for the client to go
)

// ackEvery is rare enough to cost nothing beside what it confirms.
const ackEvery = 4 << 20

// request is the client's first message.
type request struct {
	service service
	size    int // bytes; see service
}

const requestSize = 12

var requestMagic = [4]byte{'b', 'n', 'c', 'h'}

func (r request) append(to []byte) []byte {
	to = append(to, requestMagic[:]...)
	to = append(to, byte(r.service), 0, 0, 0)
	return binary.BigEndian.AppendUint32(to, uint32(r.size))
}

// A TLS record: type, version, length of what follows (RFC 8446 §5.1).
const (
	recordHeader    = 5
	recordHandshake = 22
)

// largestMessage bounds what a request may ask to be held in memory.
const largestMessage = 1 << 20

// readRequest reads past a ClientHello, when there is one, to the request.
func readRequest(from *bufio.Reader) (request, error) {
	first, err := from.Peek(recordHeader)
	if err != nil {
		return request{}, err
	}
	if first[0] == recordHandshake {
		length := recordHeader + int(binary.BigEndian.Uint16(first[3:]))
		if _, err := from.Discard(length); err != nil {
			return request{}, err
		}
	}
	var b [requestSize]byte
	if _, err := io.ReadFull(from, b[:]); err != nil {
		return request{}, err
	}
	r := request{service: service(b[4]), size: int(binary.BigEndian.Uint32(b[8:]))}
	if [4]byte(b[:4]) != requestMagic || r.size > largestMessage {
		return request{}, fmt.Errorf("not a request: %x", b)
	}
	return r, nil
}

// pattern is the content of bulk transfers: byte i of a stream is
// newPattern()[i%patternSize], so that lost, doubled or swapped bytes show up
// wherever a read begins.
const patternSize = 256 << 10

func newPattern() []byte {
	p := make([]byte, 0, patternSize)
	for i := range uint64(patternSize / 8) {
		p = binary.BigEndian.AppendUint64(p, i*0x9E3779B97F4A7C15)
	}
	return p
}

// checked is how many bytes of each read are compared with the pattern. A byte
// lost anywhere shifts all that follow; comparing every byte would cost the
// load more than it shows.
const checked = 64

var errContent = errors.New("what arrived is not what was sent")

// checkPattern compares the beginning of what was read at an offset.
func checkPattern(pattern, read []byte, offset int64) error {
	at := offset % patternSize
	n := min(len(read), checked, int(patternSize-at))
	if string(read[:n]) != string(pattern[at:at+int64(n)]) {
		return fmt.Errorf("%w at byte %d", errContent, offset)
	}
	return nil
}
