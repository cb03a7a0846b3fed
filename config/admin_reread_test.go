package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestAdminReread: token and certificate can be renewed without another load.
func TestAdminReread(t *testing.T) {
	t.Parallel()
	s := newSecrets(t)
	first, second := strings.Repeat("a", 32), strings.Repeat("b", 32)
	s.write("token", []byte(first+"\n"))
	c, diags := LoadSource(filepath.Join(s.dir, "x.hcl"), []byte(`
admin {
  address    = "0.0.0.0:9901"
  token_file = "token"
  tls {
    certificate {
      cert_file = "a.pem"
      key_file  = "a.key"
    }
  }
}
listener "l" {
  address = ":443"
  default_filter_chain {
    route { cluster = "c" }
  }
}
cluster "c" { endpoints = ["10.0.0.1:1"] }
`), Options{})
	if c == nil {
		t.Fatal(textOf(t, diags))
	}
	want := []string{filepath.Join(s.dir, "token"), filepath.Join(s.dir, "a.pem"), filepath.Join(s.dir, "a.key")}
	if got := c.Admin.Files(); !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
	s.write("token", []byte(second))
	s.issue("a")
	next, err := c.Admin.Reread()
	if err != nil {
		t.Fatal(err)
	}
	if !next.Token.Matches(second) || next.Token.Matches(first) || next.Certificates[0] == c.Admin.Certificates[0] || next.Address != c.Admin.Address {
		t.Errorf("%+v", next)
	}
	if !c.Admin.Token.Matches(first) {
		t.Error("the block itself was changed")
	}
	for name, content := range map[string]string{"token": "short", "a.key": "none"} {
		before, err := os.ReadFile(filepath.Join(s.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		s.write(name, []byte(content))
		if _, err := c.Admin.Reread(); err == nil || !strings.Contains(fmt.Sprint(err), name) {
			t.Errorf("a broken %s: %v", name, err)
		}
		s.write(name, before)
	}
}
