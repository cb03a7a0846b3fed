package discovery

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// settleTime is how long a file must not have changed before it is read:
	// one that is written in place is not whole at its first notice.
	settleTime = 50 * time.Millisecond
	// longestSettle is how long changes may go on, of whatever in the
	// directory, until the file is looked at all the same.
	longestSettle = time.Second
	// lookInterval is how often the file is looked at without a notice.
	lookInterval = 5 * time.Second
	// maxFileSize is far above the endpoints that a cluster may have.
	maxFileSize = 16 << 20
)

// File finds endpoints in a JSON file:
//
//	{"endpoints": [{"address": "10.0.0.1:80", "weight": 1, "priority": 0}]}
type File struct {
	Path string // absolute

	interval time.Duration // zero: lookInterval
}

// String implements [Source].
func (f *File) String() string { return "file " + f.Path }

// Run implements [Source].
func (f *File) Run(ctx context.Context, sink Sink) {
	// Without a watcher (the limit on inotify instances is low on some systems)
	// the file is only looked at: later, but it works.
	var notices chan fsnotify.Event
	var lost chan error
	watcher, err := fsnotify.NewWatcher()
	if err == nil {
		defer watcher.Close()
		notices, lost = watcher.Events, watcher.Errors
	}
	interval := f.interval
	if interval == 0 {
		interval = lookInterval
	}
	look := time.NewTicker(interval)
	defer look.Stop()
	settled := time.NewTimer(0)
	defer settled.Stop()
	var r reader
	var since time.Time // when what has to settle began; zero: nothing has to
	for {
		select {
		case <-ctx.Done():
			return
		case <-notices:
		case <-lost: // notices, when there were too many: the file is looked at for any
		case <-look.C:
		case <-settled.C:
			since = time.Time{}
			if watcher != nil {
				watch(watcher, f.Path)
			}
			r.read(ctx, f.Path, sink)
			continue
		}
		if since.IsZero() {
			since = time.Now()
		}
		settled.Reset(min(settleTime, longestSettle-time.Since(since)))
	}
}

// watch watches every directory in which a change may make the path lead to
// another file. That a directory is made, or replaced by another of its name, is
// not among it: the next look finds out.
func watch(w *fsnotify.Watcher, path string) {
	wanted := directoriesOf(path)
	for _, dir := range w.WatchList() {
		if !slices.Contains(wanted, dir) {
			w.Remove(dir) // it fails when the directory is gone, and the watch with it
		}
	}
	for _, dir := range wanted {
		w.Add(dir) // it fails when there is none
	}
}

// maxLinks is how many symbolic links the kernel follows (path_resolution(7)).
const maxLinks = 40

// directoriesOf gives the directories in which something stands that decides
// where the path leads to: every symbolic link on the way, and the file. The
// last may not exist.
func directoriesOf(path string) []string {
	var dirs []string
	add := func(dir string) {
		if !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	dir, rest := "/", strings.Split(path, "/")
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			dir = filepath.Dir(dir)
			continue
		}
		if target, err := os.Readlink(filepath.Join(dir, name)); err == nil {
			add(dir)
			if links++; links > maxLinks {
				return dirs // it leads nowhere
			}
			if filepath.IsAbs(target) {
				dir = "/"
			}
			rest = append(strings.Split(target, "/"), rest...)
			continue
		}
		if len(rest) == 0 {
			add(dir)
		}
		dir = filepath.Join(dir, name)
	}
	return dirs
}

// reader reads the file when it is another one than before.
type reader struct {
	done bool        // something was read, or could not be
	seen os.FileInfo // of the file that was read last; nil: none could be
	at   time.Time   // when it was
}

// clockTick is more than the resolution of a file's times.
const clockTick = 20 * time.Millisecond

// changed tells whether the file may not be the one that was read. What was
// read as soon as it was written may have been written again at the same time.
func (r *reader) changed(path string) bool {
	info, err := os.Stat(path)
	if err != nil || r.seen == nil {
		return (err == nil) != (r.seen != nil)
	}
	return !os.SameFile(info, r.seen) || info.Size() != r.seen.Size() || !info.ModTime().Equal(r.seen.ModTime()) ||
		r.at.Sub(info.ModTime()) < clockTick
}

// read reads the file and tells sink, unless ctx is done.
func (r *reader) read(ctx context.Context, path string, sink Sink) {
	if r.done && !r.changed(path) {
		return
	}
	r.done, r.at = true, time.Now()
	set, info, err := readFile(path)
	r.seen = info
	switch {
	case ctx.Err() != nil:
	case err != nil:
		sink.Failed(err)
	default:
		sink.Found(set, nil)
	}
}

// readFile reads the set. info is of what was read, also when it is broken; nil
// when nothing could be read.
func readFile(path string) (set []Found, info os.FileInfo, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe would wait for a writer
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, info, fmt.Errorf("%s is not a file", path)
	}
	src, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	switch {
	case err != nil:
		return nil, nil, err // the next time it may work
	case len(src) > maxFileSize:
		return nil, info, fmt.Errorf("%s is larger than %d MiB", path, maxFileSize>>20)
	}
	set, err = decode(src)
	if err != nil {
		return nil, info, fmt.Errorf("%s:%w", path, err)
	}
	return set, info, nil
}
