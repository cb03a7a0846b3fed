package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// question is what a gateway is asked while it is measured.
type question int

const (
	nothing  question = iota
	scraping          // its metrics, every second
	watching          // what flows, as its page does: a stream with an event a second
)

// askInterval is how often metrics are asked for: more often than anybody should.
const askInterval = time.Second

// The paths, and how much is asked for to tell what one costs.
const (
	metricsPath = "/metrics"
	eventsPath  = "/events?topics=flow"
	scrapes     = 20
	pages       = 10
	watched     = 3 // windows
)

// asking asks a gateway until it is stopped.
type asking struct {
	cancel context.CancelFunc
	done   chan struct{} // closed at the end; err is set then
	err    error
}

// ask begins. For nothing it gives nil, which has not failed and can be stopped.
func ask(ctx context.Context, admin string, q question) (*asking, error) {
	if q == nothing {
		return nil, nil
	}
	// The first answer shows that there is somebody.
	if err := get(ctx, admin, metricsPath, io.Discard); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	a := &asking{cancel: cancel, done: make(chan struct{})}
	go a.run(ctx, admin, q)
	return a, nil
}

func (a *asking) run(ctx context.Context, admin string, q question) {
	defer close(a.done)
	if q == watching {
		if a.err = get(ctx, admin, eventsPath, io.Discard); a.err == nil {
			a.err = errors.New("the stream of events has ended")
		}
		return
	}
	ticker := time.NewTicker(askInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if a.err = get(ctx, admin, metricsPath, io.Discard); a.err != nil {
			return
		}
	}
}

// failed says why it is not being asked any more. Where that is so, what was
// measured is not what its name says.
func (a *asking) failed() error {
	if a == nil {
		return nil
	}
	select {
	case <-a.done:
		return fmt.Errorf("asking the gateway: %w", a.err)
	default:
		return nil
	}
}

// stop ends it.
func (a *asking) stop() {
	if a != nil {
		a.cancel()
		<-a.done
	}
}

// get reads an answer to its end.
func get(ctx context.Context, admin, path string, into io.Writer) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+path, http.NoBody)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s gives %s", path, answer.Status)
	}
	_, err = io.Copy(into, answer.Body)
	return err
}

// measureAsking tells what looking inside costs the gateway, by itself: with
// connections that are open and idle, and what it takes with nobody asking
// subtracted.
func (b *bench) measureAsking(r *row, s *site, srv *server) (sample, error) {
	g, err := b.startGenerator(s, b.jobFor(r, srv.address, 0))
	if err != nil {
		return nil, err
	}
	defer g.stop()
	if err := r.allListed(b.ctx, srv.admin); err != nil { // and what is set up once is
		return nil, err
	}
	pids, err := processTree(srv.cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	while := watched * b.window
	idle, _, err := cpuOf(pids, func() error { return pause(b.ctx, while) })
	if err != nil {
		return nil, err
	}
	each := func(n int, f func() error) (float64, error) {
		used, took, err := cpuOf(pids, func() error {
			for range n {
				if err := f(); err != nil {
					return err
				}
			}
			return nil
		})
		return (float64(used) - float64(idle)*took.Seconds()/while.Seconds()) / float64(n), err
	}
	one := sample{}
	for _, m := range []struct {
		metric
		n int
		f func() error
	}{
		{metricScrape, scrapes, func() error { return get(b.ctx, srv.admin, metricsPath, io.Discard) }},
		{metricPage, pages, func() error { return r.allListed(b.ctx, srv.admin) }},
		{metricWatch, 1, func() error { return watchFor(b.ctx, srv.admin, while) }},
	} {
		if one[m.metric], err = each(m.n, m.f); err != nil {
			return nil, err
		}
	}
	one[metricWatch] /= while.Seconds()
	return one, nil
}

// allListed asks for all connections of the row in one answer.
func (r *row) allListed(ctx context.Context, admin string) error {
	var text bytes.Buffer
	if err := get(ctx, admin, fmt.Sprintf("/connections?limit=%d", r.connections), &text); err != nil {
		return err
	}
	var page struct {
		Connections []struct{} `json:"connections"`
	}
	if err := json.Unmarshal(text.Bytes(), &page); err != nil {
		return fmt.Errorf("the list of connections: %w", err)
	}
	if n := len(page.Connections); n != r.connections {
		return fmt.Errorf("%d connections are listed of %d", n, r.connections)
	}
	return nil
}

// watchFor holds a stream of events open for so long.
func watchFor(ctx context.Context, admin string, d time.Duration) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a := &asking{cancel: cancel, done: make(chan struct{})}
	go a.run(ctx, admin, watching)
	err := pause(ctx, d)
	if err == nil {
		err = a.failed()
	}
	a.stop()
	return err
}

// pause waits, unless the run is ended.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// cpuOf gives what the processes use while f runs, and how long it does.
func cpuOf(pids []int, f func() error) (used, took time.Duration, err error) {
	before, err := cpuTime(pids)
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	if err := f(); err != nil {
		return 0, 0, err
	}
	took = time.Since(began)
	after, err := cpuTime(pids)
	return after - before, took, err
}
