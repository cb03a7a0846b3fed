package integration

import (
	"errors"
	"net"
	"testing"
	"time"
)

// TestManyAtOnce holds thousands of connections and looks at what the gateway
// has for them: two descriptors each, no thread, and little memory.
func TestManyAtOnce(t *testing.T) {
	for _, kind := range []string{plainKind, passedKind, terminatedKind, reencryptedKind} {
		t.Run(kind, func(t *testing.T) {
			n := loadSize(5000)
			p := loadGatewayOf(t, kind, backend(t, echoSmall), "60s", `access_log { enabled = false }`)
			v := newVisitor(p, kind)
			visitInSequence(t, v, 200)
			before, memory, threads := settledDescriptors(t, p), p.rss(), p.threads()

			conns := make([]net.Conn, n)
			if err := many(n, func(i int) (err error) {
				conns[i], err = v.roundTrip()
				return err
			}); err != nil {
				t.Fatal(err)
			}
			eventually(t, "two descriptors per connection", func() bool { return p.descriptors() == before+2*n })
			t.Logf("%d idle connections: %d bytes of RSS each; %d threads, %d before",
				n, (p.rss()-memory)/int64(n), p.threads(), threads)
			if p.threads() > threads+2 { // the Go runtime's own come and go
				t.Errorf("%d threads, before there were %d", p.threads(), threads)
			}

			if err := many(n, func(i int) error {
				return errors.Join(echoed(conns[i], []byte("still there")), leave(conns[i]))
			}); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the descriptors from before", func() bool { return p.descriptors() == before })
		})
	}
}

// TestManyInSequence lets ten thousand connections come and go.
func TestManyInSequence(t *testing.T) {
	for _, kind := range []string{plainKind, passedKind, terminatedKind, reencryptedKind} {
		t.Run(kind, func(t *testing.T) {
			n := loadSize(10000)
			p := loadGatewayOf(t, kind, backend(t, echoSmall), "60s", ``)
			v := newVisitor(p, kind)
			visitInSequence(t, v, 200)
			before, memory := settledDescriptors(t, p), p.rss()
			began := time.Now()
			visitInSequence(t, v, n)
			t.Logf("%d connections in %v; RSS %d KiB before, %d after",
				n, time.Since(began).Round(time.Millisecond), memory>>10, p.rss()>>10)
			eventually(t, "the descriptors from before", func() bool { return p.descriptors() == before })
			p.waitRecords(n+200, func(rec event) bool { return within(rec, "termination", "reason") == "finished" })
		})
	}
}

func visitInSequence(t *testing.T, v visitor, n int) {
	t.Helper()
	if err := many(n, func(int) error {
		c, err := v.roundTrip()
		if err != nil {
			return err
		}
		return leave(c)
	}); err != nil {
		t.Fatal(err)
	}
}

// settledDescriptors counts the descriptors of a gateway without connections:
// the number that it comes back to.
func settledDescriptors(t *testing.T, p *process) int {
	t.Helper()
	last, since := p.descriptors(), time.Now()
	eventually(t, "the number of descriptors has settled", func() bool {
		if now := p.descriptors(); now != last {
			last, since = now, time.Now()
		}
		return time.Since(since) > 300*time.Millisecond
	})
	return last
}

// waitRecords waits until n records match.
func (p *process) waitRecords(n int, match func(event) bool) {
	p.t.Helper()
	timeout := time.After(patience)
	for seen, found := 0, 0; found < n; {
		list, _, changed := p.records.after(seen)
		seen += len(list)
		for _, rec := range list {
			if match(rec) {
				found++
			}
		}
		if found >= n {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			p.t.Fatalf("%d access records match, want %d; the last ones are\n%s", found, n, p.recordText())
		}
	}
}
