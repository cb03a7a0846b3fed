package integration

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/tlsutil/certgen"
	"sluice/tlsutil/clienthello/hellotest"
)

// attemptsOf gives the record's attempts as "endpoint result".
func attemptsOf(rec event) []string {
	list, _ := rec["attempts"].([]any)
	var out []string
	for _, v := range list {
		a, _ := v.(event)
		out = append(out, text(a, "endpoint")+" "+text(a, "result"))
	}
	return out
}

// TestKilledEndpoint: with one of two endpoints gone every connection is
// served by the other, and the attempts in the record tell what it took.
func TestKilledEndpoint(t *testing.T) {
	t.Parallel()
	first, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, first, sayName("first"))
	p := startSluice(t, fmt.Sprintf(`
listener "tcp" {
  address = "127.0.0.1:0"
  filter_chain "all" {
    route { cluster = "two" }
  }
}
cluster "two" {
  endpoint %q { name = "first" }
  endpoint %q { name = "second" }
}
`, first.Addr(), backend(t, sayName("second"))))
	ask := func() (string, event) {
		c := dial(t, p.address("tcp"))
		b, end := readToEnd(c)
		if end != fin {
			t.Errorf("the client saw %s, want %s", end, fin)
		}
		c.Close()
		return string(b), p.waitEnd(c.LocalAddr())
	}
	alone := map[string]bool{}
	for len(alone) < 2 {
		name, rec := ask()
		alone[name] = true
		if got := attemptsOf(rec); !slices.Equal(got, []string{name + " connected"}) {
			t.Fatalf("attempts are %q, want only %s", got, name)
		}
	}
	first.Close()
	straight, retried := []string{"second connected"}, []string{"first refused", "second connected"}
	seen := map[string]int{}
	for seen["retried"] == 0 || seen["straight"] == 0 {
		name, rec := ask()
		if name != "second" {
			t.Fatalf("served by %q, want second", name)
		}
		expectFields(t, rec, map[string]string{"endpoint": "second", "flags": "", "termination.reason": "finished"})
		switch got := attemptsOf(rec); {
		case slices.Equal(got, straight):
			seen["straight"]++
		case slices.Equal(got, retried):
			seen["retried"]++
		default:
			t.Fatalf("attempts are %q, want %q or %q", got, straight, retried)
		}
	}
}

// TestAllEndpointsDead is the last row of the table on closing: the client
// learns it at once, in the way that the chain says.
func TestAllEndpointsDead(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "dead")
	certFile, keyFile := ca.files("term", certgen.Options{Names: []string{"term.test"}})
	dead := []string{refusingAddress(t), refusingAddress(t), refusingAddress(t)}
	chain := func(name, refusal, extra string) string {
		return fmt.Sprintf(`
  filter_chain %q {
    match { server_names = [%q] }
    %s
    route { cluster = "dead" }
    on_upstream_failure = %q
  }`, name, name+".test", extra, refusal)
	}
	p := startSluice(t, `
listener "tls" {
  address = "127.0.0.1:0"`+chain("reset", "reset", "")+chain("close", "close", "")+chain("alert", "tls_alert", "")+
		chain("term", "reset", fmt.Sprintf("tls {\n certificate {\n cert_file = %q\n key_file = %q\n }\n }", certFile, keyFile))+`
  default_filter_chain {
    route { cluster = "one_dead" }
  }
}
cluster "dead" {
  endpoints            = ["`+strings.Join(dead, `", "`)+`"]
  max_connect_attempts = 3
}
cluster "one_dead" {
  endpoints            = ["`+dead[0]+`"]
  max_connect_attempts = 1
}
`)
	alert := []byte{21, 3, 3, 0, 2, 2, 80} // fatal, internal_error (RFC 8446 §6.2)
	for _, c := range []struct {
		name  string
		last  []byte
		end   ending
		flags string
	}{
		{"reset", nil, rst, "UF,URX"},
		{"close", nil, fin, "UF,URX"},
		{"alert", alert, fin, "UF,URX"},
		{"other", nil, rst, "UF"}, // one attempt: no retry was exhausted
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := p.on(t)
			client := dial(t, p.address("tls"))
			began := time.Now()
			send(t, client, hellotest.Builder{ServerNames: []string{c.name + ".test"}}.Records())
			got, end := readToEnd(client)
			took := time.Since(began)
			if !bytes.Equal(got, c.last) || end != c.end {
				t.Errorf("the client got %x and %s, want %x and %s", got, end, c.last, c.end)
			}
			client.Close()
			rec := p.waitEnd(client.LocalAddr())
			expectFields(t, rec, map[string]string{
				"termination.reason": "connect_failed", "termination.side": "upstream", "flags": c.flags, "endpoint": ""})
			want := []string{dead[0] + " refused"}
			if c.flags == "UF,URX" {
				want = []string{dead[0] + " refused", dead[1] + " refused", dead[2] + " refused"}
			}
			attempts := attemptsOf(rec)
			slices.Sort(attempts)
			slices.Sort(want)
			if !slices.Equal(attempts, want) {
				t.Errorf("attempts are %q, want each once: %q", attempts, want)
			}
			// At once means without any of the timeouts, the least of which is
			// 2 s; a loaded machine is given much of that.
			if took > 1500*time.Millisecond {
				t.Errorf("the client learned it after %v", took)
			}
		})
	}
	t.Run("term", func(t *testing.T) {
		t.Parallel()
		p := p.on(t)
		raw := dial(t, p.address("tls"))
		conn := handshake(t, raw, "term.test", ca)
		if _, err := conn.Read(make([]byte, 1)); !isReset(err) {
			t.Errorf("the client's read ended with %v, want a reset", err)
		}
		expectFields(t, p.waitEnd(raw.LocalAddr()), map[string]string{"termination.reason": "connect_failed", "flags": "UF,URX"})
	})
}

// TestHelloGoesToTheNextEndpoint: what was read of the client is given to the
// endpoint that answers in the end, whole, also when it is long.
func TestHelloGoesToTheNextEndpoint(t *testing.T) {
	t.Parallel()
	const n = 3
	hello := hellotest.Builder{ServerNames: []string{"a.test"}, Pad: 12_000}.Records()
	live := backend(t, func(c net.Conn) { io.CopyN(c, c, int64(len(hello))) })
	p := startSluice(t, fmt.Sprintf(`
listener "tls" {
  address = "127.0.0.1:0"
  filter_chain "a" {
    match { server_names = ["a.test"] }
    route { cluster = "some" }
  }
}
cluster "some" {
  endpoints            = [%q, %q, %q]
  max_connect_attempts = %d
}
`, refusingAddress(t), refusingAddress(t), live, n))
	for most := 0; most < n; {
		c := dial(t, p.address("tls"))
		send(t, c, hello)
		expectSame(t, receive(t, c, len(hello)), hello)
		c.Close()
		most = max(most, len(attemptsOf(p.waitEnd(c.LocalAddr()))))
	}
}

// TestMissingUnixEndpoint: a socket that is not there is a failure like others.
func TestMissingUnixEndpoint(t *testing.T) {
	t.Parallel()
	// The chain asks for the client's first bytes, so that the reset does not
	// come before the client's dial has returned.
	p := startSluice(t, strings.Replace(plainGateway("127.0.0.1:0", "unix:"+t.TempDir()+"/none.sock"),
		"route", "match { transport_protocol = \"raw_buffer\" }\n    route", 1))
	c := dial(t, p.address("tcp"))
	send(t, c, []byte("hello"))
	expectEnd(t, c, rst)
	rec := p.waitEnd(c.LocalAddr())
	expectFields(t, rec, map[string]string{"termination.reason": "connect_failed", "flags": "UF,URX"})
	// The default is three attempts, and there is no other endpoint to try.
	got := attemptsOf(rec)
	if len(got) != 3 {
		t.Errorf("attempts are %q, want three", got)
	}
	for _, a := range got {
		if !strings.HasSuffix(a, " no_such_socket") {
			t.Errorf("an attempt is %q, want no_such_socket", a)
		}
	}
}
