package status

import (
	"fmt"
	"slices"
	"testing"
)

func ln(name, addresses, digest, onChange string, chains ...ChainOutline) ListenerOutline {
	return ListenerOutline{Name: name, Addresses: []string{addresses}, Digest: digest, OnChange: onChange, FilterChains: chains}
}

func chain(name, digest, material, onChange string, active int64) ChainOutline {
	return ChainOutline{Name: name, Digest: digest, Material: material, OnChange: onChange, Active: active}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	dflt := chain("c", "0", "", "close", 5) // a default chain beside a chain of the same name
	dflt.Default = true
	for name, c := range map[string]struct {
		running, next Outline
		changes       []string // kind name action connections fate
		opened        []string
		closed        []string
		leaving       int64
	}{
		"nothing": {
			Outline{Listeners: []ListenerOutline{ln("l", ":80", "1", "keep", chain("c", "1", "m", "keep", 3))}},
			Outline{Listeners: []ListenerOutline{ln("l", ":80", "1", "close", chain("c", "1", "m", "close", 0))}},
			nil, nil, nil, 0,
		},
		"a chain changed, and a certificate": {
			Outline{Listeners: []ListenerOutline{ln("l", ":80", "1", "keep", chain("a", "1", "m", "keep", 3), chain("b", "1", "m", "keep", 4))}},
			Outline{Listeners: []ListenerOutline{ln("l", ":80", "1", "keep", chain("a", "2", "m", "drain", 0), chain("b", "1", "n", "close", 0))}},
			[]string{"filter_chain a changed 3 drain", "filter_chain b renewed 4 keep"}, nil, nil, 3,
		},
		"a chain removed: its listener says now": {
			Outline{Listeners: []ListenerOutline{ln("l", ":80", "1", "keep", chain("a", "1", "", "keep", 3))}},
			Outline{Listeners: []ListenerOutline{ln("l", ":80", "1", "close", chain("b", "1", "", "close", 0))}},
			[]string{"filter_chain a removed 3 close", "filter_chain b added 0 "}, nil, nil, 3,
		},
		"a chain removed that had an opinion of its own": {
			Outline{Listeners: []ListenerOutline{ln("l", ":80", "1", "keep", chain("a", "1", "", "drain", 3))}},
			Outline{Listeners: []ListenerOutline{ln("l", ":80", "1", "close", chain("b", "1", "", "close", 0))}},
			[]string{"filter_chain a removed 3 drain", "filter_chain b added 0 "}, nil, nil, 3,
		},
		"a listener removed, another takes its address over": {
			Outline{Listeners: []ListenerOutline{ln("l", ":80", "1", "keep", chain("a", "1", "", "keep", 3))}},
			Outline{Listeners: []ListenerOutline{ln("m", ":80", "1", "keep", chain("a", "1", "", "keep", 0))}},
			[]string{"listener l removed 3 ", "filter_chain a removed 3 keep", "listener m added 0 ", "filter_chain a added 0 "}, nil, nil, 0,
		},
		"port 0 is another port each time": {
			Outline{Listeners: []ListenerOutline{ln("l", "127.0.0.1:0", "1", "keep")}},
			Outline{Listeners: []ListenerOutline{ln("m", "127.0.0.1:0", "1", "keep")}},
			[]string{"listener l removed 0 ", "listener m added 0 "}, []string{"127.0.0.1:0"}, []string{"127.0.0.1:0"}, 0,
		},
		"an address changed": {
			Outline{Listeners: []ListenerOutline{ln("l", ":80", "1", "keep")}},
			Outline{Listeners: []ListenerOutline{ln("l", ":81", "1", "keep")}},
			[]string{"listener l changed 0 keep address added: :81 address removed: :80"}, []string{":81"}, []string{":80"}, 0,
		},
		"the default chain and one named as it is": {
			Outline{Listeners: []ListenerOutline{ln("l", ":80", "1", "close", chain("c", "1", "", "close", 3), dflt)}},
			Outline{Listeners: []ListenerOutline{ln("l", ":80", "1", "close", chain("c", "1", "", "close", 0))}},
			[]string{"filter_chain c removed 5 close"}, nil, nil, 5,
		},
		"clusters": {
			Outline{Clusters: []ClusterOutline{{Name: "a", Digest: "1", Endpoints: []string{"x", "y"}, Active: 2}, {Name: "b", Active: 1}}},
			Outline{Clusters: []ClusterOutline{{Name: "a", Digest: "2", Endpoints: []string{"y", "z"}, OnEndpointRemoved: "drain"}, {Name: "c"}}},
			[]string{"cluster a changed 2 keep endpoint added: z endpoint removed: x connections of an endpoint that is removed: drain", "cluster b removed 1 ", "cluster c added 0 "}, nil, nil, 0,
		},
	} {
		d := Compare(c.running, c.next)
		var changes []string
		for _, ch := range d.Changes {
			text := fmt.Sprint(ch.Kind, " ", ch.Name, " ", ch.Action, " ", ch.Connections, " ", ch.Fate)
			for _, detail := range ch.Details {
				text += " " + detail
			}
			changes = append(changes, text)
		}
		if !slices.Equal(changes, c.changes) || !slices.Equal(d.Opened, c.opened) || !slices.Equal(d.Closed, c.closed) || d.Leaving != c.leaving {
			t.Errorf("%s:\n%q, opened %v, closed %v, leaving %d\nwant\n%q, %v, %v, %d", name,
				changes, d.Opened, d.Closed, d.Leaving, c.changes, c.opened, c.closed, c.leaving)
		}
	}
	if d := Compare(Outline{Workers: 2}, Outline{Workers: 4}); len(d.Unapplied) != 1 {
		t.Errorf("the number of workers changes: %+v", d)
	}
}
