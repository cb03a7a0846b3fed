package integration

import (
	"crypto/tls"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/tlsutil/certgen"
	"sluice/tlsutil/clienthello/hellotest"
)

// expectKeys checks that a record has exactly these fields: one that is gone
// breaks somebody's dashboard, and a new one wants to be documented.
func expectKeys(t *testing.T, rec event, want string) {
	t.Helper()
	keys := slices.Sorted(maps.Keys(rec))
	wanted := strings.Fields(want)
	slices.Sort(wanted)
	if !slices.Equal(keys, wanted) {
		t.Errorf("the record's fields are\n%q, want\n%q", keys, wanted)
	}
}

const (
	everyRecord = "time type id listener source destination duration_ms "
	endedRecord = everyRecord + "bytes_received bytes_sent flags termination "
	helloFields = "hello peek_ms sni alpn ja4 "
	routeFields = "filter_chain tls cluster endpoint upstream_local attempts connect_ms "
)

// expectTimes checks that times are present, positive, and no longer than the
// connection.
func expectTimes(t *testing.T, rec event, fields ...string) {
	t.Helper()
	whole := number(rec, "duration_ms")
	for _, f := range fields {
		if ms := number(rec, f); ms <= 0 || ms > whole {
			t.Errorf("%s is %v in a connection of %v ms", f, ms, whole)
		}
	}
	at, err := time.Parse("2006-01-02T15:04:05.000Z", text(rec, "time"))
	if err != nil || time.Since(at) > time.Minute || time.Since(at) < -time.Second {
		t.Errorf("time is %q: %v", text(rec, "time"), err)
	}
}

func TestRecordOfAPassedThroughConnection(t *testing.T) {
	t.Parallel()
	g := startTLSGateway(t, false)
	_, _, client, err := g.talk(t, &tls.Config{ServerName: "pass.test", NextProtos: []string{"h2", "http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	rec := g.waitEnd(client)
	expectKeys(t, rec, endedRecord+helloFields+routeFields+"first_byte_ms mode")
	expectFields(t, rec, map[string]string{
		"type": "end", "listener": "tls", "source": client.String(), "destination": g.address("tls"),
		"sni": "pass.test", "alpn": "h2,http/1.1", "hello": "tls",
		"filter_chain": "pass", "tls": "passthrough", "cluster": "tls",
		"mode.received": "copy", "mode.sent": "copy",
		"flags": "", "termination.reason": "finished",
	})
	// The client says close_notify and then sends its FIN; the backend answers
	// the first with its own. Either may be read first.
	if side := within(rec, "termination", "side"); side != "downstream" && side != "upstream" {
		t.Errorf("termination.side is %q", side)
	}
	expectTimes(t, rec, "peek_ms", "connect_ms", "first_byte_ms")
	if got := attemptsOf(rec); !slices.Equal(got, []string{text(rec, "endpoint") + " connected"}) {
		t.Errorf("attempts are %q", got)
	}
}

// TestRecordCountsBytesAndNamesSockets with figures that the peers know, too.
func TestRecordCountsBytesAndNamesSockets(t *testing.T) {
	t.Parallel()
	const up, down = 300_000, 5 << 20
	peer := make(chan string, 1)
	p := startSluice(t, plainGateway("127.0.0.1:0", backend(t, func(c net.Conn) {
		peer <- c.RemoteAddr().String()
		if _, err := io.CopyN(io.Discard, c, up); err == nil {
			c.Write(pattern(down))
		}
	})))
	c := dial(t, p.address("tcp"))
	send(t, c, pattern(up))
	if n, end := drainToEnd(c); n != down || end != fin {
		t.Errorf("the client got %d bytes and %s, want %d and %s", n, end, down, fin)
	}
	c.Close()
	rec := p.waitEnd(c.LocalAddr())
	expectKeys(t, rec, endedRecord+routeFields+"first_byte_ms mode")
	expectFields(t, rec, map[string]string{"upstream_local": <-peer, "tls": "none", "mode.sent": "splice"})
	if r, s := number(rec, "bytes_received"), number(rec, "bytes_sent"); r != up || s != down {
		t.Errorf("bytes are %v and %v, want %d and %d", r, s, up, down)
	}
}

func TestRecordOfATerminatedConnection(t *testing.T) {
	t.Parallel()
	g := startTLSGateway(t, false)
	cert := g.clients.pair(certgen.Options{Client: true, Names: []string{"a.good.test"}})
	answer, cs, client, err := g.talk(t, &tls.Config{
		ServerName: "required.test", NextProtos: []string{"ours/1"}, Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	rec := g.waitEnd(client)
	expectKeys(t, rec, endedRecord+helloFields+routeFields+
		"first_byte_ms mode handshake_ms tls_version cipher resumed negotiated_alpn peer_sans")
	expectFields(t, rec, map[string]string{
		"sni": "required.test", "alpn": "ours/1", "hello": "tls",
		"filter_chain": "required", "tls": "terminated", "cluster": "plain",
		"tls_version": "TLS 1.3", "cipher": tls.CipherSuiteName(cs.CipherSuite), "negotiated_alpn": "ours/1",
		"flags": "", "termination.reason": "finished",
	})
	expectTimes(t, rec, "peek_ms", "handshake_ms", "connect_ms", "first_byte_ms")
	if got := texts(rec, "peer_sans"); !slices.Equal(got, []string{"a.good.test"}) {
		t.Errorf("peer_sans is %q", got)
	}
	// What the application said: neither the hello nor TLS's own bytes count.
	if r, s := number(rec, "bytes_received"), number(rec, "bytes_sent"); r != float64(len("hello\n")) || s != float64(len(answer)) {
		t.Errorf("bytes are %v and %v, want %d and %d", r, s, len("hello\n"), len(answer))
	}
}

func TestRecordOfARefusedConnection(t *testing.T) {
	t.Parallel()
	g := startTLSGateway(t, false)
	hello := hellotest.Builder{ServerNames: []string{"nobody.test"}, ALPN: []string{"h2"}}.Records()
	c := dial(t, g.address("tls"))
	send(t, c, hello)
	expectEnd(t, c, rst)
	rec := g.waitEnd(c.LocalAddr())
	expectKeys(t, rec, endedRecord+helloFields)
	expectFields(t, rec, map[string]string{
		"sni": "nobody.test", "alpn": "h2", "hello": "tls", "flags": "NR",
		"termination.reason": "no_filter_chain_match", "termination.side": "gateway"})
	if got := number(rec, "bytes_received"); got != float64(len(hello)) {
		t.Errorf("bytes_received is %v, want %d", got, len(hello))
	}

	c = dial(t, g.address("tls"))
	send(t, c, hellotest.Builder{ServerNames: []string{"a..test"}}.Records())
	expectEnd(t, c, rst)
	rec = g.waitEnd(c.LocalAddr())
	expectKeys(t, rec, endedRecord+"hello peek_ms error")
	expectFields(t, rec, map[string]string{"hello": "malformed", "error": "host name with an empty label", "flags": "LR"})
}

// TestWhatClientsSayIsCapped: a client cannot fill the disk with one hello.
func TestWhatClientsSayIsCapped(t *testing.T) {
	t.Parallel()
	g := startTLSGateway(t, false)
	var protocols []string
	for range 400 {
		protocols = append(protocols, strings.Repeat("\"\n", 10))
	}
	c := dial(t, g.address("tls"))
	send(t, c, hellotest.Builder{ServerNames: []string{"nobody.test"}, ALPN: protocols}.Records())
	expectEnd(t, c, rst)
	rec := g.waitEnd(c.LocalAddr())
	if got := len(asJSON(rec)); got > 1500 {
		t.Errorf("the record takes %d bytes", got)
	}
}

// TestRecordTypes: the four types in their order, each saying what is known by
// then, under one id.
func TestRecordTypes(t *testing.T) {
	t.Parallel()
	p := startSluice(t, plainGateway("127.0.0.1:0", echoBackend(t))+`
access_log {
  types    = ["start", "connected", "periodic", "end"]
  interval = "1s"
}
`)
	c := dial(t, p.address("tcp"))
	exchange(t, c, "hello")
	p.waitRecord(func(rec map[string]any) bool { // the second one, so that they repeat
		return text(rec, "type") == "periodic" && number(rec, "duration_ms") > 1900
	})
	exchange(t, c, "more")
	c.Close()
	p.waitEnd(c.LocalAddr())
	var types []string
	for _, rec := range p.records.all() {
		typ := text(rec, "type")
		types = append(types, typ)
		switch typ {
		case "start":
			expectKeys(t, rec, everyRecord)
		case "connected":
			expectKeys(t, rec, everyRecord+routeFields)
		case "periodic":
			expectKeys(t, rec, everyRecord+routeFields+"first_byte_ms bytes_received bytes_sent mode")
			if r, s := number(rec, "bytes_received"), number(rec, "bytes_sent"); r != 5 || s != 5 {
				t.Errorf("a periodic record counts %v and %v bytes, want 5 and 5", r, s)
			}
		case "end":
			expectKeys(t, rec, endedRecord+routeFields+"first_byte_ms mode")
		}
		if id := number(rec, "id"); id != number(p.records.all()[0], "id") {
			t.Errorf("the ids of one connection differ: %v", id)
		}
	}
	n := len(types)
	if types[0] != "start" || types[1] != "connected" || types[2] != "periodic" || types[3] != "periodic" || types[n-1] != "end" {
		t.Errorf("the types came as %q", types)
	}
}

// TestRecordsToStderrAndNone: the other places for them.
func TestRecordsToStderrAndNone(t *testing.T) {
	t.Parallel()
	for name, accessLog := range map[string]string{
		"stderr": `access_log { path = "stderr" }`,
		"none":   `access_log { enabled = false }`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startSluice(t, plainGateway("127.0.0.1:0", echoBackend(t))+accessLog+"\n")
			c := dial(t, p.address("tcp"))
			exchange(t, c, "hello")
			c.Close()
			if code := p.stop(); code != 0 {
				t.Errorf("the gateway exits with %d, want 0", code)
			}
			if got := strings.Contains(p.stderr.String(), c.LocalAddr().String()); got != (name == "stderr") {
				t.Errorf("a record on stderr: %v", got)
			}
			if got := p.records.all(); len(got) != 0 {
				t.Errorf("stdout has %v", got)
			}
		})
	}
}
