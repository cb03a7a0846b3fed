package config

import (
	"slices"
	"strings"
	"testing"
)

// What is wrong in a block that is one too many is reported, whatever the
// block: each that stands once in another is written twice here, the second
// time with a value that no attribute takes.
func TestEveryBlockThatIsOneTooManyIsExamined(t *testing.T) {
	t.Parallel()
	repeatable := []string{"listener/filter_chain/tls/certificate", "listener/default_filter_chain/tls/certificate"}
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
			bad := inner.attrs[0] + " = { wrong = 1 }\n"
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
