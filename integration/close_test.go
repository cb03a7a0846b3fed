package integration

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"sluice/tlsutil/certgen"
	"sluice/tlsutil/clienthello/hellotest"
)

// The rows of the table on closing in clienthello-vectors.md. Each is played
// on raw TCP sockets at both ends, with hardly any bytes and with megabytes in
// flight, over a plain chain, one that passes TLS through, one that terminates
// it, one that speaks it to the endpoint, and one that does both (there an end
// is a TLS connection over such a socket).

// inFlight are the sizes that the rows are played with: within one read, and
// far more than all buffers on the way hold, so that it is spliced and stalls.
var inFlight = map[string]int{"1000_bytes": 1000, "16_MiB": 16 << 20}

// chainKinds are the kinds of chain that the rows are played over.
var chainKinds = []string{"plain", "passed_through", "terminated", "originated", "encrypted_again"}

// stage is a connection through the gateway with both ends in the test's hands.
type stage struct {
	t        *testing.T
	p        *process
	client   net.Conn // what the application uses: the socket, or TLS over it
	socket   net.Conn // the client's socket
	endpoint net.Conn // as client
	far      net.Conn // the endpoint's socket
}

// closeGateway is a gateway with a chain of each kind, and takes the endpoint's
// end of each connection.
type closeGateway struct {
	*process
	accepted chan net.Conn
	ca       *authority
	endpoint *tls.Config // of an endpoint that speaks TLS
}

func startCloseGateway(t *testing.T) *closeGateway {
	t.Helper()
	g := &closeGateway{accepted: make(chan net.Conn), ca: newAuthority(t, "close")}
	certFile, keyFile := g.ca.files("term", certgen.Options{Names: []string{"term.test", "again.test"}})
	g.endpoint = &tls.Config{Certificates: []tls.Certificate{g.ca.pair(certgen.Options{Names: []string{"endpoint.test"}})}}
	ended := make(chan struct{})
	endpoint := backend(t, func(c net.Conn) {
		select {
		case g.accepted <- c:
			<-ended
		case <-ended:
		}
	})
	t.Cleanup(func() { close(ended) }) // before the backend waits for its connections
	g.process = startSluice(t, fmt.Sprintf(`
listener "plain" {
  address = "127.0.0.1:0"
  filter_chain "all" {
    route { cluster = "one" }
  }
}
listener "encrypting" {
  address = "127.0.0.1:0"
  filter_chain "all" {
    route { cluster = "tls" }
  }
}
listener "tls" {
  address = "127.0.0.1:0"
  filter_chain "pass" {
    match { server_names = ["a.test"] }
    route { cluster = "one" }
  }
  filter_chain "term" {
    match { server_names = ["term.test"] }
    tls {
      certificate {
        cert_file = %[1]q
        key_file  = %[2]q
      }
    }
    route { cluster = "one" }
  }
  filter_chain "again" {
    match { server_names = ["again.test"] }
    tls {
      certificate {
        cert_file = %[1]q
        key_file  = %[2]q
      }
    }
    route { cluster = "tls" }
  }
}
cluster "one" { endpoints = [%[3]q] }
cluster "tls" {
  endpoints = [%[3]q]
  tls {
    server_name = "endpoint.test"
    ca_file     = %[4]q
  }
}
`, certFile, keyFile, endpoint, g.ca.caFile()))
	return g
}

// open makes a connection over a chain of the kind. Connections are opened one
// at a time, so the endpoint's end that turns up is this one's.
func (g *closeGateway) open(t *testing.T, kind string) *stage {
	t.Helper()
	s := &stage{t: t, p: g.on(t)}
	listener := "tls"
	switch kind {
	case "plain":
		listener = "plain"
	case "originated":
		listener = "encrypting"
	}
	s.socket = dial(t, s.p.address(listener))
	s.client = s.socket
	hello := hellotest.Builder{ServerNames: []string{"a.test"}}.Records()
	switch kind {
	case "passed_through":
		send(t, s.socket, hello)
	case "terminated":
		s.client = handshake(t, s.socket, "term.test", g.ca)
	case "encrypted_again":
		s.client = handshake(t, s.socket, "again.test", g.ca)
	}
	s.far = <-g.accepted
	s.endpoint = s.far
	if kind == "originated" || kind == "encrypted_again" {
		conn := tls.Server(s.far, g.endpoint)
		if err := conn.Handshake(); err != nil {
			t.Fatal(err)
		}
		s.endpoint = conn
	}
	if kind == "passed_through" {
		if got := receive(t, s.endpoint, len(hello)); !bytes.Equal(got, hello) {
			t.Fatal("the hello did not reach the endpoint as it was sent")
		}
	}
	// The rows are about connections whose bytes flow. That the endpoint has
	// accepted does not mean that the gateway knows already: a reset before it
	// does would end an attempt, not a stream.
	go echoOnce(s.endpoint, len("flowing"))
	exchange(t, s.client, "flowing")
	return s
}

func echoOnce(c net.Conn, n int) { io.CopyN(c, c, int64(n)) }

// upload sends from the client and gives a channel that tells when all of it
// was accepted by its kernel.
func upload(c net.Conn, b []byte) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := c.Write(b)
		done <- err
	}()
	return done
}

// reason checks what the record says of the end.
func (s *stage) reason(reason, side string) {
	s.t.Helper()
	expectFields(s.t, s.p.waitEnd(s.socket.LocalAddr()), map[string]string{
		"termination.reason": reason, "termination.side": side})
}

// forEachKind plays a row with every kind of chain and size.
func forEachKind(t *testing.T, row func(t *testing.T, s *stage, data []byte)) {
	t.Parallel()
	g := startCloseGateway(t)
	for _, kind := range chainKinds {
		for size, n := range inFlight {
			t.Run(kind+"_"+size, func(t *testing.T) { row(t, g.open(t, kind), pattern(n)) })
		}
	}
}

// Row 1: the client sends FIN, the endpoint answers later.
func TestClientFinishesEndpointAnswersLater(t *testing.T) {
	forEachKind(t, func(t *testing.T, s *stage, data []byte) {
		sent := upload(s.client, data)
		if got, err := io.ReadAll(io.LimitReader(s.endpoint, int64(len(data)))); err != nil {
			t.Fatal(err)
		} else {
			expectSame(t, got, data)
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		finish(s.client)
		expectEnd(t, s.endpoint, fin) // so the FIN was passed on, and only then:
		answered := upload(s.endpoint, data)
		expectSame(t, receive(t, s.client, len(data)), data)
		if err := <-answered; err != nil {
			t.Fatal(err)
		}
		finish(s.endpoint)
		expectEnd(t, s.client, fin)
		s.client.Close()
		s.reason("finished", "downstream")
	})
}

// Row 2: the endpoint sends FIN, the client uploads afterwards.
func TestEndpointFinishesClientUploadsLater(t *testing.T) {
	forEachKind(t, func(t *testing.T, s *stage, data []byte) {
		send(t, s.endpoint, []byte("greeting"))
		finish(s.endpoint)
		receive(t, s.client, len("greeting"))
		expectEnd(t, s.client, fin)
		sent := upload(s.client, data)
		expectSame(t, receive(t, s.endpoint, len(data)), data)
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		finish(s.client)
		expectEnd(t, s.endpoint, fin)
		s.endpoint.Close()
		s.reason("finished", "upstream")
	})
}

// Row 3: the endpoint resets mid-stream: the client gets what was received,
// then a reset.
func TestEndpointResets(t *testing.T) {
	forEachKind(t, func(t *testing.T, s *stage, data []byte) {
		got := make(chan []byte, 1)
		how := make(chan ending, 1)
		go func() {
			b, end := readToEnd(s.client)
			how <- end
			got <- b
		}()
		send(t, s.endpoint, data)
		eventually(t, "the gateway has received everything", func() bool { return unacked(t, s.far) == 0 })
		reset(s.far)
		if end := <-how; end != rst {
			t.Errorf("the client saw %s, want %s", end, rst)
		}
		expectSame(t, <-got, data)
		s.reason("reset", "upstream")
	})
}

// Row 3 with a client that does not read: what is in the buffers on the way
// when the endpoint resets is still delivered.
func TestEndpointResetsWhileTheClientDoesNotRead(t *testing.T) {
	t.Parallel()
	g := startCloseGateway(t)
	for _, kind := range chainKinds {
		t.Run(kind, func(t *testing.T) {
			s, data := g.open(t, kind), pattern(512<<10) // what fits into the buffers
			send(t, s.endpoint, data)
			eventually(t, "the gateway has received everything", func() bool { return unacked(t, s.far) == 0 })
			reset(s.far)
			got, end := readToEnd(s.client)
			if end != rst {
				t.Errorf("the client saw %s, want %s", end, rst)
			}
			expectSame(t, got, data)
			s.reason("reset", "upstream")
		})
	}
}

// Row 4: the client resets mid-stream: the endpoint gets what was received,
// then a reset.
func TestClientResets(t *testing.T) {
	forEachKind(t, func(t *testing.T, s *stage, data []byte) {
		got := make(chan []byte, 1)
		how := make(chan ending, 1)
		go func() {
			b, end := readToEnd(s.endpoint)
			how <- end
			got <- b
		}()
		send(t, s.client, data)
		eventually(t, "the gateway has received everything", func() bool { return unacked(t, s.socket) == 0 })
		reset(s.socket)
		if end := <-how; end != rst {
			t.Errorf("the endpoint saw %s, want %s", end, rst)
		}
		expectSame(t, <-got, data)
		s.reason("reset", "downstream")
	})
}

// Rows 3 and 4 while the other direction is stalled: a reset must not wait for
// bytes that nobody will ever take.
func TestResetWhileTheOtherDirectionIsStalled(t *testing.T) {
	t.Parallel()
	g := startCloseGateway(t)
	for _, kind := range chainKinds {
		t.Run("endpoint_"+kind, func(t *testing.T) {
			s := g.open(t, kind)
			sent := upload(s.client, pattern(32<<20)) // the endpoint never reads
			send(t, s.endpoint, []byte("last words"))
			receive(t, s.client, len("last words"))
			reset(s.far)
			if err := <-sent; !isReset(err) {
				t.Errorf("the client's upload ended with %v, want a reset", err)
			}
			s.reason("reset", "upstream")
		})
		t.Run("client_"+kind, func(t *testing.T) {
			s := g.open(t, kind)
			sent := upload(s.endpoint, pattern(32<<20)) // the client never reads
			send(t, s.client, []byte("last words"))
			receive(t, s.endpoint, len("last words"))
			reset(s.socket)
			if err := <-sent; !isReset(err) {
				t.Errorf("the endpoint's download ended with %v, want a reset", err)
			}
			s.reason("reset", "downstream")
		})
	}
}

// Rows 3 and 4 with the other side stalled: it keeps what it can be sent, and
// is reset when it has taken nothing more for ten seconds. The end is the reset,
// and not whatever timeout the route may have.
func TestResetWhileTheOtherSideIsStalled(t *testing.T) {
	t.Parallel()
	const allowed = 10 * time.Second // relay.AckTimeout
	type row struct {
		*stage
		name, side string
		stalled    net.Conn
	}
	g := startCloseGateway(t)
	var rows []row
	for _, kind := range []string{"plain", "terminated"} {
		s := g.open(t, kind)
		upload(s.client, pattern(32<<20))
		awaitStall(t, s.socket)
		reset(s.socket)
		rows = append(rows, row{s, "client_" + kind, "downstream", s.endpoint})

		s = g.open(t, kind)
		upload(s.endpoint, pattern(32<<20))
		awaitStall(t, s.endpoint)
		reset(s.endpoint)
		rows = append(rows, row{s, "endpoint_" + kind, "upstream", s.client})
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			r.t, r.p = t, r.p.on(t)
			r.reason("reset", r.side)
			if took := number(r.p.waitEnd(r.socket.LocalAddr()), "duration_ms"); took < float64(allowed.Milliseconds()) {
				t.Errorf("it ended after %v ms, want at least %v", took, allowed)
			}
			if n, end := drainToEnd(r.stalled); end != rst || n == 0 {
				t.Errorf("the other side got %d bytes and %s, want some and %s", n, end, rst)
			}
		})
	}
}

// TestEndpointResetsWhenItAccepts: whether the gateway takes it for a failed
// attempt or for the end of a connection depends on who is faster; it is a
// reset by the endpoint for the client and in the record.
func TestEndpointResetsWhenItAccepts(t *testing.T) {
	t.Parallel()
	p := startSluice(t, strings.Replace(plainGateway("127.0.0.1:0", backend(t, resetAtOnce)),
		"route", "match { transport_protocol = \"raw_buffer\" }\n    route", 1))
	for range 20 {
		c := dial(t, p.address("tcp"))
		send(t, c, []byte("hello"))
		expectEnd(t, c, rst)
		rec := p.waitEnd(c.LocalAddr())
		expectFields(t, rec, map[string]string{"termination.side": "upstream"})
		if reason := within(rec, "termination", "reason"); reason != "reset" && reason != "connect_failed" {
			t.Errorf("the record says %q", reason)
		}
	}
}

// TestFINWithoutCloseNotify: between records it is taken for an end, which the
// record notes; inside one the stream was certainly cut off (RFC 8446 §6.1), and
// the endpoint must not take what it got for all there is.
func TestFINWithoutCloseNotify(t *testing.T) {
	t.Parallel()
	g := startCloseGateway(t)
	t.Run("between_records", func(t *testing.T) {
		s := g.open(t, "terminated")
		finish(s.socket)
		expectEnd(t, s.endpoint, fin)
		s.endpoint.Close()
		expectEnd(t, s.client, fin)
		s.socket.Close()
		s.reason("finished", "downstream")
		expectFields(t, s.p.waitEnd(s.socket.LocalAddr()), map[string]string{"error": "the client finished without close_notify"})
	})
	t.Run("inside_a_record", func(t *testing.T) {
		s := g.open(t, "terminated")
		send(t, s.socket, []byte{hellotest.RecordApplicationData, 3, 3, 0, 50, 1, 2, 3})
		finish(s.socket)
		expectEnd(t, s.endpoint, rst)
		s.socket.Close()
		s.reason("tls_error", "downstream")
	})
	t.Run("a_forged_record", func(t *testing.T) {
		s := g.open(t, "terminated")
		send(t, s.socket, append([]byte{hellotest.RecordApplicationData, 3, 3, 0, 50}, make([]byte, 50)...))
		expectEnd(t, s.endpoint, rst)
		if _, err := s.client.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "bad record MAC") {
			t.Errorf("the client got %v, want the alert bad_record_mac", err)
		}
		s.socket.Close()
		s.reason("tls_error", "downstream")
	})
}

// TestEndpointFINWithoutCloseNotify is the same with an endpoint that is spoken
// TLS to: many servers send no close_notify.
func TestEndpointFINWithoutCloseNotify(t *testing.T) {
	t.Parallel()
	g := startCloseGateway(t)
	for _, kind := range []string{"originated", "encrypted_again"} {
		t.Run("between_records_"+kind, func(t *testing.T) {
			s := g.open(t, kind)
			finish(s.far)
			expectEnd(t, s.client, fin)
			s.client.Close()
			expectEnd(t, s.endpoint, fin)
			s.far.Close()
			s.reason("finished", "upstream")
			expectFields(t, s.p.waitEnd(s.socket.LocalAddr()), map[string]string{"error": "the endpoint finished without close_notify"})
		})
		t.Run("inside_a_record_"+kind, func(t *testing.T) {
			s := g.open(t, kind)
			send(t, s.far, []byte{hellotest.RecordApplicationData, 3, 3, 0, 50, 1, 2, 3})
			finish(s.far)
			expectEnd(t, s.client, rst)
			s.far.Close()
			s.reason("tls_error", "upstream")
		})
		t.Run("a_forged_record_"+kind, func(t *testing.T) {
			s := g.open(t, kind)
			send(t, s.far, append([]byte{hellotest.RecordApplicationData, 3, 3, 0, 50}, make([]byte, 50)...))
			expectEnd(t, s.client, rst)
			if _, err := s.endpoint.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "bad record MAC") {
				t.Errorf("the endpoint got %v, want the alert bad_record_mac", err)
			}
			s.far.Close()
			s.reason("tls_error", "upstream")
		})
	}
}
