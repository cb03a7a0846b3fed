package integration

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// sourceFile is one Go file of the module.
type sourceFile struct {
	dir     string // package directory within the module, slashes
	name    string
	syntax  *ast.File
	fset    *token.FileSet
	lines   int
	imports []string
}

func (f *sourceFile) path() string { return f.dir + "/" + f.name }
func (f *sourceFile) isTest() bool { return strings.HasSuffix(f.name, "_test.go") }

func (f *sourceFile) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", f.path(), f.fset.Position(n.Pos()).Line)
}

const moduleRoot = ".."

// parseModule reads every Go file of the module.
func parseModule(t *testing.T) []*sourceFile {
	t.Helper()
	var files []*sourceFile
	err := filepath.WalkDir(moduleRoot, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() {
			if name == "testdata" || strings.HasPrefix(name, ".") && path != moduleRoot {
				return fs.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(path, ".go") {
			f, err := parseSource(path)
			if err != nil {
				return err
			}
			files = append(files, f)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func parseSource(path string) (*sourceFile, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	rel, err := filepath.Rel(moduleRoot, path)
	if err != nil {
		return nil, err
	}
	f := &sourceFile{
		dir: filepath.ToSlash(filepath.Dir(rel)), name: filepath.Base(rel),
		fset: token.NewFileSet(), lines: strings.Count(string(src), "\n"),
	}
	f.syntax, err = parser.ParseFile(f.fset, path, src, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	for _, spec := range f.syntax.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		f.imports = append(f.imports, p)
	}
	return f, nil
}

// mayImport says which packages of this module each of them may import, as
// design.md section 2 has it. Tests may in addition import what mayImportInTests
// says.
var mayImport = map[string][]string{
	"cmd/sluice":                    {"config", "config/filewatch", "proxy", "proxy/admin", "proxy/admin/ui", "proxy/handoff", "proxy/status", "tlsutil", "tlsutil/certgen", "tlsutil/clienthello"},
	"config":                        {"config/filewatch", "tlsutil", "tlsutil/clienthello"},
	"config/filewatch":              {},
	"proxy":                         {"config", "config/filewatch", "proxy/handoff", "proxy/poller", "proxy/relay", "proxy/route", "proxy/upstream", "proxy/upstream/discovery", "proxy/upstream/health", "proxy/limit", "proxy/proxyheader", "proxy/status", "tlsutil", "tlsutil/clienthello"},
	"proxy/poller":                  {},
	"proxy/relay":                   {"proxy/poller"},
	"proxy/route":                   {},
	"proxy/upstream":                {},
	"proxy/upstream/discovery":      {"config/filewatch", "proxy/upstream"},
	"proxy/upstream/health":         {"proxy/upstream"},
	"proxy/limit":                   {},
	"proxy/proxyheader":             {},
	"proxy/status":                  {},
	"proxy/admin":                   {"config", "config/filewatch", "proxy", "proxy/handoff", "proxy/status", "tlsutil"},
	"proxy/admin/ui":                {"proxy/status"}, // its tests, which make up a gateway
	"proxy/admin/ui/uitest":         {},
	"proxy/handoff":                 {},
	"tlsutil":                       {"tlsutil/clienthello"},
	"tlsutil/certgen":               {},
	"tlsutil/clienthello":           {},
	"tlsutil/clienthello/hellotest": {"tlsutil/clienthello"},
	"integration":                   {},
	"integration/bench":             {},
	"integration/deploy":            {},
}

// Tests may use what makes certificates and hellos, and what drives the
// dashboard; those of proxy build real configurations. The tests here see the gateway from outside only.
var mayImportInTests = []string{"tlsutil", "tlsutil/certgen", "tlsutil/clienthello", "tlsutil/clienthello/hellotest", "proxy/admin/ui/uitest"}

// TestImportsBetweenPackages holds the direction of dependencies: whoever reads
// a package needs to know only those below it.
func TestImportsBetweenPackages(t *testing.T) {
	t.Parallel()
	for _, f := range parseModule(t) {
		allowed, known := mayImport[f.dir]
		if !known {
			t.Errorf("%s: no room of that name in design.md; put the file into one, or give the new package a line in mayImport with the lead's consent", f.path())
			continue
		}
		for _, imp := range f.imports {
			dir, ours := strings.CutPrefix(imp, "sluice/")
			if !ours || dir == f.dir || slices.Contains(allowed, dir) || f.isTest() && slices.Contains(mayImportInTests, dir) {
				continue
			}
			t.Errorf("%s imports sluice/%s; %s may import only %v: move the code to where its imports are allowed, or pass a value or a function in", f.path(), dir, f.dir, allowed)
		}
	}
}

// TestCoreStaysSmall keeps what runs for every byte free of configuration,
// HTTP and logging, tests included.
func TestCoreStaysSmall(t *testing.T) {
	t.Parallel()
	core := []string{"proxy/route", "proxy/relay", "proxy/poller", "proxy/limit", "proxy/proxyheader", "tlsutil/clienthello"}
	banned := []string{"sluice/config", "github.com/hashicorp/hcl", "net/http", "github.com/rs/zerolog"}
	for _, f := range parseModule(t) {
		if !slices.Contains(core, f.dir) {
			continue
		}
		for _, imp := range f.imports {
			for _, b := range banned {
				if imp == b || strings.HasPrefix(imp, b+"/") {
					t.Errorf("%s imports %s: %s knows neither configuration nor HTTP nor logs; give the caller a value to log or to configure it with", f.path(), imp, f.dir)
				}
			}
		}
	}
}

// TestSystemCallsStayWhereTheyBelong keeps golang.org/x/sys/unix in the files
// that are about sockets. Tests may look at sockets anywhere.
func TestSystemCallsStayWhereTheyBelong(t *testing.T) {
	t.Parallel()
	for _, f := range parseModule(t) {
		if f.isTest() || !slices.Contains(f.imports, "golang.org/x/sys/unix") {
			continue
		}
		inProxy := f.dir == "proxy" && (strings.HasPrefix(f.name, "listener") || strings.HasPrefix(f.name, "connect"))
		if !inProxy && !slices.Contains([]string{"proxy/poller", "proxy/relay", "proxy/handoff"}, f.dir) {
			t.Errorf("%s imports golang.org/x/sys/unix: make the call in poller, relay or handoff, or in proxy's listener*.go or connect*.go, and call that", f.path())
		}
	}
}

// TestPackageComments: a stranger finds what a package is for in one place.
func TestPackageComments(t *testing.T) {
	t.Parallel()
	found := make(map[string][]string)
	for _, f := range parseModule(t) {
		if _, seen := found[f.dir]; !seen {
			found[f.dir] = nil
		}
		if f.syntax.Doc != nil {
			found[f.dir] = append(found[f.dir], f.name)
		}
	}
	for dir, names := range found {
		want := []string{"doc.go"}
		if strings.HasPrefix(dir, "cmd/") {
			want = append(want, "main.go")
		}
		if len(names) != 1 || !slices.Contains(want, names[0]) {
			t.Errorf("%s: the package comment is in %v: write exactly one, in %s", dir, names, strings.Join(want, " or "))
		}
	}
}

// longestFile is more than a file with one idea needs.
const longestFile = 450

// TestFilesAreShort: a file is one idea.
func TestFilesAreShort(t *testing.T) {
	t.Parallel()
	for _, f := range parseModule(t) {
		if !f.isTest() && f.lines > longestFile {
			t.Errorf("%s has %d lines, more than %d: give its second idea a file of its own", f.path(), f.lines, longestFile)
		}
	}
}

// TestNoInitFunctions: what a package does at start is called by name.
func TestNoInitFunctions(t *testing.T) {
	t.Parallel()
	for _, f := range parseModule(t) {
		for _, d := range f.syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s: an init function runs unseen: initialise in a declaration, or let main call it", f.at(fn))
			}
		}
	}
}

// TestNoSkippedTests: a test that is skipped shows nothing. Only for want of
// another program may one be, in one place of a package, which names it at the
// end.
func TestNoSkippedTests(t *testing.T) {
	t.Parallel()
	for _, f := range parseModule(t) {
		if !f.isTest() || slices.Contains([]string{"integration/tools_test.go", "proxy/admin/ui/tools_test.go"}, f.path()) {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			on, ok := sel.X.(*ast.Ident)
			if ok && slices.Contains([]string{"t", "b", "f", "tb"}, on.Name) && strings.HasPrefix(sel.Sel.Name, "Skip") {
				t.Errorf("%s: a skipped test shows nothing: make it run everywhere, or use needTool (integration/tools_test.go)", f.at(call))
			}
			return true
		})
	}
}

// TestTopLevel keeps the first screen of the repository short.
func TestTopLevel(t *testing.T) {
	t.Parallel()
	allowed := []string{
		"cmd", "proxy", "config", "tlsutil", "integration", "go.mod", "go.sum",
		"Makefile", "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md",
		".golangci.yml", ".gitignore", ".ci", ".git",
		"build", // what make makes; git ignores it
	}
	entries, err := os.ReadDir(moduleRoot)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains(allowed, e.Name()) {
			t.Errorf("%s: not among what the top level holds: put it into the package it belongs to", e.Name())
		}
	}
}

// TestModuleFile: the module builds for whoever fetches it, with the versions
// that it names.
func TestModuleFile(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "mod", "edit", "-json", filepath.Join(moduleRoot, "go.mod")).Output()
	if err != nil {
		t.Fatal(err)
	}
	var mod struct {
		Module  struct{ Path string }
		Replace []struct{ Old struct{ Path string } }
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatal(err)
	}
	if mod.Module.Path != "sluice" {
		t.Errorf("go.mod: the module is %q: it is called sluice", mod.Module.Path)
	}
	for _, r := range mod.Replace {
		t.Errorf("go.mod: a replace directive for %s holds on one machine only: require a released version", r.Old.Path)
	}
}
