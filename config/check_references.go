package config

import (
	"maps"
	"slices"

	"github.com/hashicorp/hcl/v2"
)

// checkDuplicates reports names that two blocks of a kind share.
func (l *loader) checkDuplicates() {
	listeners := map[string]hcl.Range{}
	for _, d := range l.listeners {
		l.claim(listeners, "listener", d.Name, d.at)
		chains := map[string]hcl.Range{}
		if d.fallback != nil {
			chains[defaultChainName] = d.fallback.at
		}
		for _, c := range d.chains {
			l.claim(chains, "filter_chain", c.Name, c.at)
		}
	}
	clusters := map[string]hcl.Range{}
	for _, d := range l.clusters {
		l.claim(clusters, "cluster", d.Name, d.at)
	}
}

func (l *loader) claim(taken map[string]hcl.Range, kind, name string, at hcl.Range) {
	if first, ok := taken[name]; ok {
		l.errorf(at, "Duplicate "+kind, "The name %q is taken by %s. Names are what you will see in logs and metrics: choose another.", name, posOf(first))
		return
	}
	taken[name] = at
}

// checkReferences finds the cluster of every route, and warns of clusters to
// which none leads.
func (l *loader) checkReferences() {
	clusters := map[string]*clusterDecl{}
	for _, d := range l.clusters {
		if clusters[d.Name] == nil {
			clusters[d.Name] = d
		}
	}
	var names []string // sorted when first needed
	refer := func(c *chainDecl) {
		for _, ref := range c.refs {
			if d := clusters[ref.name]; d != nil {
				d.used = true
				l.checkUpstreamTLS(c, ref, d)
				continue
			}
			if l.incomplete {
				continue
			}
			if names == nil {
				names = slices.Sorted(maps.Keys(clusters))
			}
			if ref.hidden {
				l.errorf(ref.at, "Unknown cluster", "No cluster is named %s.", notShown)
				continue
			}
			hint := l.sprintf("Add cluster %q { ... }.", ref.name)
			if near := l.nearestOf(ref.name, func() []string { return names }); near != "" {
				hint = l.sprintf("Did you mean %q (%s)?", near, clusters[near].Pos)
			}
			l.errorf(ref.at, "Unknown cluster", "No cluster is named %q. %s", ref.name, hint)
		}
	}
	for _, d := range l.listeners {
		for _, c := range d.chains {
			refer(c)
		}
		if d.fallback != nil {
			refer(d.fallback)
		}
	}
	if l.failures > 0 {
		return // a route that could not be read may lead there
	}
	for _, d := range l.clusters {
		if !d.used {
			l.warnf(d.at, "Unused cluster", "No route leads to the cluster %q. Remove it, or name it in a route.", d.Name)
		}
	}
}
