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
	return &tls.Config{RootCAs: pool, ServerName: "gateway.test"}
}

// tap is the client's socket as a net.Conn that lets the gateway's side have
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

// capture gives what the client would send.
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

// tlsHand is a hand whose client speaks TLS, past its handshake.
type tlsHand struct {
	*hand
	client *tls.Conn
	tap    *tap
}

func newTLSHand(t testing.TB, n network, server, client *tls.Config, byByte bool) *tlsHand {
	t.Helper()
	h := &tlsHand{hand: newHand(t, n, 0)}
	wire := NewWire(h.near[Downstream], WireOptions{Gate: NewGate(1)})
	h.tap = &tap{fd: h.far[Downstream], byByte: byByte, others: func() {
		wire.Wake()
		runtime.Gosched()
	}}
	h.client = tls.Client(h.tap, client)
	type result struct {
		stream *Stream
		err    error
	}
	done := make(chan result, 1)
	go func() {
		stream, err := Handshake(wire, server)
		done <- result{stream, err}
	}()
	check(t, h.client.Handshake())
	// The end of the client's handshake is not the end of the gateway's.
	var r result
	eventually(t, "the handshake", func() bool {
		h.tap.others()
		select {
		case r = <-done:
			return true
		default:
			return false
		}
	})
	check(t, r.err)
	h.Init(h.m, h.near[Downstream], h.near[Upstream], r.stream)
	h.tap.others = func() {
		if status := h.turn(); status == Finished || status == PassReset || status == Aborted {
			h.tap.others = func() {} // no more turns may be taken
		}
	}
	return h
}

// reads gives n bytes that the client has decrypted.
func (h *tlsHand) reads(n int) []byte {
	h.t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(h.client, b); err != nil {
		h.t.Fatalf("the client: %v", err)
	}
	return b
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
