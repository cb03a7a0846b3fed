package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"sluice/proxy/status"
)

// source is where proxy-config has its answers from. The filters mean the same
// whichever it is.
type source interface {
	server(context.Context) (status.Server, error)
	listeners(context.Context, status.ListenerFilter) ([]status.Listener, error)
	routes(context.Context, status.RouteFilter) ([]status.Route, error)
	clusters(context.Context, status.ClusterFilter) ([]status.Cluster, error)
	endpoints(context.Context, status.EndpointFilter) ([]status.Endpoint, error)
	secrets(context.Context, status.SecretFilter) ([]status.Secret, error)
	connections(context.Context, status.ConnectionFilter) (status.Connections, error) // a page
	dump(context.Context) (status.Dump, error)                                        // with the first page
	now() time.Time                                                                   // when the answers were given
}

// liveSource is a running gateway.
type liveSource struct{ *adminClient }

func (s liveSource) now() time.Time { return time.Now() }

func (s liveSource) server(ctx context.Context) (v status.Server, err error) {
	return v, s.get(ctx, "/server_info", nil, &v, "state", "generation", "configuration")
}

func (s liveSource) listeners(ctx context.Context, f status.ListenerFilter) (v []status.Listener, err error) {
	return v, s.get(ctx, "/listeners", f.Query(), &v)
}

func (s liveSource) routes(ctx context.Context, f status.RouteFilter) (v []status.Route, err error) {
	return v, s.get(ctx, "/routes", f.Query(), &v)
}

func (s liveSource) clusters(ctx context.Context, f status.ClusterFilter) (v []status.Cluster, err error) {
	return v, s.get(ctx, "/clusters", f.Query(), &v)
}

func (s liveSource) endpoints(ctx context.Context, f status.EndpointFilter) (v []status.Endpoint, err error) {
	return v, s.get(ctx, "/endpoints", f.Query(), &v)
}

func (s liveSource) secrets(ctx context.Context, f status.SecretFilter) (v []status.Secret, err error) {
	return v, s.get(ctx, "/secrets", f.Query(), &v)
}

func (s liveSource) connections(ctx context.Context, f status.ConnectionFilter) (v status.Connections, err error) {
	return v, s.get(ctx, "/connections", f.Query(), &v, "connections", "total")
}

func (s liveSource) dump(ctx context.Context) (v status.Dump, err error) {
	return v, s.get(ctx, "/dump", nil, &v, dumpFields...)
}

// dumpFields are the fields of a [status.Dump].
var dumpFields = []string{"server", "listeners", "routes", "clusters", "endpoints", "secrets", "connections"}

// dumpSource is a dump that was saved.
type dumpSource struct{ saved status.Dump }

// readDump reads a dump from a file, or from stdin when that is "-".
func readDump(path string, stdin io.Reader) (*dumpSource, error) {
	name, text, err := path, []byte(nil), error(nil)
	if path == "-" {
		name = "the standard input"
		text, err = io.ReadAll(stdin)
	} else {
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the dump: %w", err)
	}
	var s dumpSource
	if err := parseDump(name, text, &s.saved); err != nil {
		return nil, err
	}
	return &s, nil
}

const howToDump = "a dump is what \"sluice proxy-config all -o json\" prints"

// parseDump reads a dump; what is wrong with it is said with its line.
func parseDump(name string, text []byte, d *status.Dump) error {
	var syntax *json.SyntaxError
	var wrongType *json.UnmarshalTypeError
	switch err := json.Unmarshal(text, d); {
	case len(strings.TrimSpace(string(text))) == 0:
		return fmt.Errorf("%s is empty: %s", name, howToDump)
	case errors.As(err, &syntax):
		return fmt.Errorf("%s:%s: this is not JSON (%w): %s", name, lineAt(text, syntax.Offset), syntax, howToDump)
	case errors.As(err, &wrongType) && wrongType.Field == "":
		return fmt.Errorf("%s:%s: this is no dump, but the JSON of something else: %s", name, lineAt(text, wrongType.Offset), howToDump)
	case errors.As(err, &wrongType):
		return fmt.Errorf("%s:%s: %s, which is not what this sluice (%s) has there: read it with the sluice that has written it", name, lineAt(text, wrongType.Offset), wrongTypeText(wrongType), readBuild().Version)
	case err != nil:
		return fmt.Errorf("%s: %w", name, err)
	}
	if missing := missingField(text, dumpFields); missing != "" {
		return fmt.Errorf("%s: there is no %q in it: %s", name, missing, howToDump)
	}
	return nil
}

// lineAt gives the line and column of an offset, which counts from 1.
func lineAt(text []byte, offset int64) string {
	before := string(text[:max(min(offset, int64(len(text)))-1, 0)])
	return fmt.Sprintf("%d:%d", strings.Count(before, "\n")+1, len(before)-strings.LastIndexByte(before, '\n'))
}

// now is when the dump was made.
func (s *dumpSource) now() time.Time {
	return s.saved.Server.Started.Add(time.Duration(s.saved.Server.Uptime * float64(time.Millisecond)))
}

func (s *dumpSource) server(context.Context) (status.Server, error) { return s.saved.Server, nil }

func (s *dumpSource) listeners(_ context.Context, f status.ListenerFilter) ([]status.Listener, error) {
	return status.FilterListeners(s.saved.Listeners, f), nil
}

func (s *dumpSource) routes(_ context.Context, f status.RouteFilter) ([]status.Route, error) {
	return status.FilterRoutes(s.saved.Routes, f), nil
}

func (s *dumpSource) clusters(_ context.Context, f status.ClusterFilter) ([]status.Cluster, error) {
	return status.FilterClusters(s.saved.Clusters, f), nil
}

func (s *dumpSource) endpoints(_ context.Context, f status.EndpointFilter) ([]status.Endpoint, error) {
	return status.FilterEndpoints(s.saved.Endpoints, f), nil
}

func (s *dumpSource) secrets(_ context.Context, f status.SecretFilter) ([]status.Secret, error) {
	return status.FilterSecrets(s.saved.Secrets, f), nil
}

func (s *dumpSource) connections(_ context.Context, f status.ConnectionFilter) (status.Connections, error) {
	page := status.FilterConnections(s.saved.Connections.Connections, f)
	page.Total = s.saved.Connections.Total
	return page, nil
}

func (s *dumpSource) dump(context.Context) (status.Dump, error) { return s.saved, nil }
