package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"sluice/proxy/handoff"
)

const (
	// upgradeDeadline is how long a new process may take until it is ready:
	// far more than reading the largest configuration does.
	upgradeDeadline = 30 * time.Second
	// startDeadline is how long it may take from being let to having begun to
	// accept, which is a message to each worker.
	startDeadline = 10 * time.Second
	// probation is how long it has to serve before the old process lets go of
	// its own sockets: what crashes does so at once, mostly.
	probation = 2 * time.Second
)

// upgrader starts the binary on disk and hands the gateway over to it. Until that
// has been seen to serve, everything can be taken back, and is.
type upgrader struct {
	log        zerolog.Logger
	gateway    gateway
	reloader   *reloader
	generation int                     // of this process
	elders     *handoff.Elders         // those before it that still drain; may be nil
	more       func() []handoff.Socket // to be handed over besides the gateway's; nil: none
	command    func() (*exec.Cmd, error)
	pid        int // of this process
}

// successor is what an upgrade uses of a [handoff.Successor].
type successor interface {
	AwaitReady(context.Context) error
	Go(context.Context) (dropped []string, err error)
	Lasts(context.Context, time.Duration) error
	Yours(context.Context) error
}

// upgrade returns when the new process has taken over, or with an error that says
// why it has not: then this one goes on as if nothing had been asked. To cancel
// the context gives up, or when it serves already gets it over with.
func (u *upgrader) upgrade(ctx context.Context) (*handoff.Successor, error) {
	if u.pid == 1 {
		return nil, errors.New("this process is PID 1: the container ends when it does, and every process in it; start a new container instead")
	}
	cmd, err := u.command()
	if err != nil {
		return nil, fmt.Errorf("finding the binary: %w", err)
	}
	u.reloader.hold() // waits for the one under way
	defer u.reloader.release()
	sockets, err := u.gateway.HandOver()
	if err != nil {
		return nil, err
	}
	if u.more != nil {
		sockets = append(sockets, u.more()...)
	}
	offer := handoff.Offer{Generation: u.generation + 1, Sockets: sockets, Elders: u.elders}
	s, err := handoff.Start(cmd, offer, u.answer)
	if err != nil {
		u.gateway.Resume()
		return nil, fmt.Errorf("starting %s: %w", cmd.Path, err)
	}
	u.log.Info().Str("binary", cmd.Path).Int("pid", s.PID).Int("generation", offer.Generation).Msg("upgrading: the new process starts")
	if err := u.bring(ctx, s); err != nil {
		if !errors.Is(err, handoff.ErrLeaving) {
			s.Kill()
		}
		u.gateway.Resume()
		s.Close()
		return nil, err
	}
	return s, nil
}

// bring takes the steps of a hand-over.
func (u *upgrader) bring(ctx context.Context, s successor) error {
	if err := within(ctx, upgradeDeadline, "it was not ready", s.AwaitReady); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return errGivenUp
	}
	// From here on it is over soon, one way or the other.
	last := context.WithoutCancel(ctx)
	var dropped []string
	if err := within(last, startDeadline, "it had not begun to accept", func(ctx context.Context) (err error) {
		dropped, err = s.Go(ctx)
		return err
	}); err != nil {
		return err
	}
	u.gateway.Hold(dropped)
	if err := s.Lasts(ctx, probation); err != nil {
		return err
	}
	return within(last, startDeadline, "it had not taken over", s.Yours)
}

// errGivenUp is why there is no upgrade when this process is told to end.
var errGivenUp = errors.New("it was given up: this process is to end")

// within calls f with a deadline. what is not the case when that has passed.
func within(ctx context.Context, d time.Duration, what string, f func(context.Context) error) error {
	timed, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	err := f(timed)
	switch {
	case ctx.Err() != nil && err != nil:
		return errGivenUp
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s after %v: the new process was ended", what, d)
	}
	return err
}

// successorCommand is how this process was started, with what is there now.
func successorCommand() (*exec.Cmd, error) {
	path, err := os.Args[0], error(nil)
	if !strings.Contains(path, "/") {
		if path, err = exec.LookPath(path); err != nil {
			path, err = os.Executable() // it goes by another name than its file
		}
	}
	if err != nil {
		return nil, err
	}
	return &exec.Cmd{
		Path: path, Args: os.Args, Env: handoff.Environment(os.Environ()),
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	}, nil
}
