package proxy

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"sluice/config"
)

const (
	// recordBufferSize is what a worker gathers before it hands records to
	// the writer: some forty of them.
	recordBufferSize = 32 << 10
	// recordDelay is how long a record may wait for others.
	recordDelay = 50 * time.Millisecond
	// recordBacklog is how many buffers may wait for the writer, together
	// 4 MiB. When the sink is slower than that, records are dropped and
	// counted: a worker never waits for a disk or a pipe.
	recordBacklog = 128
)

// accessLog writes the access records. Workers hand it full buffers; one
// goroutine writes them.
type accessLog struct {
	types    [recordTypes]bool
	interval time.Duration
	path     string
	log      zerolog.Logger

	full    chan []byte
	free    sync.Pool
	reopen  chan struct{}
	stop    chan struct{}
	stopped chan struct{}
	dropped atomic.Uint64
	sink    io.Writer
	file    *os.File // the sink, when it is a file of our own
}

// openAccessLog opens the sink and starts the writer. It gives nil when the
// access log is off.
func openAccessLog(spec config.AccessLog, stdout, stderr io.Writer, log zerolog.Logger) (*accessLog, error) {
	if !spec.Enabled {
		return nil, nil
	}
	a := &accessLog{
		types:    [recordTypes]bool{spec.Start, spec.Connected, spec.Periodic, spec.End},
		interval: spec.Interval,
		path:     spec.Path,
		log:      log,
		full:     make(chan []byte, recordBacklog),
		reopen:   make(chan struct{}, 1),
		stop:     make(chan struct{}),
		stopped:  make(chan struct{}),
	}
	switch spec.Path {
	case "stdout":
		a.sink = stdout
	case "stderr":
		a.sink = stderr
	default:
		if err := a.openFile(); err != nil {
			return nil, err
		}
	}
	go a.run()
	return a, nil
}

func (a *accessLog) openFile() error {
	f, err := os.OpenFile(a.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return fmt.Errorf("opening the access log: %w", err)
	}
	if a.file != nil {
		a.file.Close()
	}
	a.file, a.sink = f, f
	return nil
}

// run is the writer. It ends when stop is closed and everything was written.
func (a *accessLog) run() {
	defer close(a.stopped)
	var told uint64
	for {
		select {
		case b := <-a.full:
			a.write(b)
		case <-a.reopen:
			if a.file != nil {
				if err := a.openFile(); err != nil {
					a.log.Error().Err(err).Msg("the access log goes on in the file that was open")
				}
			}
		case <-a.stop:
			for {
				select {
				case b := <-a.full:
					a.write(b)
					continue
				default:
				}
				if a.file != nil {
					a.file.Close()
				}
				return
			}
		}
		if n := a.dropped.Load(); n > told && len(a.full) == 0 {
			a.log.Warn().Uint64("dropped", n-told).Msg("access records were dropped: their sink is too slow")
			told = n
		}
	}
}

func (a *accessLog) write(b []byte) {
	if _, err := a.sink.Write(b); err != nil {
		// EPIPE of a reader that went away must not end the gateway.
		a.dropped.Add(uint64(countLines(b)))
	}
	a.free.Put(&b)
}

func countLines(b []byte) (n int) {
	for _, c := range b {
		if c == '\n' {
			n++
		}
	}
	return n
}

// Reopen opens the file again, after it was renamed. Any goroutine may call it.
func (a *accessLog) Reopen() {
	select {
	case a.reopen <- struct{}{}:
	default: // one is due already
	}
}

// Close writes what is left and ends the writer.
func (a *accessLog) Close() {
	close(a.stop)
	<-a.stopped
}

func (a *accessLog) buffer() []byte {
	if b, ok := a.free.Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return make([]byte, 0, recordBufferSize+4<<10)
}

// recordBuffer gathers the records of one worker, and belongs to it.
type recordBuffer struct {
	log    *accessLog
	w      *worker
	buf    []byte
	logger zerolog.Logger // writes into buf
	text   []byte         // for fields that are formatted here
	due    bool           // a flush has been asked for
	floods []floodDue     // refusals that this worker has to write a record for
}

func newRecordBuffer(a *accessLog, w *worker) *recordBuffer {
	b := &recordBuffer{log: a, w: w, buf: a.buffer()}
	b.logger = zerolog.New(b)
	return b
}

// wants tells whether records of a type are asked for.
func (b *recordBuffer) wants(t recordType) bool { return b.log.types[t] }

// Write is zerolog's way in: one record.
func (b *recordBuffer) Write(p []byte) (int, error) {
	b.buf = append(b.buf, p...)
	return len(p), nil
}

// wrote sees to it that what was written gets to the writer soon.
func (b *recordBuffer) wrote() {
	if len(b.buf) >= recordBufferSize {
		b.flush()
	} else if !b.due {
		b.due = true
		b.w.after(recordDelay, b.flushDue)
	}
}

func (b *recordBuffer) flushDue() {
	b.due = false
	b.flush()
}

// flush hands the buffer to the writer, or drops it when the writer is behind.
func (b *recordBuffer) flush() {
	if len(b.buf) == 0 {
		return
	}
	select {
	case b.log.full <- b.buf:
		b.buf = b.log.buffer()
		b.w.Spawned()
	default:
		b.log.dropped.Add(uint64(countLines(b.buf)))
		b.buf = b.buf[:0]
	}
}

// time adds a time of day in UTC with milliseconds.
func (b *recordBuffer) time(e *zerolog.Event, key string, t time.Time) {
	b.text = t.UTC().AppendFormat(b.text[:0], "2006-01-02T15:04:05.000Z")
	e.Bytes(key, b.text)
}

// address adds an address; a unix socket has none.
func (b *recordBuffer) address(e *zerolog.Event, key string, ap netip.AddrPort) {
	if ap.IsValid() {
		b.text = ap.AppendTo(b.text[:0])
		e.Bytes(key, b.text)
	}
}
