package filewatch

import (
	"os"
	"path/filepath"
	"strings"
)

// maxLinks is how many symbolic links the kernel follows (path_resolution(7)).
const maxLinks = 40

// trail is where paths lead along.
type trail struct {
	names       map[string]bool // of each symbolic link on the way, and of the file; physical
	directories map[string]bool // that these stand in
	whole       map[string]bool // directories of which every name counts

	leads map[string]string // a path -> where it leads; "" nowhere. So that each is followed once
}

func newTrail(paths []string) *trail {
	t := &trail{names: map[string]bool{}, directories: map[string]bool{}, whole: map[string]bool{}, leads: map[string]string{}}
	for i, path := range paths {
		to := t.follow(path, 0)
		if to == "" {
			continue
		}
		t.note(to)
		if info, err := os.Lstat(to); err == nil && info.IsDir() {
			t.whole[to], t.directories[to] = true, true
		}
		breathe(i)
	}
	t.leads = nil
	return t
}

// follow gives the path without symbolic links in it, and takes note of those. The
// end need not exist.
func (t *trail) follow(path string, links int) string {
	path = strings.TrimRight(path, "/")
	if path == "" {
		return "/"
	}
	if to, known := t.leads[path]; known {
		return to
	}
	slash := strings.LastIndexByte(path, '/')
	dir := t.follow(path[:slash], links)
	to := ""
	if dir != "" {
		to = filepath.Join(dir, path[slash+1:]) // ".." is right, too: dir has no links
		if target, err := os.Readlink(to); err == nil {
			t.note(to)
			to = t.followLink(dir, target, links)
		}
	}
	t.leads[path] = to
	return to
}

func (t *trail) followLink(dir, target string, links int) string {
	if links++; links > maxLinks {
		return ""
	}
	if !filepath.IsAbs(target) {
		target = dir + "/" + target
	}
	return t.follow(target, links)
}

func (t *trail) note(path string) {
	t.names[path] = true
	t.directories[filepath.Dir(path)] = true
}

// decides tells whether a change of what has this name may make a path lead to
// something else: not what goes on beside it in its directory.
func (t *trail) decides(name string) bool {
	return t.names[name] || t.directories[name] || t.whole[filepath.Dir(name)]
}
