package config

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestBad holds the text of every diagnostic: testdata/bad/NAME.hcl, or the
// directory NAME, gives exactly NAME.txt and no configuration.
func TestBad(t *testing.T) {
	t.Parallel()
	root := filepath.Join(workspace(t, "testdata/bad"), "bad")
	for _, name := range cases(t, "testdata/bad") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(root, name)
			c, diags := loadTwice(t, path, optionsOf(t, root, path))
			if c != nil || !diags.HasErrors() {
				t.Errorf("config %v, errors %v; want no config and an error", c != nil, diags.HasErrors())
			}
			got := strings.ReplaceAll(textOf(t, diags), root+"/", "")
			for _, secret := range []string{"hunter2", "HUNTER2", "topsecret", "10.20.30.40", "5566", "7788"} {
				if strings.Contains(got, secret) {
					t.Errorf("the diagnostics show %q", secret)
				}
			}
			golden(t, filepath.Join("testdata/bad", strings.TrimSuffix(name, ".hcl")+".txt"), got)
		})
	}
}

// TestWarnings is TestBad for what is only warned of: there is a
// configuration beside the diagnostics.
func TestWarnings(t *testing.T) {
	t.Parallel()
	root := filepath.Join(workspace(t, "testdata/warn"), "warn")
	for _, name := range cases(t, "testdata/warn") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(root, name)
			c, diags := loadTwice(t, path, optionsOf(t, root, path))
			if c == nil || diags.HasErrors() || diags.Len() == 0 {
				t.Errorf("config %v, errors %v, %d diagnostics; want a config with warnings", c != nil, diags.HasErrors(), diags.Len())
			}
			got := strings.ReplaceAll(textOf(t, diags), root+"/", "")
			golden(t, filepath.Join("testdata/warn", strings.TrimSuffix(name, ".hcl")+".txt"), got)
		})
	}
}
