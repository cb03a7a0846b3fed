package proxy

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"sluice/config"
	"sluice/proxy/poller"
)

func openTestLog(t *testing.T, path string, stdout *gatedWriter) *accessLog {
	t.Helper()
	a, err := openAccessLog(config.AccessLog{Enabled: true, Path: path, End: true, Interval: time.Minute},
		stdout, nil, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// gatedWriter is a sink that blocks until it is opened.
type gatedWriter struct {
	entered chan struct{} // told when a write begins
	gate    chan struct{} // closed: writes go through
	fail    error

	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func newGatedWriter() *gatedWriter {
	return &gatedWriter{entered: make(chan struct{}, 1000), gate: make(chan struct{})}
}

func (g *gatedWriter) Write(p []byte) (int, error) {
	g.entered <- struct{}{}
	<-g.gate
	if g.fail != nil {
		return 0, g.fail
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.buf.Write(p)
}

// put gives the log a buffer of n records, as a worker does.
func (a *accessLog) put(n int) {
	b := &recordBuffer{log: a, w: &worker{Worker: &poller.Worker{}}, buf: a.buffer()}
	for range n {
		b.buf = append(b.buf, "{}\n"...)
	}
	b.flush()
}

func TestSlowSinkNeverBlocksAndIsCounted(t *testing.T) {
	t.Parallel()
	sink := newGatedWriter()
	a := openTestLog(t, "stdout", sink)
	a.put(1)
	<-sink.entered // the writer is stuck in this one
	const more = 50
	for range recordBacklog + more {
		a.put(2)
	}
	if got := a.dropped.Load(); got != 2*more {
		t.Errorf("%d records counted as dropped, want %d", got, 2*more)
	}
	close(sink.gate)
	a.Close()
	if got := strings.Count(sink.buf.String(), "\n"); got != 1+2*recordBacklog {
		t.Errorf("%d records were written, want %d", got, 1+2*recordBacklog)
	}
}

// While the writer is behind, what a worker has not filled goes on being
// gathered: nothing of it is dropped.
func TestRecordsWaitForASlowSinkWhileThereIsRoom(t *testing.T) {
	t.Parallel()
	sink := newGatedWriter()
	a := openTestLog(t, "stdout", sink)
	a.put(1)
	<-sink.entered // the writer is stuck in this one
	for range recordBacklog {
		a.put(1)
	}
	b := &recordBuffer{log: a, w: &worker{Worker: &poller.Worker{}}, buf: a.buffer()}
	b.buf = append(b.buf, "{}\n"...)
	if b.handOver() || len(b.buf) == 0 {
		t.Error("the buffer is gone")
	}
	if got := a.dropped.Load(); got != 0 {
		t.Errorf("%d records were dropped", got)
	}
	close(sink.gate)
	eventually(t, func() error {
		if !b.handOver() {
			return errors.New("the writer does not catch up")
		}
		return nil
	})
	a.Close()
	if got, want := strings.Count(sink.buf.String(), "\n"), 1+recordBacklog+1; got != want {
		t.Errorf("%d records were written, want %d", got, want)
	}
}

// TestCloseLeavesAStalledSink: a reader that has stopped reading does not keep
// the gateway from ending, and what is lost by that is counted.
func TestCloseLeavesAStalledSink(t *testing.T) {
	t.Parallel()
	sink := newGatedWriter()
	a := openTestLog(t, "stdout", sink)
	a.put(1)
	<-sink.entered // the writer is stuck in this one
	a.put(2)
	a.put(3)
	inTime(t, "Close", a.Close)
	if got := a.dropped.Load(); got != 6 {
		t.Errorf("%d records counted as dropped, want 6", got)
	}
	close(sink.gate)
	<-a.stopped // the writer ends when it can
	if got := strings.Count(sink.buf.String(), "\n"); got > 1 {
		t.Errorf("%d records were written that were counted as dropped", got)
	}
}

func TestFailingSinkIsCounted(t *testing.T) {
	t.Parallel()
	sink := newGatedWriter()
	sink.fail = errors.New("broken pipe")
	close(sink.gate)
	a := openTestLog(t, "stdout", sink)
	a.put(3)
	a.Close()
	if got := a.dropped.Load(); got != 3 {
		t.Errorf("%d records counted as dropped, want 3", got)
	}
}

func TestAccessLogThatCannotBeOpenedIsAnError(t *testing.T) {
	t.Parallel()
	_, err := openAccessLog(config.AccessLog{Enabled: true, Path: "/no/such/dir/access.log"}, nil, nil, zerolog.Nop())
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
