package proxy

import (
	"io"
	"net"
	"testing"
)

func echo(c net.Conn) {
	defer c.Close()
	echoThrough(c, c)
}

func TestPlainEcho(t *testing.T) {
	g := startGateway(t, `
listener "tcp" {
  address = "127.0.0.1:0"
  filter_chain "echo" {
    route { cluster = "echo" }
  }
}
cluster "echo" { endpoints = ["`+backend(t, echo)+`"] }
`)
	c := dial(t, g.address("tcp"))
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 5)
	if _, err := io.ReadFull(c, b); err != nil {
		t.Fatal(err)
	}
	c.(*net.TCPConn).CloseWrite()
	if rest, err := io.ReadAll(c); err != nil || len(rest) > 0 {
		t.Fatal(rest, err)
	}
	c.Close()
	t.Log(g.records.next(t))
}
