package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/proxy/status"
)

// stream is an answer of /events.
type stream struct {
	t      *testing.T
	answer *http.Response
	lines  *bufio.Scanner
	cancel context.CancelFunc
}

// watch begins to read /events.
func (s *served) watch(t *testing.T, query string) *stream {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", s.base+"/events"+query, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	st := &stream{t, answer, bufio.NewScanner(answer.Body), cancel}
	st.lines.Buffer(nil, 1<<20)
	t.Cleanup(st.close)
	if answer.StatusCode != 200 || answer.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("/events%s gives %d %v", query, answer.StatusCode, answer.Header)
	}
	return st
}

func (st *stream) close() {
	st.cancel()
	st.answer.Body.Close()
}

// next gives the next event, and false at the end of the stream.
func (st *stream) next() (name, data string, ok bool) {
	for st.lines.Scan() {
		switch line := st.lines.Text(); {
		case strings.HasPrefix(line, "event: "):
			name = line[len("event: "):]
		case strings.HasPrefix(line, "data: "):
			data = line[len("data: "):]
		case line == "" && data != "":
			return name, data, true
		}
	}
	return "", "", false
}

func TestFlow(t *testing.T) {
	t.Parallel()
	s := serve(t, loopback(t, ""))
	st := s.watch(t, "")
	var before time.Time
	for range 2 {
		name, data, ok := st.next()
		var flow Flow
		if err := json.Unmarshal([]byte(data), &flow); !ok || name != "flow" || err != nil {
			t.Fatalf("the event is %q %s %v", name, data, err)
		}
		if asJSON(flow.Listeners) != asJSON(s.gateway.Listeners()) || asJSON(flow.Clusters) != asJSON(s.gateway.Clusters()) ||
			asJSON(flow.Endpoints) != asJSON(s.gateway.Endpoints()) || !reflect.DeepEqual(flow.Server, s.gateway.Server()) {
			t.Errorf("the event is %s", data)
		}
		if !flow.Time.After(before) {
			t.Errorf("the event of %v came after that of %v", flow.Time, before)
		}
		before = flow.Time
	}
}

func TestConnectionsAreWatched(t *testing.T) {
	t.Parallel()
	s := serve(t, loopback(t, ""))
	st := s.watch(t, "?topics=flow,connections&sni=app.example.com&limit=5")
	page, _ := s.gateway.Connections(t.Context(), status.ConnectionFilter{})
	seen := map[string]bool{}
	for len(seen) < 2 {
		name, data, ok := st.next()
		if !ok {
			t.Fatalf("the stream has ended; there was %v", seen)
		}
		if name == "connections" && data != asJSON(page) {
			t.Errorf("the event is %s, want %s", data, asJSON(page))
		}
		seen[name] = true
	}
	if !seen["flow"] || !seen["connections"] {
		t.Errorf("there was %v", seen)
	}
	s.gateway.mu.Lock()
	defer s.gateway.mu.Unlock()
	if want := (status.ConnectionFilter{SNI: "app.example.com", Limit: 5}); !slices.Contains(s.gateway.filters, want) {
		t.Errorf("the filters are %+v, want %+v", s.gateway.filters, want)
	}
}

// TestStreamsEndWithTheServer: whoever watches does not keep the gateway from
// ending.
func TestStreamsEndWithTheServer(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]func(*testing.T) *served{
		"loopback": func(t *testing.T) *served { return serve(t, loopback(t, "")) },
		"socket":   func(t *testing.T) *served { return serve(t, socket(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := cfg(t)
			var streams []*stream
			for range 3 {
				st := s.watch(t, "?topics=flow,connections")
				st.next()
				streams = append(streams, st)
			}
			// A request that is not answered, and a connection without one.
			s.gateway.mu.Lock()
			s.gateway.stuck = true
			s.gateway.mu.Unlock()
			began := time.Now()
			s.server.Close()
			s.server.Close()
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("it took %v", took)
			}
			for _, st := range streams {
				for {
					if _, _, ok := st.next(); !ok {
						break
					}
				}
			}
		})
	}
}

// TestTooManyStreams: they are counted, and given back.
func TestTooManyStreams(t *testing.T) {
	t.Parallel()
	s := serve(t, loopback(t, ""))
	var streams []*stream
	for range maxStreams {
		streams = append(streams, s.watch(t, ""))
	}
	s.expect("GET", "/events", "", 503, "")
	s.expect("GET", "/listeners", "", 200, "")
	streams[0].close()
	for {
		answer, _ := s.ask("GET", "/events", "")
		if answer.StatusCode == 200 {
			break
		}
	}
}

// TestWatchersShare: what many watch is asked for once an interval.
func TestWatchersShare(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newFake()
		h := newHub(g, time.Second)
		flow := []topic{{name: "flow"}}
		var watchers []*watcher
		for range 5 {
			w, err := h.watch(flow)
			if err != nil {
				t.Fatal(err)
			}
			watchers = append(watchers, w)
			synctest.Wait()
		}
		for range 10 {
			for _, w := range watchers {
				<-w.messages
			}
		}
		if n := g.asked.Load(); n != 10 {
			t.Errorf("the gateway was asked %d times for 10 events of 5 watchers", n)
		}
		for _, w := range watchers {
			h.leave(w)
			h.leave(w)
		}
		time.Sleep(10 * time.Second)
		if n := g.asked.Load(); n != 10 {
			t.Errorf("the gateway is asked when nobody watches: %d times", n)
		}
		if len(h.feeds) != 0 {
			t.Errorf("%d feeds are left", len(h.feeds))
		}
		h.close()
	})
}

// TestSlowWatchers are dropped, and nobody else waits for them.
func TestSlowWatchers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub(newFake(), time.Second)
		slow, err := h.watch([]topic{{name: "flow"}, {name: "connections"}})
		if err != nil {
			t.Fatal(err)
		}
		quick, err := h.watch([]topic{{name: "flow"}})
		if err != nil {
			t.Fatal(err)
		}
		for range 10 * maxBehind {
			if _, ok := <-quick.messages; !ok {
				t.Fatal("who reads was dropped")
			}
		}
		n := 0
		for range slow.messages {
			n++
		}
		if n != 2*maxBehind {
			t.Errorf("who did not read has got %d messages, want %d", n, 2*maxBehind)
		}
		if len(h.feeds) != 1 {
			t.Errorf("%d feeds are left, want that of the other one", len(h.feeds))
		}
		h.leave(slow)
		h.close()
		if _, err := h.watch([]topic{{name: "flow"}}); err == nil {
			t.Error("somebody can watch what was closed")
		}
	})
}

// TestStuckGateway: a watcher hears of a gateway that does not answer.
func TestStuckGateway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newFake()
		g.stuck = true
		h := newHub(g, time.Second)
		w, err := h.watch([]topic{{name: "connections"}})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := string(<-w.messages), "event: failure\ndata: {\"error\":\"context deadline exceeded\"}\n\n"; got != want {
			t.Errorf("the event is %q, want %q", got, want)
		}
		h.close()
	})
}
