package relay

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var tlsVersions = []uint16{tls.VersionTLS12, tls.VersionTLS13}

// certificate is for gateway.test, and signed by itself.
var certificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"gateway.test"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
})

func serverConfig(version uint16) *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{certificate()}, MinVersion: version, MaxVersion: version,
		DynamicRecordSizingDisabled: true,
	}
}

func clientConfig() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(certificate().Leaf)
	return &tls.Config{RootCAs: pool, ServerName: "gateway.test", DynamicRecordSizingDisabled: true}
}

// layout says which sides of a pair are encrypted, and which of them a test is
// about.
type layout struct {
	side Side
	both bool
}

// layouts are all there are: TLS is terminated, or spoken to the endpoint, or
// both.
var layouts = []layout{{Downstream, false}, {Upstream, false}, {Downstream, true}, {Upstream, true}}

func (l layout) String() string {
	if l.both {
		return l.side.String() + " of two"
	}
	return l.side.String()
}

// encrypts tells whether a side is encrypted.
func (l layout) encrypts(side Side) bool { return l.both || l.side == side }

// configs gives the gateway's config for a side, where it is the server
// downstream and the client upstream, and that of its peer.
func configs(side Side, version uint16) (near, far *tls.Config) {
	server, client := serverConfig(version), clientConfig()
	if side == Downstream {
		return server, client
	}
	return client, server
}

// encrypt runs the gateway's handshake of a side.
func encrypt(side Side, wire *Wire, config *tls.Config) (*Stream, error) {
	if side == Downstream {
		return Handshake(wire, config)
	}
	return ClientHandshake(wire, config)
}

// farTLS is the peer of an encrypted side.
func farTLS(side Side, c net.Conn, config *tls.Config) *tls.Conn {
	if side == Downstream {
		return tls.Client(c, config)
	}
	return tls.Server(c, config)
}

// overTLS runs f for every layout and version.
func overTLS(t *testing.T, f func(t *testing.T, l layout, version uint16)) {
	for _, l := range layouts {
		for _, version := range tlsVersions {
			t.Run(l.String()+" "+tls.VersionName(version), func(t *testing.T) { f(t, l, version) })
		}
	}
}

// tap is a far end's socket as a net.Conn that lets the gateway's side have
// its turn whenever it has done something, in the same goroutine.
type tap struct {
	fd       int
	others   func()        // let the gateway have its turn
	byByte   bool          // send one byte at a time
	captured *bytes.Buffer // keeps what is written instead of sending it
	sawFIN   bool
}

func (c *tap) Read(b []byte) (int, error) {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		switch n, errno := sysRead(c.fd, b); {
		case errno == syscall.EAGAIN:
			c.others()
		case errno != 0:
			return 0, errno
		case n == 0:
			c.sawFIN = true
			return 0, io.EOF
		default:
			return n, nil
		}
	}
	return 0, syscall.ETIMEDOUT
}

func (c *tap) Write(b []byte) (int, error) {
	if c.captured != nil {
		return c.captured.Write(b)
	}
	piece := len(b)
	if c.byByte {
		piece = 1
	}
	for sent := 0; sent < len(b); {
		n, errno := sysWrite(c.fd, b[sent:min(len(b), sent+piece)])
		if errno != 0 && errno != syscall.EAGAIN {
			return sent, errno
		}
		sent += n
		c.others()
	}
	return len(b), nil
}

// capture gives what the peer would send.
func (c *tap) capture(do func()) []byte {
	c.captured = &bytes.Buffer{}
	defer func() { c.captured = nil }()
	do()
	return c.captured.Bytes()
}

func (c *tap) Close() error                     { return nil }
func (c *tap) LocalAddr() net.Addr              { return nil }
func (c *tap) RemoteAddr() net.Addr             { return nil }
func (c *tap) SetDeadline(time.Time) error      { return nil }
func (c *tap) SetReadDeadline(time.Time) error  { return nil }
func (c *tap) SetWriteDeadline(time.Time) error { return nil }

// tlsHand is a hand with encrypted sides, past their handshakes. Its methods
// do at a far end what the peer there would, encrypted or not.
type tlsHand struct {
	*hand
	layout
	peers  [2]*tls.Conn // nil: plain
	taps   [2]*tap
	unsent []byte // a part of a record that floodsFrom could not send
	status Status // the last turn's; no turn is given after the end
}

// newTLSHand makes a hand with the given layout and version.
func newTLSHand(t testing.TB, n network, l layout, version uint16) *tlsHand {
	near, far := configs(l.side, version)
	return newTLSHandOf(t, n, l, near, far, false)
}

// newTLSHandOf is newTLSHand with configs for the side that the test is about.
func newTLSHandOf(t testing.TB, n network, l layout, near, far *tls.Config, byByte bool) *tlsHand {
	t.Helper()
	h := &tlsHand{hand: newHand(t, n, 0), layout: l}
	var streams Streams
	streams[l.side] = h.shakeHands(l.side, near, far, byByte)
	if l.both {
		other := l.side.Other()
		near, far := configs(other, tls.VersionTLS13)
		streams[other] = h.shakeHands(other, near, far, false)
	}
	h.Init(h.m, h.near[Downstream], h.near[Upstream], streams)
	for _, tap := range h.taps {
		if tap != nil {
			tap.others = func() { h.turn() }
		}
	}
	return h
}

// shakeHands performs the handshake of a side.
func (h *tlsHand) shakeHands(side Side, near, far *tls.Config, byByte bool) *Stream {
	h.t.Helper()
	wire := NewWire(h.near[side], WireOptions{Gate: NewGate(1)})
	tap := &tap{fd: h.far[side], byByte: byByte, others: func() {
		wire.Wake()
		runtime.Gosched()
	}}
	h.taps[side], h.peers[side] = tap, farTLS(side, tap, far)
	type result struct {
		stream *Stream
		err    error
	}
	done := make(chan result, 1)
	go func() {
		stream, err := encrypt(side, wire, near)
		done <- result{stream, err}
	}()
	check(h.t, h.peers[side].Handshake())
	// The end of the peer's handshake is not the end of the gateway's.
	var r result
	eventually(h.t, "the handshake", func() bool {
		tap.others()
		select {
		case r = <-done:
			return true
		default:
			return false
		}
	})
	check(h.t, r.err)
	return r.stream
}

// turn is hand's, until the end.
func (h *tlsHand) turn() Status {
	if h.status == Waiting || h.status == Again {
		h.status = h.hand.turn()
	}
	return h.status
}

// settle gives turns until nothing can move.
func (h *tlsHand) settle() Status {
	h.t.Helper()
	for range 10_000 {
		if st := h.turn(); st != Again {
			return st
		}
	}
	h.t.Fatal("it never settles")
	return Again
}

// says has a peer send bytes.
func (h *tlsHand) says(side Side, b []byte) {
	h.t.Helper()
	if h.peers[side] == nil {
		h.send(side, b)
		h.settle()
		return
	}
	if _, err := h.peers[side].Write(b); err != nil {
		h.t.Fatalf("%v: %v", side, err)
	}
}

// hears gives n bytes that a peer has got.
func (h *tlsHand) hears(side Side, n int) []byte {
	h.t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(h.reader(side), b); err != nil {
		h.t.Fatalf("%v: %v", side, err)
	}
	return b
}

// reader reads what a peer gets, with turns for the gateway.
func (h *tlsHand) reader(side Side) io.Reader {
	if h.peers[side] != nil {
		return h.peers[side]
	}
	return &tap{fd: h.far[side], others: func() { h.turn() }}
}

// finishes has a peer end its direction in good order.
func (h *tlsHand) finishes(side Side) {
	h.t.Helper()
	if h.peers[side] == nil {
		check(h.t, unix.Shutdown(h.far[side], unix.SHUT_WR))
		return
	}
	check(h.t, h.peers[side].CloseWrite())
}

// hearsTheEnd waits until a peer was told that the other one has finished: with
// close_notify where it speaks TLS.
func (h *tlsHand) hearsTheEnd(side Side) {
	h.t.Helper()
	if n, err := h.reader(side).Read(make([]byte, 1)); n != 0 || err != io.EOF {
		h.t.Errorf("%v was told: %d bytes, %v", side, n, err)
	}
	if tap := h.taps[side]; tap != nil && tap.sawFIN {
		h.t.Errorf("%v was told by a bare FIN", side)
	}
}

// over gives turns until the pair is.
func (h *tlsHand) over() (status Status) {
	h.t.Helper()
	eventually(h.t, "the end", func() bool {
		status = h.settle()
		return status != Waiting
	})
	return status
}

// wantEnd checks how the pair ended.
func (h *tlsHand) wantEnd(want Status, first Side) {
	h.t.Helper()
	st := h.over()
	got := h.FirstEnded()
	if want != Finished {
		got = h.FirstGone()
	}
	if st != want || got != first {
		h.t.Errorf("status %d, first %v, want %d, first %v; %v, %v", st, got, want, first, h.StreamError(Downstream), h.StreamError(Upstream))
	}
	for _, side := range bothSides {
		if err := h.StreamError(side); want == Finished && err != nil {
			h.t.Errorf("%v: %v", side, err)
		}
	}
}
