package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"os"
	"slices"
	"testing"
	"time"
)

func TestParentInStat(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		stat string
		want int
		ok   bool
	}{
		"plain":                        {"12 (nginx) S 7 12 12 0", 7, true},
		"blanks and ) in the name":     {"12 (a) b) (c) R 99 1 1", 99, true},
		"cut off after the name":       {"12 (nginx)", 0, false},
		"empty":                        {"", 0, false},
		"a parent that is no number":   {"12 (x) S y 1", 0, false},
		"a newline within parentheses": {"12 (x\ny) S 3 1", 3, true},
	} {
		got, ok := parentInStat([]byte(c.stat))
		if got != c.want || ok != c.ok {
			t.Errorf("%s: parentInStat(%q) = %d, %t, want %d, %t", name, c.stat, got, ok, c.want, c.ok)
		}
	}
}

func TestParseSchedstat(t *testing.T) {
	t.Parallel()
	got, err := parseSchedstat([]byte("1234567 89 10\n"))
	if err != nil || got != 1234567 {
		t.Errorf("parseSchedstat = %v, %v, want 1234567 ns", got, err)
	}
	if got, err := parseSchedstat([]byte("")); err == nil {
		t.Errorf("an empty file was read as %v", got)
	}
}

func TestParseBusy(t *testing.T) {
	t.Parallel()
	// user nice system idle iowait irq softirq steal guest: idle, iowait, steal
	// and guest are no work of this machine, or counted already.
	got, err := parseBusy([]byte("cpu  1 20 300 9999 9999 4000 50000 9999 9999 0\ncpu0 1 2\n"))
	if want := 54321 * tick; err != nil || got != want {
		t.Errorf("parseBusy = %v, %v, want %v", got, err, want)
	}
	if got, err := parseBusy([]byte("intr 1 2 3 4 5 6 7 8")); err == nil {
		t.Errorf("another line was read as %v", got)
	}
}

// The clocks must see this process work.
func TestOwnCPUTime(t *testing.T) {
	t.Parallel()
	self := []int{os.Getpid()}
	before, err := cpuTime(self)
	if err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); time.Since(began) < 50*time.Millisecond; {
		newPattern()
	}
	after, err := cpuTime(self)
	if err != nil {
		t.Fatal(err)
	}
	if after <= before {
		t.Errorf("50 ms of work, and the clock went from %v to %v", before, after)
	}
}

func TestMachineTimeIsNeverNegative(t *testing.T) {
	t.Parallel()
	before := reading{busy: 100, load: 10}
	if got := (reading{busy: 130, load: 15}).machineTime(before); got != 25 {
		t.Errorf("30 busy, 5 of them the load's: %d are left, want 25", got)
	}
	if got := (reading{busy: 100, load: 15}).machineTime(before); got != 0 {
		t.Errorf("no tick meanwhile: %d are left, want 0", got)
	}
}

func TestParseSlabinfo(t *testing.T) {
	t.Parallel()
	text := "slabinfo - version: 2.1\n# name <active_objs> <num_objs> <objsize>\n" +
		"TCP 10 20 2000 4 8 : tunables 0 0 0\ntw_sock_TCP 1000 1000 264 1 1\nfilp 3 4 256 1 1\n"
	got, err := parseSlabinfo([]byte(text))
	if want := int64(10*2000 + 3*256); err != nil || got != want {
		t.Errorf("parseSlabinfo = %d, %v, want %d: active objects, TIME_WAIT left out", got, err, want)
	}
	if got, err := parseSlabinfo([]byte("TCP ten 20 2000")); err == nil {
		t.Errorf("a word was read as %d", got)
	}
}

func TestKilobytesOf(t *testing.T) {
	t.Parallel()
	got, err := kilobytesOf([]byte("55 ---p 00 [rollup]\nRss:      12 kB\nPss: 1 kB\n"), "Rss:")
	if err != nil || got != 12<<10 {
		t.Errorf("kilobytesOf = %d, %v, want %d", got, err, 12<<10)
	}
	if got, err := kilobytesOf([]byte("Pss: 1 kB\n"), "Rss:"); err == nil {
		t.Errorf("a line that is not there was read as %d", got)
	}
}

func TestParseIperf(t *testing.T) {
	t.Parallel()
	got, err := parseIperf([]byte(`{"end":{"sum_received":{"bytes":5e9,"seconds":2.5}}}`))
	if err != nil || got.End.Received.Bytes != 5e9 || got.End.Received.Seconds != 2.5 {
		t.Errorf("parseIperf = %+v, %v", got, err)
	}
	for name, text := range map[string]string{
		"an error":       `{"end":{}, "error":"unable to connect"}`,
		"nothing moved":  `{"end":{"sum_received":{"bytes":0,"seconds":1}}}`,
		"no JSON at all": "iperf3: command not found",
	} {
		if got, err := parseIperf([]byte(text)); err == nil {
			t.Errorf("%s: read as %+v", name, got)
		}
	}
}

func TestRecordedHello(t *testing.T) {
	t.Parallel()
	hello, err := recordHello(benchedName)
	if err != nil {
		t.Fatal(err)
	}
	if len(benchedName) != 30 {
		t.Errorf("%q has %d bytes, the idle rows are for 30", benchedName, len(benchedName))
	}
	name, ok := serverName(hello)
	if !ok || string(name) != benchedName {
		t.Errorf("serverName of the recorded hello = %q, %t, want %q", name, ok, benchedName)
	}
	// crypto/tls must agree that this is a hello, with ALPN.
	var seen *tls.ClientHelloInfo
	err = tls.Server(&replay{Reader: bytes.NewReader(hello)}, &tls.Config{
		GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) { seen = h; return nil, os.ErrClosed },
	}).Handshake()
	if seen == nil || seen.ServerName != benchedName || !slices.Contains(seen.SupportedProtos, "h2") {
		t.Errorf("crypto/tls reads the recorded hello as %+v (%v)", seen, err)
	}
	for n := range hello {
		if name, ok := serverName(hello[:n]); ok && string(name) != benchedName {
			t.Fatalf("of the first %d bytes, serverName = %q", n, name)
		}
	}
}

func FuzzServerName(f *testing.F) {
	hello, err := recordHello(benchedName)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(hello)
	f.Add([]byte{recordHandshake, 3, 1, 0, 0})
	f.Fuzz(func(t *testing.T, record []byte) {
		if name, ok := serverName(record); ok && !bytes.Contains(record, name) {
			t.Errorf("%q is not in the record", name)
		}
	})
}

func TestRequestRoundTrip(t *testing.T) {
	t.Parallel()
	hello, err := recordHello(benchedName)
	if err != nil {
		t.Fatal(err)
	}
	want := request{serveEcho, 16 << 10}
	for name, prologue := range map[string][]byte{"plain": nil, "after a hello": hello} {
		sent := append(want.append(bytes.Clone(prologue)), "rest"...)
		from := bufio.NewReader(bytes.NewReader(sent))
		got, err := readRequest(from)
		if err != nil || got != want {
			t.Errorf("%s: readRequest = %+v, %v, want %+v", name, got, err, want)
		}
		if rest, err := from.Peek(4); string(rest) != "rest" {
			t.Errorf("%s: after the request comes %q, %v", name, rest, err)
		}
		for n := range len(sent) - len("rest") {
			if got, err := readRequest(bufio.NewReader(bytes.NewReader(sent[:n]))); err == nil {
				t.Fatalf("%s: %d bytes of it were read as %+v", name, n, got)
			}
		}
	}
	if got, err := readRequest(bufio.NewReader(bytes.NewReader([]byte("GET / HTTP/1.1\r\n\r\n")))); err == nil {
		t.Errorf("HTTP was read as %+v", got)
	}
}

func FuzzReadRequest(f *testing.F) {
	f.Add(request{serveDown, 1}.append(nil))
	f.Add(request{serveUp, 0}.append([]byte{recordHandshake, 3, 1, 0, 1, 0}))
	f.Fuzz(func(t *testing.T, sent []byte) {
		r, err := readRequest(bufio.NewReader(bytes.NewReader(sent)))
		if err == nil && (r.size < 0 || r.size > largestMessage || !bytes.Contains(sent, requestMagic[:])) {
			t.Errorf("%x was read as %+v", sent, r)
		}
	})
}

// The pattern must show every byte that is lost, doubled or changed at the
// beginning of a read.
func TestCheckPattern(t *testing.T) {
	t.Parallel()
	p := newPattern()
	if len(p) != patternSize {
		t.Fatalf("the pattern has %d bytes", len(p))
	}
	stream := append(bytes.Clone(p), p...)
	for _, at := range []int64{0, 1, 7, 1448, patternSize - 1, patternSize - checked, patternSize, patternSize + 3} {
		if err := checkPattern(p, stream[at:min(at+1000, int64(len(stream)))], at); err != nil {
			t.Errorf("what was sent is taken for something else: %v", err)
		}
		for _, shift := range []int64{1, 8, 1448, 4096} {
			wrong := stream[(at+shift)%patternSize:][:checked]
			if err := checkPattern(p, wrong, at); err == nil && at%patternSize < patternSize-8 {
				t.Errorf("at byte %d, %d lost bytes go unseen", at, shift)
			}
		}
	}
}
