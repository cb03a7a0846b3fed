package config

import (
	"os"
	"path/filepath"
	"testing"
)

// addConfigurations begins with what the other tests load.
func addConfigurations(f *testing.F) {
	f.Helper()
	for _, pattern := range []string{"testdata/*/*.hcl", "testdata/*/*/*.hcl", "examples/*.hcl", "examples/*/*.hcl"} {
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
}

// FuzzLoad holds that no source makes loading panic, that there is either a
// configuration or an error, and that every diagnostic can be printed.
func FuzzLoad(f *testing.F) {
	addConfigurations(f)
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
