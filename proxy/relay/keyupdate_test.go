package relay

import (
	"crypto/tls"
	"io"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// overCrafted runs f for every layout. The peer of the side that the test is
// about makes its records by hand.
func overCrafted(t *testing.T, n network, f func(t *testing.T, c *crafted)) {
	for _, l := range layouts {
		t.Run(l.String(), func(t *testing.T) { f(t, newCrafted(t, n, l)) })
	}
}

// RFC 8446 4.6.3: the peer may change its keys at any time, and ask for the
// same of the gateway. crypto/tls answers from within Read.
func TestKeyUpdateIsAnswered(t *testing.T) {
	overCrafted(t, overTCP, func(t *testing.T, c *crafted) {
		other := c.side.Other()
		c.send(c.side, c.theirs.seal(typeApplicationData, []byte("old keys, ")))
		c.send(c.side, c.theirs.seal(typeHandshake, keyUpdate(true)))
		c.theirs.update()
		c.send(c.side, c.theirs.seal(typeApplicationData, []byte("new keys")))
		if got := c.hears(other, 18); string(got) != "old keys, new keys" {
			t.Errorf("%q", got)
		}
		c.wantNext(typeHandshake, keyUpdate(false))
		c.ours.update()
		c.says(other, []byte("an answer"))
		c.wantNext(typeApplicationData, []byte("an answer"))
	})
}

// Nothing else has to happen for the answer to leave: the peer may wait for it.
func TestKeyUpdateIsAnsweredAtOnce(t *testing.T) {
	overCrafted(t, overTCP, func(t *testing.T, c *crafted) {
		c.settle()
		c.send(c.side, c.theirs.seal(typeHandshake, keyUpdate(true)))
		eventually(t, "the record", func() bool { n, _ := unix.IoctlGetInt(c.near[c.side], unix.TIOCINQ); return n > 0 })
		if st := c.turn(); st != Waiting {
			t.Errorf("status %d", st)
		}
		if c.streams[c.side].wire.out != nil {
			t.Error("the answer waits although the socket would take it")
		}
		c.wantNext(typeHandshake, keyUpdate(false))
	})
}

// The message in pieces: a byte at a time, and over two records. What
// crypto/tls has of it must survive that there is no more for now.
func TestKeyUpdateInPieces(t *testing.T) {
	overCrafted(t, overTCP, func(t *testing.T, c *crafted) {
		m := keyUpdate(false)
		for _, record := range [][]byte{c.theirs.seal(typeHandshake, m[:2]), c.theirs.seal(typeHandshake, m[2:])} {
			for i := range record {
				c.send(c.side, record[i:i+1])
				c.settle()
			}
		}
		c.theirs.update()
		c.send(c.side, c.theirs.seal(typeApplicationData, []byte("new keys")))
		c.moves(c.side, 8)
		if err := c.StreamError(c.side); err != nil {
			t.Error(err)
		}
	})
}

// A peer that asks for key updates without end and reads nothing must not make
// the gateway keep the answers without end: it is not read from any more, until
// it takes some.
func TestKeyUpdateFloodIsBounded(t *testing.T) {
	// A unix socket's writes are whole or nothing when they are small.
	overCrafted(t, overUnix, func(t *testing.T, c *crafted) {
		for _, fd := range []int{c.near[c.side], c.far[c.side]} {
			check(t, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 4<<10))
		}
		most, rounds := 0, 0
		for stuck := 0; stuck < 10; rounds++ {
			update := c.theirs.seal(typeHandshake, keyUpdate(true))
			next := newRecords(t, c.theirs.secret)
			next.update()
			// A byte of data, so that crypto/tls does not count the messages as
			// useless.
			update = append(update, next.seal(typeApplicationData, []byte("x"))...)
			if n, errno := sysWrite(c.far[c.side], update); errno == syscall.EAGAIN {
				c.theirs.seq-- // neither takes anything any more
				stuck++
			} else if n == len(update) {
				c.theirs, stuck = next, 0
			} else {
				t.Fatalf("%d of %d bytes, %v", n, len(update), errno)
			}
			c.settle()
			if out := c.streams[c.side].wire.out; out != nil {
				most = max(most, len(out.data))
			}
			c.received(c.side.Other())
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
			more, err := c.received(c.side)
			check(t, err)
			c.raw = append(c.raw, more...)
			c.settle()
			c.received(c.side.Other())
			if len(c.raw) == 0 && c.streams[c.side].wire.out == nil {
				break
			}
			c.wantNext(typeHandshake, keyUpdate(false))
			c.ours.update()
		}
		if sent := int(c.Bytes(c.side)); answers != sent {
			t.Errorf("%d answers, %d bytes of data", answers, sent)
		}
	})
}

// After the gateway's FIN there is no way to answer. That is no reason to drop
// what the peer still has to say.
func TestKeyUpdateAfterOurFIN(t *testing.T) {
	overCrafted(t, overTCP, func(t *testing.T, c *crafted) {
		other := c.side.Other()
		c.finishes(other)
		eventually(t, "the FIN", func() bool { c.settle(); return c.State().has(stateFINSent, c.side) })
		c.send(c.side, c.theirs.seal(typeHandshake, keyUpdate(true)))
		c.theirs.update()
		c.send(c.side, c.theirs.seal(typeApplicationData, []byte("still uploading")))
		c.moves(c.side, 15)
		c.send(c.side, c.theirs.seal(typeAlert, closeNotify))
		c.wantEnd(Finished, other)
		if got := c.hears(other, 15); string(got) != "still uploading" {
			t.Errorf("%q", got)
		}
		c.wantNext(typeAlert, closeNotify)
		eventually(t, "the FIN behind it", func() bool {
			b, err := c.received(c.side)
			if len(c.raw)+len(b) != 0 {
				t.Fatalf("%d bytes behind it", len(c.raw)+len(b))
			}
			return err == io.EOF
		})
	})
}

// RFC 8446 4.6.1: an endpoint may send tickets at any time. They are kept for
// the next handshake, and nobody else sees them.
func TestStreamTakesTicketsWhileBytesFlow(t *testing.T) {
	near, far := configs(Upstream, tls.VersionTLS13)
	cache := tls.NewLRUClientSessionCache(1)
	near.ClientSessionCache = cache
	h := newTLSHandOf(t, overTCP, layout{side: Upstream}, near, far, false)
	if _, ok := cache.Get("gateway.test"); ok {
		t.Fatal("there is a session before the ticket was read")
	}
	h.settle()
	if _, ok := cache.Get("gateway.test"); !ok {
		t.Error("the ticket was not kept")
	}
	if n := h.Bytes(Upstream); n != 0 {
		t.Errorf("%d bytes for the client", n)
	}
}
