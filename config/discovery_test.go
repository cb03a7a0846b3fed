package config

import "testing"

// The same name asked of different resolvers is not the same: a split horizon
// has other addresses on each side.
func TestOneNameOfSeveralResolvers(t *testing.T) {
	t.Parallel()
	f := func(first, second string, duplicate bool) {
		t.Helper()
		_, diags := LoadSource("test.hcl", []byte(`
listener "in" {
  address = ":443"
  filter_chain "all" {
    route { cluster = "app" }
  }
}
cluster "app" {
  discovery "dns" {
    host = "app.internal"
    port = 443
    `+first+`
  }
  discovery "dns" {
    host = "app.internal"
    port = 443
    `+second+`
  }
}
`), Options{})
		found := false
		for _, d := range diags.All() {
			found = found || d.Summary == "Duplicate discovery"
		}
		if found != duplicate || diags.HasErrors() != duplicate {
			t.Errorf("%q and %q: %v", first, second, diags.All())
		}
	}
	f("", "", true)
	f(`resolvers = ["10.0.0.53:53"]`, `resolvers = ["10.0.0.53:53"]`, true)
	f(`resolvers = ["10.0.0.53:53"]`, `resolvers = ["10.1.0.53:53"]`, false)
	f(`resolvers = ["10.0.0.53:53"]`, "", false)
}
