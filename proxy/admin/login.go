package admin

import (
	"crypto/rand"
	"net/http"
	"sync"
	"time"
)

const (
	// sessionTime is how long a login is good for: a working day.
	sessionTime = 12 * time.Hour
	// maxSessions is far more than people look at one gateway; the oldest makes
	// room for the next.
	maxSessions = 64
)

// sessions are logins of the page. The cookie is a random number rather than the
// token, because browsers send it to whatever runs on other ports of the same
// host, too: it ends with a logout, after a while, and with the process.
type sessions struct {
	mu  sync.Mutex // guards end
	end map[string]time.Time
}

// begin makes a session and gives its number.
func (s *sessions) begin(now time.Time) string {
	id := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	oldest := ""
	for other, end := range s.end {
		if !now.Before(end) {
			delete(s.end, other)
		} else if oldest == "" || end.Before(s.end[oldest]) {
			oldest = other
		}
	}
	if len(s.end) >= maxSessions {
		delete(s.end, oldest)
	}
	if s.end == nil {
		s.end = map[string]time.Time{}
	}
	s.end[id] = now.Add(sessionTime)
	return id
}

// lasts reports whether a session has begun and not ended. The number has 128
// random bits: how long a look into the map takes says nothing that helps.
func (s *sessions) lasts(id string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return now.Before(s.end[id])
}

func (s *sessions) finish(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.end, id)
}

// finishAll ends all sessions: their token is no longer good.
func (s *sessions) finishAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end = nil
}

// hasSession reports whether a request has the cookie of a session.
func (s *Server) hasSession(r *http.Request) bool {
	for _, c := range r.CookiesNamed(cookieName) {
		if s.sessions.lasts(c.Value, time.Now()) {
			return true
		}
	}
	return false
}

// login takes the token and gives a cookie.
func (s *site) login(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Token string `json:"token"`
	}
	if err := readJSON(r, &body); err != nil {
		return err
	}
	switch {
	case s.server.token() == nil:
		return fail(http.StatusForbidden, "there is no token to log in with: write token_file into the admin block")
	case !s.server.token().Matches(body.Token):
		return s.server.wrongToken(r)
	}
	c := sessionCookie(r)
	c.Value = s.server.sessions.begin(time.Now())
	http.SetCookie(w, c)
	s.server.log.Info().Str("from", r.RemoteAddr).Msg("a login to the admin server")
	writeJSON(w, http.StatusOK, result{"logged in"})
	return nil
}

func (s *site) logout(w http.ResponseWriter, r *http.Request) error {
	for _, c := range r.CookiesNamed(cookieName) {
		s.server.sessions.finish(c.Value)
	}
	c := sessionCookie(r)
	c.MaxAge = -1
	http.SetCookie(w, c)
	writeJSON(w, http.StatusOK, result{"logged out"})
	return nil
}

// sessionCookie is one that ends with the browser, and that only requests of the
// page itself carry.
func sessionCookie(r *http.Request) *http.Cookie {
	return &http.Cookie{
		Name: cookieName, Path: "/", HttpOnly: true,
		SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil,
	}
}

// session tells the page what it may do.
func (s *site) session(r *http.Request) (any, error) {
	c, err := s.callerOf(r)
	if err != nil {
		return nil, err
	}
	return struct {
		MayChange       bool `json:"may_change"`
		TokenConfigured bool `json:"token_configured"`
		LoggedIn        bool `json:"logged_in"`
	}{c.may(operator), s.server.token() != nil, c == cookieCaller}, nil
}
