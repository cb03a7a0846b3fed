package config

import (
	"crypto/sha256"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Sources is what a load has read of a configuration: its files, those of
// -var-file and of file(), and the names in its directory; not those of
// certificates ([Config.Material]). It says whether another load would read
// something else, also after one with errors. The zero value is of no load; one
// value is for one load.
type Sources struct {
	files       map[string]fileSum // by absolute path
	directories map[string]fileSum // of the names that count
}

// fileSum identifies a content; the zero value is of a file that is not there.
type fileSum [sha256.Size]byte

// Paths gives the absolute paths, sorted, that have to be watched to notice a change.
func (s *Sources) Paths() []string {
	return slices.Sorted(maps.Keys(joined(s.files, s.directories)))
}

func joined(a, b map[string]fileSum) map[string]fileSum {
	all := maps.Clone(a)
	if all == nil {
		return b
	}
	maps.Copy(all, b)
	return all
}

// Changed reads it all again and tells whether anything is not as it was.
func (s *Sources) Changed() bool {
	for path, was := range s.files {
		if sumOf(ReadRegularFile(path)) != was {
			return true
		}
	}
	for path, was := range s.directories {
		entries, err := os.ReadDir(path)
		if sumOfNames(configFiles(entries), err) != was {
			return true
		}
	}
	return false
}

func sumOf(content []byte, err error) fileSum {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fileSum{}
	case err != nil:
		return fileSum{1} // it is there and cannot be read
	}
	return sha256.Sum256(content)
}

func sumOfNames(names []string, err error) fileSum {
	return sumOf([]byte(strings.Join(names, "\x00")), err)
}

// file takes note of what was read from a file. One that is there and no regular
// file gives each of its bytes once, and cannot be looked at again.
func (s *Sources) file(path string, content []byte, err error) {
	if s == nil {
		return
	}
	if info, statErr := os.Stat(path); statErr == nil && !info.Mode().IsRegular() && !info.IsDir() {
		return
	}
	s.note(&s.files, path, sumOf(content, err))
}

// directory takes note of the names of the files that are read of a directory.
func (s *Sources) directory(path string, names []string, err error) {
	if s != nil {
		s.note(&s.directories, path, sumOfNames(names, err))
	}
}

// note keeps what was read first: if it has changed meanwhile, it has changed.
func (s *Sources) note(in *map[string]fileSum, path string, content fileSum) {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	if *in == nil {
		*in = map[string]fileSum{}
	}
	if _, noted := (*in)[path]; !noted {
		(*in)[path] = content
	}
}

// configFiles gives the names of the files in a directory that belong to its
// configuration.
func configFiles(entries []fs.DirEntry) (names []string) {
	for _, entry := range entries {
		name := entry.Name()
		// Editors keep unfinished copies beside a file under a leading dot.
		if strings.HasSuffix(name, ".hcl") && !strings.HasPrefix(name, ".") && !entry.IsDir() {
			names = append(names, name)
		}
	}
	return names
}
