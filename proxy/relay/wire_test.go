package relay

import (
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// handshaking starts the gateway's handshake of a side in a goroutine of its
// own.
func handshaking(side Side, wire *Wire) <-chan error {
	done := make(chan error, 1)
	near, _ := configs(side, tls.VersionTLS13)
	go func() {
		_, err := encrypt(side, wire, near)
		done <- err
	}()
	return done
}

// wakeUntil wakes the wire until its handshake has come to an end.
func wakeUntil(t *testing.T, wire *Wire, done <-chan error) (err error) {
	t.Helper()
	eventually(t, "the handshake's end", func() bool {
		wire.Wake()
		select {
		case err = <-done:
			return true
		default:
			return false
		}
	})
	return err
}

func TestWireBeginsWithItsPrefix(t *testing.T) {
	near, far := overTCP.dial(t, 0)
	defer unix.Close(near)
	wire := NewWire(near, WireOptions{Prefix: []byte("hello"), Gate: NewGate(1), ServerName: "a.test", Named: true})
	sysWrite(far, []byte("world"))
	unix.Close(far)
	eventually(t, "the bytes", func() bool { n, _ := unix.IoctlGetInt(near, unix.TIOCINQ); return n >= 5 })
	var got []byte
	b := make([]byte, 3)
	for {
		n, err := wire.Read(b)
		if err != nil {
			break
		}
		got = append(got, b[:n]...)
	}
	if string(got) != "helloworld" {
		t.Errorf("%q", got)
	}
	if name, named := wire.RoutedServerName(); name != "a.test" || !named {
		t.Errorf("routed by %q, %t", name, named)
	}
}

func TestHandshakeIsInterrupted(t *testing.T) {
	cause := errors.New("time is up")
	f := func(side Side, name string, before, fill bool) {
		t.Helper()
		near, far := overTCP.dial(t, 4<<10)
		defer unix.Close(near)
		defer unix.Close(far)
		gate := NewGate(1)
		wire := NewWire(near, WireOptions{Gate: gate})
		if fill { // what the gateway has to say does not fit: it waits to write
			for {
				if _, errno := sysWrite(near, make([]byte, 64<<10)); errno != 0 {
					break
				}
			}
		}
		if fill && side == Downstream {
			client := &tap{fd: -1}
			hello := client.capture(func() {
				tls.Client(client, clientConfig()).Handshake() // fails when it reads
			})
			sysWrite(far, hello)
		}
		if before {
			wire.Interrupt(cause)
		}
		done := handshaking(side, wire)
		if fill && side == Downstream {
			eventually(t, "the hello to be read", func() bool {
				n, _ := unix.IoctlGetInt(near, unix.TIOCINQ)
				if n > 0 {
					wire.Wake()
				}
				return n == 0 && len(gate) == 0
			})
		}
		wire.Interrupt(cause)
		wire.Interrupt(errors.New("a second reason"))
		if err := await(t, name, done); err != cause {
			t.Errorf("%v, %s: %v", side, name, err)
		}
	}
	for _, side := range bothSides {
		f(side, "while it waits to read", false, false)
		f(side, "before it began", true, false)
		f(side, "while it waits to write", false, true)
	}
}

// A client that always has something more for the gateway keeps it from
// waiting, but not from being interrupted.
func TestWireIsInterruptedWithoutWaiting(t *testing.T) {
	near, far := overTCP.dial(t, 0)
	defer unix.Close(near)
	defer unix.Close(far)
	wire := NewWire(near, WireOptions{Prefix: []byte("more"), Gate: NewGate(1)})
	wire.Interrupt(os.ErrDeadlineExceeded)
	if n, err := wire.Read(make([]byte, 10)); n != 0 || err != os.ErrDeadlineExceeded {
		t.Errorf("read: %d, %v", n, err)
	}
	if n, err := wire.Write([]byte("x")); n != 0 || err != os.ErrDeadlineExceeded {
		t.Errorf("write: %d, %v", n, err)
	}
}

func TestHandshakeWithAPeerThatLeaves(t *testing.T) {
	for _, side := range bothSides {
		for _, reset := range []bool{false, true} {
			near, far := overTCP.dial(t, 0)
			wire := NewWire(near, WireOptions{Gate: NewGate(1)})
			done := handshaking(side, wire)
			if side == Upstream { // its hello was read, or closing would be a reset
				eventually(t, "the hello", func() bool {
					n, _ := sysRead(far, make([]byte, 16<<10))
					return n > 0
				})
			}
			if reset {
				CloseReset(far)
			} else {
				unix.Close(far)
			}
			err := wakeUntil(t, wire, done)
			if err == nil || reset != errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("%v, reset %t: %v", side, reset, err)
			}
			unix.Close(near)
		}
	}
}

// An endpoint whose certificate is not the one that was asked for gets no byte
// of the client's, and no stream comes of it.
func TestClientHandshakeVerifies(t *testing.T) {
	near, far := overTCP.dial(t, 0)
	defer unix.Close(near)
	defer unix.Close(far)
	wire := NewWire(near, WireOptions{Gate: NewGate(1)})
	config := clientConfig()
	config.ServerName = "another.test"
	done := make(chan error, 1)
	go func() {
		stream, err := ClientHandshake(wire, config)
		if stream != nil {
			t.Error("a stream")
		}
		done <- err
	}()
	server := tls.Server(&tap{fd: far, others: wire.Wake}, serverConfig(tls.VersionTLS13))
	if err := server.Handshake(); err == nil {
		t.Error("the endpoint took it for a success")
	}
	err := wakeUntil(t, wire, done)
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok {
		t.Errorf("%v", err)
	}
}

// A handshake holds its place only while it computes, so clients that say
// nothing do not keep others out.
func TestGateIsFreeWhileAHandshakeWaits(t *testing.T) {
	gate := NewGate(1)
	for range 10 {
		near, far := overTCP.dial(t, 0)
		wire := NewWire(near, WireOptions{Gate: gate})
		done := handshaking(Downstream, wire)
		defer func() {
			unix.Close(far)
			wakeUntil(t, wire, done)
			unix.Close(near)
		}()
	}
	near, far := overTCP.dial(t, 0)
	defer unix.Close(near)
	defer unix.Close(far)
	wire := NewWire(near, WireOptions{Gate: gate})
	done := handshaking(Downstream, wire)
	client := tls.Client(&tap{fd: far, others: wire.Wake}, clientConfig())
	check(t, client.Handshake())
	check(t, wakeUntil(t, wire, done))
}

// crypto/tls tries again after an error that calls itself temporary, and
// forgets it: only having nothing to read may do so.
func TestWireErrors(t *testing.T) {
	// A type assertion, as in crypto/tls: what an error wraps does not count.
	temporary := func(err error) bool {
		e, ok := err.(interface{ Temporary() bool })
		return ok && e.Temporary()
	}
	if _, ok := errWouldBlock.(net.Error); !ok {
		t.Error("crypto/tls asks only a net.Error whether it is temporary")
	}
	if !temporary(errWouldBlock) {
		t.Error("would-block has to be temporary")
	}
	wire := NewWire(-1, WireOptions{Gate: NewGate(1)})
	_, rerr := wire.Read(make([]byte, 1))
	_, werr := wire.Write(make([]byte, 1))
	for _, err := range []error{rerr, werr, &wireError{syscall.ETIMEDOUT}} {
		if temporary(err) {
			t.Errorf("%v calls itself temporary", err)
		}
	}
	if !errors.Is(rerr, syscall.EBADF) || !errors.Is(werr, syscall.EBADF) {
		t.Errorf("read: %v, write: %v", rerr, werr)
	}
}

// However the bytes of records are cut into reads, the wire knows whether it is
// inside of one.
func TestWireFollowsRecords(t *testing.T) {
	var stream []byte
	between := map[int]bool{0: true}
	for _, size := range []int{0, 1, 255, 256, 257, maxRecord, 1<<16 - 1, 3} {
		stream = append(stream, typeApplicationData, 3, 3, byte(size>>8), byte(size))
		stream = append(stream, make([]byte, size)...)
		between[len(stream)] = true
	}
	for _, most := range []int{1, 2, 7, 300, 10_000, len(stream)} {
		random := rand.New(rand.NewPCG(1, uint64(most)))
		wire := NewWire(-1, WireOptions{})
		for at := 0; at < len(stream); {
			n := min(1+random.IntN(most), len(stream)-at)
			wire.follow(stream[at : at+n])
			if at += n; wire.insideRecord() == between[at] {
				t.Fatalf("reads of up to %d bytes: after %d inside a record is %t", most, at, wire.insideRecord())
			}
		}
	}
}

// What crypto/tls never calls would be a mistake of ours.
func TestWireIsNotClosedByCryptoTLS(t *testing.T) {
	wire := NewWire(-1, WireOptions{Local: &net.TCPAddr{Port: 1}, Remote: &net.TCPAddr{Port: 2}})
	for name, call := range map[string]func(){
		"Close":           func() { wire.Close() },
		"SetDeadline":     func() { wire.SetDeadline(time.Time{}) },
		"SetReadDeadline": func() { wire.SetReadDeadline(time.Time{}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			call()
		}()
	}
	check(t, wire.SetWriteDeadline(time.Time{}))
	if wire.LocalAddr().String() != ":1" || wire.RemoteAddr().String() != ":2" {
		t.Error("other addresses")
	}
}
