package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"sluice/proxy/status"
)

const (
	// eventInterval is how often a watcher hears something.
	eventInterval = time.Second
	// maxStreams is how many may watch at once.
	maxStreams = 32
	// streamPatience is how long a watcher may take to read one message.
	streamPatience = 10 * time.Second
	// maxBehind is how many messages may wait for a watcher before it is
	// dropped, beside those in the buffers of its connection.
	maxBehind = 4
)

// Flow is the event of that name: everything that a picture of what flows needs.
// Counters are of all time; a rate is the difference of two.
type Flow struct {
	Time      time.Time         `json:"time"`
	Server    status.Server     `json:"server"`
	Listeners []status.Listener `json:"listeners"`
	Clusters  []status.Cluster  `json:"clusters"`
	Endpoints []status.Endpoint `json:"endpoints"`
}

// topic is something to be watched. All who watch the same share one ticker and
// one message, however many they are.
type topic struct {
	name   string // flow connections
	filter status.ConnectionFilter
}

// hub has the feeds of all topics that somebody watches. Its methods may be
// called by any goroutine.
type hub struct {
	gateway  Gateway
	interval time.Duration
	ctx      context.Context // ends what is being asked
	cancel   context.CancelFunc
	running  sync.WaitGroup // feeds

	mu       sync.Mutex // guards what follows, and the watchers of the feeds
	closed   bool
	feeds    map[topic]*feed
	watchers map[*watcher]bool
}

// feed is a topic that is watched, and the goroutine that makes its messages.
type feed struct {
	topic    topic
	last     []byte
	watchers map[*watcher]bool
	stop     chan struct{} // closed when nobody is left
}

// watcher is one who watches.
type watcher struct {
	topics   []topic
	messages chan []byte // closed when it was dropped, and at the end
}

func newHub(g Gateway, interval time.Duration) *hub {
	h := &hub{gateway: g, interval: interval, feeds: map[topic]*feed{}, watchers: map[*watcher]bool{}}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	return h
}

// close ends all streams, and returns when no feed is left.
func (h *hub) close() {
	h.mu.Lock()
	h.closed = true
	for w := range h.watchers {
		h.dropLocked(w)
	}
	h.mu.Unlock()
	h.cancel()
	h.running.Wait()
}

// watch begins to send messages on the topics. Each watcher has to be left.
func (h *hub) watch(topics []topic) (*watcher, error) {
	w := &watcher{topics: topics, messages: make(chan []byte, maxBehind*len(topics))}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return nil, fail(http.StatusServiceUnavailable, "the gateway ends")
	case len(h.watchers) >= maxStreams:
		return nil, fail(http.StatusServiceUnavailable, "there are %d streams of events already, which is as many as there may be: close one", maxStreams)
	}
	h.watchers[w] = true
	for _, t := range topics {
		f := h.feeds[t]
		if f == nil {
			f = &feed{topic: t, watchers: map[*watcher]bool{}, stop: make(chan struct{})}
			h.feeds[t] = f
			h.running.Add(1)
			go h.run(f)
		}
		f.watchers[w] = true
		if f.last != nil {
			w.messages <- f.last // there is room: nobody else sends yet
		}
	}
	return w, nil
}

// leave ends what watch has begun. It may be called again.
func (h *hub) leave(w *watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dropLocked(w)
}

func (h *hub) dropLocked(w *watcher) {
	if !h.watchers[w] {
		return
	}
	delete(h.watchers, w)
	close(w.messages)
	for _, t := range w.topics {
		f := h.feeds[t]
		delete(f.watchers, w)
		if len(f.watchers) == 0 {
			delete(h.feeds, t)
			close(f.stop)
		}
	}
}

// run makes the messages of a topic until nobody watches it any more.
func (h *hub) run(f *feed) {
	defer h.running.Done()
	tick := time.NewTicker(h.interval)
	defer tick.Stop()
	for {
		h.send(f, h.message(f.topic))
		select {
		case <-tick.C:
		case <-f.stop:
			return
		}
	}
}

// send gives a message to all watchers of a topic, and drops those who do not
// read: nobody waits for them.
func (h *hub) send(f *feed, message []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f.last = message
	for w := range f.watchers {
		select {
		case w.messages <- message:
		default:
			h.dropLocked(w)
		}
	}
}

// message is what is to be said about a topic now.
func (h *hub) message(t topic) []byte {
	name, data := t.name, any(nil)
	if t.name == "flow" {
		g := h.gateway
		data = Flow{Time: time.Now().UTC(), Server: g.Server(), Listeners: g.Listeners(), Clusters: g.Clusters(), Endpoints: g.Endpoints()}
	} else {
		ctx, cancel := context.WithTimeout(h.ctx, gatewayPatience)
		defer cancel()
		page, err := h.gateway.Connections(ctx, t.filter)
		data = page
		if err != nil {
			name, data = "failure", map[string]string{"error": err.Error()}
		}
	}
	text, err := json.Marshal(data)
	if err != nil {
		panic("BUG: admin: an event that is no JSON: " + err.Error())
	}
	return fmt.Appendf(nil, "event: %s\ndata: %s\n\n", name, text)
}

// events answers with a stream of server-sent events.
func (s *site) events(w http.ResponseWriter, r *http.Request) error {
	topics, err := topicsOf(r)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // a proxy must pass events on as they come
	if r.Method == http.MethodHead {
		return nil
	}
	watcher, err := s.server.hub.watch(topics)
	if err != nil {
		return err
	}
	defer s.server.hub.leave(watcher)
	conn := http.NewResponseController(w)
	// Errors from here on are that the client is gone.
	_ = conn.SetReadDeadline(time.Time{})
	for {
		select {
		case message, ok := <-watcher.messages:
			if !ok {
				return nil
			}
			_ = conn.SetWriteDeadline(time.Now().Add(streamPatience))
			if _, err := w.Write(message); err != nil {
				return nil
			}
			if err := conn.Flush(); err != nil {
				return nil
			}
		case <-r.Context().Done():
			return nil
		}
	}
}

// topicsOf reads what is to be watched: flow, when nothing is said.
func topicsOf(r *http.Request) ([]topic, error) {
	query := r.URL.Query()
	names := []string{"flow"}
	if query.Has("topics") {
		names = strings.Split(query.Get("topics"), ",")
		query.Del("topics")
	}
	var filter status.ConnectionFilter
	if err := setQuery(&filter, query); err != nil {
		return nil, err
	}
	var topics []topic
	for _, name := range names {
		t := topic{name: name}
		switch name {
		case "flow":
		case "connections":
			t.filter = filter
		default:
			return nil, fail(http.StatusBadRequest, "there is no topic %q: there are flow and connections", name)
		}
		if !slices.Contains(topics, t) {
			topics = append(topics, t)
		}
	}
	return topics, nil
}
