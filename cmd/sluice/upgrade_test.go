package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"sluice/proxy/handoff"
)

// fakeSuccessor does what it is told, or not.
type fakeSuccessor struct {
	gateway *fakeGateway
	fails   string // the step that gives an error
	hangs   string // the step that does not end
}

func (s *fakeSuccessor) step(ctx context.Context, name string) error {
	s.gateway.calls = append(s.gateway.calls, name)
	if s.hangs == name {
		<-ctx.Done()
		return ctx.Err()
	}
	if s.fails == name {
		return errors.New("the new process ended in " + name)
	}
	return nil
}

func (s *fakeSuccessor) AwaitReady(ctx context.Context) error     { return s.step(ctx, "ready") }
func (s *fakeSuccessor) Go(ctx context.Context) ([]string, error) { return nil, s.step(ctx, "go") }
func (s *fakeSuccessor) Yours(ctx context.Context) error          { return s.step(ctx, "yours") }
func (s *fakeSuccessor) Lasts(ctx context.Context, d time.Duration) error {
	if s.hangs == "lasts" { // which is what it is to do
		select {
		case <-ctx.Done():
		case <-time.After(d):
		}
		s.hangs = ""
	}
	return s.step(ctx, "lasts")
}

// TestStepsOfAHandOver: each may fail or hang, which has an end, and the
// gateway is told to hold in the right place.
func TestStepsOfAHandOver(t *testing.T) {
	t.Parallel()
	all := []string{"ready", "go", "hold", "lasts", "yours"}
	cases := []struct {
		name, fails, hangs string
		cancel             time.Duration // after which this process is told to end; 0: never
		steps              int
		err                string
		takes              time.Duration
	}{
		{name: "nothing happens", steps: 5},
		{name: "ended before it was ready", fails: "ready", steps: 1, err: "ended in ready"},
		{name: "never ready", hangs: "ready", steps: 1, err: "it was not ready after 30s", takes: upgradeDeadline},
		{name: "ended when let in", fails: "go", steps: 2, err: "ended in go"},
		{name: "hangs when let in", hangs: "go", steps: 2, err: "it had not begun to accept after 10s", takes: startDeadline},
		{name: "ends in its first seconds", fails: "lasts", steps: 4, err: "ended in lasts"},
		{name: "ends when it is told", fails: "yours", steps: 5, err: "ended in yours"},
		{name: "hangs when it is told", hangs: "yours", steps: 5, err: "it had not taken over after 10s", takes: startDeadline},
		{name: "lasts", hangs: "lasts", steps: 5, takes: probation},
		{name: "given up before it is ready", hangs: "ready", cancel: time.Second, steps: 1, err: errGivenUp.Error(), takes: time.Second},
		{name: "got over with when it serves", hangs: "lasts", cancel: time.Second, steps: 5, takes: time.Second},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := &fakeGateway{}
				u := &upgrader{log: zerolog.Nop(), gateway: g}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tc.cancel > 0 {
					time.AfterFunc(tc.cancel, cancel)
				}
				began := time.Now()
				err := u.bring(ctx, &fakeSuccessor{g, tc.fails, tc.hangs})
				if got := errorText(err); (tc.err == "") != (err == nil) || !strings.Contains(got, tc.err) {
					t.Errorf("error %q, want %q", got, tc.err)
				}
				if want := all[:tc.steps]; !slices.Equal(g.calls, want) {
					t.Errorf("steps %q, want %q", g.calls, want)
				}
				if took := time.Since(began); took != tc.takes {
					t.Errorf("it took %v, want %v", took, tc.takes)
				}
			})
		})
	}
}

// TestUpgradesThatCannotBegin say why, to whoever asked.
func TestUpgradesThatCannotBegin(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		change func(*server)
		err    string
		calls  []string
	}{
		{"no binary", func(*server) {}, "finding the binary: there is none", nil},
		{"a binary that is not there", func(s *server) {
			s.upgrader.command = func() (*exec.Cmd, error) { return exec.Command("/no/such/sluice"), nil }
		}, "starting /no/such/sluice", []string{"hand over", "resume"}},
		{"PID 1", func(s *server) { s.upgrader.pid = 1 }, "this process is PID 1", nil},
		{"just taking over", func(s *server) { s.predecessor = &handoff.Predecessor{} }, errTooYoung.Error(), nil},
		{"another one is under way", func(s *server) { s.upgrading = &upgrading{} }, errUpgrading.Error(), nil},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			g := &fakeGateway{}
			s := serverOf(t, g, zerolog.Nop(), nil)
			tc.change(s)
			reply := make(chan error, 1)
			s.upgrade("the test", reply)
			if s.upgrading != nil && s.upgrading.over != nil {
				<-s.upgraded()
				if done, err := s.finishUpgrade(); done || err != nil {
					t.Errorf("the process is done: %v, %v", done, err)
				}
			}
			if err := <-reply; err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("error %v, want %q", err, tc.err)
			}
			if !slices.Equal(g.calls, tc.calls) {
				t.Errorf("calls %q, want %q", g.calls, tc.calls)
			}
		})
	}
}

// TestUpgradeIsAskedFor in another way than by a signal.
func TestUpgradeIsAskedFor(t *testing.T) {
	t.Parallel()
	signals := make(chan os.Signal)
	s := serverOf(t, &fakeGateway{}, zerolog.Nop(), signals)
	s.upgrades = make(upgrades)
	result := make(chan error)
	go func() { result <- s.serve() }()
	if err := s.upgrades.ask(t.Context()); err == nil || !strings.Contains(err.Error(), "there is none") {
		t.Errorf("error %v", err)
	}
	signals <- syscall.SIGQUIT
	if err := <-result; err != nil {
		t.Error(err)
	}
	given, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.upgrades.ask(given); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody is there any more: %v", err)
	}
}

// TestUpgradeIsRefusedWhileDraining, during the readiness delay and after it.
func TestUpgradeIsRefusedWhileDraining(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &fakeGateway{active: 1, delay: time.Minute, idle: make(chan struct{})}
		signals := make(chan os.Signal)
		s := serverOf(t, g, zerolog.Nop(), signals)
		s.upgrades = make(upgrades)
		result := make(chan error)
		go func() { result <- s.serve() }()
		signals <- syscall.SIGTERM
		for _, calls := range [][]string{{"unready"}, {"unready", "drain 1m0s"}} {
			synctest.Wait()
			if !slices.Equal(g.calls, calls) {
				t.Errorf("calls %q, want %q", g.calls, calls)
			}
			if err := s.upgrades.ask(t.Context()); !errors.Is(err, errDraining) {
				t.Errorf("error %v, want %v", err, errDraining)
			}
			time.Sleep(time.Minute)
		}
		close(g.idle)
		if err := <-result; err != nil {
			t.Error(err)
		}
	})
}

// TestReloadsDuringAHandOver are refused in words where somebody waits for the
// answer.
func TestReloadsDuringAHandOver(t *testing.T) {
	t.Parallel()
	g := &fakeGateway{}
	r := serverOf(t, g, zerolog.Nop(), nil).reloader
	r.hold()
	if _, err := r.reload("somebody"); err == nil || !strings.Contains(err.Error(), "an upgrade is under way") {
		t.Errorf("error %v", err)
	}
	r.release()
	if _, err := r.reload("somebody"); err != nil {
		t.Error(err)
	}
	if !slices.Equal(g.calls, []string{"apply"}) {
		t.Errorf("calls %q", g.calls)
	}
}
