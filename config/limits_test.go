package config

import (
	"fmt"
	"testing"
)

// TestBurstThatGoesWithoutSaying is what comes in a second, and at least one.
func TestBurstThatGoesWithoutSaying(t *testing.T) {
	t.Parallel()
	f := func(rate string, perSecond float64, burst int) {
		t.Helper()
		c, diags := LoadSource("x.hcl", fmt.Appendf(nil, `
listener "x" {
  address = ":1"
  accept_limit { rate = %s }
  per_source { rate = %s }
  filter_chain "x" {
    route { cluster = "x" }
  }
}
cluster "x" { endpoints = ["10.0.0.1:1"] }
`, rate, rate), Options{Environ: []string{"RATE=20"}})
		if c == nil {
			t.Fatalf("rate %s: %s", rate, textOf(t, diags))
		}
		want := Rate{PerSecond: perSecond, Burst: burst}
		if ln := c.Listeners[0]; ln.AcceptLimit != want || ln.PerSource.Rate != want {
			t.Errorf("rate %s gives %+v and %+v, want %+v", rate, ln.AcceptLimit, ln.PerSource.Rate, want)
		}
	}
	f("1000", 1000, 1000)
	f("0.5", 0.5, 1)
	f("0.001", 0.001, 1)
	f("2.5", 2.5, 3)
	f("1000000", 1e6, 1e6)
	f(`tonumber(env("RATE"))`, 20, 20)
	f("null", 0, 0)
}

// TestAccessBehindAProxyOnAUnixSocket: the headers there have addresses.
func TestAccessBehindAProxyOnAUnixSocket(t *testing.T) {
	t.Parallel()
	c, diags := LoadSource("x.hcl", []byte(`
listener "x" {
  address = "unix:/run/x.sock"
  proxy_protocol {
    mode    = "require"
    trusted = ["unix:"]
  }
  access { allow = ["192.0.2.0/24"] }
  filter_chain "x" {
    route { cluster = "x" }
  }
}
cluster "x" { endpoints = ["10.0.0.1:1"] }
`), Options{})
	if c == nil || diags.Len() > 0 {
		t.Error(textOf(t, diags))
	}
}
