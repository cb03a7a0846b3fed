package relay

import (
	"crypto/tls"
	"net"
	"os"
	"testing"
	"time"

	"sluice/proxy/poller"
)

// rig is a worker with pairs, driven by real events as the gateway does it.
type rig struct {
	*poller.Worker
	t     *testing.T
	m     *Mover
	pipes *Pipes
	done  chan struct{}
}

func newRig(t *testing.T) *rig {
	t.Helper()
	w, err := poller.New()
	check(t, err)
	r := &rig{Worker: w, t: t, pipes: &Pipes{}, done: make(chan struct{})}
	r.m = NewMover(r.pipes, true)
	go func() {
		defer close(r.done)
		r.Run()
	}()
	t.Cleanup(r.end)
	return r
}

// end stops the worker. Every link must be over, and have given back its pipes.
func (r *rig) end() {
	r.Post(func() {
		r.Each(func(o poller.Owner) {
			r.t.Error("a link is not over")
			o.(*link).close()
		})
		r.m.Trim(0)
		r.Stop()
	})
	await(r.t, "the worker's end", r.done)
	if r.pipes.Open() != 0 || r.pipes.InUse() != 0 {
		r.t.Errorf("%d pipes open and %d in use after the end", r.pipes.Open(), r.pipes.InUse())
	}
}

// do has the worker call f and waits until it has.
func (r *rig) do(f func()) {
	r.t.Helper()
	called := make(chan struct{})
	r.Post(func() { defer close(called); f() })
	await(r.t, "the worker", called)
}

// link is one connection of a rig.
type link struct {
	poller.Slot
	pair Pair
	rig  *rig
	near [2]int
	far  [2]net.Conn

	handshakes [2]*Wire // while they run
	streams    Streams
	said       [2]poller.Events // meanwhile
	passing    bool             // a reset is held back
	over       chan outcome
}

// outcome is how a link ended.
type outcome struct {
	status    Status
	firstGone Side
	bytes     [2]uint64
	spliced   [2]bool
	streamErr [2]error
}

// link connects a client and an endpoint. With a config the client has to
// speak TLS.
func (r *rig) link(n network, bufferSize int, config *tls.Config) *link {
	r.t.Helper()
	return r.linkEncrypted(n, bufferSize, [2]*tls.Config{config})
}

// linkEncrypted is link with a config for each side that has to speak TLS.
func (r *rig) linkEncrypted(n network, bufferSize int, configs [2]*tls.Config) *link {
	r.t.Helper()
	l := &link{rig: r, over: make(chan outcome, 1)}
	for side := range l.near {
		near, far := n.dial(r.t, bufferSize)
		l.near[side] = near
		file := os.NewFile(uintptr(far), "far")
		conn, err := net.FileConn(file) // has a descriptor of its own
		check(r.t, err)
		file.Close()
		l.far[side] = conn
		r.t.Cleanup(func() { conn.Close() })
	}
	r.do(func() {
		r.Open(&l.Slot, l)
		for side, fd := range l.near {
			if err := r.Register(&l.Slot, Side(side), fd); err != nil {
				panic(err)
			}
		}
		for side, config := range configs {
			if config != nil {
				wire := NewWire(l.near[side], WireOptions{Gate: NewGate(1)})
				l.handshakes[side] = wire
				go l.shakeHands(Side(side), wire, config)
			}
		}
		l.begin()
	})
	return l
}

// shakeHands runs in a goroutine of its own.
func (l *link) shakeHands(side Side, wire *Wire, config *tls.Config) {
	stream, err := encrypt(side, wire, config)
	l.rig.Post(func() {
		l.handshakes[side] = nil
		if err != nil {
			l.rig.t.Errorf("%v: handshake: %v", side, err)
			l.close()
			return
		}
		l.streams[side] = stream
		l.begin()
	})
}

// begin lets bytes flow, once no handshake is under way.
func (l *link) begin() {
	if l.handshakes != [2]*Wire{} {
		return
	}
	l.pair.Init(l.rig.m, l.near[Downstream], l.near[Upstream], l.streams)
	for _, side := range bothSides {
		l.pair.Events(side, l.said[side])
	}
	l.rig.Again(&l.Slot)
}

// peers gives the far ends, past the handshakes of those with a config.
func (l *link) peers(configs [2]*tls.Config) (ends [2]net.Conn) {
	l.rig.t.Helper()
	for side, config := range configs {
		ends[side] = patient(l.rig.t, l.far[side])
		if config != nil {
			conn := farTLS(Side(side), ends[side], config)
			check(l.rig.t, conn.Handshake())
			ends[side] = conn
		}
	}
	return ends
}

// Ready is a turn.
func (l *link) Ready() {
	if l.handshakes != [2]*Wire{} {
		for side, wire := range l.handshakes {
			l.said[side] |= l.Take(Side(side))
			if wire != nil {
				wire.Wake()
			}
		}
		return
	}
	for _, side := range bothSides {
		l.pair.Events(side, l.Take(side))
	}
	if l.passing {
		l.passReset()
		return
	}
	l.rig.m.SetNow(l.rig.Now())
	switch status := l.pair.Turn(l.rig.m); status {
	case Again:
		l.rig.Again(&l.Slot)
	case PassReset:
		l.pair.FlushAlerts()
		l.note(status)
		l.passing = true
		l.passReset()
	case Finished, Aborted:
		l.note(status)
		l.close()
	}
}

func (l *link) note(status Status) {
	o := outcome{status: status, firstGone: l.pair.FirstGone()}
	for _, side := range bothSides {
		o.bytes[side] = l.pair.Bytes(side)
		_, o.spliced[side] = l.pair.Mode(side)
		o.streamErr[side] = l.pair.StreamError(side)
	}
	l.over <- o
}

// passReset resets the side that is left once it has acknowledged everything.
func (l *link) passReset() {
	other := Upstream
	if l.pair.State().IsReset(Upstream) {
		other = Downstream
	}
	if Unacked(l.near[other]) > 0 {
		l.rig.SetDeadline(&l.Slot, l.rig.Now()+8*time.Millisecond)
		return
	}
	for _, fd := range l.near {
		CloseReset(fd)
	}
	l.forget()
}

// close is the end of both sides at once.
func (l *link) close() {
	for _, fd := range l.near {
		CloseFIN(fd)
	}
	l.forget()
}

func (l *link) forget() {
	l.pair.Release(l.rig.m)
	l.rig.Close(&l.Slot)
}

// ends waits for the end of the link and its memory.
func (l *link) ends() outcome {
	l.rig.t.Helper()
	o := await(l.rig.t, "the end of the link", l.over)
	eventually(l.rig.t, "the slot's end", func() bool { return l.rig.Slots() == 0 })
	return o
}

// stalled waits until bytes for a side wait in the pair.
func (l *link) stalled(side Side) {
	l.rig.t.Helper()
	eventually(l.rig.t, "a stall", func() (stalled bool) {
		l.rig.do(func() { stalled = l.pair.State().has(stateQueued, side) })
		return stalled
	})
}

// acked waits until a far end's peer, the gateway's kernel, has got everything.
func acked(t *testing.T, c net.Conn) {
	t.Helper()
	raw, err := c.(*net.TCPConn).SyscallConn()
	check(t, err)
	eventually(t, "acknowledgement", func() (done bool) {
		check(t, raw.Control(func(fd uintptr) { done = Unacked(int(fd)) == 0 }))
		return done
	})
}

// reset closes a far end so that the gateway gets a reset.
func reset(t *testing.T, c net.Conn) {
	t.Helper()
	if tcp, ok := c.(*net.TCPConn); ok {
		check(t, tcp.SetLinger(0))
	}
	check(t, c.Close())
}

// patient gives a far end a deadline, so that a test that is wrong ends.
func patient(t *testing.T, c net.Conn) net.Conn {
	t.Helper()
	check(t, c.SetDeadline(time.Now().Add(patience)))
	return c
}

// closeWrite sends a far end's FIN, or close_notify.
func closeWrite(c net.Conn) error {
	return c.(interface{ CloseWrite() error }).CloseWrite()
}
