package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestCloseEndsWhatWasNeverWaitedFor is about a connection that is killed
// before its set-up runs, and whose set-up has nothing to wait for: an endpoint
// on a unix socket is connected at once.
func TestCloseEndsWhatWasNeverWaitedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "endpoint")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	g := startGateway(t, fmt.Sprintf(`
listener "tcp" {
  address = "127.0.0.1:0"
  filter_chain "all" {
    route { cluster = "unix" }
  }
}
cluster "unix" { endpoints = ["unix:%s"] }
`, path))
	g.onEach(func(_ int, w *worker) error {
		w.killing = true // as Close sets it, before it goes over the connections there are
		return nil
	})
	// The reset may be there before the client knows that it is connected.
	c, err := net.Dial("tcp", g.address("tcp"))
	if err == nil {
		defer c.Close()
		c.SetDeadline(time.Now().Add(10 * time.Second))
		_, err = c.Read(make([]byte, 1))
	}
	if !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("the client got %v, want a reset", err)
	}
	inTime(t, "Close", g.Close)
}

// TestDrainWithoutLimit holds that a timeout of zero cuts nobody: the drain ends
// with the last connection.
func TestDrainWithoutLimit(t *testing.T) {
	g := startGateway(t, `
listener "tcp" {
  address = "127.0.0.1:0"
  filter_chain "all" {
    route { cluster = "echo" }
  }
}
cluster "echo" { endpoints = ["`+backend(t, echo)+`"] }
`)
	c := dial(t, g.address("tcp"))
	say := func() error {
		if _, err := io.WriteString(c, "hello"); err != nil {
			return err
		}
		_, err := io.ReadFull(c, make([]byte, 5))
		return err
	}
	if err := say(); err != nil {
		t.Fatal(err)
	}
	drained := make(chan error, 1)
	go func() { drained <- g.Drain(context.Background(), 0) }()
	eventually(t, func() error {
		if other, err := net.Dial("tcp", g.address("tcp")); err == nil {
			other.Close()
			return errors.New("the gateway still accepts")
		}
		return nil
	})
	if err := say(); err != nil {
		t.Errorf("the connection did not outlive the begin of the drain: %v", err)
	}
	select {
	case err := <-drained:
		t.Errorf("the drain is over before the connection: %v", err)
	default:
	}
	c.Close()
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

// TestStoppingWhileAcceptingIsPaused is about an acceptor that waits for
// descriptors to come free when its listening socket is closed. It must not
// watch that number again: by then it is somebody else's.
func TestStoppingWhileAcceptingIsPaused(t *testing.T) {
	g := startGateway(t, `
listener "tcp" {
  address = "127.0.0.1:0"
  filter_chain "all" {
    route { cluster = "echo" }
  }
}
cluster "echo" { endpoints = ["`+backend(t, echo)+`"] }
`)
	g.onEach(func(_ int, w *worker) error {
		for _, a := range w.acceptors {
			a.exhausted(unix.ENOBUFS)
		}
		return nil
	})
	if err := g.Drain(context.Background(), time.Second); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		return g.onEach(func(_ int, w *worker) error {
			if n := w.Slots(); n > 0 {
				return fmt.Errorf("%d things are still to be done after the drain", n)
			}
			return nil
		})
	})
}

// TestAcceptingGoesOnAfterAPause is about clients that arrive while there are
// no descriptors: they are served when there are again.
func TestAcceptingGoesOnAfterAPause(t *testing.T) {
	g := startGateway(t, `
listener "tcp" {
  address = "127.0.0.1:0"
  filter_chain "all" {
    route { cluster = "echo" }
  }
}
cluster "echo" { endpoints = ["`+backend(t, echo)+`"] }
`)
	g.onEach(func(_ int, w *worker) error {
		for _, a := range w.acceptors {
			a.exhausted(unix.ENOBUFS)
		}
		return nil
	})
	for range 10 { // enough that every worker's socket gets some
		c := dial(t, g.address("tcp"))
		if _, err := io.WriteString(c, "hello"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
	}
}
