package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// copyConfig configures the baseline: what one writes in Go in an afternoon,
// and what most L4 proxies in Go are inside. Two goroutines for a connection,
// io.Copy between them, which splices by itself where the runtime can.
type copyConfig struct {
	Listen          string   `json:"listen"`
	Backends        []string `json:"backends"`
	Names           []string `json:"names,omitempty"` // server names let through; with none the hello is not read
	CertificateFile string   `json:"certificate_file,omitempty"`
	KeyFile         string   `json:"key_file,omitempty"`
}

// copyProxy is that proxy at work.
type copyProxy struct {
	backends []string
	names    map[string]struct{}
	tls      *tls.Config
	next     atomic.Uint64
}

// runCopyProxy is the subcommand "copyproxy FILE". It serves until its input
// ends.
func runCopyProxy(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: bench copyproxy FILE")
	}
	text, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	var config copyConfig
	if err := json.Unmarshal(text, &config); err != nil {
		return fmt.Errorf("reading %s: %w", args[0], err)
	}
	p := &copyProxy{backends: config.Backends, names: make(map[string]struct{}, len(config.Names))}
	for _, name := range config.Names {
		p.names[name] = struct{}{}
	}
	if config.CertificateFile != "" {
		cert, err := tls.LoadX509KeyPair(config.CertificateFile, config.KeyFile)
		if err != nil {
			return err
		}
		p.tls = &tls.Config{Certificates: []tls.Certificate{cert}, CurvePreferences: []tls.CurveID{tls.X25519}}
	}
	ln, err := net.Listen("tcp", config.Listen)
	if err != nil {
		return err
	}
	go p.accept(ln)
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// acceptPause follows an accept that failed.
const acceptPause = 5 * time.Millisecond

func (p *copyProxy) accept(ln net.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			// Out of descriptors, which io.Copy's pipes need many of: as
			// net/http, it tries again soon.
			time.Sleep(acceptPause)
			continue
		}
		go p.serve(c)
	}
}

// halfCloser is a connection of which one direction can end.
type halfCloser interface {
	net.Conn
	CloseWrite() error
}

// helloTimeout is the gateway's default, too.
const helloTimeout = 5 * time.Second

func (p *copyProxy) serve(accepted net.Conn) {
	defer accepted.Close()
	client := accepted.(halfCloser)
	var hello []byte
	switch {
	case p.tls != nil:
		client = tls.Server(accepted, p.tls)
	case len(p.names) > 0:
		var err error
		if hello, err = p.readHello(accepted); err != nil {
			return
		}
	}
	backend := p.backends[p.next.Add(1)%uint64(len(p.backends))]
	dialed, err := net.DialTimeout("tcp", backend, helloTimeout)
	if err != nil {
		return
	}
	defer dialed.Close()
	if _, err := dialed.Write(hello); err != nil {
		return
	}
	server := dialed.(halfCloser)
	var both sync.WaitGroup
	both.Go(func() { forward(server, client) })
	forward(client, server)
	both.Wait()
}

// forward copies one direction to its end. An end that is an error ends both.
func forward(to, from halfCloser) {
	if _, err := io.Copy(to, from); err != nil {
		to.Close()
		from.Close()
		return
	}
	_ = to.CloseWrite()
}

// readHello reads the first record and lets it pass if its name is served.
func (p *copyProxy) readHello(c net.Conn) ([]byte, error) {
	if err := c.SetReadDeadline(time.Now().Add(helloTimeout)); err != nil {
		return nil, err
	}
	record := make([]byte, recordHeader, 2<<10)
	if _, err := io.ReadFull(c, record); err != nil {
		return nil, err
	}
	length := int(record[3])<<8 | int(record[4])
	record = append(record, make([]byte, length)...)
	if _, err := io.ReadFull(c, record[recordHeader:]); err != nil {
		return nil, err
	}
	name, ok := serverName(record)
	if !ok {
		return nil, errors.New("no server name")
	}
	if _, ok := p.names[string(bytes.ToLower(name))]; !ok {
		return nil, fmt.Errorf("no backend for %q", name)
	}
	return record, c.SetReadDeadline(time.Time{})
}

// serverName finds the name in a hello that fits one record (RFC 8446 §4.1.2,
// RFC 6066 §3), as simple proxies do.
func serverName(record []byte) ([]byte, bool) {
	rest, ok := skip(record, recordHeader+4+2+32) // record and message headers, version, random
	for _, lengthSize := range []int{1, 2, 1} {   // session id, cipher suites, compressions
		if ok {
			_, rest, ok = vector(rest, lengthSize)
		}
	}
	var extensions []byte
	if ok {
		extensions, _, ok = vector(rest, 2)
	}
	for ok && len(extensions) >= 2 {
		kind := int(extensions[0])<<8 | int(extensions[1])
		var body []byte
		body, extensions, ok = vector(extensions[2:], 2)
		if ok && kind == 0 {
			rest, ok = skip(body, 3) // length of the list, type of its first entry
			if !ok {
				return nil, false
			}
			name, _, ok := vector(rest, 2)
			return name, ok
		}
	}
	return nil, false
}

func skip(b []byte, n int) ([]byte, bool) {
	if len(b) < n {
		return nil, false
	}
	return b[n:], true
}

// vector splits off what a length of so many bytes announces.
func vector(b []byte, lengthSize int) (body, rest []byte, ok bool) {
	if len(b) < lengthSize {
		return nil, nil, false
	}
	n := 0
	for _, d := range b[:lengthSize] {
		n = n<<8 | int(d)
	}
	b = b[lengthSize:]
	if len(b) < n {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}
