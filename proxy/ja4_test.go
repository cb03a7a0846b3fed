package proxy

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"testing"

	"sluice/proxy/status"
	"sluice/tlsutil/clienthello"
	"sluice/tlsutil/clienthello/hellotest"
)

// sayer is a backend that says its name.
func sayer(t *testing.T, name string) string {
	return backend(t, func(c net.Conn) {
		defer c.Close()
		io.WriteString(c, name+"\n")
		io.Copy(io.Discard, c)
	})
}

// TestMatchOnJA4: real clients go by their fingerprint, and the list and the
// record have it.
func TestMatchOnJA4(t *testing.T) {
	browser, tool := hellotest.Browser("a.test"), hellotest.Builder{ServerNames: []string{"a.test"}}
	ours, err := helloWith(&status.Question{ServerName: "a.test", ApplicationProtocols: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	g := startGateway(t, fmt.Sprintf(`
access_log { path = "stdout" }
listener "l" {
  address = "127.0.0.1:0"
  filter_chain "browsers" {
    match { ja4 = [%q, "t13d1516h2_8daaf6152771_e5627efa2ab1"] }
    route { cluster = "browsers" }
  }
  filter_chain "go" {
    match {
      server_names = ["a.test"]
      ja4          = [%q]
    }
    route { cluster = "go" }
  }
  filter_chain "named" {
    match { server_names = ["b.test"] }
    route { cluster = "named" }
  }
  default_filter_chain {
    route { cluster = "rest" }
  }
}
cluster "browsers" { endpoints = [%q] }
cluster "go" { endpoints = [%q] }
cluster "named" { endpoints = [%q] }
cluster "rest" { endpoints = [%q] }
`, ja4Of(t, browser.Records()), ja4Of(t, ours), sayer(t, "browsers"), sayer(t, "go"), sayer(t, "named"), sayer(t, "rest")))

	f := func(name, want string, hello []byte) {
		t.Run(name, func(t *testing.T) {
			t.Helper()
			c := dial(t, g.address("l"))
			if _, err := c.Write(hello); err != nil {
				t.Fatal(err)
			}
			answer := make([]byte, len(want)+1)
			if _, err := io.ReadFull(c, answer); err != nil || string(answer) != want+"\n" {
				t.Fatalf("%q answers (%v), want %s", answer, err, want)
			}
			fingerprint := ""
			var h clienthello.Hello
			if h.Parse(hello, make([]byte, maxHello), maxHello).Complete() {
				fingerprint = ja4Of(t, hello)
			}
			page, err := g.Connections(t.Context(), status.ConnectionFilter{Source: "127.0.0.1"})
			if err != nil || len(page.Connections) != 1 || page.Connections[0].JA4 != fingerprint {
				t.Errorf("listed as %+v (%v), want the fingerprint %q", page.Connections, err, fingerprint)
			}
			c.Close()
			var record struct{ JA4 string }
			if err := json.Unmarshal([]byte(g.records.next(t)), &record); err != nil || record.JA4 != fingerprint {
				t.Errorf("the record has %q (%v), want %q", record.JA4, err, fingerprint)
			}
			if err := g.awaitIdle(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
	}
	f("browser", "browsers", browser.Records())
	f("browser in records", "browsers", browser.Records(100, 900))
	browser.CipherSuites[0], browser.Extensions[0].Type = 0x1a1a, 0xfafa
	f("browser with other GREASE", "browsers", browser.Records())
	f("browser for a name that has a chain", "named", hellotest.Browser("b.test").Records())
	f("go", "go", ours)
	f("tool", "rest", tool.Records())
	f("no TLS", "rest", []byte("GET / HTTP/1.1\r\n\r\n"))
}

// TestJA4OfTerminatedClients: the fingerprint is that of the hello that was read.
func TestJA4OfTerminatedClients(t *testing.T) {
	g := startGateway(t, loadConfig(t, backend(t, echo)))
	config := &tls.Config{ServerName: "terminated.test", InsecureSkipVerify: true, NextProtos: []string{"ours/1"}}
	hello, err := helloWith(&status.Question{ServerName: config.ServerName, ApplicationProtocols: config.NextProtos})
	if err != nil {
		t.Fatal(err)
	}
	c := tls.Client(dial(t, g.address("tls")), config)
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	page, err := g.Connections(t.Context(), status.ConnectionFilter{})
	if want := ja4Of(t, hello); err != nil || len(page.Connections) != 1 || page.Connections[0].JA4 != want {
		t.Errorf("listed as %+v (%v), want the fingerprint %s", page.Connections, err, want)
	}
}

// TestLongTextsAreNotRemembered: what a client sends that fills a hello is kept
// for its own connection only.
func TestLongTextsAreNotRemembered(t *testing.T) {
	var h clienthello.Hello
	b := hellotest.Builder{CipherSuites: make([]uint16, 1+longestShared/2)}
	if outcome := h.Parse(b.Records(), make([]byte, maxHello), maxHello); !outcome.Complete() {
		t.Fatal(outcome)
	}
	sh, traits := newShared(clienthello.JA4), h.AppendTraits(nil)
	one, other := sh.text(traits), sh.text(traits)
	if one == other || *one != *other || *one != clienthello.JA4(traits) {
		t.Errorf("%q and %q", *one, *other)
	}
	for _, place := range sh.places {
		if place != nil {
			t.Errorf("%d bytes are remembered", len(place.from))
		}
	}
}

// BenchmarkNoteJA4 is what the fingerprint costs a connection: of a program that
// was seen before, and of one that was not.
func BenchmarkNoteJA4(b *testing.B) {
	var h clienthello.Hello
	if outcome := h.Parse(hellotest.Browser("a.test").Records(), make([]byte, maxHello), maxHello); !outcome.Complete() {
		b.Fatal(outcome)
	}
	var traits []byte
	sh := newShared(clienthello.JA4)
	b.Run("known", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			traits = h.AppendTraits(traits[:0])
			sh.text(traits)
		}
	})
	b.Run("new", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			clear(sh.places[:])
			traits = h.AppendTraits(traits[:0])
			sh.text(traits)
		}
	})
}
