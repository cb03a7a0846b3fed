package admin

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// Times of the servers. Whoever asks an admin server is near and quick; what is
// not is there to keep others out.
const (
	headerTimeout  = 5 * time.Second  // for the TLS handshake, too
	requestTimeout = 30 * time.Second // for a request with its body, and for an answer
	idleTimeout    = time.Minute      // of a connection between two requests
	// closeTimeout is how long answers that were begun may take at the end.
	closeTimeout = time.Second

	maxHeader = 16 << 10 // bytes
)

// Server answers on the admin address and the metrics address. Its methods may
// be called by any goroutine.
type Server struct {
	options  Options
	gateway  Gateway
	log      zerolog.Logger
	sockets  *Sockets
	sessions sessions
	hub      *hub

	wrongTokens throttle

	servers   []*http.Server
	running   sync.WaitGroup // those who accept, and requests
	closeOnce sync.Once

	mu     sync.Mutex // guards closed, and with it that requests are added
	closed bool
}

// Serve begins to answer on what was bound. It takes the sockets over: they are
// closed by [Server.Close].
func (s *Sockets) Serve(o Options) *Server {
	server := &Server{options: o, gateway: o.Gateway, log: o.Log, sockets: s, hub: newHub(o.Gateway, eventInterval)}
	if s.adminListener != nil {
		site := newSite(server, door{address: s.admin.Address, isName: s.live.isName})
		site.list(site.adminRoutes())
		if o.Page != nil {
			site.add(site.pageRoutes(o.Page))
		}
		server.start(s.adminListener, site)
	}
	if s.metricsListener != nil {
		site := newSite(server, metricsDoor(*s.metrics.Address))
		site.list(site.metricsRoutes())
		server.start(s.metricsListener, site)
	}
	return server
}

// start answers on one listener.
func (s *Server) start(ln net.Listener, h http.Handler) {
	protocols := new(http.Protocols)
	// HTTP/2 has nothing that is needed here, and more that can be abused.
	protocols.SetHTTP1(true)
	server := &http.Server{
		Handler:           h,
		Protocols:         protocols,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      requestTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          log.New(debugLog{s.log}, "", 0),
	}
	s.servers = append(s.servers, server)
	s.running.Add(1)
	go s.serve(server, ln)
}

func (s *Server) serve(server *http.Server, ln net.Listener) {
	defer s.running.Done()
	if err := server.Serve(ln); err != nil && err != http.ErrServerClosed {
		s.log.Error().Err(err).Stringer("address", ln.Addr()).Msg("the admin server cannot accept any more")
	}
}

// Close ends all streams, lets answers that were begun be read for a second, and
// ends the rest. When it returns nothing of the server is left and the gateway is
// not called any more. It may be called more than once.
func (s *Server) Close() {
	s.closeOnce.Do(func() {
		s.hub.close()
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		for _, server := range s.servers {
			if err := server.Shutdown(ctx); err != nil {
				// All that it can tell is what was not ended in time, and that
				// is what is done here.
				_ = server.Close()
			}
		}
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
	})
	s.running.Wait()
}

// begin counts a request in, for [Server.Close] to wait for. It gives false when
// it is too late; otherwise running has to be told when the request is done.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.running.Add(1)
	}
	return !s.closed
}

// debugLog takes what net/http says about connections that did not go well,
// which is what their clients did.
type debugLog struct{ log zerolog.Logger }

func (d debugLog) Write(line []byte) (int, error) {
	d.log.Debug().Str("error", fmt.Sprintf("%.300s", line)).Msg("a connection of the admin server")
	return len(line), nil
}

// throttle counts what happens, and lets once a second tell of it.
type throttle struct {
	mu   sync.Mutex // guards what follows
	n    uint64
	last time.Time
}

// add counts one more. tell says whether to log it, as one of n in all.
func (t *throttle) add() (n uint64, tell bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n++
	if now := time.Now(); now.Sub(t.last) >= time.Second {
		t.last, tell = now, true
	}
	return t.n, tell
}
