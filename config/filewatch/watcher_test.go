package filewatch

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// never is an interval that no test lives to see.
const never = time.Hour

// reports are what a Watcher tells: paths beneath dir, with what was in them when
// it told.
type reports struct {
	dir  string
	tell chan string
}

// watch watches paths beneath a directory until the end of the test.
func watch(t *testing.T, dir string, o Options, paths ...string) *reports {
	t.Helper()
	return watchWith(t, dir, o, fsnotify.NewWatcher, paths...)
}

func watchWith(t *testing.T, dir string, o Options, notifier func() (*fsnotify.Watcher, error), paths ...string) *reports {
	t.Helper()
	r := &reports{dir, make(chan string, 1000)}
	w := start(o, r.changed, notifier)
	t.Cleanup(w.Close)
	w.Watch(r.beneath(paths))
	for range paths { // each is reported at first
		r.next(t)
	}
	return r
}

func (r *reports) beneath(paths []string) (all []string) {
	for _, path := range paths {
		all = append(all, filepath.Join(r.dir, path))
	}
	return all
}

func (r *reports) changed(paths []string) []string {
	for _, path := range paths {
		content, err := os.ReadFile(path)
		text := string(content)
		if err != nil {
			text = errors.Unwrap(err).Error()
		}
		name, _ := filepath.Rel(r.dir, path)
		r.tell <- name + " " + text
	}
	return nil
}

func (r *reports) next(t *testing.T) string {
	t.Helper()
	select {
	case text := <-r.tell:
		return text
	case <-time.After(20 * time.Second):
		t.Fatal("nothing was reported for 20 s")
		return ""
	}
}

// await waits for a report, past others.
func (r *reports) await(t *testing.T, want string) {
	t.Helper()
	for {
		text := r.next(t)
		if text == want {
			return
		}
		t.Logf("before %q: %q", want, text)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// swap makes a symbolic link lead elsewhere, in one step.
func swap(t *testing.T, link, target string) {
	t.Helper()
	if err := os.Symlink(target, link+".next"); err != nil {
		t.Fatal(err)
	}
	rename(t, link+".next", link)
}

func TestWaysToReplaceAFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	r := watch(t, dir, Options{Interval: never}, "a")
	write(t, path, "created")
	r.await(t, "a created")
	write(t, path, "in place")
	r.await(t, "a in place")
	write(t, path+".next", "renamed")
	rename(t, path+".next", path)
	r.await(t, "a renamed")
	rename(t, path, path+".old")
	r.await(t, "a no such file or directory")
	rename(t, path+".old", path)
	r.await(t, "a renamed")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	r.await(t, "a no such file or directory")
	write(t, path, "back")
	r.await(t, "a back")
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.WriteString(" and more")
	r.await(t, "a back and more")
	swap(t, path, filepath.Join(dir, "elsewhere"))
	r.await(t, "a no such file or directory")
	write(t, filepath.Join(dir, "elsewhere"), "behind a link")
	r.await(t, "a behind a link")
}

// TestSymlinksOfKubernetes: a file of a Secret is a link to one in a directory
// that is a link, which is replaced. The path may itself lead there by a link.
func TestSymlinksOfKubernetes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mount := filepath.Join(dir, "mount")
	write(t, filepath.Join(mount, "..1", "tls.crt"), "one")
	write(t, filepath.Join(mount, "..1", "tls.key"), "one")
	swap(t, filepath.Join(mount, "..data"), "..1")
	swap(t, filepath.Join(mount, "tls.crt"), "..data/tls.crt")
	swap(t, filepath.Join(mount, "tls.key"), "..data/tls.key")
	swap(t, filepath.Join(dir, "link.crt"), filepath.Join(mount, "tls.crt"))
	r := watch(t, dir, Options{Interval: never}, "link.crt", "mount/tls.key")
	write(t, filepath.Join(mount, "..2", "tls.crt"), "two")
	write(t, filepath.Join(mount, "..2", "tls.key"), "two")
	swap(t, filepath.Join(mount, "..data"), "..2")
	got := []string{r.next(t), r.next(t)}
	slices.Sort(got)
	if want := []string{"link.crt two", "mount/tls.key two"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if err := os.RemoveAll(filepath.Join(mount, "..1")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(mount, "..2", "tls.crt"), "in place")
	r.await(t, "link.crt in place")
	write(t, filepath.Join(dir, "other"), "other")
	swap(t, filepath.Join(dir, "link.crt"), "other")
	r.await(t, "link.crt other")
}

// TestDirectoryThatIsALink: a release is made the current one.
func TestDirectoryThatIsALink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "release1/etc/a"), "1")
	write(t, filepath.Join(dir, "release2/etc/a"), "2")
	swap(t, filepath.Join(dir, "current"), "release1")
	r := watch(t, dir, Options{Interval: never}, "current/etc/a")
	swap(t, filepath.Join(dir, "current"), filepath.Join(dir, "release2"))
	r.await(t, "current/etc/a 2")
}

// TestDirectoryThatIsReplaced: a directory is moved away and another one takes its
// name. Where nothing tells, the next look finds out.
func TestDirectoryThatIsReplaced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := watch(t, dir, Options{Interval: 10 * time.Millisecond}, "a/b/c")
	for _, text := range []string{"1", "2"} {
		write(t, filepath.Join(dir, "a/b/c"), text)
		r.await(t, "a/b/c "+text)
		rename(t, filepath.Join(dir, "a/b"), filepath.Join(dir, "a/b"+text))
		r.await(t, "a/b/c no such file or directory")
	}
	// What was watched under this name is not what is watched now.
	write(t, filepath.Join(dir, "a/b/c"), "3")
	r.await(t, "a/b/c 3")
	write(t, filepath.Join(dir, "a/b/c"), "in place")
	r.await(t, "a/b/c in place")
}

func TestDirectoryItself(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "conf/a.hcl"), "a")
	r := watch(t, dir, Options{Interval: never}, "conf")
	write(t, filepath.Join(dir, "conf/b.hcl"), "b")
	r.await(t, "conf is a directory")
	rename(t, filepath.Join(dir, "conf/b.hcl"), filepath.Join(dir, "conf/c.hcl"))
	r.await(t, "conf is a directory")
	if err := os.RemoveAll(filepath.Join(dir, "conf")); err != nil {
		t.Fatal(err)
	}
	r.await(t, "conf no such file or directory")
}

// TestBusyDirectory: what goes on beside the file is not told, and does not keep
// a change from being told.
func TestBusyDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a"), "1")
	r := watch(t, dir, Options{Interval: never}, "a")
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			os.WriteFile(filepath.Join(dir, "log"), []byte("x"), 0o600)
			select {
			case <-stop:
				return
			case <-time.After(settleTime / 10):
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	write(t, filepath.Join(dir, "a"), "2")
	r.await(t, "a 2")
	if len(r.tell) > 1 { // once more is allowed of what was just written
		t.Errorf("told %d times more", len(r.tell))
	}
}

// TestEndlessWrites: a file that never settles is told of all the same.
func TestEndlessWrites(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	write(t, path, "x")
	r := watch(t, dir, Options{Interval: never}, "a")
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return
		}
		defer f.Close()
		for {
			f.WriteString("x")
			select {
			case <-stop:
				return
			case <-time.After(settleTime / 10):
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	if text := r.next(t); !strings.HasPrefix(text, "a xx") {
		t.Errorf("told %q", text)
	}
}

// TestWithoutNotices: where there can be no more watches everything is looked at.
func TestWithoutNotices(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	none := func() (*fsnotify.Watcher, error) { return nil, errors.New("too many open files") }
	r := watchWith(t, dir, Options{Interval: 10 * time.Millisecond}, none, "a")
	write(t, filepath.Join(dir, "a"), "1")
	r.await(t, "a 1")
	write(t, filepath.Join(dir, "next"), "2")
	rename(t, filepath.Join(dir, "next"), filepath.Join(dir, "a"))
	r.await(t, "a 2")
}

// TestLostNotices: inotify drops notices of which there are too many, and says so.
func TestLostNotices(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	overflow := make(chan error)
	deaf := func() (*fsnotify.Watcher, error) {
		n, err := fsnotify.NewWatcher()
		if err == nil {
			n.Events, n.Errors = make(chan fsnotify.Event), overflow
		}
		return n, err
	}
	r := watchWith(t, dir, Options{Interval: never}, deaf, "a")
	write(t, filepath.Join(dir, "a"), "1")
	overflow <- fsnotify.ErrEventOverflow
	r.await(t, "a 1")
}

// TestToldAgain: who could not read a file is told again, until it could.
func TestToldAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a")
	calls := make(chan []string, 10)
	n := 0
	w := New(Options{Interval: time.Millisecond}, func(paths []string) []string {
		calls <- paths
		if n++; n < 3 {
			return paths
		}
		return nil
	})
	w.Watch([]string{path, "/"})
	for i := range 3 {
		select {
		case paths := <-calls:
			if !slices.Contains(paths, path) {
				t.Errorf("call %d is about %q", i, paths)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%d calls", i)
		}
	}
	w.Close()
	w.Close()
	if len(calls) > 0 {
		t.Errorf("called again with %q", <-calls)
	}
}

// TestAnotherSet: only what is new in it is told of.
func TestAnotherSet(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old := time.Now().Add(-time.Hour) // not what may have been written again since
	for _, name := range []string{"a", "b", "c"} {
		write(t, filepath.Join(dir, name), name)
		if err := os.Chtimes(filepath.Join(dir, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	r := &reports{dir, make(chan string, 1000)}
	w := New(Options{Interval: never}, r.changed)
	defer w.Close()
	w.Watch(r.beneath([]string{"a", "b", "a"}))
	if got := []string{r.next(t), r.next(t)}; !slices.Equal(got, []string{"a a", "b b"}) {
		t.Errorf("told of %q", got)
	}
	w.Watch(r.beneath([]string{"b", "c"}))
	if got := r.next(t); got != "c c" {
		t.Errorf("told of %q, want c", got)
	}
	write(t, filepath.Join(dir, "a"), "not watched any more")
	write(t, filepath.Join(dir, "b"), "2")
	if got := r.next(t); got != "b 2" {
		t.Errorf("told of %q, want b", got)
	}
}

// TestTrail: the directories that are watched, of every kind of path.
func TestTrail(t *testing.T) {
	t.Parallel()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(root, "a", "b"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{
		"to-a": "a", "twice": "to-a", "a/up": "..", "a/b/file": "/nowhere/at-all", "loop": "loop/x", "dangling": "gone/away",
		"pair": "pair2/../pair2", "pair2": "pair/../pair",
	} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	f := func(path string, want ...string) {
		t.Helper()
		for i, dir := range want {
			if !filepath.IsAbs(dir) {
				want[i] = filepath.Join(root, dir)
			}
		}
		var got []string
		for dir := range newTrail([]string{filepath.Join(root, path)}).directories {
			got = append(got, dir)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	f("a/b/endpoints.json", "a/b")
	f("to-a/b/endpoints.json", "", "a/b")
	f("twice/b/endpoints.json", "", "a/b")
	f("a/up/a/b/endpoints.json", "a", "a/b")
	f("a/b/file", "a/b", "/nowhere")
	f("dangling/file", "", "gone/away")
	f("none/at/all", "none/at")
	f("loop", "")
	f("pair", "")
	f("to-a", "", "a")
}
