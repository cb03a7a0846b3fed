package main

import (
	"maps"
	"slices"
	"sync/atomic"

	"sluice/config"
	"sluice/config/filewatch"
)

// configWatch has the configuration reloaded when what it was read from changes,
// as long as it says runtime { watch = true }. What certificates stand in is
// watched by the gateway itself.
type configWatch struct {
	ended atomic.Bool // the gateway is draining

	// The reloader's lock guards what follows.
	watcher *filewatch.Watcher // nil: it was never wanted
	wanted  bool
	read    *config.Sources // by the last load, whatever became of it
	running []string        // paths of what is in effect
}

// watch follows what the load of cfg has read, the first one.
func (r *reloader) watch(sources *config.Sources, cfg *config.Config) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.follow(sources, cfg)
}

// follow has watched what a load has read; cfg is nil when nothing came of it.
// Then what had been read for the configuration that goes on to be in effect is
// watched as well: whoever undoes a mistake may have taken out the file that it
// was in.
func (r *reloader) follow(sources *config.Sources, cfg *config.Config) {
	w := &r.watching
	w.read = sources
	if cfg != nil {
		w.wanted, w.running = cfg.Runtime.Watch, sources.Paths()
	}
	switch {
	case w.wanted && !w.ended.Load():
		paths := map[string]bool{}
		for _, path := range slices.Concat(w.running, sources.Paths()) {
			paths[path] = true
		}
		if w.watcher == nil {
			w.watcher = filewatch.New(filewatch.Options{}, r.filesChanged)
		}
		w.watcher.Watch(slices.Sorted(maps.Keys(paths)))
	case w.watcher != nil:
		w.watcher.Watch(nil)
	}
}

// filesChanged reloads when anything is not as the last load has read it. The
// watcher calls it.
func (r *reloader) filesChanged(paths []string) (again []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held {
		return paths // it is not known yet who will run what is in them
	}
	if r.watching.wanted && !r.watching.ended.Load() && r.watching.read.Changed() {
		_, _ = r.reloadLocked("watch") // the log says what became of it
	}
	return nil
}

// end stops reloading: the gateway takes no configuration any more. It does not
// wait for a reload that is under way.
func (r *reloader) end() { r.watching.ended.Store(true) }

// close returns when nothing is watched any more, and no reload of that is under
// way.
func (r *reloader) close() {
	r.end()
	r.mu.Lock()
	w := r.watching.watcher
	r.mu.Unlock()
	if w != nil {
		w.Close()
	}
}
