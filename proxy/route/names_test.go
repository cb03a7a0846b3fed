package route

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// FuzzServerName compares the index of names with the oracle. listed holds
// the server names of the chains: a space ends a name, a line ends a chain.
func FuzzServerName(f *testing.F) {
	f.Add("a.test", "a.test")
	f.Add("x.a.test", "a.test\n*.a.test *.test")
	f.Add("a.b.c.d.e.f.test", "*.f.test\n*.d.e.f.test\n*.test")
	f.Add(".a.test", "*.a.test")
	f.Add("a..test", "*.test")
	f.Add("test.", "test\n*.test")
	f.Add(hostileName, "*.a\n*."+hostileName[2:])
	f.Fuzz(func(t *testing.T, name, listed string) {
		var chains []Criteria
		for line := range strings.SplitSeq(listed, "\n") {
			c := Criteria{}
			for word := range strings.FieldsSeq(line) {
				if suffix, _ := strings.CutPrefix(word, "*."); isName(suffix) {
					c.ServerNames = append(c.ServerNames, word)
				}
			}
			chains = append(chains, c)
		}
		table := New(chains, false)
		in := &Input{ServerName: []byte(name), Transport: TLS}
		if got, want := table.Lookup(in), naiveLookup(chains, in); got != want {
			t.Errorf("name %q: chain %d, the oracle says %d", name, got, want)
		}
		for i, v := range table.Explain(in) {
			if _, failed := naiveRanks(&chains[i], in); (failed == nil) != (v.Failed == nil) {
				t.Errorf("name %q: Explain on chain %d: %+v", name, i, v)
			}
		}
	})
}

// isName says whether New takes the name, after its "*." if it has one.
func isName(s string) bool {
	return s != "" && len(s) <= maxName && !strings.ContainsAny(s, "*") && strings.ToLower(s) == s &&
		!strings.HasPrefix(s, ".") && !strings.HasSuffix(s, ".") && !strings.Contains(s, "..")
}

// hostileName has as many labels as a name can have.
var hostileName = strings.Repeat("a.", 126) + "a"

func TestWildcardOfEveryDepth(t *testing.T) {
	t.Parallel()
	for depth := 1; depth <= 126; depth++ {
		wildcard := "*" + strings.Repeat(".a", depth)
		table := New([]Criteria{names("*.b"), names(wildcard)}, false)
		for labels := 1; labels <= 127; labels++ {
			name := strings.Repeat("a.", labels-1) + "a"
			want := -1
			if labels > depth {
				want = 1
			}
			if got := table.Lookup(on(sni(name))); got != want {
				t.Fatalf("%d labels under a wildcard of %d: chain %d, want %d", labels, depth, got, want)
			}
		}
	}
}

func TestChainsThatShareAName(t *testing.T) {
	t.Parallel()
	chains := []Criteria{names("a.test a.test b.test"), names("b.test"), names("a.test *.test")}
	type listing struct {
		Rank  rank
		Part  string
		Chain int32
	}
	var got []listing
	index := New(chains, false).names
	for r, part := range index.levels([]byte("a.test")) {
		for i := range index.chains(r, part) {
			got = append(got, listing{r, string(part), i})
		}
	}
	want := []listing{{exactName, "a.test", 2}, {exactName, "a.test", 0}, {1, "test", 2}}
	if !slices.Equal(got, want) {
		t.Errorf("listed by %v, want %v", got, want)
	}
}

func TestProtocols(t *testing.T) {
	t.Parallel()
	f := func(name string, p Protocols, want ...string) {
		t.Helper()
		var got []string
		for i, protocol := range p.All() {
			if i != len(got) {
				t.Errorf("%s: position %d, want %d", name, i, len(got))
			}
			got = append(got, string(protocol))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	long := strings.Repeat("x", 255)
	f("none", nil)
	f("two", Protocols("\x02h2\x08http/1.1"), "h2", "http/1.1")
	f("appended", Protocols(nil).Append("h2").Append(long), "h2", long)
	f("cut off inside a name", Protocols("\x02h2\x08http"), "h2")
	f("cut off after a length", Protocols("\x02h2\x08"), "h2")
	f("empty name", Protocols("\x00\x02h2"), "", "h2")
}

// A list as long as the extension can be: the ranks must not run out.
func TestLongestListOfProtocols(t *testing.T) {
	t.Parallel()
	flood := Protocols(bytes.Repeat([]byte("\x01x"), 32766))
	table := New([]Criteria{{}, {ApplicationProtocols: []string{"y"}}}, false)
	in := on()
	in.ALPN = flood
	if got := table.Lookup(in); got != 0 {
		t.Errorf("not offered: chain %d, want 0", got)
	}
	in.ALPN = flood.Append("y")
	if got := table.Lookup(in); got != 1 {
		t.Errorf("offered last: chain %d, want 1", got)
	}
	if got := table.Explain(in)[0].LostBy; got == nil || got.Winners != "y" {
		t.Errorf("offered last: lost by %+v, want y", got)
	}
}
