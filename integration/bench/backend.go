package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
)

// runBackend is the subcommand "backend ADDRESS N": it listens on N ports of
// the address, writes where as a line of JSON, and serves until its input ends.
func runBackend(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: bench backend ADDRESS N")
	}
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return fmt.Errorf("number of ports: %w", err)
	}
	b := &backend{pattern: newPattern()}
	var addresses []string
	for range n {
		ln, err := net.Listen("tcp", net.JoinHostPort(args[0], "0"))
		if err != nil {
			return err
		}
		addresses = append(addresses, ln.Addr().String())
		go b.accept(ln)
	}
	if err := json.NewEncoder(os.Stdout).Encode(addresses); err != nil {
		return err
	}
	// What still runs ends with the process.
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// backend serves requests; it holds nothing but what all of them share.
type backend struct {
	pattern []byte
}

func (b *backend) accept(ln net.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go b.serve(c)
	}
}

// readers are those of the connections of the past: a short connection should
// not cost a new one.
var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 4<<10) }}

// serve answers one connection. Whatever is wrong with it is the client's to
// count: it sees the connection end.
func (b *backend) serve(c net.Conn) {
	defer c.Close()
	from := readers.Get().(*bufio.Reader)
	from.Reset(c)
	defer func() {
		from.Reset(nil)
		readers.Put(from)
	}()
	r, err := readRequest(from)
	if err != nil {
		return
	}
	switch r.service {
	case serveEcho:
		echo(c, from, r.size)
	case serveDown:
		b.down(c)
	case serveUp:
		b.up(c, from)
	case serveAnswer:
		if _, err := c.Write(b.pattern[:min(r.size, patternSize)]); err == nil {
			_, _ = from.ReadByte() // the client goes first
		}
	}
}

func echo(c net.Conn, from io.Reader, size int) {
	message := make([]byte, size)
	for {
		if _, err := io.ReadFull(from, message); err != nil {
			return
		}
		if _, err := c.Write(message); err != nil {
			return
		}
	}
}

func (b *backend) down(c net.Conn) {
	for {
		if _, err := c.Write(b.pattern); err != nil {
			return
		}
	}
}

// up takes the pattern and says how much of it has come. Wrong bytes end the
// connection.
func (b *backend) up(c net.Conn, from io.Reader) {
	buf := make([]byte, patternSize)
	var count int64
	for {
		n, err := from.Read(buf)
		if checkPattern(b.pattern, buf[:n], count) != nil {
			return
		}
		before := count / ackEvery
		count += int64(n)
		for ack := before + 1; ack <= count/ackEvery; ack++ {
			if _, err := c.Write(binary.BigEndian.AppendUint64(nil, uint64(ack*ackEvery))); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
