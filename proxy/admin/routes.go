package admin

import (
	"net/http/pprof"
)

// route is one line of the tables below: what may be asked for, by whom.
type route struct {
	method string // GET is HEAD as well
	path   string // as net/http.ServeMux has it
	who    access
	params string // the names that the query may have; "*": any
	handle handler
}

// adminRoutes is all that the admin address has, but for the files of the page.
// A GET changes nothing.
func (s *site) adminRoutes() []route {
	return []route{
		{"GET", "/{$}", anyone, "", s.front},
		{"GET", "/session", anyone, "", read(s.session)},
		{"POST", "/login", anyone, "", s.login},
		{"POST", "/logout", anyone, "", s.logout},

		{"GET", "/ready", anyone, "", s.ready},
		{"GET", "/healthz", anyone, "", read(s.healthz)},
		{"GET", "/server_info", reader, "", read(s.serverInfo)},

		{"GET", "/listeners", reader, "*", read(s.listeners)},
		{"GET", "/routes", reader, "*", read(s.clusterRoutes)},
		{"GET", "/clusters", reader, "*", read(s.clusters)},
		{"GET", "/endpoints", reader, "*", read(s.endpoints)},
		{"GET", "/secrets", reader, "*", read(s.secrets)},
		{"GET", "/connections", reader, "*", read(s.connections)},
		{"GET", "/dump", reader, "", read(s.dump)},
		{"GET", "/outline", reader, "", read(s.outline)},
		{"GET", "/explain", reader, "listener sni alpn source destination transport ja4", read(s.explainQuery)},
		{"POST", "/explain", reader, "", read(s.explainBody)},
		{"GET", "/logging", reader, "", read(s.logging)},
		{"GET", "/stats/prometheus", reader, "*", s.metrics},
		{"GET", "/metrics", reader, "*", s.metrics},
		{"GET", "/events", reader, "*", s.events},

		{"GET", "/config", operator, "", read(s.config)},
		{"GET", "/debug/pprof/", operator, "*", plain(pprof.Index)},
		{"GET", "/debug/pprof/cmdline", operator, "", plain(pprof.Cmdline)},
		{"GET", "/debug/pprof/profile", operator, "seconds", plain(pprof.Profile)},
		{"GET", "/debug/pprof/symbol", operator, "*", plain(pprof.Symbol)},
		{"GET", "/debug/pprof/trace", operator, "seconds", plain(pprof.Trace)},

		{"POST", "/connections/{id}/kill", operator, "generation", s.change(s.kill)},
		{"POST", "/clusters/{cluster}/endpoints/{address}", operator, "", s.change(s.setEndpoint)},
		{"POST", "/logging", operator, "level", s.change(s.setLogging)},
		{"POST", "/reload", operator, "", s.change(s.reload)},
		{"POST", "/drain", operator, "", s.change(s.drain)},
		{"POST", "/upgrade", operator, "", s.change(s.upgrade)},
	}
}

// metricsRoutes is all that the metrics address has.
func (s *site) metricsRoutes() []route {
	return []route{
		{"GET", "/ready", anyone, "", s.ready},
		{"GET", "/healthz", anyone, "", read(s.healthz)},
		{"GET", "/stats/prometheus", anyone, "*", s.metrics},
		{"GET", "/metrics", anyone, "*", s.metrics},
	}
}
