package relay

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
)

// encryptedLink is a link with the given layout, and its far ends.
func encryptedLink(t *testing.T, l layout, bufferSize int) (*link, [2]net.Conn) {
	t.Helper()
	var near, far [2]*tls.Config
	for _, side := range bothSides {
		if l.encrypts(side) {
			near[side], far[side] = configs(side, tls.VersionTLS13)
		}
	}
	link := newRig(t).linkEncrypted(overTCP, bufferSize, near)
	return link, link.peers(far)
}

// The end waits for its turn behind bytes that the other side does not take.
func TestStreamEndComesAfterStalledBytes(t *testing.T) {
	for _, layout := range layouts {
		t.Run(layout.String(), func(t *testing.T) {
			l, far := encryptedLink(t, layout, 8<<10)
			from := layout.side.Other() // so that it stalls in the stream
			var p pattern
			all := p.next(1 << 20)
			written := make(chan error, 1)
			go func() {
				_, err := far[from].Write(all)
				if err == nil {
					err = closeWrite(far[from])
				}
				written <- err
			}()
			l.stalled(from.Other())
			got, err := io.ReadAll(far[from.Other()])
			if !bytes.Equal(got, all) || err != nil {
				t.Errorf("%d of %d bytes, %v", len(got), len(all), err)
			}
			check(t, await(t, "the writer", written))
			far[from.Other()].Close()
			if o := l.ends(); o.status != Finished || o.streamErr != [2]error{} {
				t.Errorf("%+v", o)
			}
		})
	}
}

// A reset passes on as a reset, and not before everything that came ahead of
// it has arrived: what was taken of an encrypted side, up to its last whole
// record.
func TestStreamResetWithBytesInFlight(t *testing.T) {
	for _, layout := range layouts {
		for _, gone := range bothSides {
			t.Run(layout.String()+", "+gone.String()+" is reset", func(t *testing.T) {
				l, far := encryptedLink(t, layout, 32<<10)
				src, dst := far[gone], far[gone.Other()]
				var p pattern
				sent := 0
				for state := State(0); !state.has(stateQueued, gone.Other()); {
					_, err := src.Write(p.next(4 << 10))
					check(t, err)
					sent += 4 << 10
					acked(t, l.far[gone])
					l.rig.do(func() { state = l.pair.State() })
				}
				reset(t, l.far[gone])
				eventually(t, "the reset", func() (known bool) {
					l.rig.do(func() { known = l.pair.State().IsReset(gone) })
					return known
				})
				got, err := io.ReadAll(dst)
				if !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("ended with %v", err)
				}
				if !bytes.Equal(got, new(pattern).next(sent)) {
					t.Errorf("%d of %d bytes arrived", len(got), sent)
				}
				if o := l.ends(); o.status != PassReset || o.firstGone != gone || o.bytes[gone] != uint64(sent) {
					t.Errorf("%+v of %d bytes", o, sent)
				}
			})
		}
	}
}

// What the side that is still there has sent has nowhere to go: it is dropped,
// and the side is reset.
func TestStreamResetDropsWhatWaitsForTheGoneSide(t *testing.T) {
	for _, layout := range layouts {
		for _, gone := range bothSides {
			t.Run(layout.String()+", "+gone.String()+" is reset", func(t *testing.T) {
				l, far := encryptedLink(t, layout, 32<<10)
				written := make(chan error, 1)
				go func() {
					_, err := far[gone.Other()].Write(make([]byte, 4<<20))
					written <- err
				}()
				l.stalled(gone)
				reset(t, l.far[gone])
				if err := await(t, "the writer", written); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
					t.Errorf("%v", err)
				}
				if o := l.ends(); o.status != PassReset || o.firstGone != gone {
					t.Errorf("%+v", o)
				}
			})
		}
	}
}
