package config

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

func TestNesting(t *testing.T) {
	t.Parallel()
	f := func(name, src string, want int) {
		t.Helper()
		depth := 0
		for ; depth < 100; depth++ {
			if _, deep := tooDeep([]byte(src), depth); !deep {
				break
			}
		}
		if depth != want {
			t.Errorf("%s: nested %d deep, want %d: %s", name, depth, want, src)
		}
	}
	f("nothing", "", 0)
	f("attributes", "a = 1\nb = -1\nc = 3\n", 2) // the equals sign counts
	f("lists", "a = [[[1], 2], [3]]", 4)
	f("elements", "a = [-1, -2, -3, !x]", 3)
	f("blocks", "a {\n b {\n c = 1\n}\n}\n", 3)
	f("blocks beside each other", "a {\n}\nb {\n}\n", 1)
	f("signs", "a = !!!!x", 5)
	f("questions", "a = b ? c : d ? e : f ? 1 : 2", 4)
	f("a sum", "a = 1+1+1+1", 4)
	f("a sum over lines", "a {\nb = 1 +\n1 +\n1\n+ 1\n+ 1\n}", 6)
	f("indexes", "a = b[0][1][2]", 4+1)
	f("text", `a = "((((" # ((((
		// ((((
		/* (((( */
		b = 1`, 2)
	f("a template", `a = "((${[x]}(("`, 4)
	f("no template", `a = "$${[[[ %%{[[ \${[x]} \\"`, 2)
	f("a heredoc", "a = <<-END\n((((\n${[x]}((((\n END((\n  END\nb = (1)\n", 4)
	f("directives", `a = "%{ if a }%{ if b }x%{ endif }%{ endif }%{ for x in y }%{ endfor }"`, 5)
	f("a bracket that a brace closes", "a = \"${ ( }\" + [[[", 5)
	f("brackets that are not open", "a = ]]]}}})))[[", 4)
}

// depthOf is how deep the tree under a node is.
func depthOf(node hclsyntax.Node) int {
	var d depths
	hclsyntax.Walk(node, &d)
	return d.most
}

type depths struct{ now, most int }

func (d *depths) Enter(hclsyntax.Node) hcl.Diagnostics {
	d.now++
	d.most = max(d.most, d.now)
	return nil
}

func (d *depths) Exit(hclsyntax.Node) hcl.Diagnostics {
	d.now--
	return nil
}

// TestNestingOracle holds, over random text of what matters to HCL, that no tree
// is much deeper than was counted.
func TestNestingOracle(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	parts := []string{"[", "]", "(", ")", "{", "}", "\"", "${", "%{ if x }", "%{ endif }", "$${", "\\", "a", "b = ", "1", " + ", "!", "-", " ? ", " : ",
		",", "\n", "<<E\n", "\nE\n", "f(", "[0]", ".c", "[*]", "#", "/*", "*/", "a {", "for x in y : ", " ", "~}", "=>"}
	for range 100_000 {
		var src strings.Builder
		for range rnd.IntN(60) {
			src.WriteString(parts[rnd.IntN(len(parts))])
		}
		text := []byte("b = " + src.String())
		file, _ := hclsyntax.ParseConfig(text, "x.hcl", hcl.InitialPos)
		counted := 0
		for ; ; counted++ {
			if _, deep := tooDeep(text, counted); !deep {
				break
			}
		}
		// A block takes four nodes: itself, its body, attributes, and one of
		// these. What is below the innermost bracket is not counted.
		if got := depthOf(file.Body.(*hclsyntax.Body)); got > 4*counted+6 {
			t.Fatalf("counted %d for a tree %d deep: %q", counted, got, text)
		}
	}
}

// TestHostileNesting holds that nothing ends the process that is nested without
// an end, and that it is said where.
func TestHostileNesting(t *testing.T) {
	t.Parallel()
	const n = 100_000
	many := strings.Repeat
	f := func(name, src, summary string) {
		t.Helper()
		start := time.Now()
		c, diags := LoadSource("x.hcl", []byte(src), Options{Environ: []string{"DEEP=" + many("[", n) + many("]", n)}})
		if c != nil || !slices.ContainsFunc(diags.All(), func(d Diagnostic) bool { return d.Summary == summary }) {
			t.Errorf("%s: config %v, got %s", name, c != nil, textOf(t, diags))
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%s: took %v", name, took)
		}
	}
	const deep = "Nested too deeply"
	f("lists", "locals { a = "+many("[", n)+many("]", n)+" }", deep)
	f("parentheses", "locals { a = "+many("(", n)+"1"+many(")", n)+" }", deep)
	f("signs", "locals { a = "+many("!", n)+"true }", deep)
	f("blocks", many("a {\n", n)+many("}\n", n), deep)
	f("questions", "locals { a = "+many("true ? 1 : ", n)+"1 }", deep)
	f("sums", "locals { a = "+many("1 + ", n)+"1 }", deep)
	f("indexes", "locals { a = b"+many("[0]", n)+" }", deep)
	f("templates", "locals { a = "+many(`"${`, n)+"1"+many(`}"`, n)+" }", deep)
	f("directives", `locals { a = "`+many("%{ if true }", n)+many("%{ endif }", n)+`" }`, deep)
	f("JSON", `locals { a = jsondecode(env("DEEP")) }`, "Invalid function argument")
	f("a number of text", `locals { a = tostring(tonumber("1e99999999")) }`, "Invalid function argument")
	f("a number of JSON", `locals { a = tostring(jsondecode("[1e99999999]")[0]) }`, "Invalid function argument")
	f("a number of digits", `locals { a = tostring(parseint("`+many("9", n)+`", 10)) }`, "Invalid function argument")
	f("a number of numbers", "locals {\na0 = 1"+many("0", 200)+"\na1 = local.a0 * local.a0\na2 = local.a1 * local.a1\n}", "Number out of range")
	if text, diags := Format("x.hcl", []byte("a = "+many("[", n)+many("]", n))); text != nil || diags.All()[0].Summary != deep {
		t.Error("Format takes it")
	}
	_, diags := LoadSource("x.hcl", []byte("a = 1\né = "+many("[", n)), Options{})
	if d := diags.All()[0]; d.Line != 2 || d.Column != 1+len("x = ")+maxNesting-1 {
		t.Errorf("reported at line %d, column %d", d.Line, d.Column)
	}
	o := Options{Environ: []string{}, Vars: map[string]string{"x": many("[", n) + many("]", n), "y": "1e99999999"}}
	_, diags = LoadSource("x.hcl", []byte("variable \"x\" { type = list(string) }\nvariable \"y\" { type = number }"), o)
	for i, want := range []string{"Wrong value for variable", "Number out of range"} {
		if d := diags.All()[i+1]; d.Summary != want {
			t.Errorf("got %s, want %s", d.Summary, want)
		}
	}
}
