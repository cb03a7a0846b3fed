package filewatch

import (
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// settleTime is how long nothing must have changed before it is told.
	settleTime = 50 * time.Millisecond
	// longestSettle is how long changes may go on until it is told all the same.
	longestSettle = time.Second
	// lookInterval is how often paths are looked at without a notice.
	lookInterval = 5 * time.Second
	// lookShare bounds what that costs: an interval is so many times as long as
	// a look takes.
	lookShare = 200
)

// Options say how a [Watcher] works. The zero value is what is usually wanted.
type Options struct {
	Interval time.Duration // between looks without a notice; 0: 5 s
}

// Watcher watches a set of paths. Its methods may be called by any goroutine.
type Watcher struct {
	changed  func(paths []string) (again []string)
	interval time.Duration
	notifier func() (*fsnotify.Watcher, error) // of fsnotify; a test has it fail

	another chan struct{} // says that paths is another set
	stop    chan struct{}
	over    chan struct{} // closed when the goroutine has ended
	closing sync.Once

	mu    sync.Mutex // guards what follows
	paths []string
}

// New gives a Watcher that watches nothing yet. changed is called with the paths,
// as they were given, that may have other content; by a goroutine of the Watcher,
// and by one at a time. It gives those that it wants to be told of again after the
// next interval, even if they stay as they are: a read that has failed may succeed
// then.
func New(o Options, changed func(paths []string) (again []string)) *Watcher {
	return start(o, changed, fsnotify.NewWatcher)
}

func start(o Options, changed func([]string) []string, notifier func() (*fsnotify.Watcher, error)) *Watcher {
	w := &Watcher{
		changed:  changed,
		interval: o.Interval,
		notifier: notifier,
		another:  make(chan struct{}, 1),
		stop:     make(chan struct{}),
		over:     make(chan struct{}),
	}
	if w.interval == 0 {
		w.interval = lookInterval
	}
	go w.run()
	return w
}

// Watch makes the set of paths, which must be absolute, the one that is watched.
// Those that are new in it are reported soon, whatever they are; of those that
// stay what was seen is kept. It does not wait, and may be called by changed.
func (w *Watcher) Watch(paths []string) {
	w.mu.Lock()
	w.paths = slices.Clone(paths)
	w.mu.Unlock()
	select {
	case w.another <- struct{}{}:
	default: // it was said already
	}
}

// Close ends it, and returns when changed will not be called any more. It may be
// called more than once, and not by changed.
func (w *Watcher) Close() {
	w.closing.Do(func() { close(w.stop) })
	<-w.over
}

// run is the Watcher's goroutine.
func (w *Watcher) run() {
	defer close(w.over)
	r := round{seen: map[string]Stamp{}}
	defer func() { r.unsubscribe() }()
	look, settled := time.NewTimer(w.interval), time.NewTimer(0)
	defer look.Stop()
	defer settled.Stop()
	settled.Stop()
	var since time.Time // when what has to settle began; zero: nothing has to
	for {
		var wait time.Duration
		select {
		case <-w.stop:
			return
		case <-w.another:
			if !since.IsZero() {
				continue // until what changes has settled
			}
		case ev := <-r.events:
			if !r.trail.decides(ev.Name) {
				continue
			}
			wait = settleTime
		case <-r.lost: // notices, when there were too many: everything is looked at
			wait = settleTime
		case <-look.C:
		case <-settled.C:
			since = time.Time{}
			began := time.Now()
			w.look(&r)
			look.Reset(max(w.interval, lookShare*time.Since(began)))
			continue
		}
		if since.IsZero() {
			since = time.Now()
		}
		settled.Reset(min(wait, longestSettle-time.Since(since)))
	}
}

// round is what one look hands to the next. It belongs to the goroutine.
type round struct {
	seen  map[string]Stamp
	again map[string]bool // paths that are to be told of again

	notifier *fsnotify.Watcher // nil: none was to be had
	events   chan fsnotify.Event
	lost     chan error
	trail    *trail // of what is subscribed to
}

// look finds out what has changed, and tells.
func (w *Watcher) look(r *round) {
	w.mu.Lock()
	paths := w.paths
	w.mu.Unlock()
	// First subscribe, then look: what changes in between is noticed.
	r.subscribe(paths, w.notifier)
	seen := make(map[string]Stamp, len(paths))
	var changed []string
	for i, path := range paths {
		if _, twice := seen[path]; twice {
			continue
		}
		now := StampOf(path)
		if before, known := r.seen[path]; known && before.Holds(now) && !r.again[path] {
			now.at = before.at // it was read then
		} else {
			changed = append(changed, path)
		}
		seen[path] = now
		breathe(i)
	}
	r.seen, r.again = seen, nil
	select {
	case <-w.stop:
		return
	default:
	}
	if len(changed) > 0 {
		r.again = make(map[string]bool)
		for _, path := range w.changed(changed) {
			r.again[path] = true
		}
	}
}

// breathe lets others run now and then during what takes long for many paths.
func breathe(i int) {
	if i%64 == 63 {
		runtime.Gosched()
	}
}

// subscribe has the directories watched that decide where the paths lead to. What
// cannot be watched is only looked at: later, but it works.
func (r *round) subscribe(paths []string, notifier func() (*fsnotify.Watcher, error)) {
	if r.trail = newTrail(paths); len(paths) == 0 {
		r.unsubscribe()
		return
	}
	if r.notifier == nil {
		n, err := notifier()
		if err != nil {
			return
		}
		r.notifier, r.events, r.lost = n, n.Events, n.Errors
	}
	for _, dir := range r.notifier.WatchList() {
		if !r.trail.directories[dir] {
			_ = r.notifier.Remove(dir) // it fails when the directory is gone, and the watch with it
		}
	}
	i := 0
	for dir := range r.trail.directories {
		// Each time: it may be another directory of that name. It fails when there
		// is none, or when there are too many.
		_ = r.notifier.Add(dir)
		i++
		breathe(i)
	}
}

func (r *round) unsubscribe() {
	if r.notifier != nil {
		r.notifier.Close()
	}
	r.notifier, r.events, r.lost = nil, nil, nil
}
