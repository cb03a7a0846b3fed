package relay

import (
	"io"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// RFC 8446 4.6.3: the client may change its keys at any time, and ask for the
// same of the gateway. crypto/tls answers from within Read.
func TestKeyUpdateIsAnswered(t *testing.T) {
	c := newCrafted(t, overTCP)
	c.send(Downstream, c.client.seal(typeApplicationData, []byte("old keys, ")))
	c.send(Downstream, c.client.seal(typeHandshake, keyUpdate(true)))
	c.client.update()
	c.send(Downstream, c.client.seal(typeApplicationData, []byte("new keys")))
	c.moves(Downstream, 18)
	if got := c.arrives(Upstream, 18); string(got) != "old keys, new keys" {
		t.Errorf("%q", got)
	}
	c.wantNext(typeHandshake, keyUpdate(false))
	c.server.update()
	c.send(Upstream, []byte("an answer"))
	c.moves(Upstream, 9)
	c.wantNext(typeApplicationData, []byte("an answer"))
}

// The message in pieces: a byte at a time, and over two records. What
// crypto/tls has of it must survive that there is no more for now.
func TestKeyUpdateInPieces(t *testing.T) {
	c := newCrafted(t, overTCP)
	m := keyUpdate(false)
	for _, record := range [][]byte{c.client.seal(typeHandshake, m[:2]), c.client.seal(typeHandshake, m[2:])} {
		for i := range record {
			c.send(Downstream, record[i:i+1])
			c.settle()
		}
	}
	c.client.update()
	c.send(Downstream, c.client.seal(typeApplicationData, []byte("new keys")))
	c.moves(Downstream, 8)
	if err := c.StreamError(); err != nil {
		t.Error(err)
	}
}

// A client that asks for key updates without end and reads nothing must not
// make the gateway keep the answers without end: it is not read from any more,
// until it takes some.
func TestKeyUpdateFloodIsBounded(t *testing.T) {
	c := newCrafted(t, overUnix) // whose writes are whole or nothing when they are small
	for _, fd := range []int{c.near[Downstream], c.far[Downstream]} {
		check(t, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 4<<10))
	}
	most, rounds := 0, 0
	for stuck := 0; stuck < 10; rounds++ {
		update := c.client.seal(typeHandshake, keyUpdate(true))
		next := newRecords(t, c.client.secret)
		next.update()
		// A byte of data, so that crypto/tls does not count the messages as
		// useless.
		update = append(update, next.seal(typeApplicationData, []byte("x"))...)
		if n, errno := sysWrite(c.far[Downstream], update); errno == syscall.EAGAIN {
			c.client.seq-- // neither takes anything any more
			stuck++
		} else if n == len(update) {
			c.client, stuck = next, 0
		} else {
			t.Fatalf("%d of %d bytes, %v", n, len(update), errno)
		}
		c.settle()
		if out := c.stream.wire.out; out != nil {
			most = max(most, len(out.data))
		}
		c.received(Upstream)
		if rounds > 100_000 {
			t.Fatalf("it is read from without end: %d bytes of memory", most)
		}
	}
	if most < maxBacklog || most > maxBacklog+4<<10 {
		t.Errorf("%d bytes of memory for %d rounds", most, rounds)
	}
	// It takes the answers, and everything goes on.
	answers := 0
	for c.settle(); ; answers++ {
		more, err := c.received(Downstream)
		check(t, err)
		c.raw = append(c.raw, more...)
		c.settle()
		if len(c.raw) == 0 && c.stream.wire.out == nil {
			break
		}
		c.wantNext(typeHandshake, keyUpdate(false))
		c.server.update()
	}
	if sent := int(c.Bytes(Downstream)); answers != sent {
		t.Errorf("%d answers, %d bytes of data", answers, sent)
	}
}

// After the gateway's FIN there is no way to answer. That is no reason to drop
// what the client still has to say.
func TestKeyUpdateAfterOurFIN(t *testing.T) {
	c := newCrafted(t, overTCP)
	check(t, unix.Shutdown(c.far[Upstream], unix.SHUT_WR))
	eventually(t, "the FIN", func() bool { c.settle(); return c.State().has(stateFINSent, Downstream) })
	c.send(Downstream, c.client.seal(typeHandshake, keyUpdate(true)))
	c.client.update()
	c.send(Downstream, c.client.seal(typeApplicationData, []byte("still uploading")))
	c.moves(Downstream, 15)
	c.send(Downstream, c.client.seal(typeAlert, closeNotify))
	if st := c.over(); st != Finished || c.StreamError() != nil {
		t.Errorf("status %d, %v", st, c.StreamError())
	}
	got := c.arrives(Upstream, 15)
	if string(got) != "still uploading" {
		t.Errorf("%q", got)
	}
	c.wantNext(typeAlert, closeNotify)
	eventually(t, "the FIN behind it", func() bool {
		b, err := c.received(Downstream)
		if len(c.raw)+len(b) != 0 {
			t.Fatalf("%d bytes behind it", len(c.raw)+len(b))
		}
		return err == io.EOF
	})
}
