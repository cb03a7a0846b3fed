package main

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"sluice/proxy/handoff"
)

// drainNotice is how often the log says how many connections a drain still
// waits for: often enough to see that it goes on.
const drainNotice = 10 * time.Second

// drain ends the gateway because somebody wants that: who sends clients learns
// of it first, then nobody is let in, and the connections end.
func (s *server) drain() error {
	s.gateway.Unready()
	s.supervision.stopping(s.gateway.Stats().Active)
	defer s.supervision.end()
	if d := s.gateway.ReadinessDelay(); d > 0 {
		if over, err := s.awaitUnready(d); over {
			return err
		}
	}
	return s.drainConnections(false)
}

// awaitUnready waits for the readiness_delay, while everybody is still served. It
// tells whether somebody wanted it over at once.
func (s *server) awaitUnready(d time.Duration) (over bool, err error) {
	s.log.Info().Dur("readiness_delay_ms", d).Msg("not ready any more; still accepting")
	delay := time.NewTimer(d)
	defer delay.Stop()
	for {
		select {
		case <-delay.C:
			return false, nil
		case reply := <-s.upgrades:
			reply <- errDraining
		case sig := <-s.signals:
			switch sig {
			case syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT:
				return true, s.cutDrain(sig)
			}
			s.attend(sig)
		}
	}
}

// drainFor ends the gateway because another process has taken over.
func (s *server) drainFor(next *handoff.Successor) error {
	defer next.Close()
	s.upgrader.elders.Close() // the new process asks them now
	if s.admin != nil {
		s.admin.Leave() // and answers for both
	}
	s.log.Info().Int("pid", next.PID).Msg("upgraded: the new process serves, and this one drains")
	return s.drainConnections(true)
}

// drainConnections waits for the connections to end, or for a signal that wants
// it over. After an upgrade a first TERM is meant for the service, whose other
// process begins to drain with it; it takes a second one, as it does there.
func (s *server) drainConnections(upgraded bool) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s.reloader.end()
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
			n := s.gateway.Stats().DrainCut
			s.log.Info().Dur("duration_ms", time.Since(began)).Uint64("connections_cut", n).Msg("drained")
			if n > 0 {
				return fmt.Errorf("the drain_timeout has passed: %s cut", count(int(n), "connection"))
			}
			return nil
		case <-notice.C:
			left := s.gateway.Stats().Active
			s.log.Info().Int("connections", left).Msg("still draining")
			s.supervision.stopping(left)
		case reply := <-s.upgrades:
			reply <- errDraining
		case sig := <-s.signals:
			switch sig {
			case syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT:
				if upgraded && sig != syscall.SIGQUIT {
					upgraded = false
					s.log.Info().Msg("draining already, after an upgrade: a second signal ends it")
					continue
				}
				cancel()
				<-drained
				return s.cutDrain(sig)
			}
			s.attend(sig)
		}
	}
}

// cutDrain ends what was to drain, and tells with an error when that has cut a
// connection which had been promised to be left alone.
func (s *server) cutDrain(sig os.Signal) error {
	if n := s.cut(); n > 0 && sig != syscall.SIGQUIT {
		return fmt.Errorf("stopped before the drain was over: %s cut", count(n, "connection"))
	}
	return nil
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
