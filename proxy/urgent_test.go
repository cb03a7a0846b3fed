package proxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestUrgentByteOverUnixSockets: it stays where it was in the stream, each way,
// as over TCP.
func TestUrgentByteOverUnixSockets(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	ln, err := net.Listen("unix", out)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	startGateway(t, fmt.Sprintf(`
listener "unix" {
  address = "unix:%s"
  filter_chain "all" {
    route { cluster = "unix" }
  }
}
cluster "unix" { endpoints = ["unix:%s"] }
`, in, out))
	client, err := net.Dial("unix", in)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	endpoint, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer endpoint.Close()
	for _, way := range []struct {
		name     string
		from, to net.Conn
	}{{"to the endpoint", client, endpoint}, {"to the client", endpoint, client}} {
		flow(t, client, endpoint) // the gateway has read everything
		err := sendUrgent(way.from, '!')
		if errors.Is(err, unix.EOPNOTSUPP) {
			return // before Linux 5.15 unix sockets have no urgent bytes to lose
		}
		if err != nil {
			t.Fatal(err)
		}
		// Nothing comes behind it that could push it along.
		b := make([]byte, 1)
		way.to.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.ReadFull(way.to, b); err != nil || b[0] != '!' {
			t.Errorf("%s: %q, %v", way.name, b, err)
		}
		if _, err := way.from.Write([]byte("after")); err != nil {
			t.Fatal(err)
		}
		b = make([]byte, len("after"))
		if _, err := io.ReadFull(way.to, b); err != nil || string(b) != "after" {
			t.Errorf("%s: behind it %q, %v", way.name, b, err)
		}
	}
}

func sendUrgent(c net.Conn, b byte) error {
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	if err := raw.Control(func(fd uintptr) { sent = unix.Send(int(fd), []byte{b}, unix.MSG_OOB) }); err != nil {
		return err
	}
	return sent
}
