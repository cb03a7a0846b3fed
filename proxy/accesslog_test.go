package proxy

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
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

	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func newGatedWriter() *gatedWriter {
	return &gatedWriter{entered: make(chan struct{}, 1000), gate: make(chan struct{})}
}

func (g *gatedWriter) Write(p []byte) (int, error) {
	g.entered <- struct{}{}
	<-g.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.buf.Write(p)
}

// put gives the log a buffer of n records, as a worker does.
func (a *accessLog) put(n int) {
	b := &recordBuffer{log: a, w: &worker{Worker: &poller.Worker{}}, recordText: recordText{buf: a.buffer()}}
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
	b := &recordBuffer{log: a, w: &worker{Worker: &poller.Worker{}}, recordText: recordText{buf: a.buffer()}}
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

// brokenWriter takes nothing.
type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

// A sink that does not take records is no slow one, and says so with every
// buffer: the log says it now and then.
func TestFailingSinkIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := newGatedWriter()
		close(log.gate)
		a, err := openAccessLog(config.AccessLog{Enabled: true, Path: "stdout"},
			brokenWriter{errors.New("broken pipe")}, nil, zerolog.New(log))
		if err != nil {
			t.Fatal(err)
		}
		told := func(want string) {
			t.Helper()
			synctest.Wait()
			log.mu.Lock()
			defer log.mu.Unlock()
			if got := log.buf.String(); got != want {
				t.Errorf("the log has %q, want %q", got, want)
			}
			log.buf.Reset()
		}
		line := func(lost string) string {
			return `{"level":"error","error":"broken pipe","lost":` + lost + `,"message":"access records cannot be written"}` + "\n"
		}
		a.put(3)
		told(line("3"))
		a.put(1)
		a.put(1)
		told("")
		time.Sleep(sinkErrorInterval)
		told(line("2"))
		a.put(4)
		a.Close()
		told(line("4"))
		if failed, dropped := a.failed.Load(), a.dropped.Load(); failed != 9 || dropped != 0 {
			t.Errorf("%d records failed and %d dropped, want 9 and 0", failed, dropped)
		}
	})
}

func TestHiddenPathIsNotTold(t *testing.T) {
	t.Parallel()
	_, err := openAccessLog(config.AccessLog{Enabled: true, Path: "/no/such/hunter2", PathHidden: true}, nil, nil, zerolog.Nop())
	if !errors.Is(err, os.ErrNotExist) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}

func TestAccessLogThatCannotBeOpenedIsAnError(t *testing.T) {
	t.Parallel()
	_, err := openAccessLog(config.AccessLog{Enabled: true, Path: "/no/such/dir/access.log"}, nil, nil, zerolog.Nop())
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
