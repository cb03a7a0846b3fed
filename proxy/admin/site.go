package admin

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/agext/levenshtein"
)

// maxBody is how much a request may bring: a captured ClientHello of 64 KiB in
// base64, with room to spare.
const maxBody = 128 << 10

// handler answers a request. With an error it has written nothing yet.
type handler func(w http.ResponseWriter, r *http.Request) error

// site is what one address answers with. Its methods are called by any number of
// goroutines; nothing in it changes once it is made.
type site struct {
	server *Server
	door   door
	mux    *http.ServeMux
	routes []route  // that are listed
	public []string // the first parts of their paths, for who has misspelt one
}

// newSite makes the site behind a door. It has no routes yet.
func newSite(server *Server, d door) *site {
	return &site{server: server, door: d, mux: http.NewServeMux()}
}

// list adds routes that a client can be told of.
func (s *site) list(routes []route) {
	s.routes = append(s.routes, routes...)
	for _, rt := range routes {
		before, _, _ := strings.Cut(rt.path, "{")
		if path := strings.TrimSuffix(before, "/"); path != "" && !slices.Contains(s.public, path) {
			s.public = append(s.public, path)
		}
	}
	s.add(routes)
}

// add adds routes.
func (s *site) add(routes []route) {
	for _, rt := range routes {
		s.mux.HandleFunc(rt.method+" "+rt.path, s.serve(rt))
	}
}

// ServeHTTP implements [http.Handler]. First of all it turns away what a web
// page has made a browser send.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.server.begin() {
		panic(http.ErrAbortHandler) // its connection is closed already
	}
	defer s.server.running.Done()
	setHeaders(w.Header())
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if !s.door.knowsHost(r) {
		writeError(w, fail(http.StatusMisdirectedRequest, "the Host header names %q, which is not this gateway: ask by its address, or by a name of its certificate", r.Host))
		return
	}
	h, pattern := s.mux.Handler(r)
	if fromElsewhere(r) && (pattern != "GET /{$}" || !isNavigation(r)) {
		writeError(w, fail(http.StatusForbidden, "a page of another origin has sent this, and may neither read nor change anything here"))
		return
	}
	if pattern == "" {
		writeError(w, s.miss(w, r, h))
		return
	}
	s.mux.ServeHTTP(w, r)
}

// serve is what is done for a request on a route.
func (s *site) serve(rt route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := s.callerOf(r)
		if err == nil {
			err = s.admit(c, &rt, r)
		}
		if err == nil {
			err = rt.checkQuery(r)
		}
		if err == nil {
			err = rt.handle(w, r.WithContext(withCaller(r.Context(), c)))
		}
		if err == nil {
			return
		}
		if statusOf(err) == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", "Bearer")
		}
		writeError(w, err)
	}
}

// checkQuery makes an error of a parameter that there is none of, which would
// otherwise be taken to mean everything.
func (rt *route) checkQuery(r *http.Request) error {
	known := strings.Fields(rt.params)
	if rt.params == "*" {
		return nil
	}
	for name := range r.URL.Query() {
		switch {
		case slices.Contains(known, name):
		case len(known) == 0:
			return fail(http.StatusBadRequest, "%s takes no parameters, and so no %q", r.URL.Path, name)
		default:
			return fail(http.StatusBadRequest, "%s takes no parameter %q: there are %s", r.URL.Path, name, strings.Join(known, ", "))
		}
	}
	return nil
}

// miss is what is wrong with a request for which there is no route. The handler
// is what the mux would answer with.
func (s *site) miss(w http.ResponseWriter, r *http.Request, answer http.Handler) error {
	rec := recorder{header: http.Header{}}
	answer.ServeHTTP(&rec, r)
	if rec.status == http.StatusMethodNotAllowed {
		allowed := rec.header.Get("Allow")
		w.Header().Set("Allow", allowed)
		return fail(rec.status, "%s takes %s, not %s", r.URL.Path, allowed, r.Method)
	}
	if near := s.nearest(r.URL.Path); near != "" {
		return fail(http.StatusNotFound, "there is no %s here. Did you mean %s?", r.URL.Path, near)
	}
	return fail(http.StatusNotFound, "there is no %s here: there are %s", r.URL.Path, strings.Join(s.public, ", "))
}

// nearest is the path that another one was probably meant to be, or "".
func (s *site) nearest(path string) string {
	const longest = 64
	if len(path) > longest {
		return ""
	}
	best, limit := "", len(path)/3+1
	for _, known := range s.public {
		if d := levenshtein.Distance(path, known, nil); d < limit {
			best, limit = known, d
		}
	}
	return best
}

// recorder keeps what the mux says about a request that it has no handler for.
type recorder struct {
	header http.Header
	status int
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(p []byte) (int, error) { return len(p), nil }

// read answers with what f gives.
func read(f func(*http.Request) (any, error)) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		v, err := f(r)
		if err == nil {
			writeJSON(w, http.StatusOK, v)
		}
		return err
	}
}

// result is the answer to a change.
type result struct {
	Result string `json:"result"`
}

// changeTimeout is how long a change may take: a reload reads and compiles a
// configuration.
const changeTimeout = 2 * time.Minute

// change answers with what was done, and notes it: who has changed something
// stands in the log.
func (s *site) change(f func(*http.Request) (string, error)) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		// The errors are that the connection is gone.
		conn := http.NewResponseController(w)
		_ = conn.SetReadDeadline(time.Now().Add(changeTimeout))
		_ = conn.SetWriteDeadline(time.Now().Add(changeTimeout))
		done, err := f(r)
		if err != nil {
			return err
		}
		s.server.log.Info().Str("request", r.Method+" "+r.URL.RequestURI()).Str("by", callerIn(r.Context()).String()).
			Str("from", r.RemoteAddr).Str("result", done).Msg("changed over the admin API")
		writeJSON(w, http.StatusOK, result{done})
		return nil
	}
}

// plain is a handler of the standard library, which takes as long as it was
// asked to: it sets the deadline for its answer itself.
func plain(f http.HandlerFunc) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		// The deadline of the request would end it. The error is that the
		// connection is gone.
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
		f(w, r)
		return nil
	}
}
