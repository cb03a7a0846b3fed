package discovery

import (
	"context"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Opening a pipe waits for somebody who writes. A source would not end for as
// long.
func TestAPipeIsNoFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	sink := make(told, 10)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		(&File{Path: path, interval: never}).Run(ctx, sink)
		close(ended)
	}()
	if got, want := sink.next(t), "failed "+path+" is not a file"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	cancel()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Error("the source does not end")
	}
}

// What could not be read for once, as on a network file system, is read again
// although the file is the same: the memory of a process is a file that can be
// opened and not read at its begin.
func TestAFailedReadIsTriedAgain(t *testing.T) {
	t.Parallel()
	sink, _ := runSource(t, &File{Path: "/proc/self/mem", interval: time.Millisecond})
	for range 3 {
		if got, want := sink.next(t), "failed read /proc/self/mem: input/output error"; got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	}
}

// A source that was told to end says nothing more, whatever it was about to do.
func TestAStoppedFileIsQuiet(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "endpoints.json")
	writeFile(t, path, fileWith(1))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	sink := make(told, 100)
	for range 100 { // it is up to chance which of two things it sees first
		(&File{Path: path, interval: never}).Run(ctx, sink)
	}
	if len(sink) > 0 {
		t.Errorf("it says %q, %d times", <-sink, len(sink)+1)
	}
}
