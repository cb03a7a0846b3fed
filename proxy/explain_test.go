package proxy

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"sluice/config"
	"sluice/proxy/status"
	"sluice/proxy/upstream"
	"sluice/tlsutil/certgen"
	"sluice/tlsutil/clienthello/hellotest"
)

// planOf compiles a configuration.
func planOf(t *testing.T, hcl string) *Plan {
	t.Helper()
	cfg, diags := config.LoadSource("test.hcl", []byte(hcl), config.Options{})
	if cfg == nil {
		t.Fatal(diags.All())
	}
	p, err := NewPlan(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// listeners of every kind, all for the same chain.
const listenersOfEveryKind = `
listener "four"  {
  address = "127.0.0.1:443"
  filter_chain "all" {
    match { source_prefix_ranges = ["127.0.0.0/8", "192.0.2.0/24"] }
    route { cluster = "c" }
  }
}
listener "six" {
  address = "[::1]:443"
  default_filter_chain {
    route { cluster = "c" }
  }
}
listener "both" {
  address = ":444"
  default_filter_chain {
    route { cluster = "c" }
  }
}
listener "unix" {
  address = "unix:/run/explain.sock"
  default_filter_chain {
    route { cluster = "c" }
  }
}
listener "required" {
  address = "127.0.0.1:445"
  proxy_protocol { trusted = ["10.0.0.0/8"] }
  default_filter_chain {
    route { cluster = "c" }
  }
}
listener "optional" {
  address = "127.0.0.1:446"
  proxy_protocol {
    mode    = "optional"
    trusted = ["10.0.0.0/8"]
  }
  default_filter_chain {
    route { cluster = "c" }
  }
}
cluster "c" { endpoints = ["127.0.0.1:80"] }
`

func TestQuestionIsFilledIn(t *testing.T) {
	t.Parallel()
	p := planOf(t, listenersOfEveryKind)
	f := func(q status.Question, want string) {
		t.Helper()
		x, err := p.Explain(q)
		if err != nil {
			t.Errorf("%+v: %v", q, err)
			return
		}
		got := x.Question
		if text := strings.Join([]string{got.Source, got.DirectSource, got.Destination, got.TransportProtocol, x.Outcome, x.Reason}, " "); text != want {
			t.Errorf("%+v: %s, want %s", q, text, want)
		}
		// The answer's question is a question with the same answer.
		if again, err := p.Explain(got); err != nil || toJSON(again) != toJSON(x) {
			t.Errorf("asked again: %v, %s, was %s", err, toJSON(again), toJSON(x))
		}
	}
	f(status.Question{Listener: "four"}, "127.0.0.1  127.0.0.1:443 raw_buffer forward ")
	f(status.Question{Listener: "four", TransportProtocol: "tls"}, "127.0.0.1  127.0.0.1:443 tls forward ")
	f(status.Question{Listener: "four", ServerName: "a.test"}, "127.0.0.1  127.0.0.1:443 tls forward ")
	f(status.Question{Listener: "four", ApplicationProtocols: []string{"h2"}}, "127.0.0.1  127.0.0.1:443 tls forward ")
	f(status.Question{Listener: "four", Source: "192.0.2.1:99"}, "192.0.2.1:99  127.0.0.1:443 raw_buffer forward ")
	f(status.Question{Listener: "four", Source: "::ffff:192.0.2.1"}, "192.0.2.1  127.0.0.1:443 raw_buffer forward ")
	f(status.Question{Listener: "four", Source: "198.51.100.1"}, "198.51.100.1  127.0.0.1:443 raw_buffer reset no_filter_chain_match")
	f(status.Question{Listener: "six"}, "::1  [::1]:443 raw_buffer forward ")
	f(status.Question{Listener: "both"}, "127.0.0.1  0.0.0.0:444 raw_buffer forward ")
	f(status.Question{Listener: "both", Source: "[2001:db8::1]:99"}, "[2001:db8::1]:99  [::]:444 raw_buffer forward ")
	f(status.Question{Listener: "both", Destination: "192.0.2.7:444"}, "127.0.0.1  192.0.2.7:444 raw_buffer forward ")
	f(status.Question{Listener: "unix"}, "unix:  unix:/run/explain.sock raw_buffer forward ")
	f(status.Question{Listener: "required", Source: "192.0.2.1"}, "192.0.2.1 10.0.0.0 127.0.0.1:445 raw_buffer forward ")
	f(status.Question{Listener: "required", Source: "192.0.2.1", DirectSource: "10.1.1.1"}, "192.0.2.1 10.1.1.1 127.0.0.1:445 raw_buffer forward ")
	f(status.Question{Listener: "required", Source: "192.0.2.1", DirectSource: "192.0.2.9"}, "192.0.2.1 192.0.2.9 127.0.0.1:445 raw_buffer reset proxy_header_untrusted")
	f(status.Question{Listener: "required", Source: "10.1.1.1", DirectSource: "10.1.1.1"}, "10.1.1.1 10.1.1.1 127.0.0.1:445 raw_buffer reset proxy_header_required")
	f(status.Question{Listener: "required", Source: "2001:db8::1", DirectSource: "10.1.1.1"}, "2001:db8::1 10.1.1.1 [::]:0 raw_buffer forward ")
	f(status.Question{Listener: "required", Source: "192.0.2.1", Destination: "192.0.2.2:9"}, "192.0.2.1 10.0.0.0 192.0.2.2:9 raw_buffer forward ")
	f(status.Question{Listener: "optional", Source: "192.0.2.1"}, "192.0.2.1 192.0.2.1 127.0.0.1:446 raw_buffer forward ")
	f(status.Question{Listener: "optional", Source: "192.0.2.1", DirectSource: "192.0.2.2"}, "192.0.2.1 192.0.2.2 127.0.0.1:446 raw_buffer reset proxy_header_untrusted")
}

func TestQuestionWithoutAnswer(t *testing.T) {
	t.Parallel()
	p := planOf(t, listenersOfEveryKind)
	hello := hellotest.Builder{ServerNames: []string{"a.test"}}.Records()
	f := func(q status.Question, want string) {
		t.Helper()
		if x, err := p.Explain(q); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want %s; the answer is %s", q, err, want, toJSON(x))
		}
	}
	f(status.Question{}, `which listener? There are "both", "four", "optional", "required", "six" and "unix"`)
	f(status.Question{Listener: "fur"}, `no listener is named "fur"; did you mean "four"?`)
	f(status.Question{Listener: "x"}, `no listener is named "x"; there is "both", "four"`)
	f(status.Question{Listener: "four", Source: "localhost"}, `the source "localhost" is no address`)
	f(status.Question{Listener: "four", Source: "fe80::1%lo"}, "has a zone")
	f(status.Question{Listener: "four", Source: "2001:db8::1"}, "nobody connects from 2001:db8::1 to listener")
	f(status.Question{Listener: "four", Source: "unix:"}, "nobody connects from unix: to listener")
	f(status.Question{Listener: "four", DirectSource: "10.0.0.1"}, "reads no PROXY headers")
	f(status.Question{Listener: "four", Destination: "127.0.0.1"}, "is no address with a port")
	f(status.Question{Listener: "four", Destination: "127.0.0.1:80"}, "which listens on 127.0.0.1:443")
	f(status.Question{Listener: "four", Destination: "unix:/x"}, "is a unix socket")
	f(status.Question{Listener: "unix", Source: "10.0.0.1"}, "nobody connects from 10.0.0.1")
	f(status.Question{Listener: "required", Source: "unix:", DirectSource: "10.0.0.1"}, "gives an IP address")
	f(status.Question{Listener: "required", Source: "192.0.2.1", Destination: "[::1]:9"}, "of one family")
	f(status.Question{Listener: "four", TransportProtocol: "tcp"}, "neither")
	f(status.Question{Listener: "four", TransportProtocol: "raw_buffer", ServerName: "a.test"}, "only TLS connections")
	f(status.Question{Listener: "four", ServerName: "192.0.2.1"}, "clients send no IP address")
	f(status.Question{Listener: "four", ServerName: "*.a.test"}, "is a pattern")
	f(status.Question{Listener: "four", ServerName: "a test"}, `no client can ask for "a test"`)
	f(status.Question{Listener: "four", ServerName: strings.Repeat("a.", 200)}, "no client can ask for")
	f(status.Question{Listener: "four", ApplicationProtocols: []string{""}}, "a name has 1 to 255 bytes")
	f(status.Question{Listener: "four", Hello: hello[:50]}, "the hello is cut off: it has 50 bytes")
}

func TestExplainSaysWhatIsSent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca := certgen.NewAuthority("sent")
	cert, key, err := ca.WriteFiles(dir, "a", certgen.Options{Names: []string{"a.test", "b.test"}})
	if err != nil {
		t.Fatal(err)
	}
	p := planOf(t, fmt.Sprintf(`
listener "l" {
  address = "127.0.0.1:443"
  filter_chain "ended" {
    match { server_names = ["a.test"] }
    tls {
      certificate {
        cert_file = %[1]q
        key_file  = %[2]q
      }
      alpn_protocols = ["h2"]
    }
    route {
      weighted_cluster "encrypted" {}
      weighted_cluster "headed" {}
    }
  }
  filter_chain "ended-alone" {
    match { server_names = ["b.test"] }
    tls {
      certificate {
        cert_file = %[1]q
        key_file  = %[2]q
      }
    }
    route { cluster = "nameless" }
    on_upstream_failure = "close"
  }
  filter_chain "passed" {
    match { server_names = ["*.test"] }
    route { cluster = "headed" }
  }
  filter_chain "raw" {
    match { source_prefix_ranges = ["192.0.2.0/24"] }
    route { cluster = "from-six" }
  }
}
cluster "encrypted" {
  endpoints      = ["10.0.0.1:443"]
  source_address = "10.0.0.9"
  tls {
    insecure_skip_verify = true
    alpn_protocols       = ["h2", "http/1.1"]
  }
}
cluster "headed" {
  endpoints = ["10.0.0.2:80"]
  proxy_protocol { tlvs = ["authority", "alpn", "unique_id", "ssl", "crc32c"] }
}
cluster "nameless" {
  endpoints = ["10.0.0.3:443"]
  proxy_protocol { version = 1 }
}
cluster "from-six" {
  endpoints          = ["[2001:db8::1]:80"]
  source_transparent = true
}
`, cert, key))
	f := func(q status.Question, outcome, sent string) {
		t.Helper()
		x, err := p.Explain(q)
		if err != nil {
			t.Fatal(err)
		}
		if got := x.Outcome + " " + x.Reason; got != outcome {
			t.Errorf("%+v: %s, want %s", q, got, outcome)
		}
		if got := strings.Join(x.Sent, "\n"); got != sent {
			t.Errorf("%+v: sent\n%s\nwant\n%s", q, got, sent)
		}
	}
	f(status.Question{ServerName: "a.test", ApplicationProtocols: []string{"h2"}}, "forward ",
		`encrypted: a connection from 10.0.0.9
encrypted: a TLS handshake for a.test, as the client asked, offering h2; its certificate is not verified
encrypted: what the client says, decrypted (TLS 1.3, h2)
headed: a PROXY header of version 2 that says from 127.0.0.1 to 127.0.0.1:443, with authority "a.test", alpn "h2", unique_id, ssl, crc32c
headed: what the client says, decrypted (TLS 1.3, h2)`)
	f(status.Question{ServerName: "a.test", ApplicationProtocols: []string{"spdy"}}, "tls_alert tls_handshake_failed", "")
	f(status.Question{ServerName: "b.test"}, "forward ",
		`a PROXY header of version 1 that says from 127.0.0.1 to 127.0.0.1:443
what the client says, decrypted (TLS 1.3)`)
	f(status.Question{ServerName: "c.test", ApplicationProtocols: []string{"h2"}}, "forward ",
		`a PROXY header of version 2 that says from 127.0.0.1 to 127.0.0.1:443, with authority "c.test", alpn "h2", unique_id, crc32c
the client's bytes as they are, its ClientHello first`)
	f(status.Question{Source: "192.0.2.1"}, "reset out_of_resources", "")
	f(status.Question{}, "reset no_filter_chain_match", "")
}

// TestExplainOfAGatewayIsOfNow: what endpoints are busy with, how they are, and
// what is full.
func TestExplainOfAGatewayIsOfNow(t *testing.T) {
	t.Parallel()
	one, two := backend(t, echo), backend(t, echo)
	g := startGateway(t, `
listener "l" {
  address         = "127.0.0.1:0"
  max_connections = 2
  per_source { max_connections = 2 }
  filter_chain "all" {
    route { cluster = "c" }
    on_upstream_failure = "close"
  }
}
cluster "c" {
  endpoint "`+one+`" { name = "one" }
  endpoint "`+two+`" { name = "two" }
}
`)
	look := func() status.Explanation {
		t.Helper()
		x, err := g.Explain(status.Question{})
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	ranks := func(x status.Explanation) (list []string) {
		for _, cand := range x.Clusters[0].Endpoints {
			list = append(list, fmt.Sprintf("%s %d %d %s", cand.Endpoint, cand.Rank, cand.Active, cand.Status))
		}
		slices.Sort(list)
		return list
	}
	if x := look(); x.Question.Destination != g.address("l") || !slices.Equal(ranks(x), []string{"one 1 0 unchecked", "two 1 0 unchecked"}) {
		t.Errorf("nobody is connected: %s", toJSON(x))
	}
	var endpoints []*upstream.Endpoint
	for e := range g.snapshot.Load().clusters["c"].Endpoints() {
		endpoints = append(endpoints, e)
	}
	endpoints[0].SetState(upstream.Drain)
	c := dial(t, g.address("l"))
	flow(t, c, c)
	endpoints[0].SetState(upstream.Ready)
	if x := look(); !slices.Equal(ranks(x), []string{"one 1 0 unchecked", "two 2 1 unchecked"}) {
		t.Errorf("one has a connection: %s", toJSON(x))
	}
	endpoints[0].SetHealth(upstream.Unhealthy)
	endpoints[1].SetState(upstream.Maint)
	x := look()
	if want := []string{"one 0 0 unhealthy", "two 0 1 maint"}; !slices.Equal(ranks(x), want) || x.Outcome != "close" || x.Reason != "no_healthy_endpoint" {
		t.Errorf("none serves: %s", toJSON(x))
	}
	endpoints[0].SetHealth(upstream.Healthy)
	another := dial(t, g.address("l"))
	flow(t, another, another)
	if x := look(); x.Outcome != "reset" || x.Reason != "listener_limit" || x.Admission == "allowed" || len(x.Chains) > 0 {
		t.Errorf("the listener is full: %s", toJSON(x))
	}
	for _, c := range []net.Conn{c, another} {
		c.Close()
		g.records.next(t)
	}
	if x := look(); x.Outcome != "forward" {
		t.Errorf("they are gone: %s", toJSON(x))
	}
}

func FuzzExplain(f *testing.F) {
	cfg, _ := config.LoadSource("test.hcl", []byte(listenersOfEveryKind), config.Options{})
	p, err := NewPlan(cfg)
	if err != nil {
		f.Fatal(err)
	}
	for _, v := range hellotest.Vectors() {
		f.Add("four", "a.test", "127.0.0.1", "10.0.0.1", "127.0.0.1:443", v.Bytes)
	}
	f.Add("required", "", "192.0.2.1:5", "", "", []byte(nil))
	f.Add("optional", "x", "[::1]:5", "10.0.0.1:1", "[::1]:1", []byte(nil))
	f.Fuzz(func(_ *testing.T, listener, name, source, direct, destination string, hello []byte) {
		// It answers or refuses; it does not fall over.
		p.Explain(status.Question{Listener: listener, ServerName: name, Source: source, DirectSource: direct, Destination: destination, Hello: hello})
	})
}
