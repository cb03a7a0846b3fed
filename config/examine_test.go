package config

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// What is wrong in a block that is one too many is reported, whatever the
// block: each that stands once in another is written twice here, the second
// time with a value that no attribute takes.
func TestEveryBlockThatIsOneTooManyIsExamined(t *testing.T) {
	t.Parallel()
	repeatable := []string{"admin/tls/certificate", "listener/filter_chain/tls/certificate", "listener/default_filter_chain/tls/certificate"}
	var visit func(path []string, open string, s *schema)
	visit = func(path []string, open string, s *schema) {
		for kind, inner := range s.blocks {
			header := kind
			if inner.label != "" {
				header += ` "label"`
			}
			here := append(slices.Clone(path), kind)
			visit(here, open+header+" {\n", inner)
			if inner.label != "" || inner.once || slices.Contains(repeatable, strings.Join(here, "/")) {
				continue
			}
			first := strings.Count(open, "\n") + 1
			bad := badIn(inner) + "\n"
			src := open + header + " {}\n" + header + " {\n" + bad + "}\n" + strings.Repeat("}\n", strings.Count(open, "{"))
			_, diags := LoadSource("test.hcl", []byte(src), Options{})
			lines := map[int]string{}
			for _, d := range diags.All() {
				lines[d.Line] += d.Summary + "; "
			}
			if !strings.Contains(lines[first+1], "Duplicate "+kind) || lines[first+2] == "" {
				t.Errorf("%s: said of line %d %q and of line %d %q, in\n%s", strings.Join(here, "/"), first+1, lines[first+1], first+2, lines[first+2], src)
			}
		}
	}
	visit(nil, "", topLevel)
}

// badIn is a value that no attribute takes, in a block of that kind or in one
// inside of it.
func badIn(s *schema) string {
	if len(s.attrs) > 0 {
		return s.attrs[0] + " = { wrong = 1 }"
	}
	kind := slices.Sorted(maps.Keys(s.blocks))[0]
	return kind + " { " + badIn(s.blocks[kind]) + " }"
}
