package admin

import (
	"context"
	"io/fs"
	"net/http"

	"github.com/rs/zerolog"

	"sluice/config"
	"sluice/proxy"
	"sluice/proxy/status"
)

// Gateway is what is asked about and changed; [proxy.Gateway] is one. Its
// methods are called by many goroutines at once, and until [Server.Close] has
// returned, also while the gateway drains and after it was closed. Lists are not
// changed once they were given.
type Gateway interface {
	Server() status.Server
	Listeners() []status.Listener
	Routes() []status.Route
	Clusters() []status.Cluster
	Endpoints() []status.Endpoint
	Secrets() []status.Secret
	Outline() status.Outline
	// Connections gives a page of live connections. The error is
	// [proxy.ErrFilter], or that of ctx.
	Connections(ctx context.Context, f status.ConnectionFilter) (status.Connections, error)
	// Kill resets a connection on both sides. The error is
	// [proxy.ErrNoConnection], or that of ctx.
	Kill(ctx context.Context, id uint64) error
	// SetEndpoint changes an endpoint at run time. The error is
	// [proxy.ErrNoCluster], [proxy.ErrNoEndpoint] or [proxy.ErrEndpointChange].
	SetEndpoint(cluster, address string, change proxy.EndpointChange) error
}

// Explainer is a [Gateway] that can tell where a connection would go. The error
// says what is wrong with the question.
type Explainer interface {
	Explain(q status.Question) (status.Explanation, error)
}

// Elders are the processes before this one that still drain. Any goroutine may
// call the methods. The error is [proxy.ErrNoConnection] where there is no such
// process, or connection of it.
type Elders interface {
	Generations(context.Context) []status.Generation
	Connections(ctx context.Context, f status.ConnectionFilter) (status.Connections, error)
	Kill(ctx context.Context, generation int, id uint64) error
}

// Options is what a server shows and changes.
type Options struct {
	Gateway Gateway
	// Log gets what was changed, and by whom. The zero value logs nothing.
	Log zerolog.Logger

	// Files gives the files of the running configuration. It is called by any
	// goroutine, as are the functions below.
	Files func() []config.File
	// LogLevel gives the level of the service log, and SetLogLevel changes it.
	// The error is about a word that is no level.
	LogLevel    func() string
	SetLogLevel func(level string) error
	// Drain begins to drain the gateway and then ends the process, as SIGTERM
	// does. It returns at once; what it has begun, it does not do twice.
	Drain func()
	// Reload reads the configuration again and gives what came of it in words.
	// With an error nothing has changed. nil: this gateway cannot.
	Reload func() (string, error)
	// Upgrade starts the binary on disk in the place of this process and returns
	// when that serves, or with an error that says why it does not; then nothing
	// has changed. nil: this gateway cannot.
	Upgrade func(context.Context) error

	// Elders are asked for what older processes still have; nil: there are none.
	Elders Elders

	// Metrics answers a scrape; nil: there are none.
	Metrics http.Handler
	// Page is the dashboard, with an index.html; nil: there is none, and a list
	// of the paths is in its place.
	Page fs.FS
}
