package handoff

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// numbered answers with a generation's number and what it was asked.
func numbered(n int) Answer {
	return func(q Question) ([]byte, error) {
		return json.Marshal(fmt.Sprintf("%d: %s %s", n, q.Name, q.Arguments))
	}
}

// ask asks and gives the answers, or what went wrong.
func ask(t *testing.T, e *Elders, q Question) (list []string) {
	t.Helper()
	for _, r := range e.Ask(t.Context(), q) {
		if r.Err != nil {
			list = append(list, r.Err.Error())
			continue
		}
		var text string
		if err := json.Unmarshal(r.Answer, &text); err != nil {
			t.Fatal(err)
		}
		list = append(list, text)
	}
	return list
}

// TestGenerations: the newest process reaches all that drain, however many
// hand-overs lie between.
func TestGenerations(t *testing.T) {
	first := &generation{}
	second := first.succeed(t, 2, numbered(1))
	third := second.succeed(t, 3, numbered(2))
	fourth := third.succeed(t, 4, numbered(3))
	q := Question{Name: "status", Arguments: json.RawMessage(`{"a":1}`)}
	expect := func(want ...string) {
		t.Helper()
		if got := ask(t, fourth.Elders, q); strings.Join(got, ", ") != strings.Join(want, ", ") {
			t.Errorf("the answers are %q, want %q", got, want)
		}
	}
	expect(`1: status {"a":1}`, `2: status {"a":1}`, `3: status {"a":1}`)

	// A generation between them ends, which is nothing to the others.
	second.Elders.Close()
	second.Close()
	expect(`1: status {"a":1}`, `3: status {"a":1}`)
	expect(`1: status {"a":1}`, `3: status {"a":1}`)

	// What has ended is not handed on.
	fifth := fourth.succeed(t, 5, numbered(4))
	if n := len(fifth.Elders.all()); n != 3 {
		t.Errorf("%d elders are handed on, want 3", n)
	}
	fourth.Elders.Close()
	first.Close()
	third.Close()
	sixth := fifth.succeed(t, 6, numbered(5))
	if got := ask(t, sixth.Elders, q); len(got) != 2 {
		t.Errorf("the answers are %q, want those of 4 and 5", got)
	}
}

// TestManyAskAtOnce, of a large answer: each gets its own.
func TestManyAskAtOnce(t *testing.T) {
	large := strings.Repeat("x", 1<<20)
	first := &generation{}
	second := first.succeed(t, 2, func(q Question) ([]byte, error) { return json.Marshal(q.Name + large) })
	third := second.succeed(t, 3, numbered(2))
	var asking sync.WaitGroup
	for i := range 8 {
		asking.Go(func() {
			name := fmt.Sprint("question ", i)
			got := ask(t, third.Elders, Question{Name: name})
			if len(got) != 2 || got[0] != name+large || got[1] != "2: "+name+" " {
				t.Errorf("%s: %d answers, the first of %d bytes", name, len(got), len(got[0]))
			}
		})
	}
	asking.Wait()
}

// TestAnswersThatDoNotCome: an error is passed on, and silence has an end.
func TestAnswersThatDoNotCome(t *testing.T) {
	release := make(chan struct{})
	answered := make(chan struct{})
	first := &generation{}
	second := first.succeed(t, 2, func(q Question) ([]byte, error) {
		if q.Name == "silence" {
			defer close(answered)
			<-release
		}
		return nil, errors.New("it is not known")
	})
	if got := ask(t, second.Elders, Question{Name: "weather"}); len(got) != 1 || !strings.Contains(got[0], "it is not known") {
		t.Errorf("%q", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if r := second.Elders.Ask(ctx, Question{Name: "silence"}); len(r) != 1 || r[0].Err == nil {
		t.Errorf("%+v", r)
	}
	close(release)
	<-answered
	if got := ask(t, second.Elders, Question{Name: "weather"}); len(got) != 1 {
		t.Errorf("it is not asked any more: %q", got)
	}
}
