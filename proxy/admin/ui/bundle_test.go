package ui

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/evanw/esbuild/pkg/api"
	"github.com/google/go-cmp/cmp"

	"sluice/proxy/status"
)

var update = flag.Bool("update", false, "write dist anew from src")

// bundle makes the files of dist.
func bundle() (map[string][]byte, error) {
	built := api.Build(api.BuildOptions{
		EntryPointsAdvanced: []api.EntryPoint{
			{InputPath: "src/main.ts", OutputPath: "page"},
			{InputPath: "src/page.css", OutputPath: "page"},
		},
		Outdir: "dist", Bundle: true, Format: api.FormatESModule, Charset: api.CharsetUTF8,
		MinifyWhitespace: true, MinifySyntax: true, MinifyIdentifiers: true,
		Target: api.ES2022, Supported: map[string]bool{"nesting": true},
		LegalComments: api.LegalCommentsEndOfFile, TreeShaking: api.TreeShakingTrue,
	})
	if len(built.Errors) > 0 {
		return nil, fmt.Errorf("bundling: %v", built.Errors)
	}
	files := make(map[string][]byte)
	for _, f := range built.OutputFiles {
		files[filepath.Base(f.Path)] = f.Contents
	}
	for _, name := range []string{"index.html", "icon.svg"} {
		text, err := os.ReadFile(filepath.Join("src", name))
		if err != nil {
			return nil, err
		}
		files[name] = text
	}
	var err error
	files["licenses.txt"], err = licenses()
	return files, err
}

// licenses is one text for all that the script has from others.
func licenses() ([]byte, error) {
	var text bytes.Buffer
	for _, l := range []struct{ library, path string }{
		{"uPlot 1.6.32, https://github.com/leeoniya/uPlot", "third_party/uplot/LICENSE"},
		{"d3-sankey 0.12.3, https://github.com/d3/d3-sankey", "third_party/d3-sankey/LICENSE"},
		{"d3-array 2.12.1, https://github.com/d3/d3-array", "third_party/d3-sankey/LICENSE.d3-array"},
	} {
		license, err := os.ReadFile(l.path)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&text, "%s\n\n%s\n\n", l.library, bytes.TrimSpace(license))
	}
	return bytes.TrimSpace(text.Bytes()), nil
}

// TestBundle: what is embedded is what the source gives. With -update it is
// written.
func TestBundle(t *testing.T) {
	want, err := bundle()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.RemoveAll("dist"); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir("dist", 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range want {
			if err := os.WriteFile(filepath.Join("dist", name), text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	entries, err := fs.ReadDir(Files, ".")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if d := cmp.Diff(slices.Sorted(maps.Keys(want)), names); d != "" {
		t.Fatalf("dist has other files than src gives: run make ui (-want +got):\n%s", d)
	}
	for _, name := range names {
		got, err := fs.ReadFile(Files, name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want[name]) {
			t.Errorf("dist/%s is not what src gives: run make ui, and commit dist with src", name)
		}
	}
}

// TestSourceIsText: the page never reads a text as HTML or as a program, and has
// no styles and handlers that the policy of the admin server would refuse.
func TestSourceIsText(t *testing.T) {
	banned := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|\.srcdoc|DOMParser|createContextualFragment|https?://`)
	inline := regexp.MustCompile(`(?i)\sstyle=|\son[a-z]+=|<style|<script>|javascript:|(src|href)="(https?:)?//`)
	paths, err := filepath.Glob("src/*")
	if err != nil || len(paths) == 0 {
		t.Fatal("no source", err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(text), "\n") {
			// The names of XML namespaces are no addresses.
			line = strings.ReplaceAll(line, "http://www.w3.org/2000/svg", "")
			switch filepath.Ext(path) {
			case ".ts":
				if bad := banned.FindString(line); bad != "" {
					t.Errorf("%s:%d: %q: set textContent, or build elements with el", path, i+1, bad)
				}
			case ".html":
				if bad := inline.FindString(line); bad != "" {
					t.Errorf("%s:%d: %q: the page's policy refuses it; write it into page.css or main.ts", path, i+1, bad)
				}
			}
		}
	}
}

// TestTypes: what types.ts says of each shape is what package status says. A
// field that the page does not use may be missing there.
func TestTypes(t *testing.T) {
	text, err := os.ReadFile("src/types.ts")
	if err != nil {
		t.Fatal(err)
	}
	interfaces := make(map[string]map[string]string)
	for _, m := range regexp.MustCompile(`(?s)export interface (\w+) \{\n(.*?)\n\}`).FindAllStringSubmatch(string(text), -1) {
		fields := make(map[string]string)
		for _, f := range regexp.MustCompile(`(?m)^  (\w+\??): (.+);$`).FindAllStringSubmatch(m[2], -1) {
			fields[f[1]] = f[2]
		}
		interfaces[m[1]] = fields
	}
	for _, shape := range []any{
		status.Traffic{}, status.Configuration{}, status.Server{}, status.Match{}, status.Destination{},
		status.FilterChain{}, status.Listener{}, status.Route{}, status.Cluster{}, status.Check{}, status.Endpoint{},
		status.Connection{}, status.Connections{}, status.Question{}, status.Mismatch{}, status.Defeat{},
		status.Verdict{}, status.Candidate{}, status.Alternative{}, status.Explanation{},
	} {
		typ := reflect.TypeOf(shape)
		fields := fieldsOf(typ)
		if len(interfaces[typ.Name()]) == 0 {
			t.Errorf("types.ts has no %s", typ.Name())
		}
		for name, declared := range interfaces[typ.Name()] {
			if fields[name] != declared {
				t.Errorf("types.ts: %s has %s: %s, but status.%s says %q", typ.Name(), name, declared, typ.Name(), fields[name])
			}
		}
	}
}

// fieldsOf is the fields of a struct as TypeScript would declare their JSON.
func fieldsOf(typ reflect.Type) map[string]string {
	fields := make(map[string]string)
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if strings.Contains(options, "omitempty") {
			name += "?"
		}
		fields[name] = scriptType(f.Type)
	}
	return fields
}

func scriptType(typ reflect.Type) string {
	switch typ.Kind() {
	case reflect.Bool:
		return "boolean"
	case reflect.String:
		return "string"
	case reflect.Pointer:
		return scriptType(typ.Elem())
	case reflect.Slice:
		if typ.Elem().Kind() == reflect.Uint8 {
			return "string" // base64
		}
		return scriptType(typ.Elem()) + "[]"
	case reflect.Struct:
		if typ.PkgPath() == "time" {
			return "string"
		}
		return typ.Name()
	}
	return "number"
}
