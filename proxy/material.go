package proxy

import (
	"fmt"
	"iter"
	"slices"
	"time"

	"sluice/config"
)

// Certificates, keys, CAs, revocation lists and session ticket keys stand in files
// that are replaced while the gateway runs. What is in use of them has one owner:
// the fields of [materials], which change only while Gateway.applying is held. A
// new configuration (adopt, below) and a change of the files (material_watch.go)
// both go through it, so that one which has read a file earlier than the other
// cannot bring back what was in it then.

// materials is what is in use of the files that the configuration names.
type materials struct {
	inUse  map[config.MaterialFiles]*material
	byPath map[string][]config.MaterialFiles
}

// material is what a set of files had in it when it was read last and could be
// used.
type material struct {
	*config.Material
	digest config.Digest
	held   string    // why what is in the files now is not used; "": it is
	warned time.Time // of its end
}

func newMaterial(m *config.Material) *material { return &material{Material: m, digest: m.Digest()} }

// materialUse is the files that something uses, and what is in use of them.
type materialUse struct {
	files    []config.MaterialFiles
	material []*material // in the order of files; nil: what its configuration was loaded with
}

func (u *materialUse) materials() *materialUse { return u }

// materialUser is a chain that terminates TLS, or a cluster that speaks it.
type materialUser interface {
	materials() *materialUse
	// renew prepares to use other material, in the order of the files. An error
	// says that it cannot be used with the rest of what the configuration says.
	renew([]*config.Material) (use func(), err error)
}

// materialUsers gives all of them, with what they are called.
func (s *snapshot) materialUsers() iter.Seq2[string, materialUser] {
	return func(yield func(string, materialUser) bool) {
		for _, ln := range s.listeners {
			for ch := range ln.all() {
				if ch.tls != nil && !yield(fmt.Sprintf("filter_chain %q of listener %q", ch.name, ln.name), ch.tls) {
					return
				}
			}
		}
		for _, cl := range s.inOrder {
			if cl.tls != nil && !yield(fmt.Sprintf("cluster %q", cl.Name), cl.tls) {
				return
			}
		}
	}
}

// succession is what a configuration that is about to be applied will use.
type succession struct {
	inUse map[config.MaterialFiles]*material
	// newer are files that have another content than the one with which the
	// configuration was loaded.
	newer map[config.MaterialFiles]bool
	uses  []func()
}

// adopt finds what is to be in use of a configuration's files. Where that is not
// what it was loaded with, or not what is in use, the files decide.
func (g *Gateway) adopt(cfg *config.Config) *succession {
	s := &succession{inUse: map[config.MaterialFiles]*material{}, newer: map[config.MaterialFiles]bool{}}
	for files, m := range cfg.Material() {
		loaded, now := newMaterial(m), g.materials.inUse[files]
		switch {
		case now == nil:
			s.inUse[files] = loaded
		case now.digest == loaded.digest && now.PathsHidden == loaded.PathsHidden:
			s.inUse[files] = now
		case now.digest == loaded.digest:
			loaded.held = now.held
			s.inUse[files] = loaded
		default:
			s.inUse[files] = latest(files, now)
			s.newer[files] = s.inUse[files].digest != loaded.digest
		}
	}
	return s
}

// latest gives what the files have in them, or now when that cannot be used.
func latest(files config.MaterialFiles, now *material) *material {
	m, err := files.Load()
	if err != nil || now.unfinished(m) != nil {
		return now
	}
	m.PathsHidden = now.PathsHidden
	if next := newMaterial(m); next.digest != now.digest {
		return next
	}
	return now
}

// renew prepares what the users of the next snapshot have to do.
func (s *succession) renew(next *snapshot) error {
	for name, user := range next.materialUsers() {
		u := user.materials()
		list, err := s.prepare(user, u)
		if err != nil {
			return fmt.Errorf("%s: tls: %w", name, err)
		}
		s.uses = append(s.uses, func() { u.material = list })
	}
	return nil
}

func (s *succession) prepare(user materialUser, u *materialUse) ([]*material, error) {
	list := pick(s.inUse, u.files)
	asLoaded := u.material == nil && !slices.ContainsFunc(u.files, func(f config.MaterialFiles) bool { return s.newer[f] })
	if asLoaded || slices.Equal(list, u.material) {
		return list, nil
	}
	use, err := user.renew(contents(list))
	if err != nil {
		return nil, err
	}
	s.uses = append(s.uses, use)
	return list, nil
}

func pick(from map[config.MaterialFiles]*material, files []config.MaterialFiles) []*material {
	list := make([]*material, len(files))
	for i, f := range files {
		list[i] = from[f]
	}
	return list
}

func contents(list []*material) []*config.Material {
	all := make([]*config.Material, len(list))
	for i, m := range list {
		all[i] = m.Material
	}
	return all
}

// use puts it all in place.
func (s *succession) use(g *Gateway) {
	for _, use := range s.uses {
		use()
	}
	g.materials.inUse, g.materials.byPath = s.inUse, map[string][]config.MaterialFiles{}
	for files := range s.inUse {
		for _, path := range files.Paths() {
			g.materials.byPath[path] = append(g.materials.byPath[path], files)
		}
	}
	now := time.Now()
	for _, m := range s.inUse {
		if m.endsSoon(now) {
			m.warned = now // by who has loaded the configuration
		}
	}
	g.publishMaterial()
	g.watchMaterial()
}
