package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"sluice/proxy/handoff"
)

// supervision tells a service manager (systemd, Type=notify) what goes on. With
// none it does nothing. Only the process that serves says anything: one that
// drains after an upgrade would make the manager believe that the service stops.
// The zero value is that of a process that is not the one yet.
type supervision struct {
	log      zerolog.Logger
	responds func(context.Context) error // tells whether the gateway is well

	ours     atomic.Bool // this process is the one that is supervised
	ending   atomic.Bool // it stops
	cancel   context.CancelFunc
	watchdog sync.WaitGroup
}

// begin says that this process serves, and that it is the one to look after.
func (s *supervision) begin() {
	s.ours.Store(true)
	s.say("READY=1", fmt.Sprintf("MAINPID=%d", os.Getpid()), "STATUS=serving")
	interval, err := handoff.WatchdogInterval()
	if err != nil {
		s.log.Warn().Err(err).Msg("the service manager's watchdog is not served")
	}
	if interval <= 0 {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.watchdog.Go(func() { s.feed(ctx, interval) })
}

// feed tells the watchdog that every worker responds, twice as often as it wants
// to hear of it. Of one that hangs it hears nothing, and does what it is for.
func (s *supervision) feed(ctx context.Context, interval time.Duration) {
	tick := time.NewTicker(interval / 2)
	defer tick.Stop()
	for {
		well, cancel := context.WithTimeout(ctx, interval/2)
		err := s.responds(well)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.log.Error().Err(err).Msg("a worker does not respond: the service manager's watchdog is told nothing")
		default:
			s.tell(handoff.Notify("WATCHDOG=1"))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// reloading says that a reload begins; serving has to follow. Any goroutine may
// call the two, also where there is no supervision.
func (s *supervision) reloading() {
	if s != nil && s.ours.Load() && !s.ending.Load() {
		s.tell(handoff.NotifyReloading())
	}
}

// serving says that a reload is over.
func (s *supervision) serving() {
	if s != nil && !s.ending.Load() {
		s.say("READY=1", "STATUS=serving")
	}
}

// stopping says that this process drains, and how many connections are left.
func (s *supervision) stopping(connections int) {
	s.ending.Store(true)
	s.say("STOPPING=1", "STATUS=draining: "+count(connections, "connection")+" left")
}

// handOver says that another process is the one to look after now.
func (s *supervision) handOver(pid int) {
	s.say(fmt.Sprintf("MAINPID=%d", pid))
	s.end()
}

// end says nothing more.
func (s *supervision) end() {
	s.ours.Store(false)
	if s.cancel != nil {
		s.cancel()
		s.watchdog.Wait()
	}
}

func (s *supervision) say(lines ...string) {
	if s.ours.Load() {
		s.tell(handoff.Notify(lines...))
	}
}

func (s *supervision) tell(err error) {
	if err != nil {
		s.log.Warn().Err(err).Msg("the service manager does not listen")
	}
}
