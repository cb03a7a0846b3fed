package main

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// worker is the i-th of n. It works until the job is over; when its connection
// fails it counts that and opens another.
func (g *generator) worker(i, n int) {
	switch g.Work {
	case workDown:
		g.again(func() error { return g.with(serveDown, i, g.download) })
	case workUp:
		g.again(func() error { return g.with(serveUp, i, g.upload) })
	case workEcho:
		g.again(func() error { return g.echo(i) })
	case workShort:
		g.short(i)
	case workHold, workIdle:
		g.many(i, n)
	default:
		panic("BUG: no work " + string(g.Work))
	}
}

// again works over one connection, and over another when that has failed.
func (g *generator) again(overOne func() error) {
	for g.ended.Err() == nil {
		g.failed(overOne())
	}
}

// with opens a connection for a worker's bulk transfer.
func (g *generator) with(s service, i int, transfer func(c net.Conn, i int) error) error {
	c, err := g.dial(request{service: s}, nil)
	if err != nil {
		return err
	}
	defer g.drop(c)
	return transfer(c, i)
}

func (g *generator) download(c net.Conn, i int) error {
	buf := make([]byte, patternSize)
	var received int64
	for {
		g.turns[i].Add(1)
		n, err := c.Read(buf)
		g.turns[i].Add(1)
		if err == nil {
			err = checkPattern(g.pattern, buf[:n], received)
		}
		if err != nil {
			return err
		}
		if received == 0 {
			g.isUp(c)
		}
		received += int64(n)
		g.count(n)
	}
}

// upload sends the pattern; what the backend confirms must come in step.
func (g *generator) upload(c net.Conn, i int) error {
	confirmed := make(chan error, 1)
	go func() {
		err := confirmations(c)
		g.drop(c) // ends the writing, too
		confirmed <- err
	}()
	var err error
	for sent := 0; err == nil; {
		var n int
		g.turns[i].Add(1)
		n, err = c.Write(g.pattern)
		g.turns[i].Add(1)
		if sent == 0 && err == nil {
			g.isUp(c)
		}
		sent += n
		g.count(n)
	}
	_ = c.SetReadDeadline(time.Unix(1, 0))
	return errors.Join(err, <-confirmed)
}

// confirmations reads the backend's counts until the connection ends.
func confirmations(c net.Conn) error {
	var b [8]byte
	for want := uint64(ackEvery); ; want += ackEvery {
		if _, err := io.ReadFull(c, b[:]); err != nil {
			return fmt.Errorf("waiting for %d bytes to be confirmed: %w", want, err)
		}
		if got := binary.BigEndian.Uint64(b[:]); got != want {
			return fmt.Errorf("%w: %d bytes confirmed and not %d", errContent, got, want)
		}
	}
}

// echo exchanges messages, the first of them while the connection still counts
// as being opened. The rest begin when all connections are up: their opening
// would have to compete with what the others do.
func (g *generator) echo(i int) error {
	message, back := g.message(i), make([]byte, g.Size)
	c, err := g.openEcho(message, back)
	if err != nil {
		return err
	}
	defer g.drop(c)
	select {
	case <-g.allUp:
	case <-g.ended.Done():
		return g.ended.Err()
	}
	for turn := uint32(1); ; turn++ {
		binary.BigEndian.PutUint32(message, turn)
		began := time.Now()
		g.turns[i].Add(1)
		err := exchange(c, message, back)
		g.turns[i].Add(1)
		if err != nil {
			return err
		}
		g.timed(time.Since(began))
	}
}

func (g *generator) openEcho(message, back []byte) (net.Conn, error) {
	select {
	case g.opening <- struct{}{}:
	case <-g.ended.Done():
		return nil, g.ended.Err()
	}
	defer func() { <-g.opening }()
	c, err := g.dial(request{service: serveEcho, size: g.Size}, nil)
	if err != nil {
		return nil, err
	}
	if err := exchange(c, message, back); err != nil {
		g.drop(c)
		return nil, err
	}
	g.isUp(c)
	return c, nil
}

// message is the i-th worker's, so that swapped connections are noticed.
func (g *generator) message(i int) []byte {
	m := bytes.Clone(g.pattern[:g.Size])
	binary.BigEndian.PutUint32(m[4:], uint32(i))
	return m
}

func exchange(c net.Conn, message, back []byte) error {
	if _, err := c.Write(message); err != nil {
		return err
	}
	if _, err := io.ReadFull(c, back); err != nil {
		return err
	}
	if !bytes.Equal(message, back) {
		return errContent
	}
	return nil
}

// short opens, asks, and closes when it has the answer.
func (g *generator) short(i int) {
	answer := make([]byte, g.Size)
	var sessions tls.ClientSessionCache
	if g.Resume {
		sessions = tls.NewLRUClientSessionCache(1)
	}
	for done := false; g.ended.Err() == nil; {
		from, ok := time.Now(), true
		if g.Rate > 0 {
			if from, ok = g.due(); !ok {
				return
			}
		}
		g.turns[i].Add(1)
		err := g.ask(answer, sessions, g.Resume && done)
		g.turns[i].Add(1)
		if err != nil {
			g.failed(err)
			continue
		}
		g.timed(time.Since(from))
		done = true
	}
}

func (g *generator) ask(answer []byte, sessions tls.ClientSessionCache, resumed bool) error {
	c, err := g.dial(request{service: serveAnswer, size: len(answer)}, sessions)
	if err != nil {
		return err
	}
	defer g.hangUp(c)
	if _, err := io.ReadFull(c, answer); err != nil {
		return err
	}
	if !bytes.Equal(answer, g.pattern[:len(answer)]) {
		return errContent
	}
	g.isUp(c)
	if t, ok := c.(*tls.Conn); ok && t.ConnectionState().DidResume != resumed {
		return fmt.Errorf("the session was resumed: %t; that was to be: %t", !resumed, resumed)
	}
	return nil
}

// many opens its share of the connections, has each answer once, and keeps
// them until the job is over.
func (g *generator) many(i, n int) {
	if g.Work == workHold {
		select {
		case <-g.begin:
		case <-g.ended.Done():
			return
		}
	}
	var kept []net.Conn
	message, back := g.message(i), make([]byte, g.Size)
	for k := i; k < g.Connections && g.ended.Err() == nil; {
		began := time.Now()
		c, err := g.dial(request{service: serveEcho, size: g.Size}, nil)
		if err == nil {
			kept = append(kept, c)
			err = exchange(c, message, back)
		}
		if err != nil {
			g.failed(err)
			continue
		}
		k += n
		g.timed(time.Since(began))
		g.isUp(c)
		if g.Work == workHold && g.units.Load() == int64(g.Connections) {
			g.once.Do(func() { close(g.reached) })
		}
	}
	<-g.ended.Done()
	for _, c := range kept {
		g.drop(c)
	}
}
