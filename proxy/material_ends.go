package proxy

import (
	"cmp"
	"slices"
	"time"
)

// endsInterval is how often it is looked for what ends soon, and warnAgain how often
// that is said.
const (
	endsInterval = time.Hour
	warnAgain    = 24 * time.Hour
)

// SecretFiles tells of files that are good only together, such as a certificate and
// its key, that the gateway uses.
type SecretFiles struct {
	Kind     string    // certificate, client CAs, endpoint CAs, session ticket keys
	Files    []string  // nil when they are not to be shown
	NotAfter time.Time // when the first of what is in use of them ends, be it a certificate, a CA or a revocation list; zero: never
	Held     string    // why what is in the files by now is not used; "": it is
}

// SecretFiles tells of the files that are in use, sorted. Any goroutine may call
// it. What it gives must not be changed.
func (g *Gateway) SecretFiles() []SecretFiles {
	if list := g.secrets.Load(); list != nil {
		return *list
	}
	return nil
}

// publishMaterial makes SecretFiles tell what is.
func (g *Gateway) publishMaterial() {
	list := make([]SecretFiles, 0, len(g.materials.inUse))
	for files, m := range g.materials.inUse {
		s := SecretFiles{Kind: files.Kind.String(), NotAfter: m.notAfter(), Held: m.held}
		switch {
		case !m.PathsHidden:
			s.Files = files.Paths()
		case m.held != "":
			s.Held = "the reason is not shown, because it may tell the path of a file that comes from env() or file()"
		}
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b SecretFiles) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), slices.Compare(a.Files, b.Files))
	})
	g.secrets.Store(&list)
}

// notAfter is when the first of it ends; zero: nothing does.
func (m *material) notAfter() (first time.Time) {
	for _, l := range m.Lifetimes() {
		if first.IsZero() || l.End.Before(first) {
			first = l.End
		}
	}
	return first
}

func (m *material) endsSoon(now time.Time) bool {
	for _, l := range m.Lifetimes() {
		if l.EndsSoon(now) {
			return true
		}
	}
	return false
}

// lookAtEnds warns of what ends soon, again and again.
func (g *Gateway) lookAtEnds() {
	g.applying.Lock()
	defer g.applying.Unlock()
	if g.ending {
		return
	}
	g.warnOfEnds(time.Now())
	g.ends.Reset(endsInterval)
}

// warnOfEnds says what ends soon, or has ended, and was not renewed; of each file
// once a day.
func (g *Gateway) warnOfEnds(now time.Time) {
	for files, m := range g.materials.inUse {
		if now.Sub(m.warned) < warnAgain {
			continue
		}
		for _, l := range m.Lifetimes() {
			if !l.EndsSoon(now) {
				continue
			}
			m.warned = now
			e := g.log.Warn().Stringer("kind", files.Kind).Str("what", l.What).Time("not_after", l.End.UTC())
			if !m.PathsHidden {
				e.Strs("files", files.Paths())
			}
			if now.After(l.End) {
				e.Msg("expired, and not renewed")
			} else {
				e.Msg("expires soon: renew it")
			}
		}
	}
}

// closeMaterial ends what looks at files. It is called once no configuration is
// taken any more.
func (g *Gateway) closeMaterial() {
	if g.watcher != nil {
		g.watcher.Close()
		g.ends.Stop()
	}
}
