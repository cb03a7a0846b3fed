package health

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"sluice/proxy/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newEndpoints makes a cluster with endpoints at the addresses.
func newEndpoints(addresses ...string) []*upstream.Endpoint {
	var specs []upstream.Spec
	for _, a := range addresses {
		s := upstream.Spec{Name: a, Weight: 1}
		if path, ok := strings.CutPrefix(a, "unix:"); ok {
			s.Address.Path = path
		} else {
			s.Address.AddrPort = netip.MustParseAddrPort(a)
		}
		specs = append(specs, s)
	}
	var list []*upstream.Endpoint
	for e := range upstream.NewCluster("test", specs).Endpoints() {
		list = append(list, e)
	}
	return list
}

// usual is a check with thresholds of two and three, as the defaults are.
func usual() Check {
	return Check{Interval: 5 * time.Second, Timeout: 2 * time.Second, HealthyThreshold: 2, UnhealthyThreshold: 3}
}

var (
	errBad   = errors.New("it is bad")
	errOwn   = &failure{"connecting: too many open files", syscall.EMFILE}
	noChange = Observer{}
)

// script runs a probe over results, one each interval, and gives what the
// observer is told, each with the number of the result that led to it.
func script(t *testing.T, c Check, e *upstream.Endpoint, results ...error) (told []string, s Status) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	i := 0
	p := &probe{endpoint: e, check: &c, attempt: func(context.Context, *upstream.Endpoint) error {
		if i == len(results) {
			cancel()
			return nil
		}
		i++
		return results[i-1]
	}}
	p.observer = &Observer{
		Changed: func(ch Change) {
			if ch.Endpoint != e || e.Health() != ch.Health {
				t.Errorf("told of %s being %s, which is %s", ch.Endpoint.Name(), ch.Health, e.Health())
			}
			told = append(told, fmt.Sprintf("%d: %s to %s: %s", i, ch.Was, ch.Health, ch.Reason))
		},
		Trouble: func(_ *upstream.Endpoint, err error) { told = append(told, fmt.Sprintf("%d: trouble: %v", i, err)) },
	}
	p.run(ctx)
	return told, p.Status()
}

func TestThresholds(t *testing.T) {
	t.Parallel()
	f := func(name string, results []error, want ...string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			told, _ := script(t, usual(), newEndpoints("10.0.0.1:80")[0], results...)
			if !slices.Equal(told, want) {
				t.Errorf("%s:\n got %q\nwant %q", name, told, want)
			}
		})
	}
	b, o := errBad, error(errOwn)
	f("the first result decides: good", []error{nil}, "1: unchecked to healthy: the first check passed")
	f("the first result decides: bad", []error{b}, "1: unchecked to unhealthy: the first check failed: it is bad")
	f("two failures are not three", []error{nil, b, b, nil, b, b, nil}, "1: unchecked to healthy: the first check passed")
	f("three are", []error{nil, b, b, b, b}, "1: unchecked to healthy: the first check passed",
		"4: healthy to unhealthy: 3 checks in a row failed: it is bad")
	f("one pass is not two", []error{b, nil, b, nil, b}, "1: unchecked to unhealthy: the first check failed: it is bad")
	f("two are", []error{b, nil, nil, b, b}, "1: unchecked to unhealthy: the first check failed: it is bad",
		"3: unhealthy to healthy: 2 checks in a row passed")
	f("back and forth", []error{nil, b, b, b, nil, nil, b, b, b}, "1: unchecked to healthy: the first check passed",
		"4: healthy to unhealthy: 3 checks in a row failed: it is bad", "6: unhealthy to healthy: 2 checks in a row passed",
		"9: healthy to unhealthy: 3 checks in a row failed: it is bad")
	f("own trouble counts neither way, and is told once", []error{o, o, nil, b, o, o, b, nil, o, b},
		"1: trouble: connecting: too many open files", "3: unchecked to healthy: the first check passed",
		"5: trouble: connecting: too many open files", "9: trouble: connecting: too many open files")
	f("own trouble does not break a row either", []error{nil, b, o, b, o, b}, "1: unchecked to healthy: the first check passed",
		"3: trouble: connecting: too many open files", "5: trouble: connecting: too many open files",
		"6: healthy to unhealthy: 3 checks in a row failed: it is bad")
}

func TestStatus(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, s := script(t, usual(), newEndpoints("10.0.0.1:80")[0], nil, errBad, errOwn, errBad, errBad, nil, errBad)
		want := Status{Passed: 2, Failed: 4, Changes: 1, Last: began.Add(6 * 5 * time.Second), Error: "it is bad"}
		if s != want {
			t.Errorf("got %+v\nwant %+v", s, want)
		}
	})
}

// A check that passes ends an ejection, but not of an endpoint that is still
// unhealthy.
func TestAPassedCheckEndsAnEjection(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		results []error
		ejected bool
	}{
		{"passed", []error{nil}, false},
		{"failed", []error{errBad}, true},
		{"passed once while unhealthy", []error{errBad, nil}, true},
		{"healthy again", []error{errBad, nil, nil}, false},
		{"own trouble", []error{errOwn}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				all := newEndpoints("10.0.0.1:80", "10.0.0.2:80")
				cluster := all[0].Cluster()
				cluster.Configure(upstream.Options{Outlier: &upstream.Outlier{
					ConsecutiveFailures: 1, BaseEjectionTime: time.Hour, MaxEjectionTime: time.Hour, MaxEjectionPercent: 100}})
				all[0].AttemptFailed()
				if !all[0].Ejected() {
					t.Fatal("it is not ejected to begin with")
				}
				script(t, usual(), all[0], c.results...)
				if all[0].Ejected() != c.ejected {
					t.Errorf("ejected: %v, want %v", all[0].Ejected(), c.ejected)
				}
				cluster.Close()
			})
		})
	}
}

// An operator who works on an endpoint does not want it checked, and it is
// judged as it was before when that is over.
func TestMaintenanceIsNotChecked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoints("10.0.0.1:80")[0]
		checks := 0
		c := usual()
		p := &probe{endpoint: e, check: &c, observer: &noChange, attempt: func(context.Context, *upstream.Endpoint) error {
			checks++
			return nil
		}}
		ctx, cancel := context.WithCancel(t.Context())
		go p.run(ctx)
		time.Sleep(2500 * time.Millisecond) // between two checks
		for i, step := range []struct {
			state upstream.State
			want  int
		}{{upstream.Ready, 3}, {upstream.Maint, 3}, {upstream.Drain, 5}, {upstream.Maint, 5}, {upstream.Ready, 7}} {
			e.SetState(step.state)
			time.Sleep(10 * time.Second)
			synctest.Wait()
			if checks != step.want {
				t.Errorf("step %d, %s: %d checks, want %d", i, step.state, checks, step.want)
			}
		}
		cancel()
		synctest.Wait()
	})
}

// begins gives when the checks of n endpoints begin.
func begins(t *testing.T, c Check, n int, takes time.Duration, during time.Duration) (at [][]time.Duration) {
	t.Helper()
	start := time.Now()
	at = make([][]time.Duration, n)
	var mu sync.Mutex
	var running sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	for i := range n {
		p := &probe{endpoint: newEndpoints("10.0.0.1:80")[0], check: &c, observer: &noChange,
			attempt: func(context.Context, *upstream.Endpoint) error {
				mu.Lock()
				at[i] = append(at[i], time.Since(start))
				mu.Unlock()
				time.Sleep(takes)
				return nil
			}}
		running.Go(func() { p.run(ctx) })
	}
	time.Sleep(during)
	cancel()
	running.Wait()
	return at
}

// Checks are an interval apart from begin to begin, however long they take.
func TestIntervalIsFromBeginToBegin(t *testing.T) {
	t.Parallel()
	f := func(name string, takes time.Duration, want ...time.Duration) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			if got := begins(t, usual(), 1, takes, 19*time.Second); !slices.Equal(got[0], want) {
				t.Errorf("%s: checks begin at %v, want %v", name, got[0], want)
			}
		})
	}
	s := time.Second
	f("at once", 0, 0, 5*s, 10*s, 15*s)
	f("half of it", 2*s, 0, 5*s, 10*s, 15*s)
	f("longer than the interval", 7*s, 0, 7*s, 14*s)
}

// With a jitter of a fifth an interval of 5 s is between 4 s and 6 s, 5 s on
// average, and the first checks are spread over 1 s.
func TestJitter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := usual()
		c.Jitter = 0.2
		const endpoints = 200
		var first, pauses []time.Duration
		for _, at := range begins(t, c, endpoints, 0, 100*time.Second) {
			first = append(first, at[0])
			for i := range at[1:] {
				pauses = append(pauses, at[i+1]-at[i])
			}
		}
		spread := func(name string, list []time.Duration, lowest, highest time.Duration) {
			t.Helper()
			sum := time.Duration(0)
			for _, d := range list {
				sum += d
			}
			margin, middle := (highest-lowest)/20, (lowest+highest)/2
			// Hundreds of uniform values: that all miss the outer twentieth, or
			// that the average is off by as much, has a chance below 10^-4.
			if mean := sum / time.Duration(len(list)); slices.Min(list) < lowest || slices.Max(list) > highest ||
				slices.Min(list) > lowest+margin || slices.Max(list) < highest-margin || mean < middle-2*margin || mean > middle+2*margin {
				t.Errorf("%s: from %v to %v, on average %v; want %v to %v", name, slices.Min(list), slices.Max(list), mean, lowest, highest)
			}
		}
		spread("first checks", first, 0, time.Second)
		spread("pauses", pauses, 4*time.Second, 6*time.Second)
	})
}

func TestGateBoundsChecksAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := usual()
		c.Gate = NewGate(2)
		// Five endpoints of 1 s each, two at a time.
		var all []time.Duration
		for _, at := range begins(t, c, 5, time.Second, 4*time.Second) {
			all = append(all, at...)
		}
		slices.Sort(all)
		s := time.Second
		if want := []time.Duration{0, 0, s, s, 2 * s}; !slices.Equal(all, want) {
			t.Errorf("checks begin at %v, want %v", all, want)
		}
	})
}

// Which endpoints are watched follows Watch: those that stay go on as they
// were.
func TestWatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all := newEndpoints("10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80")
		checker := New(usual(), noChange)
		expect := func(step string, want ...uint64) {
			t.Helper()
			synctest.Wait()
			for i, e := range all {
				s, watched := checker.Status(e)
				if watched != (want[i] > 0) || s.Passed+s.Failed != want[i] {
					t.Errorf("%s: endpoint %d is watched: %v, with %d checks; want %d", step, i, watched, s.Passed+s.Failed, want[i])
				}
			}
		}
		// Nobody is there: dialing fails at once, and real time does not pass.
		checker.check.Dial = refuse
		checker.Watch(all[:2])
		expect("at first", 1, 1, 0)
		time.Sleep(5 * time.Second)
		expect("later", 2, 2, 0)
		checker.Watch(all[1:])
		expect("another set", 0, 2, 1)
		time.Sleep(5 * time.Second)
		expect("later", 0, 3, 2)
		checker.Watch(nil)
		expect("none", 0, 0, 0)
		checker.Watch(all[:1])
		expect("again", 1, 0, 0)
		checker.Close()
		expect("closed", 0, 0, 0)
		checker.Watch(all)
		expect("closed is closed", 0, 0, 0)
		checker.Close()
	})
}
