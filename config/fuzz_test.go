package config

import (
	"os"
	"path/filepath"
	"testing"
)

// FuzzLoad holds that no source makes loading panic, that there is either a
// configuration or an error, and that every diagnostic can be printed.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/good/*.hcl", "testdata/bad/*.hcl", "testdata/bad/*/*.hcl", "examples/*.hcl", "examples/*/*.hcl"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatal(pattern, err)
		}
		for _, file := range files {
			src, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(src)
		}
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		c, diags := LoadSource("testdata/good/fuzz.hcl", src, Options{Environ: []string{"A=b"}, Vars: map[string]string{"x": "y"}})
		if (c == nil) != diags.HasErrors() {
			t.Errorf("config %v beside errors %v", c != nil, diags.HasErrors())
		}
		textOf(t, diags)
		if c != nil {
			_ = dump(c)
		}
	})
}
