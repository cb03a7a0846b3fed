package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestToken(t *testing.T) {
	t.Parallel()
	const right = "0123456789abcdef"
	token := newToken(right)
	for _, given := range []string{"", "0123456789abcde", "0123456789abcdef\n", "0123456789ABCDEF", right + right} {
		if token.Matches(given) {
			t.Errorf("%q passes for %q", given, right)
		}
	}
	if !token.Matches(right) {
		t.Error("the token does not match itself")
	}
	var none *Token
	if none.Matches("") {
		t.Error("without a token, an empty one passes")
	}
	if got := fmt.Sprint(token, none); got != "(a token) (a token)" {
		t.Errorf("printed it is %q", got)
	}
}

// TestFilesHoldNoSecrets: what is shown of a configuration is its text, and not
// what it was given from elsewhere.
func TestFilesHoldNoSecrets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("conf/admin.token", "hunter2-hunter2-hunter2\n")
	write("conf/name.txt", "hunter2.example.com")
	first := minimal + "admin { token_file = \"admin.token\" }\nvariable \"one\" {}\nvariable \"two\" {}\nvariable \"three\" {}\n"
	second := "locals {\n  a = [env(\"HUNTER\"), file(\"name.txt\"), var.one, var.two, var.three]\n}\n"
	want := []File{
		{write("conf/10.hcl", first), []byte(first)},
		{write("conf/20.hcl", second), []byte(second)},
	}
	c, diags := Load(filepath.Join(dir, "conf"), Options{
		Vars:     map[string]string{"one": "hunter2.one"},
		VarFiles: []string{write("values.hcl", "two = \"hunter2.two\"\n")},
		Environ:  []string{"HUNTER=hunter2", "SLUICE_VAR_three=hunter2.three"},
	})
	if c == nil {
		t.Fatal(textOf(t, diags))
	}
	if diff := cmp.Diff(want, c.Files()); diff != "" {
		t.Errorf("the files differ (-want +got):\n%s", diff)
	}
	for _, f := range c.Files() {
		if strings.Contains(string(f.Text), "hunter2") {
			t.Errorf("%s shows a secret:\n%s", f.Name, f.Text)
		}
	}
	if c.Admin.Token == nil || strings.Contains(fmt.Sprintf("%+v", c.Admin), "hunter2") {
		t.Errorf("the token is missing, or shown: %+v", c.Admin)
	}
}
