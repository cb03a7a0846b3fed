package proxy

import (
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestCompactAddrKeepsAddresses(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"192.0.2.1:443", "[2001:db8::1]:65535", "[::]:1", "0.0.0.0:0"} {
		ap := netip.MustParseAddrPort(s)
		if got := compact(ap).addrPort(); got != ap {
			t.Errorf("%s came back as %s", s, got)
		}
	}
	if got := compact(netip.AddrPort{}).addrPort(); got.IsValid() {
		t.Errorf("no address came back as %s", got)
	}
}

func TestMicroseconds(t *testing.T) {
	t.Parallel()
	f := func(d time.Duration, want uint32) {
		t.Helper()
		if got := microseconds(d); got != want {
			t.Errorf("%v: %d, want %d", d, got, want)
		}
	}
	f(0, 1) // it happened
	f(-time.Second, 1)
	f(1500*time.Nanosecond, 1)
	f(3*time.Second, 3_000_000)
	f(100*time.Hour, math.MaxUint32)
}

func TestTextFromClientsIsCappedAndShared(t *testing.T) {
	sh := newShared(protocolNames)
	f := func(list, want string) {
		t.Helper()
		if got := sh.text([]byte(list)); *got != want {
			t.Errorf("%q: %q, want %q", list, *got, want)
		}
	}
	if got := sh.text(nil); got != nil {
		t.Errorf("no list gives %q", *got)
	}
	f("\x02h2", "h2")
	f("\x02h2\x08http/1.1", "h2,http/1.1")
	if one, other := sh.text([]byte("\x02h2")), sh.text([]byte("\x02h2")); one != other {
		t.Error("two connections with one list do not share its text")
	}
	long := strings.Repeat("\x01a", 8000)
	if got := sh.text([]byte(long)); len(*got) != maxALPNLength {
		t.Errorf("a long list came out with %d bytes", len(*got))
	}
	first := sh.text([]byte("\x02h2"))
	for i := range 10 * sharedTexts {
		list := []byte{2, byte(i), byte(i >> 8)}
		if got, want := *sh.text(list), string(list[1:]); got != want {
			t.Fatalf("%q became %q", want, got)
		}
	}
	if *first != "h2" {
		t.Errorf("a text that was displaced reads %q", *first)
	}
	list := []byte("\x02h2")
	if got := testing.AllocsPerRun(100, func() { sh.text(list) }); got != 0 {
		t.Errorf("a known list costs %v allocations", got)
	}
}

func TestRecordTextIsJSON(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 25, 1, 2, 3, 4_999_999, time.FixedZone("", 3600))
	var text recordText
	text.begin()
	text.time("time", at)
	text.time("later", at.Add(996*time.Millisecond))
	for i, s := range awkward {
		text.str(fmt.Sprint("s", i), s)
	}
	text.optional("none", "")
	text.uint("uint", math.MaxUint64)
	text.bool("bool", true)
	text.took("took", 0)
	for _, us := range []uint32{1, 10, 100, 1000, 1001, 1010, 1100, 12_345_678} {
		text.took(fmt.Sprint("us", us), us)
	}
	text.address("address", netip.MustParseAddrPort("[2001:db8::1]:443"))
	text.address("unix", netip.AddrPort{})
	text.open("list", '[')
	for range 2 {
		text.object()
		text.str("a", "b")
		text.close('}')
	}
	text.item("c")
	text.item("d")
	text.close(']')
	text.open("empty", '{')
	text.close('}')
	text.end()
	want := map[string]any{
		"time": "2026-11-25T00:02:03.004Z", "later": "2026-11-25T00:02:04.000Z",
		"uint": json.Number("18446744073709551615"), "bool": true,
		"us1": json.Number("0.001"), "us10": json.Number("0.01"), "us100": json.Number("0.1"),
		"us1000": json.Number("1"), "us1001": json.Number("1.001"), "us1010": json.Number("1.01"),
		"us1100": json.Number("1.1"), "us12345678": json.Number("12345.678"),
		"address": "[2001:db8::1]:443",
		"list":    []any{map[string]any{"a": "b"}, map[string]any{"a": "b"}, "c", "d"},
		"empty":   map[string]any{},
	}
	for i, s := range awkward {
		want[fmt.Sprint("s", i)] = strings.ToValidUTF8(s, "\ufffd")
	}
	line := string(text.buf)
	if strings.Count(line, "\n") != 1 || line[len(line)-1] != '\n' {
		t.Errorf("it is not one line: %q", line)
	}
	d := json.NewDecoder(strings.NewReader(line))
	d.UseNumber()
	var got map[string]any
	if err := d.Decode(&got); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// awkward are texts that cannot stand in a record as they are.
var awkward = []string{"plain", "", `"`, `\`, "a\nb", "\x00", "\x1f", "\x7f", "\u2028", "\u00e9", "<&>", "bad \xff byte"}
