package integration

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"testing"

	"sluice/tlsutil/certgen"
	"sluice/tlsutil/clienthello"
	"sluice/tlsutil/clienthello/hellotest"
)

// vectorGateway has listeners that route as clienthello-vectors.md says: a.test
// to A, b.test to B, and, where it says default, a default chain to D. Each
// endpoint answers with its name and the digest of all that it got.
type vectorGateway struct{ *process }

func startVectorGateway(t *testing.T) vectorGateway {
	t.Helper()
	digest := func(name string) func(net.Conn) {
		return func(c net.Conn) {
			if b, err := io.ReadAll(c); err == nil {
				fmt.Fprint(c, answerTo(name, b))
			}
		}
	}
	listener := func(name, inspect, rest string) string {
		return fmt.Sprintf(`
listener %q {
  address = "127.0.0.1:0"
  inspect {
    %s
  }
  filter_chain "A" {
    match { server_names = ["a.test"] }
    route { cluster = "A" }
  }
  filter_chain "B" {
    match { server_names = ["b.test"] }
    route { cluster = "B" }
  }
  %s
}
`, name, inspect, rest)
	}
	certFile, keyFile := newAuthority(t, "vectors").files("vectors", certgen.Options{Names: []string{"a.test"}})
	terminated := fmt.Sprintf("tls {\n certificate {\n cert_file = %q\n key_file = %q\n }\n }", certFile, keyFile)
	const fallback = "default_filter_chain {\n route { cluster = \"D\" }\n }"
	hcl := listener("usual", `timeout = "60s"`, fallback) +
		listener("large", "timeout = \"60s\"\n    max_bytes = \"64KiB\"", fallback) +
		listener("hasty", `timeout = "300ms"`, fallback) +
		listener("strict", `timeout = "60s"`, "") +
		listener("raw", `timeout = "60s"`, `filter_chain "R" {
    match { transport_protocol = "raw_buffer" }
    route { cluster = "D" }
  }`) +
		listener("anything", `timeout = "60s"`, `filter_chain "R" {
    route { cluster = "D" }
  }`) +
		listener("terminating", `timeout = "60s"`, `filter_chain "R" {
    `+terminated+`
    route { cluster = "D" }
  }`)
	for _, name := range []string{"A", "B", "D"} {
		hcl += fmt.Sprintf("cluster %q { endpoints = [%q] }\n", name, backend(t, digest(name)))
	}
	return vectorGateway{startSluice(t, hcl)}
}

func answerTo(name string, got []byte) string {
	return fmt.Sprintf("%s %d %x", name, len(got), sha256.Sum256(got))
}

// expectation is what has to become of a vector.
type expectation struct {
	listener string
	chain    string // empty: refused
	reason   string // of a refusal
	hello    string
	flags    string
	error    string // of a refusal; empty: any
}

// expected reads it off the vector, for listeners with a default chain.
func expected(v hellotest.Vector) expectation {
	e := expectation{listener: "usual", hello: v.Want.String()}
	if v.Max > hellotest.DefaultMax {
		e.listener = "large"
	}
	switch v.Want {
	case clienthello.TLS, clienthello.ECHOuter:
		e.chain = "A"
	case clienthello.NotTLS:
		if v.Suspect {
			return suspect(e.listener)
		}
		e.chain = "default"
	case clienthello.NoSNI:
		e.chain = "default"
	case clienthello.Malformed:
		e.reason, e.flags = "malformed_hello", "LR"
	case clienthello.TooLarge:
		e.reason, e.flags = "hello_too_large", "LR"
	case clienthello.NeedMore:
		e.listener, e.hello, e.reason, e.flags = "hasty", "timeout", "hello_timeout", "LR"
	}
	return e
}

// suspect is what becomes of bytes that a lenient server takes for TLS, where no
// chain asks for raw_buffer.
func suspect(listener string) expectation {
	return expectation{listener: listener, hello: "malformed", reason: "malformed_hello", flags: "LR",
		error: "TLS record of another major version than 3"}
}

// delivery is a way to send bytes. It gives the error of a write: a gateway
// that has refused already may have reset the connection meanwhile.
type delivery func(c net.Conn, b []byte) error

// segments sends in pieces that end at the cuts, each in a segment of its own:
// the next one is only sent when the last was acknowledged.
func segments(t *testing.T, cuts ...int) delivery {
	return func(c net.Conn, b []byte) error {
		from := 0
		for _, to := range append(cuts, len(b)) {
			if _, err := c.Write(b[from:to]); err != nil {
				return err
			}
			from = to
			if to < len(b) {
				eventually(t, "the segment was acknowledged", func() bool { return unacked(t, c) == 0 })
			}
		}
		return nil
	}
}

func byteByByte(c net.Conn, b []byte) error {
	for i := range b {
		if _, err := c.Write(b[i : i+1]); err != nil {
			return err
		}
	}
	return nil
}

// play sends the bytes and checks what the client and the endpoint get. It
// gives the client's address for [vectorGateway.check].
func (g vectorGateway) play(t *testing.T, b []byte, want expectation, deliver delivery) played {
	t.Helper()
	p := g.on(t)
	c := dial(t, p.address(want.listener))
	defer c.Close()
	sendErr := deliver(c, b)
	if want.reason == "" {
		finish(c)
	}
	got, end := readToEnd(c)
	if isReset(sendErr) {
		end = rst // the kernel says so once, and has said it to the write
	}
	if want.reason != "" {
		if len(got) > 0 || end != rst {
			t.Errorf("the client got %q and %s, want nothing and %s", got, end, rst)
		}
	} else {
		name := want.chain
		if name == "default" || name == "R" {
			name = "D"
		}
		if answer := answerTo(name, b); string(got) != answer || end != fin {
			t.Errorf("the client got %.40q and %s, want %.40q and %s", got, end, answer, fin)
		}
	}
	return played{c.LocalAddr(), len(b), want}
}

// played is a connection whose record is to be checked.
type played struct {
	client net.Addr
	sent   int
	want   expectation
}

// check checks the records. It comes after many connections: each record alone
// may take 50 ms to be written.
func (g vectorGateway) check(t *testing.T, list ...played) {
	t.Helper()
	for _, pl := range list {
		rec, want := g.on(t).waitEnd(pl.client), pl.want
		if want.reason == "" {
			expectFields(t, rec, map[string]string{"hello": want.hello, "filter_chain": want.chain, "termination.reason": "finished"})
			if got := number(rec, "bytes_received"); got != float64(pl.sent) {
				t.Errorf("the record counts %v bytes received, want %d", got, pl.sent)
			}
			continue
		}
		expectFields(t, rec, map[string]string{"hello": want.hello, "filter_chain": "", "endpoint": "", "cluster": "",
			"termination.reason": want.reason, "termination.side": "gateway", "flags": want.flags})
		if want.error != "" {
			expectFields(t, rec, map[string]string{"error": want.error})
		}
		if _, tried := rec["attempts"]; tried {
			t.Errorf("an endpoint was tried for a hello that is refused: %s", asJSON(rec))
		}
	}
}

// TestHelloVectors replays every vector: in one write, in two segments, and
// byte by byte.
func TestHelloVectors(t *testing.T) {
	t.Parallel()
	g := startVectorGateway(t)
	for _, v := range hellotest.Vectors() {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			want := expected(v)
			deliveries := []delivery{segments(t), byteByByte}
			n := len(v.Bytes)
			for _, cut := range []int{1, 4, 5, 6, 9, n / 3, n / 2, n - 1} {
				if 0 < cut && cut < n {
					deliveries = append(deliveries, segments(t, cut))
				}
			}
			var list []played
			for _, d := range deliveries {
				list = append(list, g.play(t, v.Bytes, want, d))
			}
			g.check(t, list...)
		})
	}
}

// TestHelloCutAnywhere: the plain hello in two segments, and in two records,
// cut at every offset.
func TestHelloCutAnywhere(t *testing.T) {
	t.Parallel()
	g := startVectorGateway(t)
	whole := hellotest.Vectors()[0]
	t.Run("two_segments", func(t *testing.T) {
		t.Parallel()
		var list []played
		for cut := 1; cut < len(whole.Bytes); cut++ {
			list = append(list, g.play(t, whole.Bytes, expected(whole), segments(t, cut)))
		}
		g.check(t, list...)
	})
	t.Run("two_records", func(t *testing.T) {
		t.Parallel()
		var list []played
		for i, v := range hellotest.Cuts() {
			list = append(list, g.play(t, v.Bytes, expected(v), segments(t)))
			list = append(list, g.play(t, v.Bytes, expected(v), segments(t, 5+i+1))) // and two segments, cut there too
		}
		g.check(t, list...)
	})
}

// TestBytesBehindTheHello: what follows at once, megabytes of it, arrives whole
// and in order.
func TestBytesBehindTheHello(t *testing.T) {
	t.Parallel()
	g := startVectorGateway(t)
	for _, pad := range []int{0, 1820, 12_000} {
		b := append(hellotest.Builder{ServerNames: []string{"a.test"}, Pad: pad}.Records(), pattern(8<<20)...)
		g.check(t, g.play(t, b, expectation{listener: "usual", chain: "A", hello: "tls"}, segments(t)))
	}
}

// TestWithoutDefaultChain: what the table sends to the default chain is refused
// where there is none, and what a lenient server takes for TLS goes to a chain
// for raw bytes only: not to one for anything, and not to one that terminates.
func TestWithoutDefaultChain(t *testing.T) {
	t.Parallel()
	g := startVectorGateway(t)
	for _, v := range hellotest.Vectors() {
		noMatch := expectation{listener: "strict", hello: v.Want.String(), reason: "no_filter_chain_match", flags: "NR"}
		switch v.Want {
		case clienthello.NoSNI:
		case clienthello.NotTLS:
			if v.Suspect {
				noMatch = suspect("strict")
			}
		default:
			continue
		}
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			first := g.play(t, v.Bytes, noMatch, segments(t))
			raw := expectation{listener: "raw", hello: v.Want.String(), reason: "no_filter_chain_match", flags: "NR"}
			if v.Want == clienthello.NotTLS {
				raw = expectation{listener: "raw", hello: "not_tls", chain: "R"}
			}
			list := []played{first, g.play(t, v.Bytes, raw, segments(t))}
			if v.Suspect {
				list = append(list, g.play(t, v.Bytes, suspect("anything"), segments(t)),
					g.play(t, v.Bytes, suspect("terminating"), segments(t)))
			}
			g.check(t, list...)
		})
	}
}

// TestOtherName: b.test is B's, so A is not simply where everything goes.
func TestOtherName(t *testing.T) {
	t.Parallel()
	g := startVectorGateway(t)
	b := hellotest.Builder{ServerNames: []string{"B.test."}}.Records()
	g.check(t, g.play(t, b, expectation{listener: "usual", chain: "B", hello: "tls"}, segments(t)))
}
