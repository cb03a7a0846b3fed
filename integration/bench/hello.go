package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// recordHello makes the ClientHello that today's Go clients send, with a server
// name and ALPN, some 1.5 KB with its post-quantum key share, as one record.
func recordHello(serverName string) ([]byte, error) {
	client, server := net.Pipe()
	defer server.Close()
	defer client.Close()
	if err := errors.Join(client.SetDeadline(time.Now().Add(answerGrace)), server.SetDeadline(time.Now().Add(answerGrace))); err != nil {
		return nil, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		// It ends with an error when the pipe is closed: only its first record
		// is wanted.
		_ = tls.Client(client, &tls.Config{ServerName: serverName, NextProtos: []string{"h2", "http/1.1"}}).Handshake()
	}()
	header := make([]byte, recordHeader)
	if _, err := io.ReadFull(server, header); err != nil {
		return nil, fmt.Errorf("recording a hello: %w", err)
	}
	body := make([]byte, int(header[3])<<8|int(header[4]))
	if _, err := io.ReadFull(server, body); err != nil {
		return nil, fmt.Errorf("recording a hello: %w", err)
	}
	server.Close()
	<-done
	return append(header, body...), nil
}
