package relay

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/proxy/poller"
)

func TestStreamTrafficBothWaysIsByteExact(t *testing.T) {
	for _, version := range tlsVersions {
		for _, bufferSize := range []int{0, 4 << 10} {
			for _, transfers := range [][2]transfer{
				{{0, 1, false}, {0, 1, false}},
				{{1, 1, false}, {1, 1, false}},
				{{maxRecord, maxRecord, false}, {maxRecord + 1, maxRecord + 1, false}},
				{{20_000, 10, false}, {20_000, 10, false}},
				{{1 << 20, 100_000, false}, {1 << 20, 100_000, false}},
				{{1 << 18, 5000, true}, {1 << 18, 1 << 18, true}},
			} {
				name := fmt.Sprintf("%s buffers %d %v", tls.VersionName(version), bufferSize, transfers)
				t.Run(name, func(t *testing.T) {
					l := newRig(t).link(overTCP, bufferSize, serverConfig(version))
					client := tls.Client(patient(t, l.far[Downstream]), clientConfig())
					check(t, client.Handshake())
					exchange(t, [2]net.Conn{client, l.far[Upstream]}, transfers)
					client.Close()
					o := l.ends()
					if o.status != Finished || o.streamErr != nil {
						t.Errorf("status %d, %v", o.status, o.streamErr)
					}
					if o.bytes[Downstream] != uint64(transfers[0].bytes) || o.bytes[Upstream] != uint64(transfers[1].bytes) {
						t.Errorf("counted %v", o.bytes)
					}
					if o.spliced != [2]bool{} {
						t.Error("ciphertext was spliced")
					}
				})
			}
		}
	}
}

// Handshake and records come one byte at a time: crypto/tls is told that there
// is nothing more at every place there is.
func TestStreamWouldBlockAtEveryByte(t *testing.T) {
	for _, version := range tlsVersions {
		h := newTLSHand(t, overTCP, serverConfig(version), clientConfig(), true)
		var p, want pattern
		total := 0
		for _, size := range []int{1, 100, 4000, 5} {
			total += size
			_, err := h.client.Write(p.next(size))
			check(t, err)
		}
		if got := h.arrives(Upstream, total); !bytes.Equal(got, want.next(total)) {
			t.Error("other bytes")
		}
		check(t, h.client.CloseWrite())
		eventually(t, "the end", func() bool { h.settle(); _, err := h.received(Upstream); return err == io.EOF })
		h.send(Upstream, []byte("an answer"))
		if got := h.reads(9); string(got) != "an answer" {
			t.Errorf("%q", got)
		}
		h.closeFar(Upstream, false)
		if st := h.over(); st != Finished {
			t.Errorf("status %d, %v", st, h.StreamError())
		}
	}
}

// RFC 8446 6.1: each side's end is told with close_notify, and the other
// direction goes on.
func TestStreamCloseNotifyEachWay(t *testing.T) {
	for _, version := range tlsVersions {
		h := newTLSHand(t, overTCP, serverConfig(version), clientConfig(), false)
		h.send(Upstream, []byte("goodbye"))
		check(t, unix.Shutdown(h.far[Upstream], unix.SHUT_WR))
		h.reads(7)
		if _, err := h.client.Read(make([]byte, 1)); err != io.EOF || h.tap.sawFIN {
			t.Errorf("the client: %v, by a bare FIN: %t", err, h.tap.sawFIN)
		}
		h.client.Write([]byte("one more thing"))
		if got := h.arrives(Upstream, 14); string(got) != "one more thing" {
			t.Errorf("%q", got)
		}
		check(t, h.client.CloseWrite())
		if st := h.over(); st != Finished || h.StreamError() != nil || h.FirstEnded() != Upstream {
			t.Errorf("status %d, %v", st, h.StreamError())
		}

		h = newTLSHand(t, overTCP, serverConfig(version), clientConfig(), false)
		check(t, h.client.CloseWrite())
		eventually(t, "the end", func() bool { h.settle(); _, err := h.received(Upstream); return err == io.EOF })
		h.send(Upstream, []byte("the last word"))
		h.closeFar(Upstream, false)
		if st := h.over(); st != Finished || h.StreamError() != nil || h.FirstEnded() != Downstream {
			t.Errorf("status %d, %v", st, h.StreamError())
		}
		h.reads(13)
		if _, err := h.client.Read(make([]byte, 1)); err != io.EOF || h.tap.sawFIN {
			t.Errorf("the client, who closed first: %v, by a bare FIN: %t", err, h.tap.sawFIN)
		}
	}
}

// RFC 5246 7.2.1: who was sent close_notify may close without one.
func TestStreamBareFINAfterOurCloseNotify(t *testing.T) {
	for _, version := range tlsVersions {
		h := newTLSHand(t, overTCP, serverConfig(version), clientConfig(), false)
		check(t, unix.Shutdown(h.far[Upstream], unix.SHUT_WR))
		if _, err := h.client.Read(make([]byte, 1)); err != io.EOF {
			t.Fatal(err)
		}
		h.closeFar(Downstream, false)
		if st := h.over(); st != Finished || h.StreamError() != nil {
			t.Errorf("status %d, %v", st, h.StreamError())
		}
	}
}

// A stream that ends inside a record was cut short: the endpoint gets the
// records before, and is not told that this was all. Between records a FIN is
// taken for an end, and noted.
func TestStreamTruncatedAtEveryByte(t *testing.T) {
	for _, version := range tlsVersions {
		for cut, size := 0, 1; cut <= size; cut++ {
			h := newTLSHand(t, overTCP, serverConfig(version), clientConfig(), false)
			record := h.tap.capture(func() { h.client.Write([]byte("whole")) })
			size = len(record)
			h.send(Downstream, record[:cut])
			h.closeFar(Downstream, false)
			want := ""
			if cut == size {
				want = "whole"
			}
			if cut == 0 || cut == size {
				eventually(t, "the FIN", func() bool { h.settle(); return h.State().Ended(Downstream) })
				if !h.BareFIN() || h.StreamError() != nil || h.State().IsReset(Downstream) {
					t.Errorf("cut at %d of %d: %v", cut, size, h.StreamError())
				}
			} else if st := h.over(); st != PassReset || h.StreamError() == nil || h.FirstGone() != Downstream {
				t.Errorf("cut at %d of %d: status %d, %v", cut, size, st, h.StreamError())
			}
			if got := h.arrives(Upstream, len(want)); string(got) != want {
				t.Errorf("cut at %d of %d: the endpoint got %q", cut, size, got)
			}
		}
	}
}

// While a part of a record is in crypto/tls the pair is not drained, although
// neither its queues nor the socket's hold a byte of it.
func TestStreamInsideARecordIsNotDrained(t *testing.T) {
	for _, version := range tlsVersions {
		h := newTLSHand(t, overUnix, serverConfig(version), clientConfig(), false)
		record := h.tap.capture(func() { h.client.Write([]byte("whole")) })
		for at := range record {
			h.settle()
			if between := at == 0; h.Drained() != between || Unread(h.near[Downstream]) > 0 {
				t.Errorf("%s: %d of %d bytes read: drained is %t", tls.VersionName(version), at, len(record), h.Drained())
			}
			h.send(Downstream, record[at:at+1])
		}
		h.settle()
		if got := h.arrives(Upstream, 5); string(got) != "whole" || !h.Drained() {
			t.Errorf("%s: after %q drained is %t", tls.VersionName(version), got, h.Drained())
		}
	}
}

// Nor is it while crypto/tls holds whole records that a turn had no budget for.
func TestStreamWithRecordsLeftByATurnIsNotDrained(t *testing.T) {
	for _, version := range tlsVersions {
		config := clientConfig()
		config.DynamicRecordSizingDisabled = true
		h := newTLSHand(t, overUnix, serverConfig(version), config, false)
		for _, fd := range []int{h.far[Downstream], h.near[Upstream]} {
			check(t, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, roomy))
		}
		var p pattern
		h.settle()
		h.flows[Downstream].full = promoteAfter // one read takes as much as a turn
		h.send(Downstream, h.tap.capture(func() {
			h.client.Write(p.next(turnBudget)) // what a turn may move
			h.client.Write(p.next(100))        // and a record that is read along with the last of it
		}))
		h.turn()
		if moved := int(h.Bytes(Downstream)); moved == int(p.at) || Unread(h.near[Downstream]) > 0 {
			t.Fatalf("%s: %d of %d bytes moved and %d unread: the test shows nothing",
				tls.VersionName(version), moved, p.at, Unread(h.near[Downstream]))
		}
		if h.Drained() {
			t.Errorf("%s: drained with %d bytes in crypto/tls", tls.VersionName(version), p.at-h.Bytes(Downstream))
		}
		h.moves(Downstream, int(p.at))
		if !h.Drained() {
			t.Errorf("%s: not drained when everything was moved", tls.VersionName(version))
		}
	}
}

// A FIN that was reported before a short read has to be found without another
// event.
func TestStreamFindsTheFINBehindAShortRead(t *testing.T) {
	h := newTLSHand(t, overTCP, serverConfig(tls.VersionTLS13), clientConfig(), false)
	h.settle()
	h.send(Downstream, h.tap.capture(func() { h.client.Write([]byte("last words")) }))
	h.closeFar(Downstream, false)
	eventually(t, "the FIN", func() bool { return h.look(Downstream)&poller.RdHup != 0 })
	h.turn() // the events of this turn are the last there are
	if !h.State().Ended(Downstream) {
		t.Error("the FIN was not found")
	}
}

// RFC 8446 5.2: the client is told bad_record_mac, and nothing of a forged
// record gets to the endpoint.
func TestStreamForgedAtEveryByte(t *testing.T) {
	for _, version := range tlsVersions {
		for at, size := 0, 1; at < size; at += 3 {
			h := newTLSHand(t, overTCP, serverConfig(version), clientConfig(), false)
			h.client.Write([]byte("genuine"))
			got := h.arrives(Upstream, 7)
			record := h.tap.capture(func() { h.client.Write([]byte("forged")) })
			size = len(record)
			record[at] ^= 1
			h.send(Downstream, record)
			if at == 3 || at == 4 { // a length: the record may never be whole
				h.closeFar(Downstream, false)
			}
			if st := h.over(); st != PassReset || h.StreamError() == nil {
				t.Errorf("byte %d of %d: status %d, %v", at, size, st, h.StreamError())
			}
			more, err := h.received(Upstream)
			if string(got)+string(more) != "genuine" || err != nil {
				t.Errorf("byte %d of %d: the endpoint got %q, %v", at, size, more, err)
			}
			if at == 3 || at == 4 {
				continue
			}
			h.FlushAlert()
			_, err = h.client.Read(make([]byte, 1))
			if err == nil || !strings.Contains(err.Error(), "remote error") {
				t.Errorf("byte %d of %d: the client was told %v", at, size, err)
			}
		}
	}
}

func TestStreamResetByTheClient(t *testing.T) {
	h := newTLSHand(t, overTCP, serverConfig(tls.VersionTLS13), clientConfig(), false)
	h.client.Write([]byte("before"))
	got := h.arrives(Upstream, 6)
	h.closeFar(Downstream, true)
	if st := h.over(); st != PassReset || h.FirstGone() != Downstream {
		t.Errorf("status %d", st)
	}
	if err := h.StreamError(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after %q: %v", got, err)
	}
}

// The same when the reset was noticed by writing: the socket says it once, and
// then that it has ended.
func TestStreamResetNoticedByWriting(t *testing.T) {
	h := newTLSHand(t, overTCP, serverConfig(tls.VersionTLS13), clientConfig(), false)
	h.settle() // nothing to read
	h.closeFar(Downstream, true)
	eventually(t, "the reset", func() bool { return h.look(Downstream)&poller.Err != 0 })
	h.send(Upstream, []byte("x"))
	h.Readable(Upstream)
	h.Turn(h.m) // without the event of the reset
	if !h.State().IsReset(Downstream) || h.State().Ended(Downstream) {
		t.Fatal("the reset was not noticed by writing")
	}
	if st := h.over(); st != PassReset || h.BareFIN() {
		t.Errorf("status %d, %v", st, h.StreamError())
	}
}

// A client that is there no more has not reset anything: its socket says so. A
// window that stays closed for TCP_USER_TIMEOUT ends a socket in the same way.
func TestStreamTimedOut(t *testing.T) {
	h := newTLSHand(t, overTCP, serverConfig(tls.VersionTLS13), clientConfig(), false)
	check(t, unix.SetsockoptInt(h.near[Downstream], unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 1))
	var sent pattern
	eventually(t, "the end", func() bool {
		h.fill(Upstream, &sent)
		return h.settle() != Waiting
	})
	if errno := h.Errno(Downstream); errno != syscall.ETIMEDOUT || h.FirstGone() != Downstream {
		t.Errorf("errno %v, %v", errno, h.StreamError())
	}
}

// An endpoint that was reset has not finished: the client must not be told
// that it has.
func TestStreamIsNotToldCloseNotifyForAReset(t *testing.T) {
	h := newTLSHand(t, overTCP, serverConfig(tls.VersionTLS12), clientConfig(), false)
	h.closeFar(Upstream, true)
	if st := h.over(); st != PassReset {
		t.Fatalf("status %d", st)
	}
	h.FlushAlert()
	CloseReset(h.near[Downstream])
	h.near[Downstream] = -1
	if _, err := h.client.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client was told %v", err)
	}
}

// A connection that the gateway closes by itself, for its idleness for example,
// tells the client so.
func TestEndStreamSaysCloseNotify(t *testing.T) {
	h := newTLSHand(t, overTCP, serverConfig(tls.VersionTLS13), clientConfig(), false)
	h.EndStream()
	h.EndStream() // once is enough
	if _, err := h.client.Read(make([]byte, 1)); err != io.EOF || h.tap.sawFIN {
		t.Errorf("the client: %v", err)
	}
	plain := newHand(t, overTCP, 0)
	plain.EndStream()
	if b, err := plain.received(Downstream); len(b) != 0 || err != nil {
		t.Errorf("a plain client was told %q, %v", b, err)
	}
}

// An endpoint may send without end and the client read nothing: what waits in
// the gateway stays one buffer.
func TestStreamSlowReaderTakesOneBuffer(t *testing.T) {
	h := newTLSHand(t, overTCP, serverConfig(tls.VersionTLS13), clientConfig(), false)
	check(t, unix.SetsockoptInt(h.near[Downstream], unix.SOL_SOCKET, unix.SO_SNDBUF, 64<<10))
	var sent, want pattern
	total := 0
	for range 50 {
		total += h.fill(Upstream, &sent)
		h.settle()
	}
	out := h.stream.wire.out
	if out == nil || out.len() > maxBacklog || len(out.data) > maxBacklog {
		t.Fatalf("waits: %+v", out)
	}
	if !h.State().has(stateQueued, Downstream) {
		t.Error("not known to be queued")
	}
	// When it has gone the next one is small: less is read at a time.
	const piece = 40 << 10
	eventually(t, "a small buffer", func() bool {
		if got := h.reads(piece); !bytes.Equal(got, want.next(piece)) {
			t.Fatal("other bytes")
		}
		total += h.fill(Upstream, &sent)
		h.settle()
		out := h.stream.wire.out
		return out != nil && out.class == 1 && h.flows[Upstream].slow
	})
	rest := total - int(want.at)
	if got := h.reads(rest); !bytes.Equal(got, want.next(rest)) {
		t.Error("other bytes")
	}
	h.settle()
	if h.stream.wire.out != nil || !h.Drained() {
		t.Error("a buffer is held")
	}
}

func TestStreamRunsNoGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	for _, version := range tlsVersions {
		h := newTLSHand(t, overTCP, serverConfig(version), clientConfig(), false)
		h.client.Write([]byte("x"))
		h.arrives(Upstream, 1)
		eventually(t, "no goroutine", func() bool { return runtime.NumGoroutine() <= before })
		if v := h.stream.ConnectionState().Version; v != version {
			t.Errorf("version %#x", v)
		}
	}
}
