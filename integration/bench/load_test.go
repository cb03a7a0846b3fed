package main

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// listen serves in this process; what it started ends with the test.
func listen(t *testing.T, accept func(net.Listener)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go accept(ln)
	return ln.Addr().String()
}

// proxyFor starts the baseline proxy for a mode, before the backend.
func proxyFor(t *testing.T, m mode, cert *certificate) string {
	t.Helper()
	b := &backend{pattern: newPattern()}
	p := &copyProxy{backends: []string{listen(t, b.accept)}, names: make(map[string]struct{})}
	switch m {
	case passThrough:
		p.names[benchedName] = struct{}{}
	case terminated:
		pair, err := tls.LoadX509KeyPair(cert.certFile, cert.keyFile)
		if err != nil {
			t.Fatal(err)
		}
		p.tls = &tls.Config{Certificates: []tls.Certificate{pair}}
	}
	return listen(t, func(ln net.Listener) { serveUntilClosed(ln, p) })
}

// serveUntilClosed is copyProxy.accept with an end.
func serveUntilClosed(ln net.Listener, p *copyProxy) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go p.serve(c)
	}
}

func runJob(t *testing.T, j job) outcome {
	t.Helper()
	g, err := newGenerator(j)
	if err != nil {
		t.Fatal(err)
	}
	defer g.stop()
	if err := g.start(); err != nil {
		t.Fatal(err)
	}
	o := g.measure()
	o.Failures += g.stalled()
	return o
}

// Every kind of work, through a proxy that is known to be right, is done
// without a failure.
func TestLoad(t *testing.T) {
	t.Parallel()
	cert, err := newCertificate(t.TempDir(), benchedName)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []mode{passThrough, plainTCP, terminated} {
		for name, j := range map[string]job{
			"down":    {Work: workDown, Connections: 2},
			"up":      {Work: workUp, Connections: 2},
			"echo":    {Work: workEcho, Connections: 3, Size: 1000},
			"short":   {Work: workShort, Connections: 2, Size: answerSize},
			"rate":    {Work: workShort, Connections: 4, Size: answerSize, Rate: 200},
			"hold":    {Work: workHold, Connections: 50, Size: 64},
			"idle":    {Work: workIdle, Connections: 50, Size: 16 << 10},
			"resumed": {Work: workShort, Connections: 2, Size: answerSize, Resume: true},
		} {
			if j.Resume && m != terminated {
				continue
			}
			t.Run(string(m)+", "+name, func(t *testing.T) {
				t.Parallel()
				j.Mode, j.ServerName, j.Certificate = m, benchedName, cert.der
				j.Target = proxyFor(t, m, cert)
				j.Warmup, j.Window = 20*time.Millisecond, 100*time.Millisecond
				o := runJob(t, j)
				if o.Failures > 0 {
					t.Errorf("%d failures, the first: %s", o.Failures, o.FirstFailure)
				}
				switch {
				case j.Work == workIdle:
				case j.Work == workHold && o.Units != int64(j.Connections):
					t.Errorf("%d connections were opened, want %d", o.Units, j.Connections)
				case o.Units == 0:
					t.Error("nothing was counted")
				case j.Work == workEcho && (o.P50 == 0 || o.P50 > o.P99):
					t.Errorf("latencies %v, %v", o.P50, o.P99)
				}
				if (m == terminated) != strings.Contains(o.TLS, "X25519") {
					t.Errorf("negotiated: %q", o.TLS)
				}
			})
		}
	}
}

// A proxy that loses one byte late in a stream must be found out by every kind
// of work that moves so much.
func TestLoadFindsWrongBytes(t *testing.T) {
	t.Parallel()
	for name, j := range map[string]job{
		"down":  {Work: workDown, Connections: 1},
		"up":    {Work: workUp, Connections: 1},
		"echo":  {Work: workEcho, Connections: 1, Size: 64 << 10},
		"short": {Work: workShort, Connections: 1, Size: patternSize},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &backend{pattern: newPattern()}
			behind := listen(t, b.accept)
			j.Target = listen(t, func(ln net.Listener) { loseBytes(ln, behind) })
			j.Mode, j.Window = plainTCP, 200*time.Millisecond
			if o := runJob(t, j); o.Failures == 0 {
				t.Errorf("%d units, and nobody missed the bytes", o.Units)
			}
		})
	}
}

// loseBytes is a proxy that drops a byte after the first 100,000 either way.
func loseBytes(ln net.Listener, to string) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			server, err := net.Dial("tcp", to)
			if err != nil {
				return
			}
			defer server.Close()
			go spoil(server, c)
			spoil(c, server)
		}()
	}
}

func spoil(to io.Writer, from io.Reader) {
	const after = 100_000
	if _, err := io.CopyN(to, from, after); err != nil {
		return
	}
	var lost [1]byte
	if _, err := io.ReadFull(from, lost[:]); err != nil {
		return
	}
	// Nothing more is expected of this proxy.
	_, _ = io.Copy(to, from)
}

// Connections that wait for their turn count from when they were due: a proxy
// that answers 10 each second when 1000 are asked for has latencies of nearly
// the whole window, though each connection alone takes a tenth of a second.
func TestRateCountsWaiting(t *testing.T) {
	t.Parallel()
	const pause, window = 20 * time.Millisecond, 600 * time.Millisecond
	slow := listen(t, func(ln net.Listener) {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			<-time.After(pause)
			(&backend{pattern: newPattern()}).serve(c)
		}
	})
	o := runJob(t, job{Target: slow, Mode: plainTCP, Work: workShort, Connections: 1, Size: 1, Rate: 1000, Window: window})
	if o.Failures > 0 || o.P99 < window/2 {
		t.Errorf("p99 is %v after %v of a proxy at a twentieth of the rate, %d failures (%s)", o.P99, window, o.Failures, o.FirstFailure)
	}
}

// A proxy with another certificate, or that does not resume, is no peer.
func TestLoadRefusesAnotherCertificate(t *testing.T) {
	t.Parallel()
	theirs, err := newCertificate(t.TempDir(), benchedName)
	if err != nil {
		t.Fatal(err)
	}
	g, err := newGenerator(job{Mode: terminated, ServerName: benchedName, Certificate: []byte("ours")})
	if err != nil {
		t.Fatal(err)
	}
	defer g.stop()
	g.Target = proxyFor(t, terminated, theirs)
	if c, err := g.dial(request{service: serveAnswer, size: 1}, nil); err == nil || !strings.Contains(err.Error(), "another certificate") {
		t.Errorf("dial = %v, %v", c, err)
	}
}
