package discovery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"sluice/config/filewatch"
)

// maxFileSize is far above the endpoints that a cluster may have.
const maxFileSize = 16 << 20

// File finds endpoints in a JSON file:
//
//	{"endpoints": [{"address": "10.0.0.1:80", "weight": 1, "priority": 0}]}
type File struct {
	Path string // absolute

	interval time.Duration // between looks without a notice; zero: the watcher's
}

// String implements [Source].
func (f *File) String() string { return "file " + f.Path }

// Run implements [Source].
func (f *File) Run(ctx context.Context, sink Sink) {
	w := filewatch.New(filewatch.Options{Interval: f.interval}, func(paths []string) (again []string) {
		set, known, err := readFile(f.Path)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			sink.Failed(err)
			if !known {
				return paths // the next time it may work
			}
		default:
			sink.Found(set, nil)
		}
		return nil
	})
	defer w.Close()
	w.Watch([]string{f.Path})
	<-ctx.Done()
}

// readFile reads the set. known says that an error is about what stands in the
// file, or that there is none: it stays as long as the file is as it is.
func readFile(path string) (set []Found, known bool, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe would wait for a writer
	if err != nil {
		return nil, errors.Is(err, fs.ErrNotExist), err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, false, err
	}
	if !info.Mode().IsRegular() {
		return nil, true, fmt.Errorf("%s is not a file", path)
	}
	src, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	switch {
	case err != nil:
		return nil, false, err
	case len(src) > maxFileSize:
		return nil, true, fmt.Errorf("%s is larger than %d MiB", path, maxFileSize>>20)
	}
	set, err = decode(src)
	if err != nil {
		return nil, true, fmt.Errorf("%s:%w", path, err)
	}
	return set, true, nil
}
