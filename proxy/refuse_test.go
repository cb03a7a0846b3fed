package proxy

import (
	"bytes"
	"io"
	"testing"

	"sluice/tlsutil/clienthello/hellotest"
)

// TestAlertOnlyForTLS: on_no_match and on_upstream_failure may say tls_alert, and
// clients of other protocols come along. They get a FIN and no bytes that they
// would take for their protocol's.
func TestAlertOnlyForTLS(t *testing.T) {
	t.Parallel()
	g := startGateway(t, `
listener "names" {
  address     = "127.0.0.1:0"
  on_no_match = "tls_alert"
  filter_chain "a" {
    match { server_names = ["a.test"] }
    route { cluster = "dead" }
    on_upstream_failure = "tls_alert"
  }
}
listener "unread" {
  address     = "127.0.0.1:0"
  on_no_match = "tls_alert"
  filter_chain "a" {
    match { source_prefix_ranges = ["192.0.2.0/24"] }
    route { cluster = "dead" }
  }
}
listener "anything" {
  address = "127.0.0.1:0"
  filter_chain "a" {
    match { server_names = ["a.test"] }
    route { cluster = "dead" }
  }
  default_filter_chain {
    route { cluster = "dead" }
    on_upstream_failure = "tls_alert"
  }
}
listener "all" {
  address = "127.0.0.1:0"
  filter_chain "a" {
    route { cluster = "dead" }
    on_upstream_failure = "tls_alert"
  }
}
cluster "dead" { endpoints = ["127.0.0.1:1"] }
`)
	hello := func(name string) []byte { return hellotest.Builder{ServerNames: []string{name}}.Records() }
	alert := func(description byte) []byte { return []byte{21, 3, 3, 0, 2, 2, description} }
	const decodeError, internalError, unrecognizedName = 50, 80, 112
	http := []byte("GET / HTTP/1.1\r\n\r\n")
	for _, tt := range []struct {
		name, listener string
		sends, gets    []byte
	}{
		{"no match, TLS", "names", hello("b.test"), alert(unrecognizedName)},
		{"no match, HTTP", "names", http, nil},
		{"no match, hello not read", "unread", hello("a.test"), nil},
		{"malformed", "names", hello("a..test"), alert(decodeError)},
		{"no endpoint, TLS", "names", hello("a.test"), alert(internalError)},
		{"no endpoint, TLS at a default chain", "anything", hello("b.test"), alert(internalError)},
		{"no endpoint, HTTP", "anything", http, nil},
		{"no endpoint, hello not read", "all", hello("a.test"), nil},
	} {
		client := dial(t, g.address(tt.listener))
		if _, err := client.Write(tt.sends); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(client)
		if !bytes.Equal(got, tt.gets) || err != nil {
			t.Errorf("%s: the client got % x, %v; want % x and a FIN", tt.name, got, err, tt.gets)
		}
		client.Close()
	}
}
