package admin

import (
	"context"
	"net/http"
	"strings"

	"sluice/config"
)

// access is who may ask for a path.
type access int

const (
	// anyone who can connect: what load balancers ask, the page, and its login.
	anyone access = iota
	// reader is who is on this machine, as far as the address tells, and every
	// operator.
	reader
	// operator has the token, a cookie that was got for it, or may connect to
	// the unix socket.
	operator
)

func (a access) String() string { return [...]string{"anyone", "reader", "operator"}[a] }

// caller is who a request is from, as far as it has shown.
type caller int

const (
	remoteCaller caller = iota // over an address that is not loopback
	localCaller                // over loopback: any program of this machine
	socketCaller               // over the unix socket, which its mode and group guard
	tokenCaller
	cookieCaller
)

func (c caller) String() string {
	return [...]string{"remote", "loopback", "unix socket", "token", "login"}[c]
}

func (c caller) may(a access) bool {
	switch a {
	case anyone:
		return true
	case reader:
		return c != remoteCaller
	}
	return c == socketCaller || c == tokenCaller || c == cookieCaller
}

// pageHeader is sent by the page with whatever it posts. A form cannot send it,
// and a script of another origin only after asking, which is refused.
const pageHeader = "X-Sluice-Request"

// cookieName is that of the page's cookie.
const cookieName = "sluice_token"

// callerOf finds out who a request is from. A token that is wrong is an error,
// also where none is needed: whoever sends one wants to know.
func (s *site) callerOf(r *http.Request) (caller, error) {
	if s.door.isSocket() {
		return socketCaller, nil
	}
	if given := r.Header.Get("Authorization"); given != "" && s.server.token() != nil {
		scheme, token, _ := strings.Cut(given, " ")
		if !strings.EqualFold(scheme, "Bearer") || !s.server.token().Matches(strings.TrimSpace(token)) {
			return remoteCaller, s.server.wrongToken(r)
		}
		return tokenCaller, nil
	}
	if s.server.hasSession(r) {
		return cookieCaller, nil
	}
	if s.door.address.IsLoopback() {
		return localCaller, nil
	}
	return remoteCaller, nil
}

// admit checks that a caller may have what the route gives.
func (s *site) admit(c caller, rt *route, r *http.Request) error {
	switch {
	case !c.may(rt.who) && s.server.token() == nil:
		return fail(http.StatusForbidden, "%s is not for every program of this machine. Write token_file into the admin block and send the token, "+
			"or give it a unix socket as its address, which only those may connect to whom its mode and group let", r.URL.Path)
	case !c.may(rt.who):
		return fail(http.StatusUnauthorized, "%s needs the token: send it in a header \"Authorization: Bearer TOKEN\"", r.URL.Path)
	case c == cookieCaller && rt.who == operator && rt.method == http.MethodPost && r.Header.Get(pageHeader) == "":
		return fail(http.StatusForbidden, "a cookie alone is not enough to change something: send a header \"%s: 1\" with it", pageHeader)
	}
	return nil
}

// token is what callers have to show, or nil when there is none.
func (s *Server) token() *config.Token { return s.sockets.live.token() }

// wrongToken notes that somebody has tried one.
func (s *Server) wrongToken(r *http.Request) error {
	if n, tell := s.wrongTokens.add(); tell {
		s.log.Warn().Str("from", r.RemoteAddr).Uint64("wrong_tokens", n).Msg("the admin server got a wrong token")
	}
	return fail(http.StatusUnauthorized, "the token is wrong: it is not what stands in the token_file of the admin block")
}

type callerKey struct{}

func withCaller(ctx context.Context, c caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

func callerIn(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c
}
