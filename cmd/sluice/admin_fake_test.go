package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"sluice/proxy/status"
)

// fakeAdmin answers as the admin API does, about what is in the dump.
type fakeAdmin struct {
	dump    status.Dump
	token   string // "": whoever asks may change things
	posts   chan string
	watched chan string // queries of /events
	ends    bool        // it ends them by itself
	address string
}

func newFakeAdmin(t *testing.T) *fakeAdmin {
	t.Helper()
	text, err := os.ReadFile(dumpFile)
	if err != nil {
		t.Fatal(err)
	}
	g := &fakeAdmin{posts: make(chan string, 100), watched: make(chan string, 100)}
	if err := json.Unmarshal(text, &g.dump); err != nil {
		t.Fatal(err)
	}
	return g
}

func startFakeAdmin(t *testing.T) *fakeAdmin {
	t.Helper()
	g := newFakeAdmin(t)
	s := httptest.NewServer(g)
	t.Cleanup(s.Close)
	g.address = strings.TrimPrefix(s.URL, "http://")
	return g
}

// ServeHTTP implements [http.Handler].
func (g *fakeAdmin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		g.change(w, r)
		return
	}
	q := r.URL.Query()
	switch r.URL.Path {
	case "/server_info":
		answer(w, g.dump.Server)
	case "/dump":
		answer(w, g.dump)
	case "/logging":
		answer(w, map[string]string{"level": "warn"})
	case "/events":
		g.tell(w, r)
	case "/listeners":
		answerFiltered(w, q, g.dump.Listeners, new(status.ListenerFilter), status.FilterListeners)
	case "/routes":
		answerFiltered(w, q, g.dump.Routes, new(status.RouteFilter), status.FilterRoutes)
	case "/clusters":
		answerFiltered(w, q, g.dump.Clusters, new(status.ClusterFilter), status.FilterClusters)
	case "/endpoints":
		answerFiltered(w, q, g.dump.Endpoints, new(status.EndpointFilter), status.FilterEndpoints)
	case "/secrets":
		answerFiltered(w, q, g.dump.Secrets, new(status.SecretFilter), status.FilterSecrets)
	case "/connections":
		var f status.ConnectionFilter
		if err := f.SetQuery(q); err != nil {
			refuse(w, http.StatusBadRequest, err.Error())
			return
		}
		page := status.FilterConnections(g.dump.Connections.Connections, f)
		page.Total = g.dump.Connections.Total
		answer(w, page)
	default:
		refuse(w, http.StatusNotFound, "there is nothing at "+r.URL.Path)
	}
}

// tell sends the page that is asked for twice, among other things.
func (g *fakeAdmin) tell(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	q.Del("topics")
	var f status.ConnectionFilter
	if err := f.SetQuery(q); err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	g.watched <- r.URL.RawQuery
	w.Header().Set("Content-Type", "text/event-stream")
	text, err := json.Marshal(status.FilterConnections(g.dump.Connections.Connections, f))
	if err != nil {
		panic(fmt.Sprint("BUG: ", err))
	}
	fmt.Fprintf(w, ": a comment\nretry: 1000\nevent: flow\ndata: {}\n\n")
	for range 2 {
		fmt.Fprintf(w, "event: connections\nid: 1\ndata: %s\n\n", text)
	}
	if g.ends {
		return
	}
	w.(http.Flusher).Flush()
	<-r.Context().Done()
}

func (g *fakeAdmin) change(w http.ResponseWriter, r *http.Request) {
	switch {
	case g.token != "" && r.Header.Get("Authorization") != "Bearer "+g.token:
		refuse(w, http.StatusUnauthorized, r.URL.Path+" needs the token")
	case r.URL.Path == "/connections/404/kill":
		refuse(w, http.StatusNotFound, "there is no connection 404")
	case r.URL.Path == "/reload":
		refuse(w, http.StatusNotImplemented, "this version does not reload: restart it")
	default:
		g.posts <- r.URL.RequestURI()
		answer(w, map[string]string{"result": "done: " + r.URL.Path})
	}
}

// filterOf is a pointer to a filter.
type filterOf[F any] interface {
	*F
	SetQuery(url.Values) error
}

// answerFiltered answers as SetQuery and the filter of the list have it.
func answerFiltered[T, F any, P filterOf[F]](w http.ResponseWriter, q url.Values, all []T, f P, filter func([]T, F) []T) {
	if err := f.SetQuery(q); err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	answer(w, filter(all, *f))
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		panic(fmt.Sprint("BUG: ", err))
	}
}

func refuse(w http.ResponseWriter, status int, words string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, "{\"error\": %q}\n", words)
}
