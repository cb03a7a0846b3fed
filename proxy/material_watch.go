package proxy

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"sluice/config"
	"sluice/config/filewatch"
)

// watchMaterial has the files watched that are in use.
func (g *Gateway) watchMaterial() {
	paths := slices.Sorted(maps.Keys(g.materials.byPath))
	if g.watcher == nil {
		if len(paths) == 0 {
			return
		}
		g.watcher = filewatch.New(filewatch.Options{}, g.filesChanged)
		g.ends = time.AfterFunc(endsInterval, g.lookAtEnds)
	}
	g.watcher.Watch(paths)
}

// filesChanged reads the files again that the paths belong to, and has new
// handshakes go by what is in them. Files that do not go together yet, or cannot
// be used for another reason, leave in use what is; it wants to be told of these
// again. The watcher calls it.
func (g *Gateway) filesChanged(paths []string) (again []string) {
	g.applying.Lock()
	defer g.applying.Unlock()
	if g.ending {
		return nil
	}
	r := renewal{gateway: g, problems: map[config.MaterialFiles]error{}, replaced: map[config.MaterialFiles]int{}}
	for _, path := range paths {
		for _, files := range g.materials.byPath[path] {
			if _, done := r.problems[files]; !done {
				r.problems[files] = r.read(files)
				runtime.Gosched() // let the workers go first
			}
		}
	}
	r.renew()
	r.tell()
	for files, problem := range r.problems {
		if problem != nil {
			again = append(again, files.Paths()...)
		}
	}
	return again
}

// renewal is one turn of filesChanged.
type renewal struct {
	gateway  *Gateway
	problems map[config.MaterialFiles]error // of each that was looked at; nil: there is none
	replaced map[config.MaterialFiles]int   // those with another content, and how many use it now
}

// read finds what files have in them now.
func (r *renewal) read(files config.MaterialFiles) error {
	inUse := r.gateway.materials.inUse
	now := inUse[files]
	if now.held == "" && now.Current(files) {
		return nil // read when the configuration was loaded
	}
	m, err := files.Load()
	if err == nil {
		err = now.unfinished(m)
	}
	if err != nil {
		return err
	}
	m.PathsHidden = now.PathsHidden
	next := newMaterial(m)
	if next.digest == now.digest {
		now.Material = m // with the time at which it was read
		return nil
	}
	next.held = now.held
	inUse[files] = next
	r.replaced[files] = 0
	return nil
}

// renew has everybody who uses one of the files use what was read.
func (r *renewal) renew() {
	g := r.gateway
	for name, user := range g.snapshot.Load().materialUsers() {
		u := user.materials()
		if !slices.ContainsFunc(u.files, func(f config.MaterialFiles) bool { _, ok := r.problems[f]; return ok }) {
			continue
		}
		list := pick(g.materials.inUse, u.files)
		if slices.Equal(list, u.material) {
			continue
		}
		use, err := user.renew(contents(list))
		if err == nil {
			use()
		}
		for i, f := range u.files {
			switch {
			case u.material[i] == list[i]:
			case err != nil:
				r.problems[f] = fmt.Errorf("%s: %w", name, err)
			default:
				r.replaced[f]++
			}
		}
		if err == nil {
			u.material = list
		}
		runtime.Gosched()
	}
	if len(r.replaced) > 0 {
		r.warnOfNames()
	}
}

// tell says in the log what has become of the files: of one that cannot be used
// once, until it is something else or can.
func (r *renewal) tell() {
	g := r.gateway
	for files, problem := range r.problems {
		m := g.materials.inUse[files]
		was := m.held
		if m.held = ""; problem != nil {
			m.held = problem.Error()
		}
		users, replaced := r.replaced[files]
		switch {
		case problem != nil && m.held != was:
			e := g.log.Warn()
			if !m.PathsHidden {
				e.Err(problem)
			}
			m.describe(e, files).Msg("files cannot be used: what was in them before stays in use")
		case problem == nil && replaced:
			m.describe(g.log.Info(), files).Int("used_by", users).Msg("files replaced: new handshakes use them")
		case problem == nil && was != "":
			m.describe(g.log.Info(), files).Msg("files are again what is in use")
		}
	}
	if len(r.replaced) > 0 {
		g.warnOfEnds(time.Now())
	}
	g.publishMaterial()
}

// describe adds what files are, and until when they are good.
func (m *material) describe(e *zerolog.Event, files config.MaterialFiles) *zerolog.Event {
	e.Stringer("kind", files.Kind)
	if !m.PathsHidden {
		e.Strs("files", files.Paths())
	}
	if end := m.notAfter(); !end.IsZero() {
		e.Time("not_after", end.UTC())
	}
	return e
}

// warnOfNames says which chains have server names that none of their certificates
// covers any more. They are served all the same: a configuration that names them
// is refused when it is read again.
func (r *renewal) warnOfNames() {
	for _, ln := range r.gateway.snapshot.Load().listeners {
		for ch := range ln.all() {
			if ch.tls == nil || !slices.ContainsFunc(ch.tls.files, func(f config.MaterialFiles) bool { _, ok := r.replaced[f]; return ok }) {
				continue
			}
			certificates := ch.tls.inUse().Certificates
			var bare []string
			for _, name := range ch.spec.Match.ServerNames {
				covered := false
				for _, c := range certificates {
					covered = covered || c.Covers(name)
				}
				if !covered {
					bare = append(bare, name)
				}
			}
			if len(bare) > 0 {
				r.gateway.log.Warn().Str("listener", ln.name).Str("filter_chain", ch.name).Str("server_name", bare[0]).Int("names", len(bare)).
					Msg("no certificate of the chain covers the name any more: its clients see another's, and the next reload will be refused")
			}
		}
	}
}

// settleWhole is how long a file may have been written at that seems to lack its
// end.
const settleWhole = 10 * time.Second

// unfinished says that what was just read looks like the first part of what is in
// use. Whoever writes a file in place may have come no further. After a while it
// is taken for what is meant.
func (m *material) unfinished(next *config.Material) error {
	if time.Since(next.Written()).Abs() > settleWhole {
		return nil
	}
	return next.BreaksOff(m.Material)
}
