package main

import (
	"context"
	"errors"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"sluice/config"
	"sluice/proxy"
	"sluice/proxy/handoff"
	"sluice/proxy/status"
)

// gateway is what a server needs of a [proxy.Gateway].
type gateway interface {
	Drain(ctx context.Context, timeout time.Duration) error
	Close()
	Apply(*config.Config) (*proxy.Applied, error)
	NotReloaded(error)
	DrainTimeout() time.Duration
	ReadinessDelay() time.Duration
	Unready()
	Responds(context.Context) error
	ReopenLogs()
	Stats() proxy.Stats
	Connections(context.Context, status.ConnectionFilter) (status.Connections, error)
	Kill(ctx context.Context, id uint64) error

	HandOver() ([]handoff.Socket, error)
	Hold(dropped []string)
	Resume()
	TakeOver()
}

// server answers the signals of a running gateway. It is one goroutine.
type server struct {
	log         zerolog.Logger
	gateway     gateway
	reloader    *reloader
	upgrader    *upgrader
	supervision *supervision
	admin       adminServer // nil: there is none
	signals     <-chan os.Signal
	drains      <-chan struct{} // what wants the gateway drained, over the admin API
	upgrades    upgrades        // asked for in another way than by a signal; may be nil

	predecessor *handoff.Predecessor // until it has let go of the gateway; nil: there is none

	reloading chan struct{} // closed when the reload under way is over; nil: there is none
	again     bool          // another one was asked for meanwhile
	upgrading *upgrading    // the upgrade under way; nil: there is none
	telling   sync.WaitGroup
}

// adminServer is what a server needs of an [admin.Server].
type adminServer interface {
	Own()
	Leave()
}

// upgrades is how others ask for one. They get nil once the new process serves.
type upgrades chan chan<- error

// ask asks for an upgrade and returns when it is over. Any goroutine may call it.
func (u upgrades) ask(ctx context.Context) error {
	reply := make(chan error, 1)
	select {
	case u <- reply:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-reply:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// upgrading is an upgrade under way.
type upgrading struct {
	cancel    context.CancelFunc
	over      chan struct{} // closed when it is over; what follows is valid then
	successor *handoff.Successor
	err       error
	reply     chan<- error // nil: a signal asked for it
}

// Why there is no upgrade now.
var (
	errDraining  = errors.New("this process drains: ask the one that serves")
	errUpgrading = errors.New("an upgrade is under way already")
	errTooYoung  = errors.New("this process is just taking over from the one before it: ask again in a few seconds")
)

// serve returns when the gateway has ended. The error says that connections were
// cut which had been promised a drain.
func (s *server) serve() error {
	defer s.leave()
	for {
		select {
		case <-s.drains:
			return s.end(syscall.SIGTERM)
		case <-s.owned():
			s.takeOver()
		case <-s.reloading:
			s.reloading = nil
			s.reloadAgain()
		case <-s.upgraded():
			if done, err := s.finishUpgrade(); done {
				return err
			}
		case reply := <-s.upgrades:
			s.upgrade("the admin API", reply)
		case sig := <-s.signals:
			switch sig {
			case syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT:
				return s.end(sig)
			case syscall.SIGHUP:
				s.reload()
			case syscall.SIGUSR2:
				s.upgrade("SIGUSR2", nil)
			default:
				s.attend(sig)
			}
		}
	}
}

// owned is closed when the predecessor has let go of the gateway.
func (s *server) owned() <-chan struct{} {
	if s.predecessor == nil {
		return nil
	}
	return s.predecessor.Owned()
}

// takeOver makes this process the one.
func (s *server) takeOver() {
	s.gateway.TakeOver()
	s.log.Info().Int("predecessor", s.predecessor.PID).Int("generation", s.predecessor.Generation).Msg("took over")
	s.own()
	s.predecessor.Owner()
	s.predecessor = nil
	s.reloader.release()
	s.telling.Go(s.tellGenerations)
	s.reloadAgain()
}

// tellGenerations says in the log what is left of the processes before this one.
func (s *server) tellGenerations() {
	list := s.upgrader.Generations(context.Background())
	connections := 0
	for _, g := range list {
		connections += g.Connections
	}
	if len(list) > 0 {
		s.log.Info().Int("processes", len(list)).Int("connections", connections).Msg("older processes drain")
	}
}

// own says to the outside that this process is the one. It comes before serve
// where there is no predecessor.
func (s *server) own() {
	if s.admin != nil {
		s.admin.Own()
	}
	if err := s.reloader.pidFile.publish(); err != nil {
		s.log.Error().Err(err).Msg("nobody learns this process's ID from it")
	}
	s.supervision.begin()
}

// reopenElders has the older processes open the log files again, too: whoever has
// renamed one knows of this process only.
func (s *server) reopenElders() {
	for _, r := range s.upgrader.elders.Ask(context.Background(), handoff.Question{Name: questionReopen}) {
		if r.Err != nil {
			s.log.Warn().Err(r.Err).Int("pid", r.PID).Msg("a process that drains does not open its log files again")
		}
	}
}

// leave cleans up what own has left.
func (s *server) leave() {
	s.telling.Wait()
	s.supervision.end()
	if err := s.reloader.removePIDFile(); err != nil {
		s.log.Warn().Err(err).Msg("it is left over")
	}
}

// end ends the gateway as the signal says.
func (s *server) end(sig os.Signal) error {
	if s.predecessor != nil {
		s.predecessor.Leaving("it was told to stop (" + sig.String() + ")")
	}
	if s.upgrading != nil {
		s.upgrading.cancel()
		<-s.upgrading.over
		if sig != syscall.SIGQUIT {
			if done, err := s.finishUpgrade(); done {
				return err
			}
		}
	}
	if sig == syscall.SIGQUIT {
		s.cut()
		return nil
	}
	return s.drain()
}

// reload begins a reload, or notes that there has to be another one: what is
// under way may have read the files before they were changed. While a gateway is
// handed over that waits, too, and is then the successor's to do.
func (s *server) reload() {
	if s.upgrading != nil || s.predecessor != nil {
		s.log.Info().Msg("an upgrade is under way: the reload has to wait for its end")
	}
	if s.reloading != nil || s.upgrading != nil || s.predecessor != nil {
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

// reloadAgain does what had to wait.
func (s *server) reloadAgain() {
	if s.again {
		s.again = false
		s.reload()
	}
}

// upgrade begins an upgrade, unless it cannot be now.
func (s *server) upgrade(by string, reply chan<- error) {
	var refused error
	switch {
	case s.upgrading != nil:
		refused = errUpgrading
	case s.predecessor != nil:
		refused = errTooYoung
	}
	if refused != nil {
		s.log.Warn().Str("by", by).Err(refused).Msg("not upgraded")
		if reply != nil {
			reply <- refused
		}
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	up := &upgrading{cancel: cancel, over: make(chan struct{}), reply: reply}
	s.upgrading = up
	go func() {
		defer close(up.over)
		up.successor, up.err = s.upgrader.upgrade(ctx)
	}()
}

// upgraded is closed when the upgrade under way is over.
func (s *server) upgraded() <-chan struct{} {
	if s.upgrading == nil {
		return nil
	}
	return s.upgrading.over
}

// finishUpgrade sees to what became of an upgrade, and tells whether this
// process is done.
func (s *server) finishUpgrade() (done bool, err error) {
	up := s.upgrading
	s.upgrading = nil
	up.cancel()
	if up.reply != nil {
		up.reply <- up.err
	}
	if up.err != nil {
		s.log.Error().Err(up.err).Msg("not upgraded: this process goes on as it was")
		s.reloadAgain()
		return false, nil
	}
	s.supervision.handOver(up.successor.PID)
	if s.again {
		up.successor.Signal(syscall.SIGHUP)
	}
	return true, s.drainFor(up.successor)
}

// attend answers the signals that do not end the gateway.
func (s *server) attend(sig os.Signal) {
	switch sig {
	case syscall.SIGUSR1:
		s.log.Info().Msg("opening the log files again")
		s.gateway.ReopenLogs()
		if s.predecessor == nil {
			s.telling.Go(s.reopenElders)
		}
	case syscall.SIGHUP:
		s.log.Warn().Msg("not reloaded: the gateway is draining")
	case syscall.SIGUSR2:
		s.log.Warn().Err(errDraining).Msg("not upgraded")
	}
}
