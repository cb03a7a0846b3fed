package config

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// cutting is a load in which every list of at least long plain strings is cut
// out, rather than those that are worth it.
func cutting(path string, o Options, long int) (*Config, *Diagnostics) {
	l := newLoader(o)
	l.longPlainList = long
	l.readPath(path)
	return l.load(o)
}

// loadTwice is [Load], which must give the same when even the shortest lists
// are cut out.
func loadTwice(t *testing.T, path string, o Options) (*Config, *Diagnostics) {
	t.Helper()
	c, diags := cutting(path, o, math.MaxInt)
	cut, cutDiags := cutting(path, o, 1)
	sameLoad(t, c, diags, cut, cutDiags)
	return c, diags
}

func sameLoad(t *testing.T, c *Config, diags *Diagnostics, cut *Config, cutDiags *Diagnostics) {
	t.Helper()
	if diff := cmp.Diff(diags.All(), cutDiags.All(), cmp.AllowUnexported(Diagnostic{})); diff != "" {
		t.Errorf("other diagnostics with lists cut out (-without +with):\n%s", diff)
	}
	if (c == nil) != (cut == nil) {
		t.Fatalf("config %v; with lists cut out %v", c != nil, cut != nil)
	}
	if c != nil {
		if diff := cmp.Diff(dump(c), dump(cut)); diff != "" {
			t.Errorf("another model with lists cut out (-without +with):\n%s", diff)
		}
	}
}

// sameParse compares what parseFile and HCL make of a source, down to the
// position of every element, and returns how many lists were cut out.
func sameParse(t *testing.T, src []byte) int {
	t.Helper()
	want, wantDiags := hclsyntax.ParseConfig(src, "x.hcl", hcl.InitialPos)
	got, gotDiags := parseFile(src, "x.hcl", 1)
	if !reflect.DeepEqual(gotDiags, wantDiags) {
		t.Fatalf("%q:\ngot  %v\nwant %v", src, gotDiags, wantDiags)
	}
	if string(got.Bytes) != string(src) {
		t.Fatalf("%q: snippets would come from %q", src, got.Bytes)
	}
	cut := 0
	if !sameBody(got.Body.(*hclsyntax.Body), want.Body.(*hclsyntax.Body), &cut) {
		t.Fatalf("%q is not parsed as HCL does", src)
	}
	return cut
}

func sameBody(got, want *hclsyntax.Body, cut *int) bool {
	if got.SrcRange != want.SrcRange || got.EndRange != want.EndRange ||
		len(got.Attributes) != len(want.Attributes) || len(got.Blocks) != len(want.Blocks) {
		return false
	}
	for name, w := range want.Attributes {
		g := got.Attributes[name]
		if g == nil || g.SrcRange != w.SrcRange || g.NameRange != w.NameRange || g.EqualsRange != w.EqualsRange {
			return false
		}
		if list, ok := g.Expr.(*plainList); ok {
			*cut++
			if !sameList(list, w.Expr) {
				return false
			}
		} else if !reflect.DeepEqual(restore(g.Expr, cut), w.Expr) {
			return false
		}
	}
	for i, w := range want.Blocks {
		g := got.Blocks[i]
		if !sameBody(g.Body, w.Body, cut) {
			return false
		}
		head := func(b *hclsyntax.Block) hclsyntax.Block { c := *b; c.Body = nil; return c }
		if !reflect.DeepEqual(head(g), head(w)) {
			return false
		}
	}
	return true
}

// restore puts what HCL makes of them in place of the plain lists that are parts
// of an expression.
func restore(expr hclsyntax.Expression, cut *int) hclsyntax.Expression {
	all := func(list []hclsyntax.Expression) {
		for i := range list {
			list[i] = restore(list[i], cut)
		}
	}
	switch e := expr.(type) {
	case *plainList:
		*cut++
		written := e.src[e.OpenRange.Start.Byte:e.SrcRange.End.Byte]
		list, _ := hclsyntax.ParseExpression(written, e.SrcRange.Filename, e.OpenRange.Start)
		return list
	case *hclsyntax.TupleConsExpr:
		all(e.Exprs)
	case *hclsyntax.ObjectConsExpr:
		for i := range e.Items {
			e.Items[i].ValueExpr = restore(e.Items[i].ValueExpr, cut)
		}
	case *hclsyntax.FunctionCallExpr:
		all(e.Args)
	case *hclsyntax.ParenthesesExpr:
		e.Expression = restore(e.Expression, cut)
	case *hclsyntax.ConditionalExpr:
		e.TrueResult, e.FalseResult = restore(e.TrueResult, cut), restore(e.FalseResult, cut)
	}
	return expr
}

func sameList(got *plainList, want hclsyntax.Expression) bool {
	value, diags := got.Value(nil)
	wantValue, _ := want.Value(nil)
	list, _ := hcl.ExprList(got)
	wantList, wantDiags := hcl.ExprList(want)
	if len(diags) > 0 || len(wantDiags) > 0 || !value.RawEquals(wantValue) || len(list) != len(wantList) ||
		got.Range() != want.Range() || got.StartRange() != want.StartRange() {
		return false
	}
	for i, w := range wantList {
		if list[i].Range() != w.Range() {
			return false
		}
		a, _ := list[i].Value(nil)
		if b, _ := w.Value(nil); !a.RawEquals(b) {
			return false
		}
	}
	return true
}

// TestPlainLists holds what is cut out, and that what must not be is parsed
// as it stands.
func TestPlainLists(t *testing.T) {
	t.Parallel()
	f := func(name, src string, want int) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			if got := sameParse(t, []byte(src)); got != want {
				t.Errorf("%d lists cut out of %q; want %d", got, src, want)
			}
		})
	}
	f("one line", `x = ["a", "b"]`, 1)
	f("no newline after", "x = [\"a\",\n\"b\"]\ny = 1", 1)
	f("comma at the end", "x = [\n  \"ab\",\n  \"c\" ,\n]\n", 1)
	f("comments", "x = [ # one é\n  \"ab\", /* e\u0301 */ \"c\" // \u0600 \"\n, \"d\" /* two\n ü */ ,\t\"e\" # end\n]\ny = 1\n", 1)
	f("comments that would end the comment", "x = [\"a\", # */ ]\n\"b\", /* [ */ \"c\"]\n", 1)
	f("broken text in a comment", "x = [\"a\", # \xff\xfe\n\"b\", /* \xc3 */ \"c\"]\n", 1)
	f("a character that takes the next one", "x = [\"a\", /* \u0600*/ \"b\", /* 1\ufe0f\u20e3 \U0001f468\u200d\U0001f469 */ \"c\"] # d\n", 1)
	f("a combining character after a tab", "x = [\"a\", /* \t\u0301 \u0301 */ \"b\"] # d\n", 1)
	f("comma at the end after a newline", "x = [\"a\"\n,]\n", 0)
	f("carriage returns", "x = [\r\n  \"ab\",\r\n  \"c\"\r\n]\r\n", 1)
	f("byte order mark", "\ufeffx = [\"a\", \"b\"]\ny = [\"c\", \"d\"]\n", 2)
	f("blocks", "b \"l\" {\n  x = [\"ab\"]\n  c {\n    x = [\"ab\", \"c\"]\n  }\n  d { x = [\"ab\"] }\n}\n", 3)
	f("too short for a comment", `x = ["a"]`, 0)
	f("empty", "x = []\ny = [ ]\nz = [ /* \"a\", \"b\" */ ]", 0)
	f("not ASCII", `x = ["e`+"\u0301"+`", "b"]`, 0)
	f("escape", `x = ["a", "\"", "b"]`, 0)
	f("template", `x = ["a", "${y}", "b"]`, 0)
	f("control", `x = ["a", "%{if y}b%{endif}"]`, 0)
	f("tab in quotes", "x = [\"a\tb\", \"c\"]", 0)
	f("carriage return alone", "x = [\"a\",\r\"b\"]", 0)
	f("carriage return alone in a comment", "x = [\"a\", # c\rd\n\"b\"]", 0)
	f("not strings", `x = ["a", 1, "b"]`, 0)
	f("for", `x = [for y in ["a", "b"] : y]`, 0)
	f("two commas", `x = ["a",, "b"]`, 0)
	f("comma alone", `x = [,]`, 0)
	f("no comma", `x = ["a" "b"]`, 0)
	f("not closed", `x = ["a", "b"`, 0)
	f("quote not closed", `x = ["a", "b]`, 0)
	f("comment not closed", `x = ["a", /* "b"]`, 0)
	f("index", `x = ["a", "b"][0]`, 0)
	f("splat", `x = ["a", "b"][*]`, 0)
	f("operand", `x = ["a", "b"] == y`, 0)
	f("argument", `x = f(["a", "b"], ["c", "d"])`, 2)
	f("choice", `x = y ? ["a", "b"] : (["c", "d"])`, 2)
	f("second operand", `x = y == ["a", "b"]`, 0)
	f("in an object", "x = { y = [\"a\", \"b\"] }\n", 1)
	f("in an object beside another", "x = { y = [\"a\", \"b\"] }\nz = [\"a\", \"b\"]\n", 2)
	f("in a list", "x = [[\"a\", \"b\"], [\"c\", \"d\"]]\n", 2)
	f("in a heredoc", "x = <<E\ny = [\"a\", \"b\"]\nE\nz = [\"a\", \"b\"]\n", 1)
	f("in a template in a heredoc", "x = <<E\n${ { y = [\"a\", \"b\"] }.y[0] }\nE\n", 0)
	f("in a template", `x = "${ { y = ["a", "b"] }.y[0] }"`, 0)
	f("in a comment", "/* x = [\"a\", \"b\"] */\n# x = [\"a\", \"b\"]\n// x = [\"a\", \"b\"]\ny = [\"a\", \"b\"]\n", 1)
	f("in a comment of lines", "# x = [\n#  \"a\",\n#  \"b\" ]\ny = [\"a\", \"b\"]\n", 1)
	f("after a comment that is not closed", "/* x = [\"a\", \"b\"]", 0)
	f("after a slash and a star in a heredoc", "x = <<E\n/etc/*\nE\ny = [\"a\", \"b\"]\n", 1)
	f("after a quote in a heredoc", "x = <<E\n5\"\nE\ny = [\"a\", \"b\"]\n", 1)
	f("after quotes in a template", "x = \"a${\"b\"}\\\"\"\ny = [\"a\", \"b\"]\n", 1)
	f("twice the same attribute", "x = [\"a\", \"b\"]\nx = [\"a\", \"b\"]\n", 0)
	f("beside a mistake", "x = [\"a\", \"b\"]\ny = \n", 0)
}

// TestPlainListsAnywhere compares with HCL what parts of lists in any order
// are parsed to.
func TestPlainListsAnywhere(t *testing.T) {
	t.Parallel()
	valid := []string{
		`, "bc"`, ",\n  \"d\"", ", # e\u0301\r\n\"f\"", "/* \u0600*/", "// \"\n", "\t", "\r\n", " ", ",\"\" ",
	}
	others := append([]string{
		`x = [`, "y = [\"a\", \"b\"]\n", `, "d", `, `,`, "]\n", "\r", "/*", "*/", "\u0301", "\xff", `"`, `\"`, `"${`, `%{`, "}\n", "b {\n", "<<E\n", "\nE\n", `"$"`, `[`, `0`,
	}, valid...)
	random := rand.New(rand.NewPCG(1, 2))
	cut := 0
	const sources = 8000
	for range sources {
		var src strings.Builder
		for i := range 1 + random.IntN(3) {
			pieces := valid
			if random.IntN(4) == 0 {
				pieces = others
			}
			fmt.Fprintf(&src, "x%d = [\"a\"", i)
			for range random.IntN(6) {
				src.WriteString(pieces[random.IntN(len(pieces))])
			}
			src.WriteString([]string{"]\n", " , ]\n", " ] # g\n"}[random.IntN(3)])
		}
		cut += sameParse(t, []byte(src.String()))
	}
	if cut < sources/2 {
		t.Errorf("only %d lists were cut out of %d sources", cut, sources)
	}
}

// FuzzPlainLists holds that nobody can tell whether lists were cut out.
func FuzzPlainLists(f *testing.F) {
	addConfigurations(f)
	f.Add([]byte("x = { y = [\"a\", \"b\"] }\nz = [\"a\", # */\n\"b\",\r\n]\n<<E\ny = [\"a\", \"b\"]\nE\n"))
	f.Fuzz(func(t *testing.T, src []byte) {
		sameParse(t, src)
		load := func(long int) (*Config, *Diagnostics) {
			o := Options{Environ: []string{"A=b"}, Vars: map[string]string{"x": "y"}}
			l := newLoader(o)
			l.longPlainList = long
			l.parse("testdata/good/fuzz.hcl", src)
			return l.load(o)
		}
		c, diags := load(math.MaxInt)
		cut, cutDiags := load(1)
		sameLoad(t, c, diags, cut, cutDiags)
	})
}

// TestPlainListsAreUsed holds that the comparisons above are not of the same
// with the same: lists of the format are cut out, wherever they may stand.
func TestPlainListsAreUsed(t *testing.T) {
	t.Parallel()
	names := make([]string, longPlainList)
	for i := range names {
		names[i] = fmt.Sprintf("%q", fmt.Sprintf("h%d.test", i))
	}
	list := strings.Join(names, ", ")
	f := func(where, src string, want int) {
		t.Helper()
		l := newLoader(Options{Environ: []string{}})
		l.parse("x.hcl", []byte(src))
		if got := plainListsIn(l.sources[0].body); got != want {
			t.Errorf("%s: %d lists cut out; want %d", where, got, want)
		}
	}
	f("match", strings.Replace(minimal, "route", "match {\n server_names = ["+list+"]\n}\nroute", 1), 1)
	f("locals", "locals {\n x = ["+list+"]\n}\n", 1)
	f("default", "variable \"x\" {\n default = ["+list+"]\n}\n", 1)
	f("short", "locals {\n x = ["+strings.Join(names[1:], ", ")+"]\n}\n", 0)
}

func plainListsIn(body *hclsyntax.Body) int {
	n := 0
	for _, attr := range body.Attributes {
		if _, ok := attr.Expr.(*plainList); ok {
			n++
		}
	}
	for _, block := range body.Blocks {
		n += plainListsIn(block.Body)
	}
	return n
}

// TestPlainListInDynamic holds that the body of a dynamic block, which HCL
// wraps, sees all elements of a list that was cut out.
func TestPlainListInDynamic(t *testing.T) {
	t.Parallel()
	src := strings.Replace(minimal, `cluster "c" {
  endpoints = ["10.0.0.1:1"]
}`, `dynamic "cluster" {
  for_each = ["c", "d"]
  labels   = [cluster.value]
  content {
    endpoints = ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.2:1"]
  }
}`, 1)
	path := filepath.Join(t.TempDir(), "x.hcl")
	if err := os.WriteFile(path, []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	_, diags := loadTwice(t, path, Options{Environ: []string{}})
	if diags.Len() != 1 {
		t.Fatalf("diagnostics:\n%s", textOf(t, diags))
	}
	if d := diags.All()[0]; d.Summary != "Duplicate endpoint" || d.Line != 13 || d.Column != 46 {
		t.Errorf("got %s at %d:%d", d.Summary, d.Line, d.Column)
	}
}

// TestPlaceInLongList holds where a mistake in a long list is reported.
func TestPlaceInLongList(t *testing.T) {
	t.Parallel()
	const wrong = 77_777 // counted from 1
	f := func(name, element, summary string, separator func(i int) string, line, column int, snippet string) {
		t.Helper()
		var src strings.Builder
		src.WriteString("locals {\n}\n")
		head, tail, _ := strings.Cut(minimal, "route")
		src.WriteString(head + "match {\n      server_names = [\n")
		for i := 1; i <= manyNames; i++ {
			src.WriteString(separator(i))
			if i == wrong {
				fmt.Fprintf(&src, "%q,", element)
			} else {
				fmt.Fprintf(&src, "\"host-%d.example.com\",", i)
			}
		}
		src.WriteString("\n]\n}\nroute" + tail)
		_, diags := LoadSource("x.hcl", []byte(src.String()), Options{Environ: []string{}})
		if diags.Len() != 1 {
			t.Fatalf("%s: diagnostics:\n%s", name, textOf(t, diags))
		}
		d := diags.All()[0]
		if d.Summary != summary || d.Line != line || d.Column != column || d.EndLine != line || d.EndColumn != column+len(element)+2 {
			t.Errorf("%s: %s at %d:%d to %d:%d; want %s at %d:%d", name, d.Summary, d.Line, d.Column, d.EndLine, d.EndColumn, summary, line, column)
		}
		if d.Snippet[d.from:d.to] != `"`+element+`"` || !strings.Contains(d.Snippet, snippet) || d.Context != `filter_chain "c", match` {
			t.Errorf("%s: snippet %q, context %q", name, d.Snippet, d.Context)
		}
	}
	perLine := func(int) string { return "\n  " }
	f("duplicate", "host-5.example.com", "Duplicate in list", perLine, 9+wrong, 3, `  "host-5.example.com",`)
	f("partial wildcard", "a*.example.com", "Invalid server_names", perLine, 9+wrong, 3, `  "a*.example.com",`)
	f("comment before it", "a*.example.com", "Invalid server_names",
		func(i int) string { return fmt.Sprintf("\r\n# %d\r\n /* e\u0301é */ ", i) }, 9+2*wrong, 11, "/* e\u0301é */ \"a*.example.com\",")
	f("one line", "a*.example.com", "Invalid server_names", func(int) string { return " " }, 9, widthTo(wrong), `"host-77776.example.com", "a*.example.com", "host-77778`)
}

// widthTo is the column of an element when all stand in one line.
func widthTo(element int) int {
	column := 1
	for i := 1; i < element; i++ {
		column += len(fmt.Sprintf(" \"host-%d.example.com\",", i))
	}
	return column + 1
}

// BenchmarkParseFile is the time and memory to parse a list of 100,000 names,
// as HCL does it and with the list cut out.
func BenchmarkParseFile(b *testing.B) {
	src := namesIn("written", manyNames)
	f := func(name string, long int) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, diags := parseFile(src, "x.hcl", long); diags.HasErrors() {
					b.Fatal(diags)
				}
			}
		})
	}
	f("whole", math.MaxInt)
	f("cut", longPlainList)
}
