package integration

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// dial connects to an address of the gateway: "unix:/path" or "host:port". The
// connection has a deadline, so that a test that fails does not hang.
func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := tryDial(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func tryDial(address string) (net.Conn, error) {
	network, d := "tcp", net.Dialer{Timeout: patience}
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
	} else if strings.HasPrefix(address, "127.") {
		d.LocalAddr = nextSource()
	}
	c, err := d.Dial(network, address)
	if err == nil {
		err = c.SetDeadline(time.Now().Add(2 * patience))
	}
	return c, err
}

// sources counts the clients of the run.
var sources atomic.Uint32

// nextSource gives every client an address of its own in 127.0.0.0/8. Ports
// alone come round again, at once after a reset, and the record of one client
// would be taken for another's.
func nextSource() *net.TCPAddr {
	n := sources.Add(1)
	return &net.TCPAddr{IP: net.IPv4(127, 1+byte(n/250/250%250), byte(n/250%250), 1+byte(n%250))}
}

// send writes all of b.
func send(t *testing.T, c net.Conn, b []byte) {
	t.Helper()
	if _, err := c.Write(b); err != nil {
		t.Fatalf("sending %d bytes: %v", len(b), err)
	}
}

// receive reads exactly n bytes.
func receive(t *testing.T, c net.Conn, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if got, err := io.ReadFull(c, b); err != nil {
		t.Fatalf("receiving %d bytes: %v after %d", n, err, got)
	}
	return b
}

// exchange sends a message to what echoes it and checks what comes back.
func exchange(t *testing.T, c net.Conn, message string) {
	t.Helper()
	send(t, c, []byte(message))
	if got := string(receive(t, c, len(message))); got != message {
		t.Fatalf("sent %q and got %q back", message, got)
	}
}

// halfCloser is a connection whose two directions end on their own.
type halfCloser interface{ CloseWrite() error }

// finish sends a FIN (TLS: close_notify first) and leaves the other direction
// open.
func finish(c net.Conn) error { return c.(halfCloser).CloseWrite() }

// reset makes the kernel send a reset. What was not sent is thrown away.
func reset(c net.Conn) {
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// ending is how a direction of a connection ended, as its reader saw it.
type ending string

const (
	fin ending = "FIN"
	rst ending = "RST"
)

// readToEnd reads until the connection ends and gives what came and how it
// ended. An error that is neither end nor reset is given as text.
func readToEnd(c net.Conn) ([]byte, ending) {
	b, err := io.ReadAll(c)
	return b, endingOf(err)
}

// drainToEnd is readToEnd for those who only count the bytes.
func drainToEnd(c net.Conn) (int64, ending) {
	n, err := io.Copy(io.Discard, onlyReader{c})
	return n, endingOf(err)
}

// onlyReader hides ReadFrom and WriteTo, so that io.Copy sees every error.
type onlyReader struct{ io.Reader }

func endingOf(err error) ending {
	switch {
	case err == nil || errors.Is(err, io.EOF):
		return fin
	case isReset(err):
		return rst
	}
	return ending(fmt.Sprintf("error: %v", err))
}

// expectEnd checks that nothing more comes than an end of this kind.
func expectEnd(t *testing.T, c net.Conn, want ending) {
	t.Helper()
	b, got := readToEnd(c)
	if got != want || len(b) > 0 {
		t.Errorf("the connection ended with %d bytes (%.40q) and %s, want none and %s", len(b), b, got, want)
	}
}

// expectRefusal checks that a client who says nothing is reset. That may be
// so soon that it cannot even connect.
func expectRefusal(t *testing.T, address string) {
	t.Helper()
	c, err := tryDial(address)
	if isReset(err) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	expectEnd(t, c, rst)
}

// unacked gives the bytes that the peer of a TCP connection has not
// acknowledged: 0 says that its kernel has everything that was written, or
// that the connection is gone.
func unacked(t *testing.T, c net.Conn) int {
	t.Helper()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	const tcpClose = 7 // TCP_CLOSE of the kernel's tcp_states.h
	var n int
	err = raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil && info.State != tcpClose {
			n, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// handshake runs a TLS handshake as a client that trusts the authority.
func handshake(t *testing.T, raw net.Conn, server string, ca *authority) *tls.Conn {
	t.Helper()
	conn := tls.Client(raw, &tls.Config{ServerName: server, RootCAs: ca.Pool()})
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	return conn
}
