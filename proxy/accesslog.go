package proxy

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"sluice/config"
)

const (
	// recordBufferSize is what a worker gathers before it hands records to
	// the writer: some hundred of them. Each hand-over wakes the writer, and each
	// of its writes the runtime's monitor thread; but a buffer that is larger
	// than a share of the CPU's second cache is written to slowly.
	recordBufferSize = 64 << 10
	// recordDelay is how long a record may wait for others.
	recordDelay = 50 * time.Millisecond
	// recordBacklog is how many buffers may wait for the writer, together
	// 4 MiB when full. When the sink is slower than that, records are dropped and
	// counted: a worker never waits for a disk or a pipe.
	recordBacklog = 64
	// lastWrites is how long Close waits for the sink to take what is left. A
	// reader that has stalled must not keep the gateway from ending.
	lastWrites = time.Second
	// sinkErrorInterval is how often a sink that cannot be written to is
	// mentioned in the log: it fails with every buffer.
	sinkErrorInterval = 10 * time.Second
)

// accessLog writes the access records. Workers hand it full buffers; one
// goroutine writes them.
type accessLog struct {
	types    [recordTypes]bool
	interval time.Duration
	path     string
	hidden   bool // the path is not to be shown
	log      zerolog.Logger

	full    chan []byte
	free    sync.Pool
	reopen  chan struct{}
	stop    chan struct{}
	stopped chan struct{}
	dropped atomic.Uint64          // records for which the writer was too far behind
	failed  atomic.Uint64          // records that the sink did not take
	writing atomic.Pointer[[]byte] // what the writer has given to the sink
	sink    io.Writer
	file    *os.File // the sink, when it is a file of our own
	trouble sinkTrouble
}

// sinkTrouble is what the log was not told yet about a sink that does not take
// records. It belongs to the writer.
type sinkTrouble struct {
	err  error  // the last one
	lost uint64 // records
	due  <-chan time.Time
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
		hidden:   spec.PathHidden,
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
		return fmt.Errorf("opening the access log: %w", a.unnamed(err))
	}
	if a.file != nil {
		a.file.Close()
	}
	a.file, a.sink = f, f
	return nil
}

// unnamed is err without the path of the file, if that is hidden.
func (a *accessLog) unnamed(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok && a.hidden {
		return fmt.Errorf("%w (the path is not shown, because it comes from env() or file())", pe.Err)
	}
	return err
}

// run is the writer. It ends when stop is closed and everything was written.
func (a *accessLog) run() {
	defer close(a.stopped)
	var told uint64
	for {
		select {
		case b := <-a.full:
			a.write(b)
		case <-a.trouble.due:
			a.trouble.due = nil
			a.tellTrouble()
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
				a.trouble.due = nil
				a.tellTrouble()
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

// write hands a buffer to the sink. A reader of a pipe that went away, or a
// full disk, must not end the gateway.
func (a *accessLog) write(b []byte) {
	a.writing.Store(&b)
	defer a.writing.Store(nil)
	if n, err := a.sink.Write(b); err != nil {
		lost := uint64(countLines(b[n:]))
		a.failed.Add(lost)
		a.trouble.lost += lost
		a.trouble.err = err
		a.tellTrouble()
	}
	a.free.Put(&b)
}

// tellTrouble says in the log that records were lost, and says so again no
// sooner than after a while.
func (a *accessLog) tellTrouble() {
	t := &a.trouble
	if t.err == nil || t.due != nil {
		return
	}
	a.log.Error().Err(a.unnamed(t.err)).Uint64("lost", t.lost).Msg("access records cannot be written")
	*t = sinkTrouble{due: time.After(sinkErrorInterval)}
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

// lost is how many records were not written. Any goroutine may call it.
func (a *accessLog) lost() uint64 { return a.dropped.Load() + a.failed.Load() }

// Close writes what is left and ends the writer. A sink that takes nothing does
// not hold it up: what it has not taken in time is lost, which is logged, and
// the writer is left to a call that may never return. No worker may write into it any more.
func (a *accessLog) Close() {
	close(a.stop)
	patience := time.NewTimer(lastWrites)
	defer patience.Stop()
	select {
	case <-a.stopped:
		return
	case <-patience.C:
	}
	lost := 0
	if b := a.writing.Load(); b != nil {
		lost = countLines(*b) // a part of it may have been taken
	}
	for left := len(a.full); left > 0; left-- {
		select {
		case b := <-a.full:
			lost += countLines(b)
		default: // the writer has gone on after all
		}
	}
	a.dropped.Add(uint64(lost))
	a.log.Error().Int("lost", lost).Msg("access records were lost: their sink took nothing before the gateway ended")
}

func (a *accessLog) buffer() []byte {
	if b, ok := a.free.Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return make([]byte, 0, recordBufferSize+4<<10)
}

// recordBuffer gathers the records of one worker, and belongs to it.
type recordBuffer struct {
	recordText
	log    *accessLog
	w      *worker
	due    bool       // a flush has been asked for
	floods []floodDue // refusals that this worker has to write a record for
}

// writeRecordsTo has the worker write its records into another access log; nil:
// none.
func (w *worker) writeRecordsTo(a *accessLog) {
	if b := w.records; b != nil {
		b.endFloods()
		b.flush()
	}
	w.records = nil
	if a != nil {
		w.records = newRecordBuffer(a, w)
	}
}

func newRecordBuffer(a *accessLog, w *worker) *recordBuffer {
	return &recordBuffer{log: a, w: w, recordText: recordText{buf: a.buffer()}}
}

// wants tells whether records of a type are asked for.
func (b *recordBuffer) wants(t recordType) bool { return b.log.types[t] }

// wrote sees to it that what was written gets to the writer soon.
func (b *recordBuffer) wrote() {
	if len(b.buf) >= recordBufferSize {
		b.flush()
	} else if !b.due {
		b.due = true
		b.w.after(recordDelay, b.flushDue)
	}
}

// flushDue is called when the oldest record has waited for long enough. When
// the writer is behind it goes on waiting: there is still room.
func (b *recordBuffer) flushDue() {
	b.due = false
	if !b.handOver() {
		b.due = true
		b.w.after(recordDelay, b.flushDue)
	}
}

// flush hands the buffer to the writer, or drops it when the writer is behind.
func (b *recordBuffer) flush() {
	if !b.handOver() {
		b.log.dropped.Add(uint64(countLines(b.buf)))
		b.buf = b.buf[:0]
	}
}

// handOver tells false, and keeps the buffer, when too many wait for the writer.
func (b *recordBuffer) handOver() bool {
	if len(b.buf) == 0 {
		return true
	}
	select {
	case b.log.full <- b.buf:
		b.buf = b.log.buffer()
		b.w.Spawned()
		return true
	default:
		return false
	}
}
