package proxy

import (
	"encoding/json"
	"net/netip"
	"strconv"
	"time"
)

// recordText writes JSON objects, one to a line, into a buffer: the access
// records. A connection pays for one, so they are written by hand: zerolog, which
// the service log is written with, takes twice the time (BenchmarkRecord), and in
// a gateway that does little else its code has been displaced from the CPU's
// caches by the time of the next record.
type recordText struct {
	buf []byte
	// A time of day is the same as the one before up to its milliseconds, almost
	// always.
	second int64
	stamp  []byte
}

func (t *recordText) begin() { t.buf = append(t.buf, '{') }

func (t *recordText) end() { t.buf = append(t.buf, "}\n"...) }

// comma separates what comes from what is there.
func (t *recordText) comma() {
	if last := t.buf[len(t.buf)-1]; last != '{' && last != '[' {
		t.buf = append(t.buf, ',')
	}
}

// key begins a field. Its name is one of ours, which needs no escaping.
func (t *recordText) key(name string) {
	t.comma()
	t.buf = append(t.buf, '"')
	t.buf = append(t.buf, name...)
	t.buf = append(t.buf, `":`...)
}

// open begins an object or a list in a field.
func (t *recordText) open(name string, bracket byte) {
	t.key(name)
	t.buf = append(t.buf, bracket)
}

func (t *recordText) close(bracket byte) { t.buf = append(t.buf, bracket) }

// object begins an object in a list.
func (t *recordText) object() {
	t.comma()
	t.buf = append(t.buf, '{')
}

// item adds a text to a list.
func (t *recordText) item(s string) {
	t.comma()
	t.quote(s)
}

func (t *recordText) str(name, s string) {
	t.key(name)
	t.quote(s)
}

// optional adds a text if there is one.
func (t *recordText) optional(name, s string) {
	if s != "" {
		t.str(name, s)
	}
}

// quote adds a string. What is not plain ASCII is rare.
func (t *recordText) quote(s string) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, err := json.Marshal(s)
			if err != nil {
				panic("BUG: proxy: a string is no JSON: " + err.Error())
			}
			t.buf = append(t.buf, quoted...)
			return
		}
	}
	t.buf = append(t.buf, '"')
	t.buf = append(t.buf, s...)
	t.buf = append(t.buf, '"')
}

func (t *recordText) uint(name string, n uint64) {
	t.key(name)
	t.buf = strconv.AppendUint(t.buf, n, 10)
}

func (t *recordText) bool(name string, v bool) {
	t.key(name)
	t.buf = strconv.AppendBool(t.buf, v)
}

// took adds a time that was measured, if it was.
func (t *recordText) took(name string, us uint32) {
	if us > 0 {
		t.milliseconds(name, uint64(us))
	}
}

// milliseconds adds a time, given in microseconds, with the decimals that it has.
func (t *recordText) milliseconds(name string, us uint64) {
	t.key(name)
	t.buf = strconv.AppendUint(t.buf, us/1000, 10)
	rest := us % 1000
	if rest == 0 {
		return
	}
	t.buf = append(t.buf, '.')
	for unit := uint64(100); rest > 0; unit /= 10 {
		t.buf = append(t.buf, '0'+byte(rest/unit))
		rest %= unit
	}
}

// time adds a time of day in UTC with milliseconds.
func (t *recordText) time(name string, at time.Time) {
	ms := at.UnixMilli()
	second, rest := ms/1000, ms%1000
	if t.stamp == nil || second != t.second {
		t.second = second
		t.stamp = at.UTC().AppendFormat(t.stamp[:0], `"2006-01-02T15:04:05.`)
	}
	t.key(name)
	t.buf = append(t.buf, t.stamp...)
	t.buf = append(t.buf, '0'+byte(rest/100), '0'+byte(rest/10%10), '0'+byte(rest%10), 'Z', '"')
}

// address adds an address; a unix socket has none.
func (t *recordText) address(name string, ap netip.AddrPort) {
	if !ap.IsValid() {
		return
	}
	t.key(name)
	t.buf = append(t.buf, '"')
	t.buf = ap.AppendTo(t.buf)
	t.buf = append(t.buf, '"')
}
