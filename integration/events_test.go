package integration

import (
	"bufio"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for what has to happen. It is only ever
// used up by a test that fails, so it is generous.
const patience = 30 * time.Second

// event is one line that the gateway wrote: an access record, or a line of the
// service log. A line that is not JSON is {"text": line}.
type event = map[string]any

// events collects what is read from one of the gateway's outputs. Any
// goroutine may use it.
type events struct {
	mu      sync.Mutex // guards what follows
	list    []event
	closed  bool
	changed chan struct{} // closed at the next change
}

func newEvents() *events { return &events{changed: make(chan struct{})} }

// read takes lines until the output ends.
func (e *events) read(r io.Reader) {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			e.add(line)
		}
		if err != nil {
			e.mu.Lock()
			e.closed = true
			e.tellLocked()
			e.mu.Unlock()
			return
		}
	}
}

func (e *events) add(line []byte) {
	var ev event
	if json.Unmarshal(line, &ev) != nil {
		ev = event{"text": string(line)}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, ev)
	e.tellLocked()
}

func (e *events) tellLocked() {
	close(e.changed)
	e.changed = make(chan struct{})
}

// after gives the events from the n-th on, and a channel that tells of more.
func (e *events) after(n int) (list []event, closed bool, changed <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.list[min(n, len(e.list)):]), e.closed, e.changed
}

// all gives every event so far.
func (e *events) all() []event {
	list, _, _ := e.after(0)
	return list
}

// wait gives the first event that matches, from the beginning of the output
// on, and nil when the output ends or patience does.
func (e *events) wait(match func(event) bool) event {
	timeout := time.After(patience)
	for seen := 0; ; {
		list, closed, changed := e.after(seen)
		for _, ev := range list {
			if match(ev) {
				return ev
			}
		}
		if closed {
			return nil
		}
		seen += len(list)
		select {
		case <-changed:
		case <-timeout:
			return nil
		}
	}
}

// text gives a string field of an event, "" when there is none.
func text(ev event, field string) string {
	s, _ := ev[field].(string)
	return s
}

// number gives a numeric field of an event, 0 when there is none.
func number(ev event, field string) float64 {
	n, _ := ev[field].(float64)
	return n
}

// within gives a text of an object within an event, as in termination.reason.
func within(ev event, object, field string) string {
	o, _ := ev[object].(event)
	return text(o, field)
}

// expectFields compares string fields of a record; "object.field" goes one
// deeper, and the empty text stands for a field that is absent or empty.
func expectFields(t *testing.T, rec event, want map[string]string) {
	t.Helper()
	for field, value := range want {
		got := text(rec, field)
		if o, f, nested := strings.Cut(field, "."); nested {
			got = within(rec, o, f)
		}
		if got != value {
			t.Errorf("record field %s is %q, want %q\nrecord: %s", field, got, value, asJSON(rec))
		}
	}
}

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("BUG: integration: an event that was JSON is no longer")
	}
	return string(b)
}

// texts gives a field that is a list of strings.
func texts(ev event, field string) []string {
	list, _ := ev[field].([]any)
	var out []string
	for _, v := range list {
		s, _ := v.(string)
		out = append(out, s)
	}
	return out
}
