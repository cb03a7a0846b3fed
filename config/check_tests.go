package config

import (
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// checkTests checks that the tests are about what there is.
func (l *loader) checkTests() {
	names := map[string]hcl.Range{}
	for _, d := range l.tests {
		if first, ok := names[d.Name]; ok {
			l.errorf(d.at, "Duplicate test", "The name %q is taken by %s. Say in each name what the test shows.", d.Name, posOf(first))
		}
		names[d.Name] = d.at
		if d.bad || l.incomplete {
			continue
		}
		if ln := l.listenerOf(d); ln != nil && d.chain != nil {
			l.checkNamed(d.chain, "filter chain", ln.chainPlaces(), l.sprintf(" of the listener %q", ln.Name))
		}
		for i := range d.clusters {
			l.checkNamed(&d.clusters[i], "cluster", l.clusterPlaces(), "")
		}
	}
}

// listenerOf finds the listener of a test, and takes the only one that there is
// where none is given; nil when that cannot be.
func (l *loader) listenerOf(d *testDecl) *listenerDecl {
	if d.listener == nil {
		if len(l.listeners) != 1 {
			l.errorf(d.given, "Missing listener", "There are several: write listener = \"...\" for the one that the connection is made to.")
			return nil
		}
		d.Given.Listener = l.listeners[0].Name
		return l.listeners[0]
	}
	places := map[string]Pos{}
	for _, ln := range l.listeners {
		places[ln.Name] = ln.Pos
	}
	if !l.checkNamed(d.listener, "listener", places, "") {
		return nil
	}
	return l.listeners[slices.IndexFunc(l.listeners, func(ln *listenerDecl) bool { return ln.Name == d.listener.name })]
}

// chainPlaces says where each chain stands.
func (d *listenerDecl) chainPlaces() map[string]Pos {
	places := map[string]Pos{}
	for _, c := range d.chains {
		places[c.Name] = c.Pos
	}
	if d.fallback != nil {
		places[defaultChainName] = d.fallback.Pos
	}
	return places
}

func (l *loader) clusterPlaces() map[string]Pos {
	places := map[string]Pos{}
	for _, d := range l.clusters {
		places[d.Name] = d.Pos
	}
	return places
}

// fewNames are so few that an error can list them.
const fewNames = 10

// checkNamed reports a name that is not among those that there are.
func (l *loader) checkNamed(ref *clusterRef, kind string, places map[string]Pos, of string) bool {
	if _, ok := places[ref.name]; ok {
		return true
	}
	if ref.hidden {
		l.errorf(ref.at, "Unknown "+kind, "No %s%s is named %s.", kind, of, notShown)
		return false
	}
	names := func() []string { return slices.Sorted(maps.Keys(places)) }
	if near := l.nearestOf(ref.name, names); near != "" {
		l.errorf(ref.at, "Unknown "+kind, "No %s%s is named %q. Did you mean %q (%s)?", kind, of, ref.name, near, places[near])
		return false
	}
	there := ""
	if n := len(places); n > 0 && n <= fewNames && len(l.hiddenNames) == 0 {
		there = " There: " + strings.Join(names(), ", ") + "."
	}
	l.errorf(ref.at, "Unknown "+kind, "No %s%s is named %q.%s", kind, of, ref.name, there)
	return false
}
