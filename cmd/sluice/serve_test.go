package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"sluice/config"
	"sluice/proxy"
	"sluice/proxy/handoff"
	"sluice/proxy/status"
)

// fakeGateway has connections that never end by themselves, unless idle is
// closed.
type fakeGateway struct {
	active int
	delay  time.Duration // of readiness
	idle   chan struct{}
	calls  []string // read once serve has returned
}

func (g *fakeGateway) Drain(ctx context.Context, timeout time.Duration) error {
	g.calls = append(g.calls, "drain "+timeout.String())
	select {
	case <-g.idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *fakeGateway) Apply(*config.Config) (*proxy.Applied, error) {
	g.calls = append(g.calls, "apply")
	return &proxy.Applied{}, nil
}

func (g *fakeGateway) Unready()                       { g.calls = append(g.calls, "unready") }
func (g *fakeGateway) ReadinessDelay() time.Duration  { return g.delay }
func (g *fakeGateway) Responds(context.Context) error { return nil }
func (g *fakeGateway) HandOver() ([]handoff.Socket, error) {
	g.calls = append(g.calls, "hand over")
	return nil, nil
}
func (g *fakeGateway) Hold([]string) { g.calls = append(g.calls, "hold") }
func (g *fakeGateway) Resume()       { g.calls = append(g.calls, "resume") }
func (g *fakeGateway) TakeOver()     { g.calls = append(g.calls, "take over") }
func (g *fakeGateway) Connections(context.Context, status.ConnectionFilter) (status.Connections, error) {
	return status.Connections{}, nil
}

func (g *fakeGateway) Kill(context.Context, uint64) error { return proxy.ErrNoConnection }

func (g *fakeGateway) NotReloaded(err error) { g.calls = append(g.calls, "not reloaded: "+err.Error()) }

func (g *fakeGateway) Close()                      { g.calls = append(g.calls, "close") }
func (g *fakeGateway) ReopenLogs()                 { g.calls = append(g.calls, "reopen") }
func (g *fakeGateway) DrainTimeout() time.Duration { return time.Minute }
func (g *fakeGateway) Stats() proxy.Stats          { return proxy.Stats{Active: g.active} }

// serverOf is a server whose configuration is in a file of the test's.
func serverOf(t *testing.T, g *fakeGateway, log zerolog.Logger, signals <-chan os.Signal) *server {
	path := filepath.Join(t.TempDir(), "sluice.hcl")
	if err := os.WriteFile(path, []byte(smallestConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	r := &reloader{log: log, flags: &configFlags{path: path}, gateway: g}
	return &server{
		log: log, gateway: g, signals: signals, reloader: r, supervision: &supervision{log: log, responds: g.Responds},
		upgrader: &upgrader{log: log, gateway: g, reloader: r, generation: 1, pid: 2, command: func() (*exec.Cmd, error) {
			return nil, errors.New("there is none")
		}},
	}
}

const smallestConfig = `
listener "l" {
  address = "127.0.0.1:0"
  default_filter_chain {
    route { cluster = "c" }
  }
}
cluster "c" { endpoints = ["127.0.0.1:1"] }
`

func TestServe(t *testing.T) {
	t.Parallel()
	const end = syscall.Signal(0) // stands for the end of the last connection
	cases := []struct {
		name    string
		active  int
		signals []os.Signal
		calls   []string
		err     string
	}{
		{"TERM drains", 2, []os.Signal{syscall.SIGTERM, end}, []string{"unready", "drain 1m0s", "close"}, ""},
		{"INT drains", 2, []os.Signal{syscall.SIGINT, end}, []string{"unready", "drain 1m0s", "close"}, ""},
		{"QUIT cuts", 2, []os.Signal{syscall.SIGQUIT}, []string{"close"}, ""},
		{"a second TERM cuts", 2, []os.Signal{syscall.SIGTERM, syscall.SIGTERM}, []string{"unready", "drain 1m0s", "close"},
			"stopped before the drain was over: 2 connections cut"},
		{"INT after TERM cuts", 1, []os.Signal{syscall.SIGTERM, syscall.SIGINT}, []string{"unready", "drain 1m0s", "close"},
			"stopped before the drain was over: 1 connection cut"},
		{"a second TERM with nothing left", 0, []os.Signal{syscall.SIGTERM, syscall.SIGTERM}, []string{"unready", "drain 1m0s", "close"}, ""},
		{"QUIT ends a drain", 2, []os.Signal{syscall.SIGTERM, syscall.SIGQUIT}, []string{"unready", "drain 1m0s", "close"}, ""},
		{"HUP reloads, twice", 0, []os.Signal{syscall.SIGHUP, syscall.SIGHUP, syscall.SIGQUIT}, []string{"apply", "apply", "close"}, ""},
		{"HUP does nothing while draining", 1, []os.Signal{syscall.SIGTERM, syscall.SIGHUP, end}, []string{"unready", "drain 1m0s", "close"}, ""},
		{"USR1 reopens, twice", 0, []os.Signal{syscall.SIGUSR1, syscall.SIGUSR1, syscall.SIGQUIT}, []string{"reopen", "reopen", "close"}, ""},
		{"USR1 reopens while draining", 1, []os.Signal{syscall.SIGTERM, syscall.SIGUSR1, end}, []string{"unready", "drain 1m0s", "reopen", "close"}, ""},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := &fakeGateway{active: tc.active, idle: make(chan struct{})}
				signals := make(chan os.Signal)
				s := serverOf(t, g, zerolog.Nop(), signals)
				result := make(chan error)
				go func() { result <- s.serve() }()
				for _, sig := range tc.signals {
					synctest.Wait()
					if sig == end {
						close(g.idle)
					} else {
						signals <- sig
					}
				}
				err := <-result
				if got := errorText(err); got != tc.err {
					t.Errorf("error %q, want %q", got, tc.err)
				}
				if !slices.Equal(g.calls, tc.calls) {
					t.Errorf("calls %q, want %q", g.calls, tc.calls)
				}
			})
		})
	}
}

// TestServeDrainsWhenAsked: over the admin API it is as by TERM, but that asking
// again does not cut.
func TestServeDrainsWhenAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &fakeGateway{active: 2, idle: make(chan struct{})}
		st := start{drains: make(chan struct{}, 1)}
		s := serverOf(t, g, zerolog.Nop(), make(chan os.Signal))
		s.drains = st.drains
		result := make(chan error)
		go func() { result <- s.serve() }()
		for range 3 {
			st.drain()
			synctest.Wait()
		}
		close(g.idle)
		if err := <-result; err != nil {
			t.Error(err)
		}
		if want := []string{"unready", "drain 1m0s", "close"}; !slices.Equal(g.calls, want) {
			t.Errorf("calls %q, want %q", g.calls, want)
		}
	})
}

func TestDrainIsNoticedInTheLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &fakeGateway{active: 3, idle: make(chan struct{})}
		signals := make(chan os.Signal, 1)
		var log bytes.Buffer
		s := serverOf(t, g, zerolog.New(&log), signals)
		time.AfterFunc(25*time.Second, func() { close(g.idle) })
		signals <- syscall.SIGTERM
		if err := s.serve(); err != nil {
			t.Fatal(err)
		}
		want := strings.Join([]string{
			`{"level":"info","connections":3,"timeout_ms":60000,"message":"draining"}`,
			`{"level":"info","connections":3,"message":"still draining"}`,
			`{"level":"info","connections":3,"message":"still draining"}`,
			`{"level":"info","duration_ms":25000,"connections_cut":0,"message":"drained"}`,
		}, "\n") + "\n"
		if log.String() != want {
			t.Errorf("the log is\n%swant\n%s", log.String(), want)
		}
	})
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
