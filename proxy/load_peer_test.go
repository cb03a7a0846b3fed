package proxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"sluice/tlsutil/clienthello/hellotest"
)

// peerVariable marks the process that plays clients and endpoints.
const peerVariable = "SLUICE_TEST_PEER"

// peerProcess is clients and endpoints in a process of their own, so that what
// the test's process has in goroutines, descriptors and heap is the gateway's.
type peerProcess struct {
	*rpc.Client
}

// startPeer runs the test binary again as a peer. It ends with the test.
func startPeer(t *testing.T) *peerProcess {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestPeerProcess$")
	cmd.Env = append(os.Environ(), peerVariable+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &peerProcess{rpc.NewClient(pipes{out, in})}
	t.Cleanup(func() {
		p.Close() // closes its input, at which it ends
		cmd.Wait()
	})
	return p
}

// pipes is two pipes as one connection.
type pipes struct {
	io.Reader
	io.WriteCloser
}

// do calls a method of Peer and waits for it.
func (p *peerProcess) do(t *testing.T, method string, args any) {
	t.Helper()
	var ok bool
	if err := p.Call("Peer."+method, args, &ok); err != nil {
		t.Fatalf("the peer, told to %s: %v", method, err)
	}
}

// endpoint gives the address of the peer's echo endpoint.
func (p *peerProcess) endpoint(t *testing.T) (address string) {
	t.Helper()
	if err := p.Call("Peer.Endpoint", true, &address); err != nil {
		t.Fatal(err)
	}
	return address
}

// TestPeerProcess is no test: it is what startPeer runs.
func TestPeerProcess(*testing.T) {
	if os.Getenv(peerVariable) == "" {
		return
	}
	server := rpc.NewServer()
	if err := server.Register(&Peer{}); err != nil {
		panic(err)
	}
	server.ServeConn(pipes{os.Stdin, os.Stdout})
	os.Exit(0)
}

// Peer is what the peer's process can be told to do.
type Peer struct {
	conns []net.Conn
}

// Visit says where connections go and how they begin.
type Visit struct {
	Address    string
	N          int
	Terminated bool // TLS with the gateway; otherwise a hello for the endpoint
}

// peerConcurrency is how many connections are made at a time.
const peerConcurrency = 200

// Endpoint starts an endpoint that echoes, and gives its address.
func (p *Peer) Endpoint(_ bool, address *string) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	*address = ln.Addr().String()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				echoThrough(c, c)
			}()
		}
	}()
	return nil
}

// echoThrough echoes what r gives. io.Copy would do it through a pipe for each
// connection, which would use up the descriptors here, and which the runtime
// keeps after the connection and closes some time after a collection: a test
// that counts descriptors would see those of tests before it go.
func echoThrough(c net.Conn, r io.Reader) {
	io.CopyBuffer(struct{ io.Writer }{c}, struct{ io.Reader }{r}, make([]byte, 4<<10))
}

// Open makes N connections, has each echo something, and keeps them.
func (p *Peer) Open(v Visit, _ *bool) error {
	var mu sync.Mutex // guards p.conns
	return v.each(func() error {
		c, err := v.open()
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		p.conns = append(p.conns, c)
		return nil
	})
}

// Leave finishes all connections in an orderly way.
func (p *Peer) Leave(_ bool, _ *bool) error {
	var errs []error
	for _, c := range p.conns {
		errs = append(errs, leave(c))
	}
	p.conns = nil
	return errors.Join(errs...)
}

// Visits makes N connections, a few at a time, and finishes each.
func (p *Peer) Visits(v Visit, _ *bool) error {
	return v.each(func() error {
		c, err := v.open()
		if err != nil {
			return err
		}
		return leave(c)
	})
}

// each calls f N times, some at a time.
func (v Visit) each(f func() error) error {
	var wg sync.WaitGroup
	var once sync.Once
	var first error
	todo := make(chan int, v.N)
	for i := range v.N {
		todo <- i
	}
	close(todo)
	for range min(v.N, peerConcurrency) {
		wg.Go(func() {
			for i := range todo {
				if err := f(); err != nil {
					once.Do(func() { first = fmt.Errorf("connection %d: %w", i, err) })
				}
			}
		})
	}
	wg.Wait()
	return first
}

// open makes a connection and has the endpoint echo something.
func (v Visit) open() (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", v.Address)
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(time.Minute))
	said := hellotest.Builder{ServerNames: []string{"passed.test"}}.Records()
	if v.Terminated {
		// Whom it talks to is other tests' matter.
		c = tls.Client(c, &tls.Config{ServerName: "terminated.test", InsecureSkipVerify: true})
		said = []byte("a small request")
	}
	if _, err := c.Write(said); err != nil {
		return nil, err
	}
	heard := make([]byte, len(said))
	if _, err := io.ReadFull(c, heard); err != nil {
		return nil, fmt.Errorf("reading the echo: %w", err)
	}
	if !bytes.Equal(said, heard) {
		return nil, errors.New("the echo differs from what was said")
	}
	return c, nil
}

// leave says that it has finished and waits until the other side has too.
func leave(c net.Conn) error {
	defer c.Close()
	if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		return err
	}
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		return fmt.Errorf("after both had finished, reading gave %v", err)
	}
	return nil
}
