package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// backendTimeout bounds a connection of a backend, for a client that stays.
const backendTimeout = 30 * time.Second

// backend answers one HTTP/1.1 request on each connection with its own name. It
// closes as gently as TCP allows, which net/http does not do for TLS: a
// connection that the demo shows is to end without a reset.
type backend struct {
	name string
	tls  *tls.Config // nil: no TLS
}

// answer serves c and closes it. Trouble with a client is the client's to see.
func (b *backend) answer(c *net.TCPConn) {
	defer c.Close()
	if c.SetDeadline(time.Now().Add(backendTimeout)) != nil {
		return
	}
	var stream net.Conn = c
	if b.tls != nil {
		stream = tls.Server(c, b.tls)
	}
	request, err := http.ReadRequest(bufio.NewReader(stream))
	if err != nil || b.respond(stream, request.Method == http.MethodHead) != nil {
		return
	}
	// The client's close_notify and FIN are still to come. If the socket was
	// closed before them, the kernel would answer them with a reset.
	if t, ok := stream.(*tls.Conn); ok && t.CloseWrite() != nil {
		return
	}
	if c.CloseWrite() == nil {
		_, _ = io.Copy(io.Discard, c)
	}
}

func (b *backend) respond(w io.Writer, headOnly bool) error {
	body := fmt.Sprintf("hello from %s\n", b.name)
	length := len(body)
	if headOnly {
		body = ""
	}
	_, err := fmt.Fprintf(w, "HTTP/1.1 200 OK\r\nServer: %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		b.name, length, body)
	return err
}
