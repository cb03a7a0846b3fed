package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// pidFile is the file that holds the PID of the process that serves. It is
// written in one step, so that its readers find a PID whenever they look, and
// after an upgrade it belongs to the successor. A nil pointer is none.
type pidFile struct {
	path   string
	hidden bool   // the path is not to be shown
	next   string // the file that is to take its place; "": there is none
}

// preparePIDFile writes the file beside where it will be, so that whatever may
// keep it from being written is known before anybody is served.
func preparePIDFile(path string, hidden bool) (*pidFile, error) {
	if path == "" {
		return nil, nil
	}
	p := &pidFile{path: path, hidden: hidden}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return nil, p.failed(err)
	}
	p.next = f.Name()
	_, err = fmt.Fprintln(f, os.Getpid())
	if err == nil {
		err = f.Chmod(0o644) // whoever is to send signals has to read it
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		p.abandon()
		return nil, p.failed(err)
	}
	return p, nil
}

// publish puts the file in its place.
func (p *pidFile) publish() error {
	if p == nil || p.next == "" {
		return nil
	}
	if err := os.Rename(p.next, p.path); err != nil {
		p.abandon()
		return p.failed(err)
	}
	p.next = ""
	return nil
}

// abandon takes back what was prepared.
func (p *pidFile) abandon() {
	if p != nil && p.next != "" {
		os.Remove(p.next)
		p.next = ""
	}
}

// remove removes the file, if it still holds the PID of this process.
func (p *pidFile) remove() error {
	if p == nil {
		return nil
	}
	p.abandon()
	b, err := os.ReadFile(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && strings.TrimSpace(string(b)) == strconv.Itoa(os.Getpid()) {
		err = os.Remove(p.path)
	}
	return p.failed(err)
}

// failed is err in the words of the log.
func (p *pidFile) failed(err error) error {
	switch {
	case err == nil:
		return nil
	case !p.hidden:
		return fmt.Errorf("the pid_file: %w", err)
	}
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	} else if le, ok := errors.AsType[*os.LinkError](err); ok {
		err = le.Err
	}
	return fmt.Errorf("the pid_file: %w (the path is not shown, because it comes from env() or file())", err)
}
