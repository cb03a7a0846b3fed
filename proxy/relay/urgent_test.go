package relay

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/proxy/poller"
)

// Urgent bytes (RFC 9293 3.8.5) stay where they were in the stream. recv(2)
// stops once before one; splice(2) stops there for good, and with a FIN behind
// the urgent byte it says that the stream has ended.
func TestUrgentBytesStayInTheStream(t *testing.T) {
	for _, n := range []network{overTCP, overUnix} {
		for _, mode := range []Mode{Copy, Splice} {
			for _, more := range []string{"", "after"} {
				for _, fin := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s %v %q fin %t", n, mode, more, fin), func(t *testing.T) {
						urgentByteStays(t, n, mode, more, fin)
					})
				}
			}
		}
	}
}

func urgentByteStays(t *testing.T, n network, mode Mode, more string, fin bool) {
	h := newHand(t, n, 0)
	h.flows[Downstream].mode = mode
	h.send(Downstream, []byte("before"))
	err := unix.Send(h.far[Downstream], []byte("!"), unix.MSG_OOB)
	if n == overUnix && err == unix.EOPNOTSUPP {
		return // before Linux 5.15 unix sockets have no urgent bytes to lose
	}
	check(t, err)
	h.send(Downstream, []byte(more))
	if fin {
		check(t, unix.Shutdown(h.far[Downstream], unix.SHUT_WR))
	}
	var got []byte
	want := "before!" + more
	eventually(t, "the urgent byte", func() bool {
		h.settle()
		b, err := h.received(Upstream)
		got = append(got, b...)
		if err == io.EOF && len(got) < len(want) {
			t.Fatalf("ended after %q", got)
		}
		return len(got) == len(want) && (err == io.EOF) == fin
	})
	if string(got) != want {
		t.Errorf("%q", got)
	}
}

// The events may be older than the urgent byte: a turn that runs into it must
// neither take it for the end nor need an event that has been used up.
func TestUrgentByteFoundBeforeItsEvent(t *testing.T) {
	for _, fin := range []bool{false, true} {
		h := newHand(t, overTCP, 0)
		h.flows[Downstream].mode = Splice
		h.send(Downstream, []byte("before"))
		check(t, unix.Send(h.far[Downstream], []byte("!"), unix.MSG_OOB))
		h.send(Downstream, []byte("after"))
		want := poller.In | poller.Pri
		if fin {
			check(t, unix.Shutdown(h.far[Downstream], unix.SHUT_WR))
			want |= poller.RdHup
		}
		eventually(t, "the events", func() bool { return h.look(Downstream)&want == want })

		h.Events(Downstream, poller.In) // fetched a moment ago
		for h.Turn(h.m) == Again {
		}
		h.Events(Downstream, want|poller.Out) // the edge that has come since
		for h.Turn(h.m) == Again {
		}
		if got := h.arrives(Upstream, len("before!after")); string(got) != "before!after" {
			t.Errorf("fin %t: %q", fin, got)
		}
	}
}

// An urgent byte that is still unread when the direction turns out to be bulk:
// its event came before and will not come again.
func TestUrgentByteAheadOfPromotion(t *testing.T) {
	h := newHand(t, overTCP, roomy)
	h.flows[Downstream].slow = true // reads of 16 KiB: five are full ahead of the urgent byte
	var p, want pattern
	h.send(Downstream, p.next(5*fullRead))
	check(t, unix.Send(h.far[Downstream], p.next(1), unix.MSG_OOB))
	h.send(Downstream, p.next(10<<10))
	total := int(p.at)
	eventually(t, "everything", func() bool {
		n, err := unix.IoctlGetInt(h.near[Downstream], unix.TIOCINQ)
		return err == nil && n == total && h.look(Downstream)&poller.Pri != 0
	})
	h.Events(Downstream, h.look(Downstream))
	for h.Turn(h.m) == Again {
	}
	if got := h.arrives(Upstream, total); !bytes.Equal(got, want.next(total)) {
		t.Error("other bytes")
	}
	// What comes later may be spliced again.
	for range promoteAfter {
		h.bulk(Downstream, p.next(fullRead))
	}
	if now, _ := h.Mode(Downstream); now != Splice {
		t.Error("it never splices again")
	}
}
