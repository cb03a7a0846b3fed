package admin

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sluice/proxy/status"
)

// gatewayPatience is how long the workers may take to answer: they are asked
// between two turns of theirs, which take microseconds.
const gatewayPatience = 5 * time.Second

// ready tells load balancers whether to send connections here.
func (s *site) ready(w http.ResponseWriter, _ *http.Request) error {
	state := s.server.gateway.Server().State
	if state != stateRunning {
		return fail(http.StatusServiceUnavailable, "the gateway is %s", state)
	}
	writeJSON(w, http.StatusOK, health{state})
	return nil
}

// stateRunning and stateDraining are states of a [status.Server].
const (
	stateRunning  = "running"
	stateDraining = "draining"
)

type health struct {
	State string `json:"state"`
}

// healthz is answered for as long as anything is.
func (s *site) healthz(*http.Request) (any, error) {
	return health{s.server.gateway.Server().State}, nil
}

func (s *site) serverInfo(r *http.Request) (any, error) {
	info := s.server.gateway.Server()
	if e := s.server.options.Elders; e != nil {
		ctx, cancel := context.WithTimeout(r.Context(), gatewayPatience)
		defer cancel()
		info.Older = e.Generations(ctx)
	}
	return info, nil
}

// isElder tells whether another process than this one is meant.
func (s *site) isElder(generation int) bool {
	return generation != 0 && generation != s.server.gateway.Server().Generation && s.server.options.Elders != nil
}

// query is a filter that is read out of a query.
type query interface {
	SetQuery(url.Values) error
}

// setQuery reads a filter. What is wrong with it is the client's mistake.
func setQuery(f query, q url.Values) error {
	if err := f.SetQuery(q); err != nil {
		return fail(http.StatusBadRequest, "%v", err)
	}
	return nil
}

func (s *site) listeners(r *http.Request) (any, error) {
	var f status.ListenerFilter
	if err := setQuery(&f, r.URL.Query()); err != nil {
		return nil, err
	}
	return status.FilterListeners(s.server.gateway.Listeners(), f), nil
}

func (s *site) clusterRoutes(r *http.Request) (any, error) {
	var f status.RouteFilter
	if err := setQuery(&f, r.URL.Query()); err != nil {
		return nil, err
	}
	return status.FilterRoutes(s.server.gateway.Routes(), f), nil
}

func (s *site) clusters(r *http.Request) (any, error) {
	var f status.ClusterFilter
	if err := setQuery(&f, r.URL.Query()); err != nil {
		return nil, err
	}
	return status.FilterClusters(s.server.gateway.Clusters(), f), nil
}

func (s *site) endpoints(r *http.Request) (any, error) {
	var f status.EndpointFilter
	if err := setQuery(&f, r.URL.Query()); err != nil {
		return nil, err
	}
	return status.FilterEndpoints(s.server.gateway.Endpoints(), f), nil
}

func (s *site) secrets(r *http.Request) (any, error) {
	var f status.SecretFilter
	if err := setQuery(&f, r.URL.Query()); err != nil {
		return nil, err
	}
	return status.FilterSecrets(s.server.gateway.Secrets(), f), nil
}

func (s *site) connections(r *http.Request) (any, error) {
	var f status.ConnectionFilter
	if err := setQuery(&f, r.URL.Query()); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), gatewayPatience)
	defer cancel()
	if s.isElder(f.Generation) {
		return s.server.options.Elders.Connections(ctx, f)
	}
	return s.server.gateway.Connections(ctx, f)
}

// dump gives all at once. Of the connections it is the longest page that there
// is, and Next in it tells whether there are more.
func (s *site) dump(r *http.Request) (any, error) {
	ctx, cancel := context.WithTimeout(r.Context(), gatewayPatience)
	defer cancel()
	g := s.server.gateway
	connections, err := g.Connections(ctx, status.ConnectionFilter{Limit: status.MaxLimit})
	if err != nil {
		return nil, err
	}
	return status.Dump{
		Server: g.Server(), Listeners: g.Listeners(), Routes: g.Routes(), Clusters: g.Clusters(),
		Endpoints: g.Endpoints(), Secrets: g.Secrets(), Connections: connections,
	}, nil
}

// outline is what a reload compares: with it "sluice diff" tells beforehand what
// one would do.
func (s *site) outline(*http.Request) (any, error) { return s.server.gateway.Outline(), nil }

func (s *site) explainQuery(r *http.Request) (any, error) {
	query := r.URL.Query()
	q := status.Question{
		Listener: query.Get("listener"), ServerName: query.Get("sni"), TransportProtocol: query.Get("transport"),
		Source: query.Get("source"), Destination: query.Get("destination"), JA4: query.Get("ja4"),
	}
	if alpn := query.Get("alpn"); alpn != "" {
		q.ApplicationProtocols = strings.Split(alpn, ",")
	}
	return s.explain(q)
}

// explainBody is a read in spite of its method: a ClientHello is too long for a
// query.
func (s *site) explainBody(r *http.Request) (any, error) {
	var q status.Question
	if err := readJSON(r, &q); err != nil {
		return nil, err
	}
	return s.explain(q)
}

func (s *site) explain(q status.Question) (any, error) {
	g, ok := s.server.gateway.(Explainer)
	if !ok {
		return nil, fail(http.StatusNotImplemented, "this gateway cannot explain")
	}
	explanation, err := g.Explain(q)
	if err != nil {
		return nil, fail(http.StatusBadRequest, "%v", err)
	}
	return explanation, nil
}

// Logging is the level of the service log.
type Logging struct {
	Level string `json:"level"`
}

func (s *site) logging(*http.Request) (any, error) {
	return Logging{s.server.options.LogLevel()}, nil
}

// metrics is a scrape.
func (s *site) metrics(w http.ResponseWriter, r *http.Request) error {
	if s.server.options.Metrics == nil {
		return fail(http.StatusNotImplemented, "this gateway has no metrics")
	}
	s.server.options.Metrics.ServeHTTP(w, r)
	return nil
}

// File is one file of the configuration, as it was written.
type File struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// Configuration is the text of the configuration.
type Configuration struct {
	Files []File `json:"files"`
}

// config gives the files as they were when they were loaded. See
// [config.Config.Files] for what is not in them.
func (s *site) config(*http.Request) (any, error) {
	c := Configuration{Files: []File{}}
	for _, f := range s.server.options.Files() {
		c.Files = append(c.Files, File{f.Name, string(f.Text)})
	}
	return c, nil
}
