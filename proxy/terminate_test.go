package proxy

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"sluice/tlsutil/certgen"
	"sluice/tlsutil/clienthello"
	"sluice/tlsutil/clienthello/hellotest"
)

// startTerminating runs a gateway of which the one chain terminates TLS, for an
// endpoint that sends without end.
func startTerminating(t *testing.T) *gatewayUnderTest {
	t.Helper()
	cert, key, err := certgen.NewAuthority("terminating").WriteFiles(t.TempDir(), "a", certgen.Options{Names: []string{"a.test"}})
	if err != nil {
		t.Fatal(err)
	}
	return startGateway(t, fmt.Sprintf(`
listener "tls" {
  address          = "127.0.0.1:0"
  tcp_user_timeout = "100ms"
  filter_chain "terminated" {
    tls {
      certificate {
        cert_file = %q
        key_file  = %q
      }
    }
    route { cluster = "one" }
  }
}
cluster "one" { endpoints = [%q] }
`, cert, key, backend(t, sendWithoutEnd)))
}

func sendWithoutEnd(c net.Conn) {
	defer c.Close()
	for b := make([]byte, 64<<10); ; {
		if _, err := c.Write(b); err != nil {
			return
		}
	}
}

// TestTerminateWithoutName: hellos without a usable name have to be answered by
// a chain that terminates as crypto/tls answers them anywhere, and not refused
// because two readers of the hello call the missing name differently.
func TestTerminateWithoutName(t *testing.T) {
	t.Parallel()
	g := startTerminating(t)
	// The alerts are crypto/tls's own: without extensions it finds no suite,
	// and an empty name or a trailing dot it calls a decode_error.
	alerts := map[string]byte{"no_extensions": 40, "empty_list_of_extensions": 40, "empty_name": 50, "ipv4_literal_trailing_dot": 50}
	played := 0
	for _, v := range hellotest.Vectors() {
		if v.Want != clienthello.NoSNI {
			continue
		}
		played++
		client := dial(t, g.address("tls"))
		if _, err := client.Write(v.Bytes); err != nil {
			t.Fatal(err)
		}
		header := make([]byte, 7)
		if _, err := io.ReadFull(client, header); err != nil {
			t.Errorf("%s: no answer: %v", v.Name, err)
			continue
		}
		client.Close()
		want := []byte{22} // a server_hello
		if alert := alerts[v.Name]; alert != 0 {
			want = []byte{21, 3, header[2], 0, 2, 2, alert}
		}
		if !bytes.HasPrefix(header, want) {
			t.Errorf("%s: the answer begins % x, want % x", v.Name, header, want)
		}
		if rec := g.records.next(t); strings.Contains(rec, "routed as") {
			t.Errorf("%s: %s", v.Name, rec)
		}
	}
	if played < 10 {
		t.Errorf("only %d vectors have no name", played)
	}
}

// TestEarlyDataIsRefused: the README says so, among what the gateway does not do.
func TestEarlyDataIsRefused(t *testing.T) {
	t.Parallel()
	g := startTerminating(t)
	client := dial(t, g.address("tls"))
	if _, err := client.Write(hellotest.Builder{ServerNames: []string{"a.test"}, EarlyData: true}.Records()); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 7)
	if _, err := io.ReadFull(client, answer); err != nil || answer[0] != 21 || answer[6] != 110 {
		t.Errorf("the answer is % x, %v; want the alert unsupported_extension", answer, err)
	}
	client.Close()
	g.records.next(t)
}

// TestHandshakeEndedByTheClient: a client that leaves in the middle of its
// handshake, or refuses what it is shown, is not the gateway's failure.
func TestHandshakeEndedByTheClient(t *testing.T) {
	t.Parallel()
	g := startTerminating(t)
	answered := func() *net.TCPConn {
		client := dial(t, g.address("tls"))
		if _, err := client.Write(hellotest.Builder{ServerNames: []string{"a.test"}}.Records()); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(client, make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
		return client.(*net.TCPConn)
	}
	f := func(name string, play func(), want ...string) {
		t.Helper()
		play()
		rec := g.records.next(t)
		for _, part := range append(want, `"side":"downstream"`, `"flags":"DC"`) {
			if !strings.Contains(rec, part) {
				t.Errorf("%s: the record has no %s: %s", name, part, rec)
			}
		}
	}
	f("reset", func() {
		client := answered()
		client.SetLinger(0)
		client.Close()
	}, `"reason":"reset"`)
	f("finished between messages", func() { answered().CloseWrite() },
		`"reason":"tls_handshake_failed"`, `"error":"the client finished inside the handshake"`)
	f("finished inside a record", func() {
		client := answered()
		client.Write([]byte{22, 3, 3})
		client.CloseWrite()
	}, `"reason":"tls_handshake_failed"`, `"error":"the client finished inside the handshake"`)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		f("unknown CA, "+tls.VersionName(version), func() {
			client := dial(t, g.address("tls"))
			defer client.Close()
			if err := tls.Client(client, &tls.Config{ServerName: "a.test", MaxVersion: version}).Handshake(); err == nil {
				t.Error("the client took a certificate of an unknown CA")
			}
		}, `"reason":"tls_handshake_failed"`, `"error":"remote error: tls: bad certificate"`)
	}
}

func TestHandshakeFailureBySocketErrors(t *testing.T) {
	t.Parallel()
	for errno, want := range map[syscall.Errno]Reason{
		syscall.ECONNRESET: reasonReset, syscall.EPIPE: reasonReset, syscall.ETIMEDOUT: reasonTimedOut,
	} {
		got := handshakeFailure(fmt.Errorf("reading: %w", errno))
		if got.Reason != want || got.By != byDownstream || got.Flags() != "DC" {
			t.Errorf("%v: %v by %v, flags %q", errno, got.Reason, got.By, got.Flags())
		}
	}
}

// TestTerminatedClientTimesOut: the window of a client that reads nothing stays
// closed for longer than tcp_user_timeout.
func TestTerminatedClientTimesOut(t *testing.T) {
	t.Parallel()
	g := startTerminating(t)
	if err := tls.Client(dial(t, g.address("tls")), &tls.Config{InsecureSkipVerify: true}).Handshake(); err != nil {
		t.Fatal(err)
	}
	rec := g.records.next(t)
	if want := `"flags":"DC","termination":{"reason":"timed_out","side":"downstream"}`; !strings.Contains(rec, want) {
		t.Errorf("the record has no %s: %s", want, rec)
	}
}
