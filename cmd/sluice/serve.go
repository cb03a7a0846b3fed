package main

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"sluice/config"
	"sluice/proxy"
)

// drainNotice is how often the log says how many connections a drain still
// waits for: often enough to see that it goes on.
const drainNotice = 10 * time.Second

// gateway is what a server needs of a [proxy.Gateway].
type gateway interface {
	Drain(ctx context.Context, timeout time.Duration) error
	Close()
	Apply(*config.Config) (*proxy.Applied, error)
	NotReloaded(error)
	DrainTimeout() time.Duration
	ReopenLogs()
	Stats() proxy.Stats
}

// server answers the signals of a running gateway. It is one goroutine.
type server struct {
	log      zerolog.Logger
	gateway  gateway
	reloader *reloader
	signals  <-chan os.Signal
	drains   <-chan struct{} // what wants the gateway drained, over the admin API

	reloading chan struct{} // closed when the reload under way is over; nil: there is none
	again     bool          // another one was asked for meanwhile
}

// serve returns when a signal has ended the gateway. The error says that
// connections were cut which had been promised a drain.
func (s *server) serve() error {
	for {
		select {
		case <-s.drains:
			return s.drain()
		case <-s.reloading:
			s.reloading = nil
			if s.again {
				s.again = false
				s.reload()
			}
		case sig := <-s.signals:
			switch sig {
			case syscall.SIGTERM, syscall.SIGINT:
				return s.drain()
			case syscall.SIGQUIT:
				s.cut()
				return nil
			case syscall.SIGHUP:
				s.reload()
			default:
				s.attend(sig)
			}
		}
	}
}

// reload begins a reload, or notes that there has to be another one: what is
// under way may have read the files before they were changed.
func (s *server) reload() {
	if s.reloading != nil {
		s.again = true
		return
	}
	over := make(chan struct{})
	s.reloading = over
	go func() {
		defer close(over)
		_, _ = s.reloader.reload("SIGHUP") // the log says what became of it
	}()
}

// attend answers the signals that do not end the gateway.
func (s *server) attend(sig os.Signal) {
	switch sig {
	case syscall.SIGUSR1:
		s.log.Info().Msg("opening the log files again")
		s.gateway.ReopenLogs()
	case syscall.SIGHUP:
		s.log.Warn().Msg("not reloaded: the gateway is draining")
	}
}

// drain waits for the connections to end, or for a signal that wants it over.
func (s *server) drain() error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	began, timeout := time.Now(), s.gateway.DrainTimeout()
	s.log.Info().Int("connections", s.gateway.Stats().Active).Dur("timeout_ms", timeout).Msg("draining")
	drained := make(chan struct{})
	go s.runDrain(ctx, timeout, drained)
	notice := time.NewTicker(drainNotice)
	defer notice.Stop()
	for {
		select {
		case <-drained:
			s.gateway.Close()
			s.log.Info().Dur("duration_ms", time.Since(began)).Msg("drained")
			return nil
		case <-notice.C:
			s.log.Info().Int("connections", s.gateway.Stats().Active).Msg("still draining")
		case sig := <-s.signals:
			switch sig {
			case syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT:
				cancel()
				<-drained
				if n := s.cut(); n > 0 && sig != syscall.SIGQUIT {
					return fmt.Errorf("stopped before the drain was over: %s cut", count(n, "connection"))
				}
				return nil
			}
			s.attend(sig)
		}
	}
}

// runDrain drains the gateway, and tells when that is over or given up.
func (s *server) runDrain(ctx context.Context, timeout time.Duration, over chan<- struct{}) {
	defer close(over)
	// The only error is that of ctx, and whoever cancelled that knows.
	_ = s.gateway.Drain(ctx, timeout)
}

// cut ends everything at once and gives the number of connections that were
// still there.
func (s *server) cut() int {
	left := s.gateway.Stats().Active
	s.gateway.Close()
	s.log.Warn().Int("connections_cut", left).Msg("stopped at once")
	return left
}
