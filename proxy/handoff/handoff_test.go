package handoff

import (
	"context"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestEverySocketArrives under its name and in its order, also where there are
// more than go with one message.
func TestEverySocketArrives(t *testing.T) {
	var many []int
	for range 2*maxDescriptors + 3 {
		many = append(many, nothing(t))
	}
	one := nothing(t)
	old, next := halves(t)
	s := successorOf(t, old, Offer{Generation: 7, Sockets: []Socket{
		{Name: "many", FDs: many}, {Name: "none"}, {Name: "one", Lent: true, FDs: []int{one}}, {Name: "dropped", FDs: []int{one}},
	}}, nil)
	p, err := inherit(next)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Elders.Close()
	if p.Generation != 7 || p.PID == 0 {
		t.Errorf("generation %d after process %d", p.Generation, p.PID)
	}
	got, ok := p.Sockets.Take("many")
	if !ok || len(got.FDs) != len(many) {
		t.Fatalf("%d descriptors arrive, want %d", len(got.FDs), len(many))
	}
	for i, fd := range got.FDs {
		if inode(t, fd) != inode(t, many[i]) {
			t.Errorf("descriptor %d is another one", i)
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("descriptor %d would be inherited by whatever is started (%v)", i, err)
		}
	}
	closeAll(got.FDs)
	if _, again := p.Sockets.Take("many"); again {
		t.Error("a socket can be taken twice")
	}
	lent, ok := p.Sockets.Take("one")
	if !ok || !lent.Lent || inode(t, lent.FDs[0]) != inode(t, one) {
		t.Errorf("%+v, %v", lent, ok)
	}
	closeAll(lent.FDs)

	done := make(chan error)
	go func() {
		err := p.Ready(t.Context())
		names, _ := p.Sockets.Discard()
		p.Serving(names)
		<-p.Owned()
		p.Owner()
		done <- err
	}()
	if err := s.AwaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	dropped, err := s.Go(t.Context())
	if err != nil || !slices.Equal(dropped, []string{"dropped"}) {
		t.Errorf("the sockets %q are dropped, %v", dropped, err)
	}
	if err := s.Lasts(t.Context(), time.Millisecond); err != nil {
		t.Error(err)
	}
	if err := errors.Join(s.Yours(t.Context()), <-done); err != nil {
		t.Error(err)
	}
}

// TestOtherVersions are understood or refused in words, by both sides.
func TestOtherVersions(t *testing.T) {
	cases := []struct {
		name            string
		version, oldest int
		refused         string // "": it is not
	}{
		{"the same", version, oldest, ""},
		{"newer, and this one is enough", version + 5, version, ""},
		{"newer, and this one is not", version + 5, version + 1, "too new"},
		{"older than anything", oldest - 1, 0, "too old"},
	}
	for _, tc := range cases {
		t.Run("offer "+tc.name, func(t *testing.T) {
			old, next := halves(t)
			for _, m := range []message{{Kind: kindOffer, Version: tc.version, Oldest: tc.oldest, Generation: 2}, {Kind: kindOffered}} {
				if err := send(old, m); err != nil {
					t.Fatal(err)
				}
			}
			p, err := inherit(next)
			if tc.refused == "" {
				if err != nil {
					t.Fatal(err)
				}
				p.Elders.Close()
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.refused) {
				t.Errorf("%v, want something with %q", err, tc.refused)
			}
			if m, err := receive(old); err != nil || m.Kind != kindRefused || !strings.Contains(m.Reason, tc.refused) {
				t.Errorf("the other side is told %+v, %v", m, err)
			}
		})
		t.Run("ready "+tc.name, func(t *testing.T) {
			old, next := halves(t)
			s := successorOf(t, old, Offer{}, nil)
			if err := send(next, message{Kind: kindReady, Version: tc.version, Oldest: tc.oldest}); err != nil {
				t.Fatal(err)
			}
			err := s.AwaitReady(t.Context())
			if (err == nil) != (tc.refused == "") || err != nil && !strings.Contains(err.Error(), tc.refused) {
				t.Errorf("%v, want something with %q", err, tc.refused)
			}
		})
	}
}

// TestWhatIsUnknownIsPassedOver, with the descriptors that come with it.
func TestWhatIsUnknownIsPassedOver(t *testing.T) {
	fd := nothing(t)
	old, next := halves(t)
	before := openDescriptors(t)
	for _, text := range []string{
		`{"kind":"offer","version":9,"oldest":1,"generation":3,"weather":{"rain":true}}`,
		`{"kind":"song","of":"the future"}`,
		`{"kind":"sockets","name":"a","colour":"red"}`,
		`{"kind":"offered","everything":true}`,
		`{"kind":"song"}`,
		`{"kind":"go","gently":true}`,
		`{"kind":"yours"}`,
	} {
		var rights []byte
		if strings.Contains(text, "sockets") || strings.Contains(text, "song") {
			rights = unix.UnixRights(fd)
		}
		if _, _, err := old.WriteMsgUnix([]byte(text), rights, nil); err != nil {
			t.Fatal(err)
		}
	}
	p, err := inherit(next)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-p.Owned()
	if _, ok := p.Sockets.Take("b"); ok {
		t.Error("a socket is there that nobody has sent")
	}
	if now := openDescriptors(t); now != before+1 {
		t.Errorf("%d descriptors are open, want %d: one for the socket", now, before+1)
	}
	p.Sockets.Discard()
	if now := openDescriptors(t); now != before {
		t.Errorf("%d descriptors are left, want %d", now, before)
	}
	p.Elders.Close()
}

// TestWhatIsNoMessage ends the hand-over, and nothing is left of it.
func TestWhatIsNoMessage(t *testing.T) {
	fd := nothing(t)
	for name, text := range map[string]string{"no JSON": "hello", "other types": `{"kind":7}`, "too long": `{"kind":"offer","name":"` + strings.Repeat("x", maxMessage) + `"}`} {
		t.Run(name, func(t *testing.T) {
			old, next := halves(t)
			before := openDescriptors(t)
			if _, _, err := old.WriteMsgUnix([]byte(text), unix.UnixRights(fd), nil); err != nil {
				t.Fatal(err)
			}
			if p, err := inherit(next); err == nil {
				t.Errorf("it is taken: %+v", p)
			}
			if now := openDescriptors(t); now != before-1 {
				t.Errorf("%d descriptors are open, want %d: the end that inherit has closed", now, before-1)
			}
		})
	}
}

// TestPredecessorGoes: before everything was offered there is nothing to take
// over; afterwards the new process is the one.
func TestPredecessorGoes(t *testing.T) {
	offer := []message{{Kind: kindOffer, Version: version, Oldest: oldest, Generation: 2}, {Kind: kindSockets, Name: "a"}, {Kind: kindOffered}, {Kind: kindGo}, {Kind: kindYours}}
	for n := range len(offer) + 1 {
		old, next := halves(t)
		for _, m := range offer[:n] {
			if err := send(old, m); err != nil {
				t.Fatal(err)
			}
		}
		old.Close()
		p, err := inherit(next)
		if n < 3 {
			if !errors.Is(err, io.EOF) {
				t.Errorf("after %d messages: %v", n, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("after %d messages: %v", n, err)
		}
		if err := p.Ready(t.Context()); err != nil {
			t.Errorf("after %d messages: %v", n, err)
		}
		p.Serving(nil)
		<-p.Owned()
		p.Owner()
		if replies := p.Elders.Ask(t.Context(), Question{Name: "status"}); len(replies) > 0 {
			t.Errorf("who is gone answers: %+v", replies)
		}
		p.Elders.Close()
	}
}

// TestNewProcessGivesUp at any point, with a reason.
func TestNewProcessGivesUp(t *testing.T) {
	old, next := halves(t)
	s := successorOf(t, old, Offer{}, nil)
	if err := send(next, message{Kind: kindLeaving, Reason: "of a whim"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Lasts(t.Context(), patience); !errors.Is(err, ErrLeaving) || !strings.Contains(err.Error(), "of a whim") {
		t.Error(err)
	}
}

// TestProcesses that do not take over: what became of them is said.
func TestProcesses(t *testing.T) {
	for script, want := range map[string]string{"exit 3": "exit status 3", "exit 0": "exit status 0", "kill -9 $$": "killed"} {
		t.Run(script, func(t *testing.T) {
			s, err := Start(exec.Command("/bin/sh", "-c", script), Offer{Sockets: []Socket{{Name: "a", FDs: []int{nothing(t)}}}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := s.AwaitReady(ctx); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want something with %q", err, want)
			}
			<-s.Gone()
		})
	}
	t.Run("silence", func(t *testing.T) {
		// More is offered than the pair's buffers hold, and nobody reads it.
		sockets := make([]Socket, 5000)
		for i := range sockets {
			sockets[i] = Socket{Name: strings.Repeat("x", 1000), FDs: []int{1}}
		}
		s, err := Start(exec.Command("/bin/sh", "-c", "exec sleep 600"), Offer{Sockets: sockets}, nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := s.AwaitReady(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		s.Kill()
		s.Close()
	})
	t.Run("no program", func(t *testing.T) {
		before := openDescriptors(t)
		if _, err := Start(exec.Command("/no/such/program"), Offer{}, nil); err == nil {
			t.Error("it is started")
		}
		if now := openDescriptors(t); now != before {
			t.Errorf("%d descriptors are open, %d were before", now, before)
		}
	})
}

// TestEnvironmentThatIsNone: a value that was left in the environment is noticed.
func TestEnvironmentThatIsNone(t *testing.T) {
	for _, value := range []string{"", "x", "-1", "9999", "0"} {
		t.Setenv(environment, value)
		if p, err := Inherit(); err == nil || !strings.Contains(err.Error(), "unset it") {
			t.Errorf("%q: %+v, %v", value, p, err)
		}
	}
	if p, err := Inherit(); p != nil || err != nil {
		t.Errorf("it is not taken out of the environment: %+v, %v", p, err)
	}
}

func TestEnvironmentForASuccessor(t *testing.T) {
	got := Environment([]string{"PATH=/bin", "LISTEN_FDS=2", "LISTEN_PID=7", "LISTEN_FDNAMES=a:b", "NOTIFY_SOCKET=/run/n", "WATCHDOG_USEC=5", "WATCHDOG_PID=7", environment + "=3", "LISTEN_HERE=x"})
	want := []string{"PATH=/bin", "NOTIFY_SOCKET=/run/n", "WATCHDOG_USEC=5", "LISTEN_HERE=x"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// FuzzMessage: what the other process says, whatever that is, is read or refused.
func FuzzMessage(f *testing.F) {
	f.Add([]byte(`{"kind":"offer","version":1,"oldest":1,"generation":2,"pid":7}`))
	f.Add([]byte(`{"kind":"question","question":"status","arguments":{"a":[1,2]}}`))
	f.Add([]byte(`{"kind":"serving","dropped":["tcp :443"]}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		old, next := halves(t)
		if len(b) == 0 || len(b) > maxMessage {
			return
		}
		if _, err := old.Write(b); err != nil {
			t.Fatal(err)
		}
		old.Close()
		m, err := receive(next)
		if err == nil {
			_ = m.understood()
		}
	})
}
